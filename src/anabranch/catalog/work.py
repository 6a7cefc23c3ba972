"""Work: pieces of tasks that somebody asked for. They wait, are claimed, and complete, fail or are released.

    asked for ── claim ──> at a worker ── complete ──> gone; the attempt has its result
        ^                      │ ├────── fail ──────> its error waits for whoever asked
        └────── release ───────┘
                (it drains, or it was lost)

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
from anabranch.catalog.tables import attempts as attempt_rows
from anabranch.catalog.tables import tasks, work
from anabranch.database import be_brief, insert_once, is_transient, notify
from anabranch.workers import living, workers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

Json = Any

# What waits for it wakes when there is something new to do.
ANYTHING = "work"


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
    """

    piece: str
    needs: str
    due_at: int
    requires: tuple[str, ...] = ()
    place: int = 0
    arguments: dict[str, Json] | None = None


@dataclass(frozen=True, eq=False)
class Claim:
    """A piece at a worker."""

    task_id: str
    piece: str
    needs: str
    worker_id: str
    attempt: int
    arguments: dict[str, Json] | None

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
    now = clock.now_ms()
    rows = [
        {
            "task_id": task_id,
            "piece": wish.piece,
            "needs": wish.needs,
            "requires": " ".join(sorted(wish.requires)),
            "arguments": wish.arguments,
            "due_at": wish.due_at,
            "place": wish.place,
            "asked_at": now,
        }
        for wish in wishes
    ]
    if not rows:
        return
    with database.begin() as connection:
        connection.execute(insert_once(database, work), rows)
        notify(connection, ANYTHING)


def look(database: sa.Engine, task_id: str, piece: str) -> State:
    """How it stands with a piece. Of a failure this tells once: then the piece is as if nobody had asked for it."""
    here = _here(task_id, piece)
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


def claim(database: sa.Engine, worker_id: str, needs: Collection[str], can: Callable[[str], bool]) -> Claim | None:
    """Begin an attempt at what is due first of all that fits. None when nothing does.

    Args:
        database: holds the catalog.
        worker_id: who claims it.
        needs: for which of them this worker has places.
        can: whether it can do what requires this.
    """
    passed: set[str] = set()
    while True:
        found = _claim(database, worker_id, needs, can, passed)
        if found is None or isinstance(found, Claim):
            return found
        passed.add(found)


def _claim(
    database: sa.Engine, worker_id: str, needs: Collection[str], can: Callable[[str], bool], passed: Collection[str]
) -> Claim | str | None:
    """The claim, or what it requires that this worker cannot do: let go at once, so that another one sees it."""
    with database.begin() as connection:
        while True:
            row = connection.execute(_next(needs, passed)).first()
            if row is None:
                return None
            if not can(row.requires):
                return str(row.requires)
            this = _here(row.task_id, row.piece)
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
            return Claim(row.task_id, row.piece, row.needs, worker_id, attempt, row.arguments)


def _next(needs: Collection[str], passed: Collection[str]) -> sa.Select[Any]:
    waits = work.c.worker_id.is_(None) & work.c.error.is_(None)
    fits = waits & work.c.needs.in_(needs) & work.c.requires.not_in(passed)
    in_turn = sa.select(work).where(fits).order_by(work.c.due_at, work.c.place, work.c.task_id).limit(1)
    # Two workers that look at once see different rows: so none may hold one that it has no place for.
    return in_turn.with_for_update(skip_locked=True)


def complete(database: sa.Engine, claim: Claim, result: dict[str, Json], run: attempts.Run = NOTHING_RUN) -> bool:
    """Note what a piece came to. False when it is no longer this worker's: then nothing was noted."""
    with database.begin() as connection:
        if not connection.execute(work.delete().where(_held(claim))).rowcount:
            # The first time may have been heard, and its answer lost.
            return _was_completed(connection, claim)
        attempts.complete(connection, claim.task_id, claim.piece, claim.attempt, result, run)
        notify(connection, claim.key)
    return True


def fail(database: sa.Engine, claim: Claim, error: dict[str, Json], run: attempts.Run = NOTHING_RUN) -> bool:
    """Note that an attempt failed; whoever asked for the piece is told. False when it is no longer this worker's."""
    with database.begin() as connection:
        failed = {"worker_id": None, "attempt": None, "error": error}
        if not connection.execute(work.update().where(_held(claim)).values(failed)).rowcount:
            return False
        attempts.fail(connection, claim.task_id, claim.piece, claim.attempt, error, run)
        notify(connection, claim.key)
    return True


def release(database: sa.Engine, claim: Claim, run: attempts.Run = NOTHING_RUN) -> None:
    """Give a piece back that has not ended, for another worker to do."""
    with database.begin() as connection:
        connection.execute(work.update().where(_held(claim)).values(worker_id=None, attempt=None))
        attempts.interrupt(connection, claim.task_id, claim.piece, claim.attempt, run)
        notify(connection, ANYTHING)


def held_by(database: sa.Engine, worker_id: str) -> set[tuple[str, str, int]]:
    """What a worker has claimed, as task, piece and attempt."""
    mine = sa.select(work.c.task_id, work.c.piece, work.c.attempt).where(work.c.worker_id == worker_id)
    with database.connect() as connection:
        return {(row.task_id, row.piece, row.attempt) for row in connection.execute(mine)}


def release_lost(database: sa.Engine) -> int:
    """Take from workers that are gone what they were doing. Returns how much that was.

    A worker that was frozen in the middle of a transaction may hold a row of a piece, until its connection is ended:
    then only that one is passed over until the next time.
    """
    gone = work.c.worker_id.is_not(None) & work.c.worker_id.not_in(living())
    with database.connect() as connection:
        found = connection.execute(sa.select(work).where(gone)).all()
    released = 0
    for row in found:
        try:
            released += _take_back(database, row)
        except sa.exc.DBAPIError as error:
            if not is_transient(error):
                raise
    return released


def _take_back(database: sa.Engine, row: sa.Row[Any]) -> int:
    with database.begin() as connection:
        be_brief(connection)
        this = _held(row)
        if not connection.execute(work.update().where(this).values(worker_id=None, attempt=None)).rowcount:
            return 0
        attempts.interrupt(connection, row.task_id, row.piece, row.attempt)
        notify(connection, ANYTHING)
    return 1


def is_held(database: sa.Engine, claim: Claim) -> bool:
    """Whether the piece is still this worker's, and wanted."""
    wanted = sa.exists().where(_held(claim)) & sa.exists().where(
        tasks.c.id == claim.task_id, tasks.c.status != "cancelled"
    )
    with database.connect() as connection:
        return bool(connection.scalar(sa.select(wanted)))


def unclaimed(database: sa.Engine, task_id: str, piece: str) -> list[str]:
    """What a piece requires that waits for a worker; nothing of any other."""
    here = _here(task_id, piece) & work.c.worker_id.is_(None)
    with database.connect() as connection:
        return (connection.scalar(sa.select(work.c.requires).where(here)) or "").split()


def forget(database: sa.Engine, task_id: str) -> None:
    """Note that nobody wants the pieces of a task any more. Who is at one stops."""
    with database.begin() as connection:
        connection.execute(work.delete().where(work.c.task_id == task_id))
        notify(connection, stopped(task_id))


def _held(claim: Claim | sa.Row[Any]) -> sa.ColumnElement[bool]:
    here = _here(claim.task_id, claim.piece)
    return here & (work.c.worker_id == claim.worker_id) & (work.c.attempt == claim.attempt)


def _here(task_id: str, piece: str) -> sa.ColumnElement[bool]:
    return (work.c.task_id == task_id) & (work.c.piece == piece)


def _was_completed(connection: sa.Connection, claim: Claim) -> bool:
    this = (attempt_rows.c.task_id == claim.task_id) & (attempt_rows.c.piece == claim.piece)
    mine = (attempt_rows.c.attempt == claim.attempt) & (attempt_rows.c.worker_id == claim.worker_id)
    return bool(connection.scalar(sa.select(sa.exists().where(this, mine, attempt_rows.c.status == "completed"))))
