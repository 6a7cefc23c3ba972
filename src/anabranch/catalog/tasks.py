"""Tasks: created, planned, completed, failed or cancelled. A task that has ended stays as it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch import clock
from anabranch.catalog.tables import attempts, tasks
from anabranch.database import insert_once

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = Any

_OPEN = tasks.c.status.in_(("queued", "processing"))


@dataclass(frozen=True)
class Task:
    """One branch of an upload, or a task that a client asked for.

    Attributes:
        status: `queued`, `processing`, `completed`, `failed` or `cancelled`.
        progress: percent, 0 to 100.
        pieces: name and weight of each piece in the plan; None until planned.
        output: what it came to, as clients see it.
        error: code, message and whether it may be tried again, of the last failure.
    """

    id: str
    media_id: str | None
    ref: str | None
    kind: str
    input: str
    options: dict[str, Json]
    metadata: dict[str, Json]
    status: str
    progress: float
    pieces: list[dict[str, Json]] | None
    output: dict[str, Json] | None
    error: dict[str, Json] | None
    created_at: int
    started_at: int | None
    finished_at: int | None


def create(database: sa.Engine, task: Task) -> None:
    """Insert the task unless it is there."""
    with database.begin() as connection:
        connection.execute(insert_once(database, tasks).values(vars(task) | {"updated_at": task.created_at}))


def get(database: sa.Engine, task_id: str) -> Task | None:
    """The task, or None."""
    with database.connect() as connection:
        row = connection.execute(sa.select(tasks).where(tasks.c.id == task_id)).one_or_none()
    return _read(row) if row else None


def of_media(database: sa.Engine, media_id: str) -> list[Task]:
    """The tasks of a media row, oldest first."""
    with database.connect() as connection:
        rows = connection.execute(sa.select(tasks).where(tasks.c.media_id == media_id).order_by(tasks.c.created_at))
        return [_read(row) for row in rows]


def open_with_input(database: sa.Engine, address: str) -> int:
    """How many tasks that have not ended read this source."""
    with database.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).where(tasks.c.input == address, _OPEN)) or 0


def plan(database: sa.Engine, task_id: str, pieces: Sequence[Mapping[str, Json]]) -> None:
    """Note which pieces the task is made of."""
    _change(database, task_id, pieces=list(pieces), error=None)


def begin(database: sa.Engine, task_id: str) -> None:
    """Note that work on the task has begun."""
    now = clock.now_ms()
    _change(database, task_id, status="processing", started_at=sa.func.coalesce(tasks.c.started_at, now))


def note_error(database: sa.Engine, task_id: str, error: Mapping[str, Json]) -> None:
    """Note the last thing that went wrong; the task goes on or fails, as its retries allow."""
    _change(database, task_id, error=dict(error))


def advance(database: sa.Engine, task_id: str) -> None:
    """Set the percent from the attempts at the pieces, never back."""
    with database.begin() as connection:
        pieces = connection.scalar(sa.select(tasks.c.pieces).where(tasks.c.id == task_id)) or []
        reached = dict(
            tuple(row)
            for row in connection.execute(
                sa.select(attempts.c.piece, sa.func.max(attempts.c.progress))
                .where(attempts.c.task_id == task_id, attempts.c.status.in_(("running", "completed")))
                .group_by(attempts.c.piece)
            )
        )
        whole = sum(piece["weight"] for piece in pieces) or 1.0
        done = sum(piece["weight"] * reached.get(piece["name"], 0.0) for piece in pieces)
        # 100 is for a task whose output has been verified and joined.
        percent = min(99.0, 100.0 * done / whole)
        connection.execute(
            tasks.update()
            .where(tasks.c.id == task_id, _OPEN, tasks.c.progress < percent)
            .values(progress=percent, updated_at=clock.now_ms())
        )


def complete(database: sa.Engine, task_id: str, output: Mapping[str, Json]) -> bool:
    """End the task with its output. False when it had ended already."""
    return _change(
        database,
        task_id,
        status="completed",
        progress=100.0,
        output=dict(output),
        error=None,
        finished_at=clock.now_ms(),
    )


def fail(database: sa.Engine, task_id: str, error: Mapping[str, Json]) -> bool:
    """End the task with the error noted last, or the one given. False when it had ended already."""
    noted = sa.func.coalesce(tasks.c.error, sa.literal(dict(error), sa.JSON))
    return _change(database, task_id, status="failed", error=noted, finished_at=clock.now_ms())


def _change(database: sa.Engine, task_id: str, **values: Any) -> bool:
    with database.begin() as connection:
        changed = connection.execute(
            tasks.update().where(tasks.c.id == task_id, _OPEN).values(updated_at=clock.now_ms(), **values)
        )
    return bool(changed.rowcount)


def _read(row: sa.Row[Any]) -> Task:
    return Task(**{name: value for name, value in row._mapping.items() if name != "updated_at"})
