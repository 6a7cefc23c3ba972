"""Steps: how often those of a run have failed, when an engine elsewhere drives it and keeps that to itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch import clock
from anabranch.catalog.tables import step_attempts
from anabranch.database import insert_once

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Json = Any


def fail(
    database: sa.Engine,
    run_id: str,
    step: str,
    *,
    name: str | None,
    failures: int,
    error: Mapping[str, Json],
    due_at: int | None,
) -> None:
    """Note that an attempt at a step failed. Of reports that come twice or late, the one of most failures counts.

    Args:
        database: holds the rows.
        run_id: the engine's name of the run.
        step: hash of the step's name.
        name: the step's name, if it is known.
        failures: attempts that failed and were to be followed by another, this one among them if it is.
        error: what went wrong.
        due_at: when the next attempt is due, Unix milliseconds; None when there is none.
    """
    said = {"failures": failures, "error": dict(error), "due_at": due_at, "updated_at": clock.now_ms()}
    here = (step_attempts.c.run_id == run_id) & (step_attempts.c.step == step)
    row = {"run_id": run_id, "step": step, "name": name, **said}
    with database.begin() as connection:
        if connection.execute(insert_once(database, step_attempts).values(row)).rowcount == 0:
            connection.execute(step_attempts.update().where(here, step_attempts.c.failures <= failures).values(said))


def complete(database: sa.Engine, run_id: str, step: str) -> None:
    """Note that a step that had failed was done after all. How often it failed is kept."""
    here = (step_attempts.c.run_id == run_id) & (step_attempts.c.step == step)
    with database.begin() as connection:
        connection.execute(
            step_attempts.update().where(here).values(error=None, due_at=None, updated_at=clock.now_ms())
        )


def close(database: sa.Engine, run_id: str) -> None:
    """Note that a run has ended: nothing of it is tried again."""
    here = (step_attempts.c.run_id == run_id) & step_attempts.c.due_at.is_not(None)
    with database.begin() as connection:
        connection.execute(step_attempts.update().where(here).values(due_at=None, updated_at=clock.now_ms()))


def retries(database: sa.Engine, run_ids: Collection[str]) -> dict[str, tuple[int, int | None]]:
    """By run the failures of the step that has most of them, and when the next attempt at any is due, or None.

    A run of which no step has failed is left out.
    """
    rows = step_attempts.c
    worst, next_at = sa.func.max(rows.failures).label("failures"), sa.func.min(rows.due_at).label("due_at")
    asked = sa.select(rows.run_id, worst, next_at).where(rows.run_id.in_(run_ids)).group_by(rows.run_id)
    with database.connect() as connection:
        return {row.run_id: (row.failures, row.due_at) for row in connection.execute(asked)}


def of_run(database: sa.Engine, run_id: str) -> list[sa.Row[Any]]:
    """The steps of a run that have failed, in the order of their last report."""
    asked = sa.select(step_attempts).where(step_attempts.c.run_id == run_id).order_by(step_attempts.c.updated_at)
    with database.connect() as connection:
        return list(connection.execute(asked))
