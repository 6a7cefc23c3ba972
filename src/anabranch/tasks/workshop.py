"""Workshop: where this process does pieces of tasks that somebody asked for, each at a desk of its own.

    claim     the piece that is due first of those for which there is a place
    do        plan it, perform it, or join it
    note      what it came to, if the piece is still this worker's; else remove what was stored for it

Bytes first, then the row: outputs are stored and verified before a row says that they exist. A worker that was taken
for lost finds that its claim is another's, and nothing that it wrote is ever named by a row.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import functools
import os
import shutil
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from anabranch import workers
from anabranch.catalog import attempts, losses, plans, published, tasks, waiting, work
from anabranch.catalog.work import Offer
from anabranch.database import is_transient, persist
from anabranch.errors import AnabranchError, ResourceError
from anabranch.media.process import Cancelled, CancelToken, Tape
from anabranch.storage.files import FileStorage
from anabranch.tasks import capabilities, turns
from anabranch.tasks.kinds import KINDS
from anabranch.tasks.showcase import store
from anabranch.wakeups import signalled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import sqlalchemy as sa

    from anabranch.catalog.work import Claim
    from anabranch.media.ffmpeg import Ffmpeg
    from anabranch.media.source import Terms
    from anabranch.room import Room
    from anabranch.storage import Storage
    from anabranch.tasks.craft import Craft
    from anabranch.tasks.desk import Desk
    from anabranch.wakeups import Wakeups
    from anabranch.workers import Membership

Json = Any

_log = structlog.get_logger(__name__)

# How often a running piece writes down how far it is. People see half a second; a database feels less.
_PROGRESS_EVERY_S = 0.5
# Who waits for work is woken; this is for wakeups that were lost.
_LOOK_AGAIN_S = 5.0
_TIDY_EVERY_S = 10.0
# To list a bucket costs; what lies there unnamed hurts nobody.
_FIRST_SWEEP_S, _SWEEP_EVERY_S = 3600.0, 24 * 3600.0
# When it is first written down what is run for a piece: one that takes its worker down may not do so much later.
_NOTED_AFTER_S = 1.0
_MEMORY_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@dataclass(frozen=True)
class Tools:
    """What a workshop works with.

    Attributes:
        database: holds the catalog.
        storage: takes the outputs.
        ffmpeg: encodes.
        scratch: a folder for files that may be lost; emptied when the workshop opens.
        room: what is free on the disk of that, and to whom it was promised.
        cpu_slots: how many pieces may run at once, beside the urgent ones.
        terms: which sources may be fetched, and what that may take.
        speech_model: name or folder of the speech model; None for the one that is shipped.
        max_losses: how many workers may be lost at a piece before it is quarantined; 0 for any number.
    """

    database: sa.Engine
    storage: Storage
    ffmpeg: Ffmpeg
    scratch: Path
    room: Room
    cpu_slots: int
    terms: Terms
    speech_model: str | None = None
    max_losses: int = 3


class Workshop:
    """Does pieces of tasks, for one process.

    Args:
        tools: what it works with.
        craft: how a piece is done.
        wakeups: tells when there is something to do, and when something is not wanted any more.
        membership: under which name it works.
        sweep: removes what is kept no longer; done by one of the workers for all.
        sweep_often: the same for what goes soon, and is quickly found.
        parks: whether work that there is no room for waits, of which people are to hear.
    """

    def __init__(
        self,
        tools: Tools,
        craft: Craft,
        wakeups: Wakeups,
        membership: Membership,
        *,
        sweep: Callable[[], object],
        sweep_often: Callable[[], object],
        parks: bool = True,
    ) -> None:
        self._tools = tools
        self._database = tools.database
        self._wakeups = wakeups
        self._membership = membership
        self._craft = craft
        self._sweep = sweep
        self._sweep_often = sweep_often
        self._parks = parks
        self._held: Counter[str] = Counter()
        # What is being done, so that it can be stopped.
        self._doing: dict[Claim, CancelToken] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._unknown: set[tuple[str, str, int]] = set()
        # Whether it was said that work waits for room.
        self._said_so = False
        self._stores_here = _on_one_disk(tools.storage, tools.scratch)
        self._sweeps_at = time.monotonic() + _FIRST_SWEEP_S
        self._closing = False
        # Pieces take hours, so they have threads of their own: short work must find one.
        self._threads = ThreadPoolExecutor(max_workers=64, thread_name_prefix="anabranch-piece")
        tools.room.promise("sources", craft.sources.open_bytes)
        membership.offer = lambda: self._offer().to_dict()
        membership.when_lost.append(self.stop_all)
        membership.with_each_beat.append(self._take_from_the_lost)

    async def run(self) -> None:
        """Do what there is to do, until it is closed."""
        tidying = asyncio.create_task(self._keep_tidy())
        try:
            await self._do_all()
        finally:
            tidying.cancel()

    async def _do_all(self) -> None:
        with self._wakeups.expect(work.ANYTHING) as woken:
            while not self._closing:
                await self._claim_all()
                await signalled(woken, _LOOK_AGAIN_S)
                woken.clear()

    async def _keep_tidy(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TIDY_EVERY_S)
            await loop.run_in_executor(self._threads, self._tidy)

    async def close(self, drain_s: float = 0.0) -> None:
        """Begin nothing new, let what is being done end for some seconds, and give the rest back."""
        self._closing = True
        self._wakeups.wake(work.ANYTHING)
        try:
            if self._tasks and drain_s:
                await asyncio.wait(self._tasks, timeout=drain_s)
        finally:
            # Also when it is told a second time, and does not get to what follows.
            self.stop_all()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(Exception):
            await asyncio.to_thread(self._craft.sources.tidy, self._database)
        await asyncio.to_thread(self._threads.shutdown, wait=True)

    def stop_all(self) -> None:
        """Stop what is being done. Any thread may say so."""
        for cancel in list(self._doing.values()):
            cancel.cancel()

    async def _claim_all(self) -> None:
        """Begin all for which there is a place."""
        try:
            while not self._closing and (claim := await asyncio.to_thread(persist, self._claim)):
                if self._closing:
                    await asyncio.to_thread(persist, work.release, self._database, claim)
                else:
                    self._begin(claim)
        except Exception:  # noqa: BLE001  (whatever it is, it is tried again)
            _log.exception("could not look for work")

    def _claim(self) -> Claim | None:
        if any(claim.alone for claim in list(self._doing)):
            return None
        # What this version knows how to give a place to.
        known = [turns.NET, turns.JOIN, "cpu", "rungs", "speech", *(f"urgent {kind}" for kind in KINDS)]
        needs = [name for name in known if self._has_place(name)]
        if not needs:
            return None
        me, most = self._membership.id, self._tools.max_losses
        return work.claim(self._database, me, needs, self._can, self._offer(), most)

    def _offer(self) -> Offer:
        """What there is here for one more piece."""
        left = self._tools.room.left_bytes()
        return Offer(left, self._stores_here, self._craft.sources.here, idle=not self._doing)

    def _has_place(self, needs: str) -> bool:
        limits = turns.places(needs, self._tools.cpu_slots, _MEMORY_BYTES)
        return all(self._held[key] < limit for key, limit in limits.items())

    def _can(self, requires: str) -> bool:
        return capabilities.can(self._membership.capabilities, requires.split())

    def _scratch_of(self, claim: Claim) -> Path:
        return self._tools.scratch / f"{claim.task_id}.{claim.piece}.{claim.attempt}"

    def _begin(self, claim: Claim) -> None:
        cancel = CancelToken()
        self._doing[claim] = cancel
        size_bytes = claim.room.scratch + (claim.room.stored if self._stores_here else 0)
        scratch = self._scratch_of(claim)
        self._tools.room.promise(claim, lambda: max(0, size_bytes - _size_of(scratch)))
        self._craft.sources.expect(claim.source, claim.room.source)
        self._held.update(turns.places(claim.needs, self._tools.cpu_slots, _MEMORY_BYTES).keys())
        task = asyncio.create_task(self._do(claim, cancel))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, claim: Claim, cancel: CancelToken) -> None:
        loop = asyncio.get_running_loop()
        tape = Tape(self._scratch_of(claim))
        reporter = _Reporter(self._database, claim, tape, cancel)
        watching = asyncio.create_task(self._stop_when_unwanted(claim, cancel, reporter))
        try:
            with structlog.contextvars.bound_contextvars(
                task=claim.task_id, piece=claim.piece, attempt=claim.attempt, worker=claim.worker_id
            ):
                # With what the log says of it.
                attempt = functools.partial(
                    contextvars.copy_context().run, self._attempt, claim, cancel, tape, reporter
                )
                await loop.run_in_executor(self._threads, attempt)
        except Exception:  # noqa: BLE001  (whatever it is, the others go on)
            # It is taken from this worker when it leaves, or by who finds its row later.
            _log.exception("piece could not be noted", task=claim.task_id, piece=claim.piece)
        finally:
            watching.cancel()
            del self._doing[claim]
            self._tools.room.withdraw(claim)
            self._craft.sources.forget_expected(claim.source)
            self._held.subtract(turns.places(claim.needs, self._tools.cpu_slots, _MEMORY_BYTES).keys())
            # A place is free.
            self._wakeups.wake(work.ANYTHING)
            self._wakeups.wake(claim.key)

    async def _stop_when_unwanted(self, claim: Claim, cancel: CancelToken, reporter: _Reporter) -> None:
        with self._wakeups.expect(work.stopped(claim.task_id)) as stopped:
            look_again_s = _NOTED_AFTER_S
            while True:
                if not await asyncio.to_thread(persist, work.is_held, self._database, claim):
                    cancel.cancel()
                    return
                await signalled(stopped, look_again_s)
                stopped.clear()
                await asyncio.to_thread(reporter.note)
                look_again_s = _LOOK_AGAIN_S

    def _attempt(self, claim: Claim, cancel: CancelToken, tape: Tape, reporter: _Reporter) -> None:
        started = time.monotonic()
        scratch = self._scratch_of(claim)
        given: dict[str, Any] = {
            "scratch": scratch,
            "attempt": claim.attempt,
            "cancel": cancel,
            "threads": turns.threads(claim.needs, self._tools.cpu_slots),
            "nice": turns.nice(claim.needs),
        }
        desk: Desk | None = None
        try:
            task = self._craft.task(claim.task_id)
            structlog.contextvars.bind_contextvars(run=task.run_id)

            def tell(partial: dict[str, Json]) -> None:
                reporter.tell(partial)
                # What somebody may be watching is no longer this attempt's to remove.
                if desk is not None:
                    desk.saved.clear()
                self._craft.grow(task)

            planned = persist(plans.get, self._database, task.id)
            desk = self._craft.desk(
                task, claim.piece, planned, on_progress=reporter.report, on_partial=tell, tape=tape, **given
            )
            result = self._craft.do(task, claim, planned, desk)
            noted = persist(work.complete, self._database, claim, result, reporter.run)
        except Cancelled:
            self._throw_away(desk)
            persist(work.release, self._database, claim, reporter.run)
            return
        except Exception as error:
            if is_transient(error):
                # What was noted last may have been heard: nothing is removed. The sweep knows what no row names.
                raise
            self._throw_away(desk)
            told = _told(error, claim)
            if persist(work.fail, self._database, claim, told, reporter.run):
                persist(tasks.note_error, self._database, claim.task_id, told)
            return
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if not noted:
            _log.warning("another worker has this piece; what was made of it is thrown away")
            self._throw_away(desk)
            return
        self._craft.after(task, claim)
        _log.info("piece completed", took_s=round(time.monotonic() - started, 2), files=len(desk.saved))

    def _throw_away(self, desk: Desk | None) -> None:
        for stored in desk.saved if desk is not None else ():
            with contextlib.suppress(AnabranchError):
                self._tools.storage.delete(stored.key)

    def _take_from_the_lost(self) -> None:
        """Free what workers hold that are gone, and what this one holds without knowing: the answer to its claim was
        lost with a connection."""
        me = self._membership.id
        doing = {(claim.task_id, claim.piece, claim.attempt) for claim in list(self._doing)}
        unknown = work.held_by(self._database, me) - doing
        # What is new may just be on its way here.
        for task_id, piece, attempt in unknown & self._unknown:
            work.release(self._database, work.Claim(task_id, piece, "", me, attempt, None))
        self._unknown = unknown
        if losses.release_lost(self._database, self._tools.max_losses):
            self._wakeups.wake(work.ANYTHING)

    def _tidy(self) -> None:
        """Remove sources that no task needs, and finish what somebody who was lost had begun to store."""
        try:
            self._craft.sources.tidy(self._database)
            self._say_what_waits()
            for task_id in published.not_stored(self._database):
                store(self._database, self._tools.storage, task_id)
            if self._is_oldest():
                self._sweep_often()
                if time.monotonic() > self._sweeps_at:
                    self._sweeps_at = time.monotonic() + _SWEEP_EVERY_S
                    self._sweep()
        except Exception:  # noqa: BLE001  (whatever it is, work goes on)
            # It is done again in a moment.
            _log.exception("could not tidy up")

    def _say_what_waits(self) -> None:
        """Say once that pieces wait for room, and once that none does any more: the oldest of the workers for all."""
        parked = waiting.for_room(self._database) if self._parks and self._is_oldest() else []
        if parked and not self._said_so:
            one = parked[0]
            _log.warning("work waits for room", task=one.task_id, piece=one.piece, why=one.why, pieces=len(parked))
        elif self._said_so and not parked:
            _log.info("no work waits for room any more")
        self._said_so = bool(parked)

    def _is_oldest(self) -> bool:
        """Whether this is the one of the workers that does for all of them what need not be done by each."""
        able = [row.id for row in workers.every(self._database) if row.capabilities]
        return able[:1] == [self._membership.id]


class _Reporter:
    """Writes down how far an attempt is, and stops it when it is no longer this one that counts."""

    def __init__(self, database: sa.Engine, claim: Claim, tape: Tape, cancel: CancelToken) -> None:
        self._database = database
        self._claim = (claim.task_id, claim.piece, claim.attempt)
        self._tape = tape
        self._cancel = cancel
        self._lock = threading.Lock()
        self._reported_at = 0.0

    @property
    def run(self) -> attempts.Run:
        """What was run so far, and its last words."""
        return (self._tape.command, self._tape.log or None)

    def report(self, done: float, speed: float) -> None:
        """Note the fraction done, 0 to 1, and the speed; not more often than people can see."""
        with self._lock:
            if time.monotonic() - self._reported_at < _PROGRESS_EVERY_S:
                return
            self._reported_at = time.monotonic()
        try:
            counts = attempts.advance(self._database, *self._claim, min(1.0, done), speed, self.run)
            tasks.advance(self._database, self._claim[0])
        except Exception as error:
            if not is_transient(error):
                raise
            # The next report says more.
            return
        if not counts:
            self._cancel.cancel()

    def note(self) -> None:
        """Note what is run, of what tells nothing of how far it is. The next time says more if it cannot be noted."""
        if self._tape.command is not None:
            with contextlib.suppress(Exception):
                attempts.note(self._database, *self._claim, self.run)

    def tell(self, partial: dict[str, Json]) -> None:
        """Note what the attempt has come to so far.

        Raises:
            Cancelled: it is no longer this attempt that counts.
        """
        if not persist(attempts.tell, self._database, *self._claim, partial):
            raise Cancelled


def _on_one_disk(storage: Storage, scratch: Path) -> bool:
    """Whether what is stored is in a folder on the disk of the scratch files."""
    if not isinstance(storage, FileStorage):
        return False
    place = storage.root
    while not place.exists():
        place = place.parent
    return place.stat().st_dev == scratch.stat().st_dev


def _size_of(folder: Path) -> int:
    """What is in a folder that others write to, or have removed."""
    sizes = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                sizes += os.lstat(f"{where}/{name}").st_size
    return sizes


def _told(error: Exception, claim: Claim) -> dict[str, Json]:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        error = ResourceError(
            "disk_full", f"There was no room to work on {claim.piece}.", "Free some space; the step is tried again."
        )
    if isinstance(error, AnabranchError):
        return error.to_dict()
    _log.exception("step broke", task=claim.task_id, piece=claim.piece)
    return {"code": "internal_error", "message": f"{type(error).__name__}: {error}", "retryable": True, "hint": ""}
