"""Work: pieces of tasks that somebody asked for. They wait, are claimed, and complete, fail or are released.

    asked for ── claim ──> at a worker ── complete ──> gone; the attempt has its result
        ^                      │ ├────── fail ──────> its error waits for whoever asked
        └────── release ───────┘
                (it drains, or it was lost: `losses.py`)

A piece that nobody has room for stays where it is, and is begun when somebody has (`waiting.py`).

A claim is the worker and the number of its attempt. Each end is written where the row still has both: whoever was
taken for lost changes nothing, and hears that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch import clock
from anabranch.catalog import attempts
from anabranch.catalog.attempts import NOTHING_RUN
from anabranch.catalog.tables import WAITS, tasks, work
from anabranch.catalog.tables import attempts as attempt_rows
from anabranch.database import insert_once, notify
from anabranch.workers import living, workers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

Json = Any

# What waits for it wakes when there is something new to do.
ANYTHING = "work"


@dataclass(frozen=True)
class Need:
    """The room that a piece takes, in bytes, at the most; see `tasks/estimate.py`.

    Attributes:
        scratch: of what it writes on the disk of whoever does it.
        stored: of what it puts into storage.
        source: of its source, where that has to be fetched to be read.
    """

    scratch: int = 0
    stored: int = 0
    source: int = 0


@dataclass(frozen=True)
class Offer:
    """What a worker has for one more piece, beside a place.

    Attributes:
        free_bytes: the room on its disk; None for any amount.
        stores_here: whether what is stored takes of the same room.
        sources: addresses of the sources that it has, or is fetching.
        idle: whether it does nothing now: some pieces are done alone.
    """

    free_bytes: int | None = None
    stores_here: bool = False
    sources: frozenset[str] = frozenset()
    idle: bool = True

    def lacks(self, need: Need, address: str) -> bool:
        """Whether a piece of a task that reads the source at this address finds no room."""
        return self.free_bytes is not None and self.bytes_for(need, address) > self.free_bytes

    def bytes_for(self, need: Need, address: str) -> int:
        """The room that a piece takes here."""
        fetched = 0 if address in self.sources else need.source
        return need.scratch + fetched + (need.stored if self.stores_here else 0)

    def to_dict(self) -> dict[str, Json]:
        """As a worker tells the others."""
        return {"freeBytes": self.free_bytes, "storesHere": self.stores_here, "sources": sorted(self.sources)}

    @classmethod
    def from_dict(cls, told: Mapping[str, Json]) -> Offer:
        """Read what `to_dict` told."""
        return cls(told["freeBytes"], told["storesHere"], frozenset(told["sources"]))


@dataclass(frozen=True)
class Wish:
    """A piece that is to be done.

    Attributes:
        piece: its name.
        needs: the places that it takes; see `tasks/turns.py`.
        requires: what else a worker must be able to do; see `tasks/capabilities.py`.
        due_at: what is due first goes first, Unix milliseconds.
        place: then this decides.
        arguments: what is in no other row.
        room: what it takes of a disk.
    """

    piece: str
    needs: str
    due_at: int
    requires: tuple[str, ...] = ()
    place: int = 0
    arguments: dict[str, Json] | None = None
    room: Need = Need()


@dataclass(frozen=True, eq=False)
class Claim:
    """A piece at a worker.

    Attributes:
        room: what it takes of a disk.
        source: address of what it is made from.
        alone: whether nothing else is to be done beside it.
    """

    task_id: str
    piece: str
    needs: str
    worker_id: str
    attempt: int
    arguments: dict[str, Json] | None
    room: Need = Need()
    source: str = ""
    alone: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """What wakes whoever asked for the piece."""
        return key_of(self.task_id, self.piece)


@dataclass(frozen=True)
class State:
    """How it stands with a piece.

    Attributes:
        status: `missing` (nobody asked), `open`, `completed`, or `failed`.
        task_status: of its task.
        error: what it failed of.
    """

    status: str
    task_status: str | None
    error: dict[str, Json] | None = None


def key_of(task_id: str, piece: str) -> tuple[str, str, str]:
    """What wakes whoever asked for a piece."""
    return ("piece", task_id, piece)


def stopped(task_id: str) -> tuple[str, str]:
    """What wakes the workers that are at pieces of a task which nobody wants any more."""
    return ("stopped", task_id)


def ask(database: sa.Engine, task_id: str, wishes: Sequence[Wish]) -> None:
    """Ask for pieces to be done. Those that have been asked for stay as they are."""
    if not wishes:
        return
    now = clock.now_ms()
    with database.begin() as connection:
        lost = attempts.losses(connection, task_id)
        rows = [_row(task_id, wish, now, lost.get(wish.piece, 0)) for wish in wishes]
        connection.execute(insert_once(database, work), rows)
        notify(connection, ANYTHING)


def _row(task_id: str, wish: Wish, now: int, losses: int) -> dict[str, Json]:
    return {
        "task_id": task_id,
        "piece": wish.piece,
        "needs": wish.needs,
        "requires": " ".join(sorted(wish.requires)),
        "arguments": wish.arguments,
        "due_at": wish.due_at,
        "place": wish.place,
        "losses": losses,
        "scratch_bytes": wish.room.scratch,
        "stored_bytes": wish.room.stored,
        "source_bytes": wish.room.source,
        "asked_at": now,
    }


def look(database: sa.Engine, task_id: str, piece: str) -> State:
    """How it stands with a piece. Of a failure this tells once: then the piece is as if nobody had asked for it."""
    here = row_of(task_id, piece)
    with database.connect() as connection:
        row = connection.execute(sa.select(work.c.error).where(here)).one_or_none()
        status = connection.scalar(sa.select(tasks.c.status).where(tasks.c.id == task_id))
        if row is None:
            return State("completed" if attempts.is_done(connection, task_id, piece) else "missing", status)
    if row.error is None:
        return State("open", status)
    with database.begin() as connection:
        connection.execute(work.delete().where(here, work.c.error.is_not(None)))
    return State("failed", status, row.error)


def claim(
    database: sa.Engine,
    worker_id: str,
    needs: Collection[str],
    can: Callable[[str], bool],
    offer: Offer = Offer(),
    max_losses: int = 0,
) -> Claim | None:
    """Begin an attempt at what is due first of all that fits. None when nothing does.

    None also when what is due first is to be done alone, and the worker does something: it begins nothing else until
    it has come to rest, for a piece would otherwise wait for ever for a worker that is never idle.

    Args:
        database: holds the catalog.
        worker_id: who claims it.
        needs: for which of them this worker has places.
        can: whether it can do what requires this.
        offer: the room that it has.
        max_losses: after how many losses a piece is quarantined; the attempt before that is made alone. 0 for never.
    """
    passed: set[str] = set()
    while True:
        found = _claim(database, worker_id, _next(needs, passed, offer), can, offer, max_losses)
        if found is None or isinstance(found, Claim):
            return found
        passed.add(found)


def _claim(
    database: sa.Engine,
    worker_id: str,
    first: sa.Select[Any],
    can: Callable[[str], bool],
    offer: Offer,
    max_losses: int,
) -> Claim | str | None:
    """The claim, or what it requires that this worker cannot do: let go at once, so that another one sees it."""
    with database.begin() as connection:
        while True:
            row = connection.execute(first).first()
            if row is None:
                return None
            if not can(row.requires):
                return str(row.requires)
            alone = 0 < max_losses <= row.losses + 1
            if alone and not offer.idle:
                return None
            this = row_of(row.task_id, row.piece)
            if attempts.is_done(connection, row.task_id, row.piece):
                # It was done between a look at it and the asking for it.
                connection.execute(work.delete().where(this))
                continue
            if not connection.scalar(sa.select(sa.exists(living().where(workers.c.id == worker_id)))):
                # It was taken for lost, and is about to hear of it.
                return None
            mine = work.update().where(this, work.c.worker_id.is_(None)).values(worker_id=worker_id)
            if not connection.execute(mine).rowcount:
                # SQLite has no locks on rows: somebody else was quicker.
                continue
            attempt = attempts.begin(connection, row.task_id, row.piece, worker_id)
            connection.execute(work.update().where(this).values(attempt=attempt))
            source = connection.scalar(sa.select(tasks.c.input).where(tasks.c.id == row.task_id)) or ""
            room = need_of(row)
            return Claim(row.task_id, row.piece, row.needs, worker_id, attempt, row.arguments, room, source, alone)


def need_of(row: sa.Row[Any]) -> Need:
    """The room that a row of `work` says it takes."""
    return Need(row.scratch_bytes, row.stored_bytes, row.source_bytes)


def _next(needs: Collection[str], passed: Collection[str], offer: Offer) -> sa.Select[Any]:
    fits = WAITS & work.c.needs.in_(needs) & work.c.requires.not_in(passed)
    if offer.free_bytes is not None:
        fits &= _has_room(offer)
    in_turn = sa.select(work).where(fits).order_by(work.c.due_at, work.c.place, work.c.task_id).limit(1)
    # Two workers that look at once see different rows: so none may hold one that it has no place for.
    return in_turn.with_for_update(skip_locked=True)


def _has_room(offer: Offer) -> sa.ColumnElement[bool]:
    """What `Offer.lacks` denies, for the database to ask."""
    own = work.c.scratch_bytes + (work.c.stored_bytes if offer.stores_here else 0)
    fits = own + work.c.source_bytes <= offer.free_bytes
    if not offer.sources:
        return fits
    here = sa.select(tasks.c.id).where(tasks.c.input.in_(offer.sources))
    return fits | ((own <= offer.free_bytes) & work.c.task_id.in_(here))


def complete(database: sa.Engine, claim: Claim, result: dict[str, Json], run: attempts.Run = NOTHING_RUN) -> bool:
    """Note what a piece came to. False when it is no longer this worker's: then nothing was noted."""
    with database.begin() as connection:
        if not connection.execute(work.delete().where(held(claim))).rowcount:
            # Nobody wants it any more; where another worker has it, the attempt was lost before.
            attempts.interrupt(connection, claim.task_id, claim.piece, claim.attempt, run)
            # The first time may have been heard, and its answer lost.
            return _was_completed(connection, claim)
        attempts.complete(connection, claim.task_id, claim.piece, claim.attempt, result, run)
        notify(connection, claim.key)
    return True


def fail(database: sa.Engine, claim: Claim, error: dict[str, Json], run: attempts.Run = NOTHING_RUN) -> bool:
    """Note that an attempt failed; whoever asked for the piece is told. False when it is no longer this worker's."""
    with database.begin() as connection:
        failed = {"worker_id": None, "attempt": None, "error": error}
        if not connection.execute(work.update().where(held(claim)).values(failed)).rowcount:
            attempts.interrupt(connection, claim.task_id, claim.piece, claim.attempt, run)
            return False
        attempts.fail(connection, claim.task_id, claim.piece, claim.attempt, error, run)
        notify(connection, claim.key)
    return True


def release(database: sa.Engine, claim: Claim, run: attempts.Run = NOTHING_RUN) -> None:
    """Give a piece back that has not ended, for another worker to do."""
    with database.begin() as connection:
        connection.execute(work.update().where(held(claim)).values(worker_id=None, attempt=None))
        attempts.interrupt(connection, claim.task_id, claim.piece, claim.attempt, run)
        notify(connection, ANYTHING)


def held_by(database: sa.Engine, worker_id: str) -> set[tuple[str, str, int]]:
    """What a worker has claimed, as task, piece and attempt."""
    mine = sa.select(work.c.task_id, work.c.piece, work.c.attempt).where(work.c.worker_id == worker_id)
    with database.connect() as connection:
        return {(row.task_id, row.piece, row.attempt) for row in connection.execute(mine)}


def is_held(database: sa.Engine, claim: Claim) -> bool:
    """Whether the piece is still this worker's, and wanted."""
    wanted = sa.exists().where(held(claim)) & sa.exists().where(
        tasks.c.id == claim.task_id, tasks.c.status != "cancelled"
    )
    with database.connect() as connection:
        return bool(connection.scalar(sa.select(wanted)))


def unclaimed(database: sa.Engine, task_id: str, piece: str) -> list[str]:
    """What a piece requires that waits for a worker; nothing of any other."""
    here = row_of(task_id, piece) & work.c.worker_id.is_(None)
    with database.connect() as connection:
        return (connection.scalar(sa.select(work.c.requires).where(here)) or "").split()


def forget(database: sa.Engine, task_id: str) -> None:
    """Note that nobody wants the pieces of a task any more. Who is at one stops."""
    with database.begin() as connection:
        connection.execute(work.delete().where(work.c.task_id == task_id))
        notify(connection, stopped(task_id))


def held(claim: Claim | sa.Row[Any]) -> sa.ColumnElement[bool]:
    """The row of a piece, as long as it is at the worker of a claim, or of a row that was read."""
    here = row_of(claim.task_id, claim.piece)
    return here & (work.c.worker_id == claim.worker_id) & (work.c.attempt == claim.attempt)


def row_of(task_id: str, piece: str) -> sa.ColumnElement[bool]:
    """The row of a piece."""
    return (work.c.task_id == task_id) & (work.c.piece == piece)


def _was_completed(connection: sa.Connection, claim: Claim) -> bool:
    this = (attempt_rows.c.task_id == claim.task_id) & (attempt_rows.c.piece == claim.piece)
    mine = (attempt_rows.c.attempt == claim.attempt) & (attempt_rows.c.worker_id == claim.worker_id)
    return bool(connection.scalar(sa.select(sa.exists().where(this, mine, attempt_rows.c.status == "completed"))))
