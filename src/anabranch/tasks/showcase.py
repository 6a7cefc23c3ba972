"""Showcase: what users see of outputs that are not, or no longer, one task's alone: packages that grow, and captions.

What stands under an address that lasts is made of rows and published as the next edition, over the one that it was made
from. Whoever finds that somebody else has published meanwhile makes it anew.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from anabranch.catalog import attempts, plans, published, tasks
from anabranch.errors import AnabranchError
from anabranch.media.probe import Probe
from anabranch.tasks.adaptive_video import package
from anabranch.tasks.kinds import kind_named

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy as sa

    from anabranch.catalog.tasks import Task
    from anabranch.storage import Storage
    from anabranch.tasks import Output
    from anabranch.tasks.desk import Desk

Json = Any

_log = structlog.get_logger(__name__)

# Each time somebody else was quicker, who had seen as much or more.
_TRIES = 20


class Showcase:
    """Publishes what lasts.

    Args:
        database: holds the catalog.
        storage: holds the outputs.
        at_desk: has work done at a desk of a task, by the name of what is done.
        tell: an output as clients see it.
    """

    def __init__(
        self,
        database: sa.Engine,
        storage: Storage,
        at_desk: Callable[[Task, str, Probe, dict[str, Any], Callable[[Desk], Any]], Any],
        tell: Callable[[Output], dict[str, Json]],
    ) -> None:
        self._database = database
        self._storage = storage
        self._at_desk = at_desk
        self._tell = tell

    def grow(self, task_id: str) -> None:
        """Show what the pieces of a task have come to so far; the join shows the whole."""
        for _ in range(_TRIES):
            if self._grow(task_id):
                store(self._database, self._storage, task_id)
                return
        # Somebody who has seen more publishes all the time.

    def _grow(self, task_id: str) -> bool:
        """False when somebody else was quicker."""
        edition, _ = published.editions(self._database, task_id)
        task = tasks.get(self._database, task_id)
        plan = plans.get(self._database, task_id)
        if task is None or plan is None or task.status != "processing":
            return True
        kind = kind_named(task.kind)
        if not kind.grows:
            return True
        names = [piece["name"] for piece in plan[0]]
        found = attempts.results(self._database, task_id)
        if all(name in found and found[name][0] == "completed" for name in names):
            return True
        so_far = [found[name][1] if name in found else None for name in names]
        texts: dict[str, tuple[str, str]] = {}
        shown = frozenset({(task.output or {}).get("key") or ""})
        given = {"texts": texts, "shown": shown}

        def work(desk: Desk) -> Output | None:
            return kind.grow(so_far, kind.read_options(task.options), desk)

        try:
            output = self._at_desk(task, "grow", Probe.from_dict(plan[1]), given, work)
        except AnabranchError as error:
            # The next piece tries again, and the join has the last word.
            _log.warning("could not show what there is so far", task=task_id, error=str(error))
            return True
        return output is None or tasks.show(self._database, task_id, self._tell(output), edition, texts)

    def caption(self, media_id: str) -> None:
        """Offer what is said as captions in the media's package, when both are there."""
        found = {task.ref: task for task in tasks.of_media(self._database, media_id) if task.status == "completed"}
        film, words = found.get("hls-package"), found.get("audio-transcription")
        if film is None or words is None:
            return
        for _ in range(_TRIES):
            if self._caption(film.id, words):
                store(self._database, self._storage, film.id)
                return

    def _caption(self, film_id: str, words: Task) -> bool:
        """False when somebody else was quicker."""
        edition, _ = published.editions(self._database, film_id)
        film = tasks.get(self._database, film_id)
        planned = plans.get(self._database, film_id)
        if film is None or planned is None:
            return True
        package_output, transcript = film.output or {}, words.output or {}
        described = self._read(package_output, package.DESCRIPTION)
        vtt = self._read(transcript, "captions.vtt")
        if described is None or vtt is None:
            # A package of an earlier version, or one without a track.
            return True
        language = transcript.get("language") or ""
        texts: dict[str, tuple[str, str]] = {}

        def work(desk: Desk) -> Any:
            return package.caption(json.loads(described), vtt, language, words.id, desk)

        added = self._at_desk(film, "captions", Probe.from_dict(planned[1]), {"texts": texts}, work)
        before = [file for file in package_output["files"] if file["name"].startswith("captions/")]
        kept = [_weighed(file, texts) for file in package_output["files"] if file not in before]
        output = {**package_output, "files": [*kept, *(stored.to_dict() for stored in added)]}
        if output["key"] in texts:
            output["filesize"] = len(texts[output["key"]][1].encode())
        withdrawn = {file["key"] for file in before} - {stored.key for stored in added}
        if not tasks.amend(self._database, film_id, output, edition, texts, sorted(withdrawn)):
            return False
        for key in withdrawn:
            self._storage.delete(key)
        return True

    def _read(self, output: dict[str, Json], name: str) -> str | None:
        """One of the files of an output, or None when it has no such file."""
        key = next((file["key"] for file in output.get("files", ()) if file["name"].rpartition("/")[2] == name), None)
        return b"".join(self._storage.open(key)).decode() if key else None


def _weighed(file: dict[str, Json], texts: dict[str, tuple[str, str]]) -> dict[str, Json]:
    """A file of an output, as large as the text that is now published under its key."""
    text = texts.get(file["key"])
    return file if text is None else {**file, "size_bytes": len(text[1].encode())}


def store(database: sa.Engine, storage: Storage, task_id: str) -> None:
    """Bring storage's copies of what is published of a task up to date.

    Two may do this at once, and the slower one may be the one with the older text. So each looks again, after it has
    written, until nothing is newer than what it wrote.
    """
    keys: set[str] = set()
    edition, written = published.editions(database, task_id)
    with tempfile.TemporaryDirectory(prefix="anabranch-") as folder:
        while written < edition:
            for text in published.since(database, task_id, written):
                path = Path(folder, "text")
                path.unlink(missing_ok=True)
                path.write_bytes(text.text.encode())
                storage.put(text.key, path, text.type)
                keys.add(text.key)
            written, edition = edition, published.editions(database, task_id)[0]
    task = tasks.get(database, task_id)
    if task is not None and task.status in ("processing", "completed"):
        published.note_stored(database, task_id, written)
        return
    # It was removed meanwhile.
    for key in keys:
        storage.delete(key)
