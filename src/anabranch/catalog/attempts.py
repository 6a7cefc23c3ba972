"""Attempts at the pieces of tasks: begun, advancing, completed, failed, or interrupted when a process dies."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from anabranch import clock
from anabranch.catalog.tables import attempts


def begin(database: sa.Engine, task_id: str, piece: str) -> int:
    """Begin the next attempt at a piece and return its number, from 1.

    An earlier attempt that never ended was interrupted: whoever made it is gone.
    """
    here = (attempts.c.task_id == task_id) & (attempts.c.piece == piece)
    now = clock.now_ms()
    with database.begin() as connection:
        connection.execute(
            attempts.update().where(here, attempts.c.status == "running").values(status="interrupted", ended_at=now)
        )
        latest = connection.scalar(sa.select(sa.func.max(attempts.c.attempt)).where(here))
        attempt = (latest or 0) + 1
        connection.execute(
            attempts.insert().values(
                task_id=task_id, piece=piece, attempt=attempt, status="running", progress=0.0, started_at=now
            )
        )
    return attempt


def advance(database: sa.Engine, task_id: str, piece: str, attempt: int, progress: float, speed: float) -> None:
    """Note how far a running attempt is: the fraction done and media seconds made a second."""
    with database.begin() as connection:
        connection.execute(
            attempts.update()
            .where(*_this(task_id, piece, attempt), attempts.c.status == "running")
            .values(progress=progress, speed=speed)
        )


def complete(database: sa.Engine, task_id: str, piece: str, attempt: int, result: dict[str, Any]) -> None:
    """Note that an attempt did what it was for, and what it came to."""
    _end(database, task_id, piece, attempt, status="completed", progress=1.0, result=result)


def result_of(database: sa.Engine, task_id: str, piece: str) -> dict[str, Any] | None:
    """What the piece came to, or None when no attempt at it has been completed."""
    with database.connect() as connection:
        result: dict[str, Any] | None = connection.scalar(
            sa.select(attempts.c.result).where(
                attempts.c.task_id == task_id,
                attempts.c.piece == piece,
                attempts.c.status == "completed",
                attempts.c.result.is_not(None),
            )
        )
    return result


def tell(database: sa.Engine, task_id: str, piece: str, attempt: int, partial: dict[str, Any]) -> None:
    """Note what a running attempt has come to so far."""
    with database.begin() as connection:
        connection.execute(
            attempts.update()
            .where(*_this(task_id, piece, attempt), attempts.c.status == "running")
            .values(result=partial)
        )


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


def forget(database: sa.Engine, task_id: str) -> None:
    """Forget what the attempts at a task's pieces came to, since it was removed; that they were made stays."""
    with database.begin() as connection:
        connection.execute(attempts.update().where(attempts.c.task_id == task_id).values(result=None))


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


def fail(database: sa.Engine, task_id: str, piece: str, attempt: int, error: dict[str, Any]) -> None:
    """Note that an attempt failed, and of what."""
    _end(database, task_id, piece, attempt, status="failed", error=error)


def interrupt(database: sa.Engine, task_id: str, piece: str, attempt: int) -> None:
    """Note that an attempt was given up without having failed."""
    _end(database, task_id, piece, attempt, status="interrupted")


def of_task(database: sa.Engine, task_id: str) -> list[sa.Row[Any]]:
    """All attempts at a task's pieces, in the order they began."""
    with database.connect() as connection:
        return list(
            connection.execute(sa.select(attempts).where(attempts.c.task_id == task_id).order_by(attempts.c.started_at))
        )


def _this(task_id: str, piece: str, attempt: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (attempts.c.task_id == task_id, attempts.c.piece == piece, attempts.c.attempt == attempt)


def _end(database: sa.Engine, task_id: str, piece: str, attempt: int, **values: Any) -> None:
    with database.begin() as connection:
        connection.execute(
            attempts.update()
            .where(*_this(task_id, piece, attempt), attempts.c.status == "running")
            .values(ended_at=clock.now_ms(), **values)
        )
