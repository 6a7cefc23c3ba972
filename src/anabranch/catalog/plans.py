"""Plans: what a task is made of, and what was seen in its source, as they were when it was planned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch.catalog.tables import plans
from anabranch.database import insert_once

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = Any


def put(database: sa.Engine, task_id: str, pieces: Sequence[Mapping[str, Json]], probe: Mapping[str, Json]) -> None:
    """Keep the plan of a task, unless it has one: what has begun goes on as it was planned."""
    with database.begin() as connection:
        connection.execute(insert_once(database, plans).values(task_id=task_id, pieces=list(pieces), probe=dict(probe)))


def get(database: sa.Engine, task_id: str) -> tuple[list[dict[str, Json]], dict[str, Json]] | None:
    """The pieces and the probe of a task's plan, or None when it has none."""
    with database.connect() as connection:
        row = connection.execute(sa.select(plans).where(plans.c.task_id == task_id)).one_or_none()
    return (row.pieces, row.probe) if row else None


def remove(database: sa.Engine, task_id: str) -> None:
    """Forget the plan of a task."""
    with database.begin() as connection:
        connection.execute(plans.delete().where(plans.c.task_id == task_id))
