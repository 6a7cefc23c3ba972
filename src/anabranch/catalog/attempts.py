"""Attempts at the pieces of tasks: begun, advancing, and then completed, failed, interrupted or lost with a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch import clock
from anabranch.catalog.tables import attempts
from anabranch.database import insert_once, serialize

if TYPE_CHECKING:
    from collections.abc import Collection

# What was run for an attempt, and its last words.
Run = tuple[str | None, str | None]
NOTHING_RUN: Run = (None, None)


def begin(connection: sa.Connection, task_id: str, piece: str, worker_id: str | None = None) -> int:
    """Begin the next attempt at a piece and return its number, from 1. Part of the caller's transaction.

    An earlier attempt that never ended was interrupted: whoever made it is gone.
    """
    here = (attempts.c.task_id == task_id) & (attempts.c.piece == piece)
    now = clock.now_ms()
    serialize(connection, f"attempts {task_id} {piece}")
    connection.execute(
        attempts.update().where(here, attempts.c.status == "running").values(status="interrupted", ended_at=now)
    )
    latest = connection.scalar(sa.select(sa.func.max(attempts.c.attempt)).where(here))
    attempt = (latest or 0) + 1
    connection.execute(
        attempts.insert().values(
            task_id=task_id,
            piece=piece,
            attempt=attempt,
            status="running",
            worker_id=worker_id,
            progress=0.0,
            started_at=now,
        )
    )
    return attempt


def advance(
    database: sa.Engine,
    task_id: str,
    piece: str,
    attempt: int,
    progress: float,
    speed: float,
    run: Run = NOTHING_RUN,
) -> bool:
    """Note how far a running attempt is: the fraction done, media seconds made a second, and what is run for it.

    False when it is no longer this attempt that is being made.
    """
    with database.begin() as connection:
        changed = connection.execute(
            attempts.update()
            .where(*_being_made(task_id, piece, attempt))
            .values(progress=progress, speed=speed, command=run[0], log=run[1])
        )
    return bool(changed.rowcount)


def note(database: sa.Engine, task_id: str, piece: str, attempt: int, run: Run) -> None:
    """Note what is run for a running attempt."""
    with database.begin() as connection:
        noted = attempts.update().where(*_being_made(task_id, piece, attempt))
        connection.execute(noted.values(command=run[0], log=run[1]))


def complete(
    connection: sa.Connection, task_id: str, piece: str, attempt: int, result: dict[str, Any], run: Run = NOTHING_RUN
) -> None:
    """Note that an attempt did what it was for, what it came to, and what was run for it. Part of the caller's
    transaction."""
    _end(connection, task_id, piece, attempt, run, status="completed", progress=1.0, result=result)


def result_of(database: sa.Engine, task_id: str, piece: str) -> dict[str, Any] | None:
    """What the piece came to, or None when no attempt at it has been completed."""
    with database.connect() as connection:
        result: dict[str, Any] | None = connection.scalar(sa.select(attempts.c.result).where(_done(task_id, piece)))
    return result


def is_done(connection: sa.Connection, task_id: str, piece: str) -> bool:
    """Whether it is known what a piece came to. Part of the caller's transaction."""
    return bool(connection.scalar(sa.select(sa.exists().where(_done(task_id, piece)))))


def tell(database: sa.Engine, task_id: str, piece: str, attempt: int, partial: dict[str, Any]) -> bool:
    """Note what a running attempt has come to so far. False when it is no longer this attempt that is being made."""
    with database.begin() as connection:
        changed = connection.execute(
            attempts.update().where(*_being_made(task_id, piece, attempt)).values(result=partial)
        )
    return bool(changed.rowcount)


def told(database: sa.Engine, task_id: str, piece: str) -> dict[str, Any] | None:
    """What the latest attempt at a piece that told of anything had come to, or None."""
    with database.connect() as connection:
        result: dict[str, Any] | None = connection.scalar(
            sa.select(attempts.c.result)
            .where(attempts.c.task_id == task_id, attempts.c.piece == piece, attempts.c.result.is_not(None))
            .order_by(attempts.c.attempt.desc())
            .limit(1)
        )
    return result


def forget(database: sa.Engine, task_id: str, *, except_for: Collection[str] = ()) -> None:
    """Forget what the attempts at a task's pieces came to, since it was removed; that they were made stays.

    Of the pieces `except_for` it is known what the completed one came to.
    """
    kept = attempts.c.piece.in_(except_for) & (attempts.c.status == "completed")
    with database.begin() as connection:
        connection.execute(attempts.update().where(attempts.c.task_id == task_id, ~kept).values(result=None))


def completed(database: sa.Engine, task_id: str, piece: str) -> sa.Row[Any] | None:
    """The attempt that completed a piece, if it is known what it came to, else None."""
    with database.connect() as connection:
        return connection.execute(sa.select(attempts).where(_done(task_id, piece))).first()


def take_over(database: sa.Engine, task_id: str, row: sa.Row[Any], result: dict[str, Any]) -> None:
    """Give a task an attempt of another, as it was made then, with what it came to here."""
    values = {**row._mapping, "task_id": task_id, "result": result}
    with database.begin() as connection:
        connection.execute(insert_once(database, attempts).values(values))


def results(database: sa.Engine, task_id: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """By piece, the status of the attempt that came furthest and what it came to: completed ones before others."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    with database.connect() as connection:
        rows = connection.execute(
            sa.select(attempts.c.piece, attempts.c.status, attempts.c.result)
            .where(attempts.c.task_id == task_id, attempts.c.result.is_not(None))
            .order_by(attempts.c.piece, (attempts.c.status == "completed").cast(sa.Integer), attempts.c.attempt)
        )
        for row in rows:
            found[row.piece] = (row.status, row.result)
    return found


def fail(
    connection: sa.Connection,
    task_id: str,
    piece: str,
    attempt: int,
    error: dict[str, Any],
    run: Run = NOTHING_RUN,
) -> None:
    """Note that an attempt failed, and of what. Part of the caller's transaction."""
    _end(connection, task_id, piece, attempt, run, status="failed", error=error)


def interrupt(connection: sa.Connection, task_id: str, piece: str, attempt: int, run: Run = NOTHING_RUN) -> None:
    """Note that an attempt was given up without having failed. Part of the caller's transaction."""
    _end(connection, task_id, piece, attempt, run, status="interrupted")


def lose(connection: sa.Connection, task_id: str, piece: str, attempt: int) -> None:
    """Note that a worker was lost while it made an attempt. What it had run stays. Part of the caller's transaction."""
    lost = attempts.update().where(*_being_made(task_id, piece, attempt))
    connection.execute(lost.values(status="lost", ended_at=clock.now_ms()))


def losses(connection: sa.Connection, task_id: str) -> dict[str, int]:
    """By piece of a task, how many workers were lost at it. Part of the caller's transaction."""
    lost = (attempts.c.task_id == task_id) & (attempts.c.status == "lost")
    counted = sa.select(attempts.c.piece, sa.func.count()).where(lost).group_by(attempts.c.piece)
    return {row[0]: row[1] for row in connection.execute(counted)}


def lost(connection: sa.Connection, task_id: str, piece: str) -> list[sa.Row[Any]]:
    """The attempts at a piece at which workers were lost, in their order. Part of the caller's transaction."""
    here = (attempts.c.task_id == task_id) & (attempts.c.piece == piece) & (attempts.c.status == "lost")
    seen = (column for column in attempts.c if column.name != "result")
    return list(connection.execute(sa.select(*seen).where(here).order_by(attempts.c.attempt)))


def running(database: sa.Engine, task_id: str) -> bool:
    """Whether a worker makes an attempt at any piece of a task."""
    being_made = (attempts.c.task_id == task_id) & (attempts.c.status == "running") & attempts.c.worker_id.is_not(None)
    with database.connect() as connection:
        return bool(connection.scalar(sa.select(sa.exists().where(being_made))))


def of_task(database: sa.Engine, *task_ids: str) -> list[sa.Row[Any]]:
    """All attempts at the pieces of tasks, in the order they began; without what is large."""
    seen = (column for column in attempts.c if column.name not in ("result", "command", "log"))
    found = sa.select(*seen).where(attempts.c.task_id.in_(task_ids)).order_by(attempts.c.started_at, attempts.c.attempt)
    with database.connect() as connection:
        return list(connection.execute(found))


def get(database: sa.Engine, task_id: str, piece: str, attempt: int) -> sa.Row[Any] | None:
    """One attempt with what was run for it, or None."""
    seen = (column for column in attempts.c if column.name != "result")
    with database.connect() as connection:
        return connection.execute(sa.select(*seen).where(*_this(task_id, piece, attempt))).one_or_none()


def _this(task_id: str, piece: str, attempt: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (attempts.c.task_id == task_id, attempts.c.piece == piece, attempts.c.attempt == attempt)


def _being_made(task_id: str, piece: str, attempt: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (*_this(task_id, piece, attempt), attempts.c.status == "running")


def _done(task_id: str, piece: str) -> sa.ColumnElement[bool]:
    here = (attempts.c.task_id == task_id) & (attempts.c.piece == piece)
    return here & (attempts.c.status == "completed") & attempts.c.result.is_not(None)


def _end(connection: sa.Connection, task_id: str, piece: str, attempt: int, run: Run, **values: Any) -> None:
    connection.execute(
        attempts.update()
        .where(*_being_made(task_id, piece, attempt))
        .values(ended_at=clock.now_ms(), command=run[0], log=run[1], **values)
    )
