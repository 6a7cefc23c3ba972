"""Orders: what functions have done by the workers. Each method is one durable step of a task; the steps' order is the
function's.

    plan      write the task down, and have its source looked into and cut into pieces
    perform   have one piece done
    join      have the output made of the pieces' results

To ask is to write a row (`catalog/work.py`); a worker, of this process or another, claims it (`workshop.py`). Whoever
asks may ask twice, for an engine may have died before it had noted the answer: what is done is not done again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, TypeVar

from anabranch.catalog import attempts, media, plans, tasks, waiting, work
from anabranch.catalog.work import Need, Wish
from anabranch.database import persist
from anabranch.errors import AnabranchError, FinalError, ResourceError, RetriableError, without_hint
from anabranch.media.probe import Probe
from anabranch.tasks import Piece, capabilities, estimate, turns
from anabranch.wakeups import signalled

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy as sa

    from anabranch.catalog.tasks import Task
    from anabranch.tasks.keeping import Keeping
    from anabranch.tasks.showcase import Showcase
    from anabranch.tasks.sources import Sources
    from anabranch.wakeups import Wakeups

Json = Any
T = TypeVar("T")

PLAN, JOIN = "plan", "join"

# Who waits is woken; this is for wakeups that were lost.
_LOOK_AGAIN_S = 5.0
# After how long it is asked whether anybody can do what nobody does.
_UNCLAIMED_S = 20.0
# How long a task's encodes have for stopping before its files are removed.
_STOPPED_WITHIN_S = 20.0
_LOOK_EVERY_S = 0.05


class Orders:
    """Has the steps of tasks done.

    Args:
        database: holds the catalog.
        wakeups: tells when a piece has ended.
        showcase: offers captions in packages.
        keeping: removes what failed tasks have left.
        sources: knows how large sources are.
        parks: whether a piece that nobody has room for waits until somebody has; else it fails.
    """

    def __init__(
        self,
        database: sa.Engine,
        wakeups: Wakeups,
        showcase: Showcase,
        keeping: Keeping,
        sources: Sources,
        *,
        parks: bool = True,
    ) -> None:
        self._database = database
        self._wakeups = wakeups
        self._showcase = showcase
        self._keeping = keeping
        self._sources = sources
        self.parks = parks

    async def plan(self, order: Task, again: dict[str, Json] | None = None) -> dict[str, Json]:
        """Write the task down, and have its source looked into and cut into pieces.

        Args:
            order: the task.
            again: `taskId` of the task that did it before and the piece from which it is done again, as `from`; what
                came before that is taken over.

        Returns:
            `{"pieces": [{"name": …, "optional": …}, …]}`, in order.

        Raises:
            AnabranchError: the source cannot be used, or the options do not fit it.
        """
        await self._ask_database(self._open, order)
        room = Need(estimate.of_plan(), source=await asyncio.to_thread(self._source_bytes, order))
        await self._done(order, Wish(PLAN, turns.NET, order.created_at, arguments=again, room=room))
        found = await self._ask_database(plans.get, order.id)
        if found is None:
            raise _cancelled(order.id)
        return {"pieces": [{"name": one["name"], "optional": one.get("optional", False)} for one in found[0]]}

    async def perform(self, order: Task, name: str) -> dict[str, Json]:
        """Have one piece of a task done.

        Returns:
            `{"piece": …}`; what it came to is in its row, for `join`.

        Raises:
            AnabranchError: it failed; nothing it wrote is visible.
        """
        await self._done(order, name)
        return {"piece": name}

    async def join(self, order: Task) -> dict[str, Json]:
        """Have the output made of the pieces' results, which ends the task.

        Returns:
            the task's output, as clients see it.

        Raises:
            AnabranchError: the pieces do not fit together.
        """
        task = await self._ask_database(tasks.get, order.id)
        if task is None or task.status != "completed":
            await self._done(order, await self._ask_database(_join_of, order))
            task = await self._ask_database(tasks.get, order.id)
        if task is None or task.output is None:
            raise _cancelled(order.id)
        return task.output

    async def caption(self, media_id: str) -> None:
        """Offer what is said as captions in the media's package, when both are there."""
        await asyncio.to_thread(persist, self._showcase.caption, media_id)

    async def give_up(self, task_id: str, error: dict[str, Json]) -> None:
        """End a task that failed for good and remove what it stored."""
        await self._ask_database(tasks.fail, task_id, error)
        await self._stop(task_id)

    async def discard(self, task_id: str) -> None:
        """Cancel a task that has not ended: stop what is being done for it, and remove what it stored."""
        await self._ask_database(tasks.cancel, task_id)
        await self._stop(task_id)

    def forget(self, task: Task) -> None:
        """Forget a task that nobody is at any more, with all that it stored."""
        self._keeping.forget(task)

    def forget_media(self, media_id: str) -> None:
        """Forget a media row with all that is stored of it, and its tasks that have ended."""
        self._keeping.forget_media(media_id)

    async def _stop(self, task_id: str) -> None:
        """Have whoever is at a piece of the task stop, and clear up. Who does not stop in time can store nothing more
        that anybody sees."""
        await self._ask_database(work.forget, task_id)
        self._wakeups.wake(work.stopped(task_id))
        deadline = time.monotonic() + _STOPPED_WITHIN_S
        while time.monotonic() < deadline and await self._ask_database(attempts.running, task_id):
            await asyncio.sleep(_LOOK_EVERY_S)
        await asyncio.to_thread(persist, self._keeping.clear, task_id)

    def _source_bytes(self, order: Task) -> int:
        # What cannot be told is found out by who fetches it.
        with contextlib.suppress(AnabranchError):
            return self._sources.size_bytes(order.input)
        return 0

    def _open(self, database: sa.Engine, order: Task) -> None:
        if not media.open_for(database, order):
            # It was on its way when its media was deleted.
            raise _cancelled(order.id)
        tasks.begin(database, order.id, order.run_id)

    async def _done(self, order: Task, wanted: str | Wish) -> None:
        """Return when a piece is done, however often it passes from worker to worker."""
        name = wanted if isinstance(wanted, str) else wanted.piece
        asked_at = time.monotonic()
        with self._wakeups.expect(work.key_of(order.id, name)) as woken:
            while True:
                state = await self._ask_database(work.look, order.id, name)
                if state.task_status in (None, "cancelled"):
                    raise _cancelled(order.id)
                if state.status == "completed":
                    return
                if state.status == "failed":
                    raise _error(state.error or {})
                if state.status == "missing":
                    await self._ask_database(self._ask, order, wanted)
                elif time.monotonic() - asked_at > _UNCLAIMED_S:
                    await self._ask_database(self._check_anybody_can, order.id, name)
                    asked_at = time.monotonic()
                if not self.parks:
                    await self._ask_database(_check_room, order.id, name)
                await signalled(woken, _LOOK_AGAIN_S)
                woken.clear()

    def _ask(self, database: sa.Engine, order: Task, wanted: str | Wish) -> None:
        if isinstance(wanted, str):
            # An order is made anew for each step; only the row knows since when it waits.
            task = tasks.get(database, order.id)
            found = plans.get(database, order.id)
            if task is None or found is None:
                raise _cancelled(order.id)
            pieces, probe = [Piece.from_dict(piece) for piece in found[0]], Probe.from_dict(found[1])
            travels = self._sources.travels(task.input)
            wanted = {wish.piece: wish for wish in wishes_of(task, pieces, probe, travels=travels)}[wanted]
        work.ask(database, order.id, [wanted])
        self._wakeups.wake(work.ANYTHING)

    def _check_anybody_can(self, database: sa.Engine, task_id: str, name: str) -> None:
        required = work.unclaimed(database, task_id, name)
        capabilities.check(database, required, f"The piece {name}")

    async def _ask_database(self, ask: Callable[..., T], *args: Any) -> T:
        # A database that restarts is waited for: nobody's attempt failed.
        return await asyncio.to_thread(persist, ask, self._database, *args)


def wishes_of(task: Task, pieces: list[Piece], probe: Probe, *, travels: bool) -> list[Wish]:
    """What is asked for to have the pieces of a task done, in the order of its plan.

    Args:
        task: whose they are.
        pieces: of its plan.
        probe: what is in its source.
        travels: whether that has to be fetched to be read.
    """
    return [
        Wish(
            piece.name,
            turns.needs(task.kind, piece),
            turns.due_ms(task.created_at, piece),
            tuple(piece.requires),
            place,
            room=estimate.of_piece(task.kind, piece, task.options, probe, travels=travels),
        )
        for place, piece in enumerate(pieces)
    ]


def _join_of(database: sa.Engine, order: Task) -> Wish:
    found = plans.get(database, order.id)
    room = Need()
    if found is not None:
        pieces = [Piece.from_dict(piece) for piece in found[0]]
        room = estimate.of_join(order.kind, pieces, Probe.from_dict(found[1]))
    return Wish(JOIN, turns.JOIN, order.created_at, room=room)


def _check_room(database: sa.Engine, task_id: str, name: str) -> None:
    """Fail where nobody has room for a piece.

    Raises:
        ResourceError: `disk_full`.
    """
    for parked in waiting.for_room(database, task_id):
        if parked.piece == name:
            error = ResourceError("disk_full", f"{name} {parked.why}.", "Free some space; the step is tried again.")
            tasks.note_error(database, task_id, error.to_dict())
            raise error


def _cancelled(task_id: str) -> FinalError:
    return FinalError("cancelled", f"{task_id} was cancelled.")


def _error(noted: dict[str, Json]) -> FinalError | RetriableError:
    """The error that a worker noted."""
    kind = RetriableError if noted.get("retryable", True) else FinalError
    return kind(str(noted.get("code") or "internal_error"), without_hint(noted), noted.get("hint") or "")
