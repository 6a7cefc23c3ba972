"""Showcase: what users see of outputs that are not, or no longer, one task's alone: packages that grow, and captions.

What stands under an address that lasts is written by one thread at a time for each task, from rows. So whoever writes
last writes what the rows say, and a task that is removed is not written to again.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from anabranch.catalog import attempts, plans, tasks
from anabranch.errors import AnabranchError
from anabranch.media.probe import Probe
from anabranch.tasks.adaptive_video import package
from anabranch.tasks.kinds import kind_named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import sqlalchemy as sa

    from anabranch.catalog.tasks import Task
    from anabranch.storage import Storage
    from anabranch.tasks import Output
    from anabranch.tasks.desk import Desk

Json = Any
T = TypeVar("T")

_log = structlog.get_logger(__name__)


class Showcase:
    """Writes what lasts.

    Args:
        database: holds the catalog.
        storage: holds the outputs.
        make_desk: makes a desk for a task, by the name of what is done at it.
        at_desk: does work at a desk, and clears it.
        tell: an output as clients see it.
    """

    def __init__(
        self,
        database: sa.Engine,
        storage: Storage,
        make_desk: Callable[[Task, str, Probe, Path, int], Desk],
        at_desk: Callable[[Desk, Callable[[], Any]], Any],
        tell: Callable[[Output], dict[str, Json]],
    ) -> None:
        self._database = database
        self._storage = storage
        self._make_desk = make_desk
        self._at_desk = at_desk
        self._tell = tell
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def alone(self, task_id: str, work: Callable[[], T]) -> Callable[[], T]:
        """The work, to be done while nobody else writes for the task."""

        def locked() -> T:
            with self._locks[task_id]:
                return work()

        return locked

    def forget(self, task_id: str) -> None:
        """Note that a task has ended."""
        self._locks.pop(task_id, None)

    def grow(self, order: Task, names: Sequence[str], seen: Probe, path: Path) -> None:
        """Show what the pieces have come to so far; the join shows the whole.

        Args:
            order: the task.
            names: its pieces, in order.
            seen: what is in its source.
            path: its source.
        """
        self.alone(order.id, lambda: self._grow(order, names, seen, path))()

    def _grow(self, order: Task, names: Sequence[str], seen: Probe, path: Path) -> None:
        task = tasks.get(self._database, order.id)
        found = attempts.results(self._database, order.id)
        ended = task is None or task.status != "processing"
        if ended or all(name in found and found[name][0] == "completed" for name in names):
            return
        kind = kind_named(order.kind)
        so_far = [found[name][1] if name in found else None for name in names]
        desk = self._make_desk(order, f"grow-{time.monotonic_ns()}", seen, path, 0)
        try:
            output = self._at_desk(desk, lambda: kind.grow(so_far, kind.read_options(order.options), desk))
        except AnabranchError as error:
            # The next piece tries again, and the join has the last word.
            _log.warning("could not show what there is so far", task=order.id, error=str(error))
            return
        if output is not None:
            tasks.show(self._database, order.id, self._tell(output))

    def caption(self, media_id: str) -> None:
        """Offer what is said as captions in the media's package, when both are there."""
        found = {task.ref: task for task in tasks.of_media(self._database, media_id) if task.status == "completed"}
        film, words = found.get("hls-package"), found.get("audio-transcription")
        if film is not None and words is not None:
            self.alone(film.id, lambda: self._caption(film, words))()

    def _caption(self, film: Task, words: Task) -> None:
        package_output, transcript = film.output or {}, words.output or {}
        described = self._read(package_output, package.DESCRIPTION)
        vtt = self._read(transcript, "captions.vtt")
        planned = plans.get(self._database, film.id)
        if described is None or vtt is None or planned is None:
            # A package of an earlier version, or one without a track.
            return
        desk = self._make_desk(
            film, f"captions-{time.monotonic_ns()}", Probe.from_dict(planned[1]), Path(film.input), 0
        )
        language = transcript.get("language") or ""
        added = self._at_desk(desk, lambda: package.caption(json.loads(described), vtt, language, words.id, desk))
        kept = [file for file in package_output["files"] if not file["name"].startswith("captions/")]
        files = [*kept, *(stored.to_dict() for stored in added)]
        tasks.amend(self._database, film.id, {**package_output, "files": files})
        named = {stored.key for stored in added}
        for key in [key for key in self._storage.keys(f"{prefix_of(film)}/captions/") if key not in named]:
            self._storage.delete(key)

    def _read(self, output: dict[str, Json], name: str) -> str | None:
        """One of the files of an output, or None when it has no such file."""
        key = next((file["key"] for file in output.get("files", ()) if file["name"].rpartition("/")[2] == name), None)
        return b"".join(self._storage.open(key)).decode() if key else None


def prefix_of(task: Task) -> str:
    """Where the outputs of a task begin."""
    return f"media/{task.media_id}/{task.id}" if task.media_id else f"tasks/{task.id}"
