"""Workshop: where tasks are done. Each method is one durable step of a task; the steps' order is the function's.

    plan      fetch the source, look what is in it, and cut the task into pieces
    perform   do one piece at a desk of its own, once a slot is free; show what there is so far
    join      make the output of the pieces, remove what lost attempts left, and end the task

Bytes first, then the row: outputs are stored and verified before a row says that they exist. Plans and results are
rows too, and steps only name them: an engine sends the results of all steps with each call.
"""

from __future__ import annotations

import asyncio
import mimetypes
import os
import shutil
import time
from collections import defaultdict
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from anabranch.catalog import attempts, files, media, plans, tasks, transcripts
from anabranch.catalog.branches import named
from anabranch.errors import AnabranchError, EncodeError, FinalError, ResourceError
from anabranch.gate import Gate
from anabranch.media import source
from anabranch.media.probe import Probe, probe
from anabranch.media.process import Cancelled, CancelToken, Tape
from anabranch.tasks import Piece, turns
from anabranch.tasks.desk import Desk
from anabranch.tasks.kinds import kind_named
from anabranch.tasks.showcase import Showcase, prefix_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    import sqlalchemy as sa

    from anabranch.catalog.tasks import Task
    from anabranch.media.ffmpeg import Ffmpeg
    from anabranch.storage import Storage
    from anabranch.tasks import Output

Json = Any
T = TypeVar("T")

_log = structlog.get_logger(__name__)

# How often a running piece writes down how far it is. People see half a second; a database feels less.
_PROGRESS_EVERY_S = 0.5
# How long a piece waits for the beginning of its task to be asked for, and how often it looks.
_BEGINNING_WITHIN_S = 1.0
_LOOK_EVERY_S = 0.02
KEPT_FREE_BYTES = 64 << 20
_MEMORY_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

# How the address of something in storage begins; its key follows.
STORED = "storage:"


@dataclass(frozen=True)
class Tools:
    """What a workshop works with.

    Attributes:
        database: holds the catalog.
        storage: takes the outputs.
        ffmpeg: encodes.
        scratch: a folder for files that may be lost; emptied when the workshop opens.
        cpu_slots: how many pieces may run at once, beside the urgent ones.
        speech_model: name or folder of the speech model; None for the one that is shipped.
        endpoint: where the object store of sources is, when it is none of its makers' own.
    """

    database: sa.Engine
    storage: Storage
    ffmpeg: Ffmpeg
    scratch: Path
    cpu_slots: int
    speech_model: str | None = None
    endpoint: str | None = None


@dataclass(frozen=True)
class _Plan:
    """What a task is made of, and what was seen in its source."""

    pieces: dict[str, Piece]
    probe: Probe


@dataclass(frozen=True)
class Again:
    """What a task does again.

    Attributes:
        task_id: the task that did it before.
        piece: what came before this piece is taken over from it, as far as it is there; all of it before `join`.
    """

    task_id: str
    piece: str


class Workshop:
    """Does the steps of tasks, for one process."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._database = tools.database
        self._gate = Gate()
        self._sources = tools.scratch / "sources"
        # What is being done for each task, so that it can be stopped.
        self._working: dict[str, set[tuple[CancelToken, asyncio.Future[Json]]]] = defaultdict(set)
        self._looks: dict[str, asyncio.Task[tuple[Path, Probe]]] = {}
        self._plans: dict[str, _Plan] = {}
        # By task, the pieces that somebody has asked for.
        self._asked: dict[str, set[str]] = defaultdict(set)
        self._tapes: dict[tuple[str, str, int], Tape] = {}
        self._shown = Showcase(tools.database, tools.storage, self._desk, self._at_desk, self._tell)
        shutil.rmtree(tools.scratch, ignore_errors=True)
        self._sources.mkdir(parents=True)
        # Whoever made them is gone: one process at a time works here.
        attempts.interrupt_all(tools.database)

    async def plan(self, order: Task, again: Again | None = None) -> dict[str, Json]:
        """Write the task down, fetch and probe its source, and plan it; or take over what it does again.

        Returns:
            `{"pieces": [{"name": …, "optional": …}, …]}`, in order.

        Raises:
            AnabranchError: the source cannot be used, or the options do not fit it.
        """
        await asyncio.to_thread(self._open, order)
        await self._check_wanted(order)
        with self._noting_errors(order.id):
            if again is not None:
                await asyncio.to_thread(self._take_over, order, again)
            planned = await self._planned(order)
        return {"pieces": [{"name": one.name, "optional": one.optional} for one in planned.pieces.values()]}

    async def perform(self, order: Task, name: str) -> dict[str, Json]:
        """Do one piece of a task, once there is a slot for it.

        An engine may ask twice: it died, or its answer was lost, before it had noted the result. Then the piece is
        not done again.

        Returns:
            `{"piece": …}`; what it came to is in its row, for `join`.

        Raises:
            AnabranchError: it failed; nothing it wrote is visible.
        """
        if await asyncio.to_thread(attempts.result_of, self._database, order.id, name) is None:
            created_at = await self._check_wanted(order)
            planned = await self._planned(order)
            piece = planned.pieces[name]
            path, _ = await self._look(order.input)
            await self._let_beginning_go_first(order.id, piece, planned)
            async with self._slot(order.kind, piece, created_at):
                attempt = await asyncio.to_thread(attempts.begin, self._database, order.id, name)
                with structlog.contextvars.bound_contextvars(task=order.id, piece=name, attempt=attempt):
                    await self._attempt(order, piece, planned.probe, path, attempt)
        return {"piece": name}

    async def join(self, order: Task) -> dict[str, Json]:
        """Make the output of the pieces' results, end the task with it, and sweep what lost attempts left.

        Asked again, it answers with the output that the task ended with.

        Returns:
            the task's output, as clients see it.

        Raises:
            AnabranchError: the pieces do not fit together.
        """
        task = await asyncio.to_thread(tasks.get, self._database, order.id)
        if task is not None and task.status == "completed" and task.output is not None:
            return task.output
        await self._check_wanted(order)
        planned = await self._planned(order)
        path, _ = await self._look(order.input)
        kind = kind_named(order.kind)
        options = kind.read_options(order.options)
        attempt = await asyncio.to_thread(attempts.begin, self._database, order.id, "join")
        desk = self._desk(order, "join", planned.probe, path, attempt)
        with self._taping(order.id, "join", attempt, desk), self._noting_errors(order.id, "join", attempt, desk.tape):
            results = await asyncio.to_thread(self._results, order.id, planned)
            with_nobody_else = self._shown.alone(order.id, lambda: kind.join(results, options, desk))
            output = await asyncio.to_thread(self._at_desk, desk, with_nobody_else)
            told = self._tell(output)
            await asyncio.to_thread(self._close, order, output, told, attempt, desk.tape)
        return told

    async def caption(self, media_id: str) -> None:
        """Offer what is said as captions in the media's package, when both are there."""
        await asyncio.to_thread(self._shown.caption, media_id)

    async def give_up(self, task_id: str, error: dict[str, Json]) -> None:
        """End a task that failed for good and remove what it stored."""
        await asyncio.to_thread(self._abandon, task_id, error)

    async def discard(self, task_id: str) -> None:
        """Cancel a task that has not ended: stop what is being done for it, and remove what it stored."""
        await asyncio.to_thread(tasks.cancel, self._database, task_id)
        working = list(self._working.get(task_id, ()))
        for cancel, _ in working:
            cancel.cancel()
        await asyncio.gather(*(work for _, work in working), return_exceptions=True)
        await asyncio.to_thread(self._clear, task_id)

    def remove(self, task: Task) -> None:
        """Remove all that a task has stored. Its pieces are then as if they had not been done."""
        self._shown.alone(task.id, lambda: self._sweep(prefix_of(task), set()))()
        attempts.forget(self._database, task.id)
        transcripts.remove(self._database, task.id)
        self._tidy(task)

    def tape(self, task_id: str, piece: str, attempt: int) -> Tape | None:
        """What is run for an attempt that is being made; None for any other."""
        return self._tapes.get((task_id, piece, attempt))

    async def _check_wanted(self, order: Task) -> int:
        """When the task was created, Unix milliseconds. An engine that has not heard of its cancelling is told here."""
        task = await asyncio.to_thread(tasks.get, self._database, order.id)
        if task is not None and task.status == "cancelled":
            raise _cancelled(order)
        # An order is made anew for each step; only the row knows since when it waits.
        return task.created_at if task is not None else order.created_at

    async def _is_cancelled(self, order: Task) -> bool:
        task = await asyncio.to_thread(tasks.get, self._database, order.id)
        return task is not None and task.status == "cancelled"

    def _check_room(self) -> None:
        """Begin nothing on a disk that is nearly full: the database would not find room to say what became of it."""
        free = shutil.disk_usage(self._tools.scratch).free
        if free < KEPT_FREE_BYTES:
            raise ResourceError(
                "disk_full",
                f"{free >> 20} MiB are free at {self._tools.scratch}; {KEPT_FREE_BYTES >> 20} are kept for the rows.",
                "Free some space; the step is tried again.",
            )

    def _open(self, order: Task) -> None:
        if not media.open_for(self._database, order):
            # It was on its way when its media was deleted.
            raise _cancelled(order)
        tasks.begin(self._database, order.id, order.run_id)

    async def _planned(self, order: Task) -> _Plan:
        """The plan of a task: as it was written down, else made now."""
        planned = self._plans.get(order.id)
        if planned is None:
            planned = await asyncio.to_thread(self._read_plan, order.id)
            if planned is None:
                kind = kind_named(order.kind)
                options = kind.read_options(order.options)
                self._check_room()
                _, seen = await self._look(order.input)
                await asyncio.to_thread(self._write_plan, order, list(kind.plan(options, seen)), seen)
                planned = await asyncio.to_thread(self._read_plan, order.id)
                assert planned is not None
            self._plans[order.id] = planned
        return planned

    def _take_over(self, order: Task, again: Again) -> None:
        """Give a task the plan of an earlier one, and what that had done before a piece. Doing it twice is fine."""
        earlier = tasks.get(self._database, again.task_id)
        found = plans.get(self._database, again.task_id)
        same = earlier and (earlier.media_id, earlier.kind, earlier.options)
        if earlier is None or found is None or same != (order.media_id, order.kind, order.options):
            return
        pieces, seen = found
        self._write_plan(order, [Piece(**piece) for piece in pieces], Probe.from_dict(seen))
        names = [piece["name"] for piece in pieces]
        for name in names[: names.index(again.piece)] if again.piece in names else names:
            row = attempts.completed(self._database, earlier.id, name)
            if row is None:
                continue
            moved: dict[str, str] = {}
            result = _moved(row.result, f"{prefix_of(earlier)}/", f"{prefix_of(order)}/", moved)
            if not all(map(self._tools.storage.exists, moved)):
                continue
            for old, new in moved.items():
                kind = mimetypes.guess_type(new)[0] or "application/octet-stream"
                self._tools.storage.copy(old, new, kind)
            attempts.take_over(self._database, order.id, row, result)
        tasks.advance(self._database, order.id)

    def _read_plan(self, task_id: str) -> _Plan | None:
        found = plans.get(self._database, task_id)
        if found is None:
            return None
        pieces, seen = found
        return _Plan({piece["name"]: Piece(**piece) for piece in pieces}, Probe.from_dict(seen))

    def _write_plan(self, order: Task, pieces: list[Piece], seen: Probe) -> None:
        plans.put(self._database, order.id, [asdict(piece) for piece in pieces], seen.to_dict())
        parts = [{"name": piece.name, "weight": piece.weight, "optional": piece.optional} for piece in pieces]
        tasks.plan(self._database, order.id, parts)
        if order.media_id is not None:
            facts = {
                "duration_s": seen.duration_s,
                "size_bytes": seen.size_bytes,
                "width": seen.video.display_width if seen.video else None,
                "height": seen.video.display_height if seen.video else None,
            }
            media.describe(self._database, order.media_id, facts)

    async def _look(self, address: str) -> tuple[Path, Probe]:
        """The source as a local file, and what is in it; fetched and probed once, whoever asks first."""
        looking = self._looks.get(address)
        # A failed look is not remembered, and a file that was swept is fetched again.
        if looking is None or (looking.done() and (looking.cancelled() or looking.exception() or _gone(looking))):
            looking = asyncio.create_task(asyncio.to_thread(self._fetch_and_probe, address))
            self._looks[address] = looking
        return await asyncio.shield(looking)

    def _fetch_and_probe(self, address: str) -> tuple[Path, Probe]:
        if address.startswith(STORED):
            path = self._tools.storage.local(address.removeprefix(STORED), self._sources)
        else:
            path = source.fetch(address, self._sources, endpoint=self._tools.endpoint)
        desk = self._tools.scratch / f"probe-{time.monotonic_ns()}"
        desk.mkdir()
        try:
            return path, probe(path, desk)
        finally:
            shutil.rmtree(desk, ignore_errors=True)

    async def _let_beginning_go_first(self, task_id: str, piece: Piece, planned: _Plan) -> None:
        """Wait a moment until the beginning has been asked for: an engine calls steps in any order.

        Whoever comes first takes the place that is free, and a film could not be watched before that was done.
        """
        self._asked[task_id].add(piece.name)
        if piece.position_s == 0:
            return
        missing = {one.name for one in planned.pieces.values() if one.position_s == 0} - self._asked[task_id]
        if not missing:
            return
        # What an earlier process has done is not asked for again.
        done = await asyncio.to_thread(attempts.results, self._database, task_id)
        self._asked[task_id] |= {name for name in missing if done.get(name, ("",))[0] == "completed"}
        deadline = time.monotonic() + _BEGINNING_WITHIN_S
        while missing - self._asked[task_id] and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_EVERY_S)

    @asynccontextmanager
    async def _slot(self, kind: str, piece: Piece, created_at: int) -> AsyncIterator[None]:
        limits = turns.places(kind, piece, self._tools.cpu_slots, _MEMORY_BYTES)
        async with self._gate.hold(limits, turns.due_ms(created_at, piece)):
            yield

    async def _attempt(self, order: Task, piece: Piece, seen: Probe, path: Path, attempt: int) -> None:
        kind = kind_named(order.kind)
        options = kind.read_options(order.options)
        cancel = CancelToken()

        def grow() -> None:
            planned = self._plans.get(order.id)
            if kind.grows and planned is not None:
                self._shown.grow(order, list(planned.pieces), seen, path)

        def tell(partial: dict[str, Json]) -> None:
            # What somebody may be watching is no longer this attempt's to remove.
            desk.saved.clear()
            attempts.tell(self._database, order.id, piece.name, attempt, partial)
            grow()

        desk = self._desk(
            order,
            piece.name,
            seen,
            path,
            attempt,
            threads=turns.threads(piece, self._tools.cpu_slots),
            nice=turns.nice(piece),
            cancel=cancel,
            on_progress=self._reporter(order.id, piece.name, attempt),
            on_partial=tell,
            earlier=await asyncio.to_thread(attempts.told, self._database, order.id, piece.name),
        )
        this = (order.id, piece.name, attempt)
        started = time.monotonic()
        with self._taping(*this, desk), self._noting_errors(*this, desk.tape):
            self._check_room()
            work = asyncio.ensure_future(
                asyncio.to_thread(self._at_desk, desk, lambda: kind.perform(piece, options, desk))
            )
            entry = (cancel, work)
            self._working[order.id].add(entry)
            try:
                if await self._is_cancelled(order):
                    # It was cancelled before there was anything to stop.
                    cancel.cancel()
                result = await asyncio.shield(work)
            except Cancelled:
                await asyncio.to_thread(attempts.interrupt, self._database, *this, _taped(desk.tape))
                raise _cancelled(order) from None
            except asyncio.CancelledError:
                cancel.cancel()
                # The child has to be gone before anybody sweeps what it writes.
                await asyncio.gather(work, return_exceptions=True)
                await asyncio.to_thread(attempts.interrupt, self._database, *this, _taped(desk.tape))
                raise
            finally:
                self._working[order.id].discard(entry)
                if not self._working[order.id]:
                    del self._working[order.id]
            await asyncio.to_thread(attempts.complete, self._database, *this, result, _taped(desk.tape))
            await asyncio.to_thread(tasks.advance, self._database, order.id)
            await asyncio.to_thread(grow)
        _log.info("piece completed", took_s=round(time.monotonic() - started, 2), files=len(desk.saved))

    def _results(self, task_id: str, planned: _Plan) -> list[dict[str, Json]]:
        """What the pieces came to, in the order of the plan."""
        found = attempts.results(self._database, task_id)
        results = []
        for piece in planned.pieces.values():
            status, result = found.get(piece.name, ("missing", {}))
            if status == "completed":
                results.append(result)
            elif not piece.optional:
                raise EncodeError(
                    "verify_failed",
                    f"Nothing is known of the piece {piece.name} of {task_id}, which was done.",
                    "Its row may have been deleted. Create the task again.",
                )
        return results

    @contextmanager
    def _taping(self, task_id: str, piece: str, attempt: int, desk: Desk) -> Iterator[None]:
        """Let people listen to what is run, while it runs."""
        assert desk.tape is not None
        self._tapes[task_id, piece, attempt] = desk.tape
        try:
            yield
        finally:
            del self._tapes[task_id, piece, attempt]

    @contextmanager
    def _noting_errors(
        self, task_id: str, piece: str | None = None, attempt: int = 0, tape: Tape | None = None
    ) -> Iterator[None]:
        """Write down what goes wrong before it is raised on, so that people see it while the step waits."""
        try:
            yield
        except Exception as error:
            if isinstance(error, AnabranchError):
                told = error.to_dict()
            else:
                _log.exception("step broke", task=task_id, piece=piece)
                told = {"code": "internal_error", "message": f"{type(error).__name__}: {error}", "retryable": True}
            tasks.note_error(self._database, task_id, told)
            if piece is not None:
                attempts.fail(self._database, task_id, piece, attempt, told, _taped(tape))
            raise

    def _desk(self, order: Task, piece: str, seen: Probe, path: Path, attempt: int, **given: Any) -> Desk:
        usual = {"on_progress": lambda _done, _speed: None, "cancel": CancelToken()}
        scratch = self._tools.scratch / order.id / f"{piece}.{attempt}"
        return Desk(
            source=path,
            probe=seen,
            scratch=scratch,
            ffmpeg=replace(self._tools.ffmpeg, nice=given.get("nice", 0), tape=Tape(scratch)),
            storage=self._tools.storage,
            prefix=prefix_of(order),
            attempt=attempt,
            speech_model=self._tools.speech_model,
            **{**usual, **given},
        )

    def _at_desk(self, desk: Desk, work: Callable[[], T]) -> T:
        desk.scratch.mkdir(parents=True)
        try:
            return work()
        except BaseException:
            for stored in desk.saved:
                self._tools.storage.delete(stored.key)
            raise
        finally:
            shutil.rmtree(desk.scratch, ignore_errors=True)

    def _reporter(self, task_id: str, piece: str, attempt: int) -> Callable[[float, float], None]:
        last = 0.0

        def report(done: float, speed: float) -> None:
            nonlocal last
            if time.monotonic() - last < _PROGRESS_EVERY_S:
                return
            last = time.monotonic()
            attempts.advance(self._database, task_id, piece, attempt, min(1.0, done), speed)
            tasks.advance(self._database, task_id)

        return report

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

    def _close(self, order: Task, output: Output, told: dict[str, Json], attempt: int, tape: Tape | None) -> None:
        attempts.complete(self._database, order.id, "join", attempt, told, _taped(tape))
        self._list(order, output, told)
        if not tasks.complete(self._database, order.id, told):
            # Cancelled while it was joined; whoever cancelled it sweeps.
            return
        self._sweep(prefix_of(order), {stored.key for stored in output.files})
        self._tidy(order)
        self._remove_failed(order)

    def _list(self, order: Task, output: Output, told: dict[str, Json]) -> None:
        """Enter the main file where clients look for files."""
        if output.main is None:
            return
        track = output.type in ("text/vtt", "application/x-subrip")
        if output.spoken:
            language = output.facts.get("language")
            transcripts.put(self._database, order.id, order.media_id, language, output.spoken)
        file_id = files.id_of(order.id)
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
        entry = {"media_id": order.media_id, "task_id": order.id, "ref": order.ref, "filename": name}
        files.create(self._database, file_id, {**entry, **made})
        # It may have been entered already, by who asked for it.
        files.change(self._database, file_id, made)

    def _abandon(self, task_id: str, error: dict[str, Json]) -> None:
        tasks.fail(self._database, task_id, error)
        self._clear(task_id)

    def _clear(self, task_id: str) -> None:
        task = tasks.get(self._database, task_id)
        if task is not None and task.status in ("failed", "cancelled"):
            if not self._keep_done(task):
                self.remove(task)
            file = files.of_task(self._database, task.id)
            if file is not None:
                files.change(self._database, file.id, {"status": "failed", "key": None})

    def _keep_done(self, task: Task) -> bool:
        """Remove what a failed branch has stored but its pieces that are done, so that it can be done from there.

        False when there is nothing of use: none was done, or what was done did not fit together.
        """
        found = attempts.results(self._database, task.id)
        done = {name: result for name, (status, result) in found.items() if status == "completed"}
        is_branch = task.media_id is not None and named(task.ref) is not None
        made = attempts.of_task(self._database, task.id)
        unfit = any(row.piece == "join" and (row.error or {}).get("code") == "verify_failed" for row in made)
        if task.status != "failed" or not is_branch or not done or unfit:
            return False
        kept: dict[str, str] = {}
        _moved(done, f"{prefix_of(task)}/", "", kept)
        self._shown.alone(task.id, lambda: self._sweep(prefix_of(task), set(kept)))()
        attempts.forget(self._database, task.id, except_for=done)
        self._tidy(task)
        return True

    def _remove_failed(self, order: Task) -> None:
        """Remove what earlier tasks of the same branch have left, since it was done."""
        if order.media_id is None or named(order.ref) is None:
            return
        for task in tasks.of_media(self._database, order.media_id):
            if task.ref == order.ref and task.id < order.id and task.status == "failed":
                self.remove(task)

    def _sweep(self, prefix: str, kept: set[str]) -> None:
        for key in [key for key in self._tools.storage.keys(prefix) if key not in kept]:
            self._tools.storage.delete(key)

    def _tidy(self, task: Task) -> None:
        """Remove the task's scratch folder, and its downloaded source when no other task needs it."""
        self._plans.pop(task.id, None)
        self._asked.pop(task.id, None)
        self._shown.forget(task.id)
        shutil.rmtree(self._tools.scratch / task.id, ignore_errors=True)
        if tasks.open_with_input(self._database, task.input) == 0:
            source.forget(task.input, self._sources)
            if task.input.startswith(STORED):
                self._tools.storage.forget(task.input.removeprefix(STORED), self._sources)


def _cancelled(order: Task) -> FinalError:
    return FinalError("cancelled", f"{order.id} was cancelled.")


def _moved(value: Json, old: str, new: str, moved: dict[str, str]) -> Json:
    """What a piece came to, with keys that begin with `new` in place of `old`; `moved` gets each old and new key."""
    if isinstance(value, dict):
        key = value.get("key")
        own = {}
        if isinstance(key, str) and key.startswith(old):
            own["key"] = moved[key] = new + key.removeprefix(old)
        return {name: _moved(part, old, new, moved) for name, part in value.items()} | own
    if isinstance(value, list):
        return [_moved(part, old, new, moved) for part in value]
    return value


def _taped(tape: Tape | None) -> attempts.Run:
    return (tape.command, tape.log or None) if tape is not None else attempts.NOTHING_RUN


def _gone(look: asyncio.Task[tuple[Path, Probe]]) -> bool:
    path, _ = look.result()
    return not path.exists()
