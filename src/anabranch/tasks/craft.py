"""Craft: what is done at a desk. A source is looked into and the task planned, a piece is performed, pieces are joined.

Plans and results are rows: whoever does the next step may be another process, on another machine.
"""

from __future__ import annotations

import json
import mimetypes
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from anabranch.catalog import attempts, media, plans, tasks, work
from anabranch.database import persist
from anabranch.errors import EncodeError, FinalError
from anabranch.ids import new_id
from anabranch.media import timeline
from anabranch.media.probe import Probe
from anabranch.media.process import CancelToken, Tape
from anabranch.tasks import Piece, capabilities
from anabranch.tasks.desk import Desk, prefix_of
from anabranch.tasks.keeping import Keeping, enter, moved
from anabranch.tasks.kinds import kind_named
from anabranch.tasks.orders import JOIN, PLAN, wishes_of
from anabranch.tasks.showcase import Showcase, store
from anabranch.tasks.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy as sa

    from anabranch.catalog.tasks import Task
    from anabranch.catalog.work import Claim
    from anabranch.tasks import Output
    from anabranch.tasks.workshop import Tools

Json = Any
T = TypeVar("T")
# The pieces in their order, and the probe.
Planned = tuple[list[dict[str, Json]], dict[str, Json]]

_log = structlog.get_logger(__name__)


class Craft:
    """Does the steps of tasks. What the steps of a process share is here: its sources, and what it shows.

    Args:
        tools: what it works with.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._database = tools.database
        shutil.rmtree(tools.scratch, ignore_errors=True)
        # It stays, empty, when it is a disk of its own.
        tools.scratch.mkdir(parents=True, exist_ok=True)
        self.sources = Sources(tools.storage, tools.scratch, tools.ffmpeg.sandbox, tools.terms)
        self.showcase = Showcase(tools.database, tools.storage, self._at_desk, self._tell)
        self.keeping = Keeping(tools.database, tools.storage)

    def task(self, task_id: str) -> Task:
        """The task of a piece.

        Raises:
            FinalError: `cancelled`, it was deleted.
        """
        task = persist(tasks.get, self._database, task_id)
        if task is None:
            raise FinalError("cancelled", f"{task_id} was deleted.")
        return task

    def desk(
        self,
        task: Task,
        piece: str,
        planned: Planned | None,
        *,
        scratch: Path,
        tape: Tape,
        attempt: int,
        nice: int,
        **given: Any,
    ) -> Desk:
        """A desk for an attempt at a piece, with the source on it when the piece works on that.

        Raises:
            AnabranchError: the source cannot be had.
        """
        probe = Probe.from_dict(planned[1]) if planned is not None else _NOTHING_SEEN
        source = self.sources.fetch(task.input) if piece not in (PLAN, JOIN) else Path(task.input)
        scratch.mkdir(parents=True)
        return Desk(
            source=source,
            probe=probe,
            scratch=scratch,
            ffmpeg=replace(self._tools.ffmpeg, nice=nice, tape=tape),
            storage=self._tools.storage,
            prefix=prefix_of(task),
            attempt=attempt,
            speech_model=self._tools.speech_model,
            earlier=persist(attempts.told, self._database, task.id, piece),
            texts={} if piece == JOIN else None,
            nice=nice,
            **given,
        )

    def do(self, task: Task, claim: Claim, planned: Planned | None, desk: Desk) -> dict[str, Json]:
        """Do a piece; what it came to.

        Raises:
            AnabranchError: final or retriable, by its class.
            Cancelled: `desk.cancel` was set.
        """
        if claim.piece == PLAN:
            return self._plan(task, claim.arguments)
        if claim.piece == JOIN:
            return self._join(task, planned, desk)
        assert planned is not None
        piece = next(Piece.from_dict(one) for one in planned[0] if one["name"] == claim.piece)
        kind = kind_named(task.kind)
        return kind.perform(piece, kind.read_options(task.options), desk)

    def after(self, task: Task, claim: Claim) -> None:
        """What follows from a piece that was completed. All of it is done again by others when this process dies."""
        if claim.piece == JOIN:
            store(self._database, self._tools.storage, task.id)
        elif claim.piece != PLAN:
            persist(tasks.advance, self._database, task.id)
            self.grow(task)

    def grow(self, task: Task) -> None:
        """Show what there is so far."""
        if kind_named(task.kind).grows:
            persist(self.showcase.grow, task.id)

    def _plan(self, task: Task, again: dict[str, Json] | None) -> dict[str, Json]:
        if again is not None:
            self._take_over(task, str(again.get("taskId")), str(again.get("from")))
        if persist(plans.get, self._database, task.id) is None:
            kind = kind_named(task.kind)
            options = kind.read_options(task.options)
            seen = self.sources.look(task.input)
            timeline.check(seen, self._tools.ffmpeg.sandbox.limits)
            pieces = list(kind.plan(options, seen))
            for piece in pieces:
                capabilities.check(self._database, piece.requires, f"A task of the kind {task.kind}")
            self._write_plan(task, pieces, seen)
        found = persist(plans.get, self._database, task.id)
        assert found is not None
        pieces = [Piece.from_dict(piece) for piece in found[0]]
        done = persist(attempts.results, self._database, task.id)
        # Asked for all at once, so that what is due first is done first, whoever comes to ask for it.
        travels = self.sources.travels(task.input)
        wishes = wishes_of(task, pieces, Probe.from_dict(found[1]), travels=travels)
        open_ = [wish for wish in wishes if done.get(wish.piece, ("",))[0] != "completed"]
        persist(work.ask, self._database, task.id, open_)
        return {"pieces": len(pieces)}

    def _write_plan(self, task: Task, pieces: list[Piece], seen: Probe) -> None:
        persist(plans.put, self._database, task.id, [asdict(piece) for piece in pieces], seen.to_dict())
        parts = [{"name": piece.name, "weight": piece.weight, "optional": piece.optional} for piece in pieces]
        persist(tasks.plan, self._database, task.id, parts)
        if task.media_id is not None:
            facts = {
                "duration_s": seen.duration_s,
                "size_bytes": seen.size_bytes,
                "width": seen.video.display_width if seen.video else None,
                "height": seen.video.display_height if seen.video else None,
            }
            persist(media.describe, self._database, task.media_id, facts)

    def _take_over(self, task: Task, earlier_id: str, since: str) -> None:
        """Give a task the plan of an earlier one, and what that had done before a piece. Doing it twice is fine."""
        earlier = persist(tasks.get, self._database, earlier_id)
        found = persist(plans.get, self._database, earlier_id)
        same = earlier and (earlier.media_id, earlier.kind, earlier.options)
        if earlier is None or found is None or same != (task.media_id, task.kind, task.options):
            return
        pieces, seen = found
        self._write_plan(task, [Piece.from_dict(piece) for piece in pieces], Probe.from_dict(seen))
        names = [piece["name"] for piece in pieces]
        storage = self._tools.storage
        for name in names[: names.index(since)] if since in names else names:
            row = persist(attempts.completed, self._database, earlier.id, name)
            if row is None:
                continue
            keys: dict[str, str] = {}
            result = moved(row.result, f"{prefix_of(earlier)}/", f"{prefix_of(task)}/", keys)
            if not all(map(storage.exists, keys)):
                continue
            for old, new in keys.items():
                storage.copy(old, new, mimetypes.guess_type(new)[0] or "application/octet-stream")
            persist(attempts.take_over, self._database, task.id, row, result)
        persist(tasks.advance, self._database, task.id)

    def _join(self, task: Task, planned: Planned | None, desk: Desk) -> dict[str, Json]:
        """Make the output of the pieces' results, and end the task with it."""
        if task.status == "completed" and task.output is not None:
            # By somebody who was lost right after it.
            self.keeping.finish(task, task.output)
            return task.output
        kind = kind_named(task.kind)
        output = kind.join(self._results(task, planned), kind.read_options(task.options), desk)
        told = self._tell(output)

        def entering(connection: sa.Connection) -> None:
            enter(connection, task, output, told)

        # Cancelled while it was joined, or joined by somebody else: whoever did that sweeps.
        if persist(tasks.complete, self._database, task.id, told, desk.texts, entering) or self._is_ours(task, told):
            # From here on what was stored is named.
            desk.saved.clear()
            store(self._database, self._tools.storage, task.id)
            self.keeping.finish(task, told)
        return told

    def _is_ours(self, task: Task, told: dict[str, Json]) -> bool:
        """Whether the task ended with this output: it was heard the first time, and the answer was lost."""
        ended = persist(tasks.get, self._database, task.id)
        output = (ended.output if ended is not None else None) or {}
        return bool(told["files"]) and output.get("files") == json.loads(json.dumps(told["files"]))

    def _results(self, task: Task, planned: Planned | None) -> list[dict[str, Json]]:
        """What the pieces came to, in the order of the plan."""
        found = persist(attempts.results, self._database, task.id)
        results = []
        for piece in planned[0] if planned is not None else ():
            status, result = found.get(piece["name"], ("missing", {}))
            if status == "completed":
                results.append(result)
            elif not piece.get("optional", False):
                raise EncodeError(
                    "verify_failed",
                    f"Nothing is known of the piece {piece['name']} of {task.id}, which was done.",
                    "Its row may have been deleted. Create the task again.",
                )
        return results

    def _at_desk(self, task: Task, name: str, probe: Probe, given: dict[str, Any], do: Callable[[Desk], T]) -> T:
        """Have something small done at a desk that has no source."""
        scratch = self._tools.scratch / f"{task.id}.{name}.{new_id('desk')}"
        scratch.mkdir(parents=True)
        desk = Desk(
            source=Path(task.input),
            probe=probe,
            scratch=scratch,
            ffmpeg=replace(self._tools.ffmpeg, tape=Tape(scratch)),
            storage=self._tools.storage,
            prefix=prefix_of(task),
            attempt=0,
            on_progress=lambda _done, _speed: None,
            cancel=CancelToken(),
            **given,
        )
        try:
            return do(desk)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _tell(self, output: Output) -> dict[str, Json]:
        """The output as clients see it."""
        main = output.main
        return {
            "object": "file",
            "kind": output.kind,
            "type": output.type,
            "url": self._tools.storage.url(main.key) if main else None,
            "key": main.key if main else None,
            "filesize": main.size_bytes if main else None,
            "reason": output.reason,
            "files": [stored.to_dict() for stored in output.files],
            **output.facts,
        }


_NOTHING_SEEN = Probe(format="", zero_s=0.0, duration_s=0.0, size_bytes=0, video=None, audio=(), damaged=False)
