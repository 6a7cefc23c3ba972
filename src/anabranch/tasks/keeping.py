"""Keeping: which of the files that tasks have stored stay, and which go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from anabranch.catalog import attempts, files, media, published, tasks, transcripts
from anabranch.catalog.branches import named
from anabranch.tasks.desk import prefix_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import sqlalchemy as sa

    from anabranch.catalog.tasks import Task
    from anabranch.storage import Storage
    from anabranch.tasks import Output

Json = Any

_log = structlog.get_logger(__name__)


class Keeping:
    """Removes what nobody needs, and enters what people look for.

    Args:
        database: holds the catalog.
        storage: holds the outputs.
    """

    def __init__(self, database: sa.Engine, storage: Storage) -> None:
        self._database = database
        self._storage = storage

    def finish(self, task: Task, output: dict[str, Json]) -> None:
        """Of a task that was completed: remove all that is not part of its output, and what its forerunners left."""
        there = list(self._storage.keys(f"{prefix_of(task)}/"))
        # Read after that: captions may have come meanwhile, from who was quicker.
        now = tasks.get(self._database, task.id)
        kept = {*_keys_of(output["files"]), *_keys_of((now.output if now is not None else None) or {})}
        kept |= {text.key for text in published.since(self._database, task.id, 0)}
        self._storage.delete_all([key for key in there if key not in kept])
        if task.media_id is None or named(task.ref) is None:
            return
        for other in tasks.of_media(self._database, task.media_id):
            if other.ref == task.ref and other.id < task.id and other.status == "failed":
                self.remove(other)

    def clear(self, task_id: str) -> None:
        """Remove what a task has stored that failed or was cancelled."""
        task = tasks.get(self._database, task_id)
        if task is None or task.status not in ("failed", "cancelled"):
            return
        if not self._keep_done(task):
            self.remove(task)
        file = files.of_task(self._database, task.id)
        if file is not None:
            files.change(self._database, file.id, {"status": "failed", "key": None})

    def remove(self, task: Task) -> None:
        """Remove all that a task has stored. Its pieces are then as if they had not been done."""
        published.forget(self._database, task.id)
        self._sweep(prefix_of(task), set())
        attempts.forget(self._database, task.id)
        transcripts.remove(self._database, task.id)

    def forget(self, task: Task) -> None:
        """Forget a task that nobody is at any more, with all that it stored."""
        self.remove(task)
        file = files.of_task(self._database, task.id)
        if file is not None:
            files.delete(self._database, file.id)
        tasks.delete(self._database, task.id)

    def forget_media(self, media_id: str) -> bool:
        """Forget a media row with all that is stored of it, and its tasks that have ended. False when there is none."""
        for task in tasks.of_media(self._database, media_id):
            if not task.is_open:
                self.forget(task)
        for prefix in (f"media/{media_id}/", f"sources/{media_id}/"):
            self._storage.delete_all(list(self._storage.keys(prefix)))
        for file in files.of_media(self._database, media_id):
            if file.key:
                self._storage.delete(file.key)
            files.delete(self._database, file.id)
        return media.delete(self._database, media_id)

    def sweep_orphans(self) -> int:
        """Remove what no row names: what was stored by somebody who was lost before it could be noted.

        What belongs to a task that has not ended stays, for somebody may be at it.

        Returns:
            how many objects were removed.
        """
        removed = 0
        for where in ("media/", "tasks/"):
            kept: dict[str, set[str] | None] = {}
            for key in list(self._storage.keys(where)):
                prefix = _task_prefix(key)
                if prefix not in kept:
                    kept[prefix] = self._kept(prefix)
                named_ = kept[prefix]
                if named_ is not None and key not in named_:
                    self._storage.delete(key)
                    removed += 1
        if removed:
            _log.info("orphans removed", objects=removed)
        return removed

    def _kept(self, prefix: str) -> set[str] | None:
        """The keys that rows name below where a task's outputs begin; None while it has not ended."""
        task = tasks.get(self._database, prefix.rpartition("/")[2])
        if task is None:
            media_id = prefix.split("/")[1] if prefix.startswith("media/") else None
            # A run may be about to make it.
            row = media.get(self._database, media_id) if media_id else None
            return None if row is not None and row.status == "processing" else set()
        if task.is_open:
            return None
        keys = set(_keys_of((task.output or {}).get("files", [])))
        for _, result in attempts.results(self._database, task.id).values():
            if task.status == "failed":
                keys |= set(_keys_of(result))
        return keys

    def _keep_done(self, task: Task) -> bool:
        """Remove what a failed branch has stored but its pieces that are done, so that it can be done from there.

        False when there is nothing of use: none was done, or what was done did not fit together.
        """
        found = attempts.results(self._database, task.id)
        own = {piece["name"] for piece in task.pieces or ()}
        done = {name: result for name, (status, result) in found.items() if status == "completed" and name in own}
        is_branch = task.media_id is not None and named(task.ref) is not None
        made = attempts.of_task(self._database, task.id)
        unfit = any(row.piece == "join" and (row.error or {}).get("code") == "verify_failed" for row in made)
        if task.status != "failed" or not is_branch or not done or unfit:
            return False
        published.forget(self._database, task.id)
        self._sweep(prefix_of(task), set(_keys_of(done)))
        attempts.forget(self._database, task.id, except_for=done)
        return True

    def _sweep(self, prefix: str, kept: set[str]) -> None:
        self._storage.delete_all([key for key in self._storage.keys(f"{prefix}/") if key not in kept])


def enter(connection: sa.Connection, task: Task, output: Output, told: dict[str, Json]) -> None:
    """Enter the main file of an output where clients look for files, and what is said where they search."""
    if output.main is None:
        return
    track = output.type in ("text/vtt", "application/x-subrip")
    if output.spoken:
        transcripts.enter(connection, task.id, task.media_id, output.facts.get("language"), output.spoken)
    made = {
        "object": "track" if track else "intelligence" if output.kind == "text" else "source",
        "kind": output.kind,
        "type": output.type,
        "status": "ready",
        "key": output.main.key,
        "filesize": told["filesize"],
        "facts": {name: told.get(name) for name in ("width", "height", "duration", "language")},
    }
    name = output.main.name.rpartition("/")[2]
    entry = {"media_id": task.media_id, "task_id": task.id, "ref": task.ref, "filename": name}
    # It may have been entered already, by who asked for it.
    files.enter(connection, files.id_of(task.id), entry, made)


def moved(value: Json, old: str, new: str, keys: dict[str, str]) -> Json:
    """What a piece came to, with keys that begin with `new` in place of `old`; `keys` gets each old and new one."""
    if isinstance(value, dict):
        key = value.get("key")
        own = {}
        if isinstance(key, str) and key.startswith(old):
            own["key"] = keys[key] = new + key.removeprefix(old)
        return {name: moved(part, old, new, keys) for name, part in value.items()} | own
    if isinstance(value, list):
        return [moved(part, old, new, keys) for part in value]
    return value


def _keys_of(value: Json) -> Iterable[str]:
    """Every `key` in what a piece or a task came to."""
    if isinstance(value, dict):
        if isinstance(value.get("key"), str):
            yield value["key"]
        for part in value.values():
            yield from _keys_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from _keys_of(part)


def _task_prefix(key: str) -> str:
    """Where the outputs of the task begin that stored a key."""
    parts = key.split("/")
    return "/".join(parts[: 3 if parts[0] == "media" else 2])
