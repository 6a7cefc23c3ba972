"""Losses: what workers were doing that are gone is free again; and a piece at which they were lost too often is not.

    a worker is lost ──> its pieces wait again, each with one more loss
                    └──> one that has too many is quarantined: a final error, with what is known of each attempt

A source that crashes whoever opens it, or takes all memory, would otherwise take down one worker after another, and
with each all else that it does. Those others are innocent, and look the same. So the attempt that could be the last
is made alone: its worker does nothing beside it. What is innocent ends then, and what is not takes only itself down.

A worker that was told to stop has given its pieces back, which is no loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch import clock
from anabranch.catalog import attempts, tasks
from anabranch.catalog.tables import work
from anabranch.catalog.work import ANYTHING, held, key_of, row_of
from anabranch.database import be_brief, is_transient, notify
from anabranch.workers import living, workers

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = Any

# Of what was run: enough to know it again. The attempt's own row has all that was kept.
_COMMAND_CHARACTERS = 1000
_WORDS_CHARACTERS = 500


def release_lost(database: sa.Engine, max_losses: int = 0) -> int:
    """Take from workers that are gone what they were doing. Returns how much that was.

    A worker that was frozen in the middle of a transaction may hold a row of a piece, until its connection is ended:
    then only that one is passed over until the next time.

    Args:
        database: holds the catalog.
        max_losses: how many workers may be lost at a piece before it is quarantined; 0 for any number.
    """
    gone = work.c.worker_id.is_not(None) & work.c.worker_id.not_in(living())
    with database.connect() as connection:
        found = connection.execute(sa.select(work).where(gone)).all()
    released = 0
    for row in found:
        try:
            released += _take_back(database, row, max_losses)
        except sa.exc.DBAPIError as error:
            if not is_transient(error):
                raise
    return released


def _take_back(database: sa.Engine, row: sa.Row[Any], max_losses: int) -> int:
    was_lost = _was_lost(database, row.worker_id)
    losses = row.losses + was_lost
    free: dict[str, Json] = {"worker_id": None, "attempt": None, "losses": losses}
    with database.begin() as connection:
        be_brief(connection)
        if not connection.execute(work.update().where(held(row)).values(free)).rowcount:
            return 0
        if was_lost:
            attempts.lose(connection, row.task_id, row.piece, row.attempt)
        else:
            attempts.interrupt(connection, row.task_id, row.piece, row.attempt)
        notify(connection, ANYTHING)
        if was_lost and 0 < max_losses <= losses:
            # In the same transaction: nobody may begin it once more.
            error = _quarantined(connection, row)
            connection.execute(work.update().where(row_of(row.task_id, row.piece)).values(error=error))
            notify(connection, key_of(row.task_id, row.piece))
        else:
            error = None
    if error is not None:
        tasks.note_error(database, row.task_id, error)
    return 1


def _was_lost(database: sa.Engine, worker_id: str) -> bool:
    """Whether a worker fell silent, and did not leave."""
    with database.connect() as connection:
        return connection.scalar(sa.select(workers.c.status).where(workers.c.id == worker_id)) == "lost"


def _quarantined(connection: sa.Connection, row: sa.Row[Any]) -> dict[str, Json]:
    """The error of a piece that took down too many workers, with what is known of each of its attempts."""
    made = attempts.lost(connection, row.task_id, row.piece)
    ids = [attempt.worker_id for attempt in made]
    known = connection.execute(sa.select(workers.c.id, workers.c.host, workers.c.pid).where(workers.c.id.in_(ids)))
    names = {worker.id: f"{worker.host}:{worker.pid}" for worker in known}
    report = [_told(attempt._mapping, names) for attempt in made]
    each = ", ".join(f"{one['worker']} at {clock.iso(one['lostAt'])}" for one in report)
    command = next((one["command"] for one in reversed(report) if one["command"]), None)
    ran = f" The last command: {command}" if command else ""
    hint = (
        "It is not tried again by itself. Look at the source, and at the memory of the workers; then do the branch "
        "again. ANABRANCH_MAX_LOSSES is how many losses are too many."
    )
    message = (
        f"{len(made)} workers were lost while they did {row.piece} of {row.task_id}, the last one with nothing else "
        f"to do: {each}.{ran}"
    )
    return {
        "code": "quarantined",
        "message": f"{message} {hint}",
        "retryable": False,
        "hint": hint,
        "report": report,
    }


def _told(attempt: Mapping[Any, Any], names: Mapping[str, str]) -> dict[str, Json]:
    command, log = attempt["command"], attempt["log"]
    return {
        "attempt": attempt["attempt"],
        "workerId": attempt["worker_id"],
        "worker": names.get(attempt["worker_id"], attempt["worker_id"]),
        "startedAt": attempt["started_at"],
        "lostAt": attempt["ended_at"],
        "command": command[-_COMMAND_CHARACTERS:] if command else None,
        "log": log[-_WORDS_CHARACTERS:] if log else None,
    }
