"""Places: how many calls run at once over all processes that share a Postgres, as rows. Within one process, `gate.py`.

    a call comes     a row for each of its keys, which waits
    it is let in     the rows are granted: there was a place under every key, and nobody who fits has a lower rank
    it ends          the rows are deleted, and whoever fits now is let in

Who comes or goes also lets in whoever fits, of whichever process, and wakes that process alone; so a place passes on at
once, and nobody asks again and again. All that one process has to write goes into one transaction at a time, and those
of several processes take turns, so that what they count stays so until they have written.

Rows of workers that do not live count for nothing, and go with the next transaction. With each heartbeat a process
looks for itself: somebody may have been lost who held a place, or was to wake another.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from anabranch.database import insert_once, is_transient, notify, serialize
from anabranch.engine.tables import places
from anabranch.ids import new_id
from anabranch.workers import living

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from anabranch.wakeups import Wakeups
    from anabranch.workers import Membership

_log = structlog.get_logger(__name__)

_AGAIN_AFTER_S = 1.0
# What an index takes, and what is still read with pleasure.
_LONGEST_KEY = 200
_MOST = 1 << 30


@dataclass(frozen=True)
class _Call:
    """One that was let in or waits, in this process."""

    id: str
    limits: Mapping[str, int]
    rank: int
    ticket: asyncio.Future[None]


class Places:
    """Places by key, as `Gate` has them, over all workers of a database.

    Args:
        database: the one that they share.
        wakeups: how this process hears that a call of its own was let in by another.
        membership: under which name this process holds places.
    """

    def __init__(self, database: sa.Engine, wakeups: Wakeups, membership: Membership) -> None:
        self._database = database
        self._wakeups = wakeups
        self._membership = membership
        self._bell = _bell(membership.id)
        self._calls: dict[str, _Call] = {}
        self._waiting: dict[str, _Call] = {}
        # What is not written yet.
        self._coming: dict[str, _Call] = {}
        self._leaving: set[str] = set()
        self._due_for_look = False
        self._stopping = False
        self._keeping: asyncio.Task[None] | None = None
        membership.with_each_beat.append(self._look_soon)

    def start(self) -> None:
        """Begin to let in. Call within the event loop of those who come."""
        self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        """Give back what those had who have left."""
        self._stopping = True
        self._ring()
        if self._keeping is not None:
            await self._keeping

    @asynccontextmanager
    async def hold(self, limits: Mapping[str, int], rank: int) -> AsyncIterator[None]:
        """A place under every key of `limits`, for as long as the context lasts. The lowest rank goes first."""
        if not limits:
            yield
            return
        named = {_name(key): min(limit, _MOST) for key, limit in limits.items()}
        call = _Call(new_id("call"), named, rank, asyncio.get_running_loop().create_future())
        self._calls[call.id] = self._waiting[call.id] = self._coming[call.id] = call
        self._ring()
        try:
            await call.ticket
            yield
        finally:
            # It may be being written at this moment, so that only its rows can say that there are none.
            for known in (self._calls, self._waiting, self._coming):
                known.pop(call.id, None)
            self._leaving.add(call.id)
            self._ring()

    def _ring(self) -> None:
        self._wakeups.wake(self._bell)

    def _look_soon(self) -> None:
        self._due_for_look = True
        self._ring()

    async def _keep(self) -> None:
        while not self._stopping:
            # This process goes on under another name when it was taken for lost.
            self._bell = _bell(self._membership.id)
            with self._wakeups.expect(self._bell) as rung:
                if await self._did():
                    await rung.wait()
                elif not self._stopping:
                    await asyncio.sleep(_AGAIN_AFTER_S)
        # Should that fail, what is held is free once this worker has left.
        await self._did()

    async def _did(self) -> bool:
        """Write what there is to write. False when it has to be tried again."""
        coming = dict(self._coming)
        try:
            await self._write_down(coming)
        except Exception as error:  # noqa: BLE001  (calls without limit would wait for ever)
            if not is_transient(error):
                for call in coming.values():
                    self._coming.pop(call.id, None)
                    if not call.ticket.done():
                        call.ticket.set_exception(error)
            self._due_for_look = True
            _log.warning("places could not be written", error=repr(error)[:300], again_in_s=_AGAIN_AFTER_S)
            return False
        return True

    async def _write_down(self, coming: dict[str, _Call]) -> None:
        look, self._due_for_look = self._due_for_look, False
        if look or len(self._waiting) > len(coming):
            rows = await asyncio.to_thread(self._rows, only_granted=not look)
            self._let_in(call_id for call_id, granted in rows.items() if granted)
            if look:
                # A database that was restored, or lost its last moments, may hold other rows than were written.
                coming |= {call_id: call for call_id, call in self._waiting.items() if call_id not in rows}
                self._leaving |= rows.keys() - self._calls.keys()
        leaving = set(self._leaving)
        if coming or leaving or (look and self._waiting):
            self._let_in(await asyncio.to_thread(self._pass_on, list(coming.values()), leaving, look))
        for call_id in coming:
            self._coming.pop(call_id, None)
        self._leaving -= leaving

    def _let_in(self, call_ids: Iterable[str]) -> None:
        for call_id in call_ids:
            call = self._waiting.pop(call_id, None)
            if call is not None and not call.ticket.done():
                call.ticket.set_result(None)

    def _rows(self, *, only_granted: bool) -> dict[str, bool]:
        """Calls of this process as they stand there, and whether they were let in."""
        mine = sa.select(places.c.call_id, places.c.granted).where(places.c.worker_id == self._membership.id)
        if only_granted:
            mine = mine.where(places.c.granted)
        with self._database.connect() as connection:
            return {row.call_id: row.granted for row in connection.execute(mine)}

    def _pass_on(self, coming: Sequence[_Call], leaving: set[str], look: bool) -> list[str]:
        """Note who comes and who leaves, and let in who fits now. Returns those of this process. May be done twice.

        Args:
            look: whether to look at everybody who waits, not only at those whom this concerns.
        """
        me = self._membership.id
        with self._database.begin() as connection:
            serialize(connection, "places")
            if coming:
                connection.execute(
                    insert_once(self._database, places), [row for call in coming for row in _of(call, me)]
                )
            # After that, so that nobody is let in who was taken for lost and does not know.
            gone = places.delete().where(places.c.worker_id.not_in(living()) | places.c.call_id.in_(leaving))
            concerned = set(connection.scalars(gone.returning(places.c.key)))
            concerned.update(key for call in coming for key in call.limits)
            let_in = _admit(connection, None if look else concerned)
            for worker_id in {row.worker_id for row in let_in} - {me}:
                notify(connection, _bell(worker_id))
        return [row.call_id for row in let_in if row.worker_id == me]


def _bell(worker_id: str) -> tuple[str, str]:
    """What wakes a worker when a call of its own was let in."""
    return ("places", worker_id)


def _name(key: str) -> str:
    """A key as the index takes it and the database gives it back, whatever an app has put into it."""
    if len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable():
        return key
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _of(call: _Call, worker_id: str) -> list[dict[str, str | int | bool]]:
    limits = json.dumps(call.limits, sort_keys=True)
    return [
        {
            "call_id": call.id,
            "key": key,
            "capacity": capacity,
            "limits": limits,
            "rank": call.rank,
            "worker_id": worker_id,
            "granted": False,
        }
        for key, capacity in call.limits.items()
    ]


def _admit(connection: sa.Connection, keys: set[str] | None) -> list[sa.Row[tuple[str, str, str]]]:
    """Let in who waits under one of these keys, or any, and fits: by rank, past those who have another key full."""
    waiting = list(connection.execute(_first_in_turn(keys)))
    if not waiting:
        return []
    limits = [json.loads(row.limits) for row in waiting]
    rows = connection.execute(_counted({key for limit in limits for key in limit}))
    held = Counter({row.key: row.number for row in rows})
    let_in = []
    for row, wanted in zip(waiting, limits, strict=True):
        if all(held[key] < capacity for key, capacity in wanted.items()):
            held.update(wanted.keys())
            let_in.append(row)
    ids = [row.call_id for row in let_in]
    connection.execute(places.update().where(places.c.call_id.in_(ids)).values(granted=True))
    return let_in


def _first_in_turn(keys: set[str] | None) -> sa.Select[tuple[str, str, str]]:
    """Of those who wait for the same, as many as there are places free, in the order in which they may go."""
    taken = _counted(keys).subquery()
    in_order = (places.c.rank, places.c.call_id)
    turns = (
        sa.select(
            places.c.call_id,
            places.c.limits,
            places.c.worker_id,
            places.c.rank,
            (places.c.capacity - sa.func.coalesce(taken.c.number, 0)).label("free"),
            sa.func.row_number().over(partition_by=(places.c.limits, places.c.key), order_by=in_order).label("turn"),
        )
        .select_from(places.outerjoin(taken, taken.c.key == places.c.key))
        .where(~places.c.granted, _under(keys))
        .subquery()
    )
    return (
        sa.select(turns.c.call_id, turns.c.limits, turns.c.worker_id)
        .where(turns.c.turn <= turns.c.free)
        .group_by(turns.c.call_id, turns.c.limits, turns.c.worker_id, turns.c.rank)
        .order_by(turns.c.rank, turns.c.call_id)
    )


def _counted(keys: set[str] | None) -> sa.Select[tuple[str, int]]:
    number = sa.func.count().label("number")
    return sa.select(places.c.key, number).where(places.c.granted, _under(keys)).group_by(places.c.key)


def _under(keys: set[str] | None) -> sa.ColumnElement[bool]:
    return sa.true() if keys is None else places.c.key.in_(keys)
