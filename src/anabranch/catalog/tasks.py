"""Tasks: created, planned, completed, failed or cancelled. A task that has ended stays as it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch import clock, pages
from anabranch.catalog import changes, published
from anabranch.catalog.branches import BRANCHES, named
from anabranch.catalog.tables import attempts, media, tasks
from anabranch.database import insert_once

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from anabranch.pages import Page

Json = Any

_OPEN = ("queued", "processing")
# Those that have not ended.
OPEN = tasks.c.status.in_(_OPEN)


@dataclass(frozen=True)
class Task:
    """One branch of an upload, or a task that a client asked for.

    Attributes:
        status: `queued`, `processing`, `completed`, `failed` or `cancelled`.
        progress: percent, 0 to 100.
        pieces: name and weight of each piece in the plan, and whether it is optional; None until planned.
        output: what it came to, as clients see it.
        error: code, message and whether it may be tried again, of the last failure.
        webhook_url: told when it ends; None when nobody asked.
        run_id: the run that does it, None before it has begun.
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
    webhook_url: str | None = None
    run_id: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.status in _OPEN


def create(database: sa.Engine, task: Task) -> bool:
    """Insert the task unless it is there. Whether it was not."""
    with changes.telling(database) as connection:
        return insert(connection, task)


def insert(connection: sa.Connection, task: Task) -> bool:
    """The same as part of a transaction that is `changes.telling`."""
    row = vars(task) | {"updated_at": task.created_at}
    added = connection.execute(insert_once(connection.engine, tasks).values(row))
    if added.rowcount:
        changes.record(connection, "task.created", vars(task), media_id=task.media_id, task_id=task.id)
    return bool(added.rowcount)


def get(database: sa.Engine, task_id: str) -> Task | None:
    """The task, or None."""
    with database.connect() as connection:
        row = connection.execute(sa.select(tasks).where(tasks.c.id == task_id)).one_or_none()
    return read(row) if row else None


def of_media(database: sa.Engine, media_id: str) -> list[Task]:
    """The tasks of a media row, oldest first."""
    with database.connect() as connection:
        rows = connection.execute(sa.select(tasks).where(tasks.c.media_id == media_id).order_by(tasks.c.created_at))
        return [read(row) for row in rows]


def open_with_input(database: sa.Engine, address: str) -> int:
    """How many tasks that have not ended read this source."""
    with database.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).where(tasks.c.input == address, OPEN)) or 0


def plan(database: sa.Engine, task_id: str, pieces: Sequence[Mapping[str, Json]]) -> None:
    """Note which pieces the task is made of."""
    _change(database, task_id, pieces=list(pieces), error=None)


def every(
    database: sa.Engine,
    page: Page,
    *,
    kinds: Sequence[str] = (),
    statuses: Sequence[str] = (),
    media_id: str | None = None,
    address: str | None = None,
) -> pages.Found[Task]:
    """A page of tasks."""
    found = sa.select(tasks)
    if kinds:
        found = found.where(tasks.c.kind.in_(kinds))
    if statuses:
        found = found.where(tasks.c.status.in_(statuses))
    if media_id is not None:
        found = found.where(tasks.c.media_id == media_id)
    if address is not None:
        found = found.where(tasks.c.input == address)
    return pages.read(database, found, tasks.c.id, page, read)


def begin(database: sa.Engine, task_id: str, run_id: str | None) -> None:
    """Note that work on the task has begun, and which run does it. Another run opens a task again that had failed."""
    now = clock.now_ms()
    again = (tasks.c.status == "failed") & (tasks.c.run_id != run_id)
    with database.begin() as connection:
        connection.execute(
            tasks.update()
            .where(tasks.c.id == task_id, OPEN | again)
            .values(
                status="processing",
                run_id=run_id,
                started_at=sa.func.coalesce(tasks.c.started_at, now),
                finished_at=None,
                updated_at=now,
            )
        )


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
            .where(tasks.c.id == task_id, OPEN, tasks.c.progress < percent)
            .values(progress=percent, updated_at=clock.now_ms())
        )
        _advance_media(connection, task_id)


def _advance_media(connection: sa.Connection, task_id: str) -> None:
    """Set the percent of the task's media row from its branches, never back."""
    media_id = connection.scalar(sa.select(tasks.c.media_id).where(tasks.c.id == task_id))
    if media_id is None:
        return
    reached = connection.execute(
        sa.select(tasks.c.ref, sa.func.max(tasks.c.progress)).where(tasks.c.media_id == media_id).group_by(tasks.c.ref)
    )
    shares = {branch.step_id: branch.share for branch in BRANCHES}
    # 100 is for a record that has been assembled.
    percent = min(99.0, sum(shares.get(ref, 0.0) * progress for ref, progress in reached))
    connection.execute(
        media.update().where(media.c.id == media_id, media.c.progress < percent).values(progress=percent)
    )


def show(
    database: sa.Engine, task_id: str, output: Mapping[str, Json], made_from: int, texts: Mapping[str, tuple[str, str]]
) -> bool:
    """Show the output of a task that goes on: its address is there, and what is under it is of use and grows.

    Args:
        database: holds the catalog.
        task_id: the task; when it has ended nothing is shown.
        output: as clients see it.
        made_from: the edition that this was made from.
        texts: what is published: type and text by key.

    Returns:
        False when another edition was published meanwhile: then this one may be older than it.
    """
    with database.connect() as connection:
        shown = connection.scalar(sa.select(tasks.c.output.is_not(None)).where(tasks.c.id == task_id))
    # Only the first time is told of, and who tells waits for all others who do.
    with database.begin() if shown else changes.telling(database) as connection:
        open_ = sa.select(tasks.c.output).where(tasks.c.id == task_id, OPEN).with_for_update()
        here = connection.execute(open_).one_or_none()
        if here is None:
            return True
        if not published.put(connection, task_id, made_from, texts):
            return False
        connection.execute(tasks.update().where(tasks.c.id == task_id).values(output=dict(output)))
        if here.output is None and not shown:
            _tell_usable(connection, task_id)
    return True


def _tell_usable(connection: sa.Connection, task_id: str) -> None:
    task = read(connection.execute(sa.select(tasks).where(tasks.c.id == task_id)).one())
    branch = named(task.ref) if task.media_id else None
    if branch is not None and branch.usable_topic and (task.output or {}).get("url"):
        changes.record(connection, branch.usable_topic, vars(task), media_id=task.media_id, task_id=task.id)


def amend(
    database: sa.Engine,
    task_id: str,
    output: Mapping[str, Json],
    made_from: int,
    texts: Mapping[str, tuple[str, str]],
    withdrawn: Sequence[str] = (),
) -> bool:
    """Change the output of a completed task, to which something was added, and what is published of it.

    False, with nothing changed, when another edition than `made_from` is published.
    """
    with database.begin() as connection:
        completed = sa.select(tasks.c.id).where(tasks.c.id == task_id, tasks.c.status == "completed").with_for_update()
        if connection.scalar(completed) is None:
            return True
        if not published.put(connection, task_id, made_from, texts):
            return False
        published.withdraw(connection, *withdrawn)
        connection.execute(tasks.update().where(tasks.c.id == task_id).values(output=dict(output)))
    return True


def complete(
    database: sa.Engine,
    task_id: str,
    output: Mapping[str, Json],
    texts: Mapping[str, tuple[str, str]] | None = None,
    also: Callable[[sa.Connection], None] = lambda _connection: None,
) -> bool:
    """End the task with its output.

    Args:
        database: holds the catalog.
        task_id: the task.
        output: as clients see it.
        texts: what is published of it: type and text by key.
        also: what else is to be written in the same transaction.

    Returns:
        False when it had ended already: then nothing was written.
    """
    completed = {"progress": 100.0, "output": dict(output), "error": None}
    return _end(database, task_id, "completed", texts or {}, also, **completed)


def fail(database: sa.Engine, task_id: str, error: Mapping[str, Json]) -> bool:
    """End the task with the error noted last, or the one given. False when it had ended already."""
    # What it showed of its output is removed with all that it stored.
    noted = sa.func.coalesce(tasks.c.error, sa.literal(dict(error), sa.JSON))
    return _end(database, task_id, "failed", error=noted, output=None)


def cancel(database: sa.Engine, task_id: str) -> bool:
    """End the task because nobody wants it any more. False when it had ended already."""
    error = {"code": "cancelled", "message": "The task was cancelled.", "retryable": False}
    return _end(database, task_id, "cancelled", error=error, output=None)


def _end(
    database: sa.Engine,
    task_id: str,
    status: str,
    texts: Mapping[str, tuple[str, str]] | None = None,
    also: Callable[[sa.Connection], None] = lambda _connection: None,
    **values: Any,
) -> bool:
    now = clock.now_ms()
    with changes.telling(database) as connection:
        open_ = sa.select(tasks.c.output).where(tasks.c.id == task_id, OPEN).with_for_update()
        before = connection.execute(open_).one_or_none()
        changed = connection.execute(
            tasks.update()
            .where(tasks.c.id == task_id, OPEN)
            .values(status=status, finished_at=now, updated_at=now, **values)
        )
        if before is None or not changed.rowcount:
            return False
        if texts:
            published.put(connection, task_id, None, texts)
        also(connection)
        if status == "completed" and before.output is None:
            _tell_usable(connection, task_id)
        task = read(connection.execute(sa.select(tasks).where(tasks.c.id == task_id)).one())
        told = {"media_id": task.media_id, "task_id": task.id}
        changes.record(connection, f"task.{status}", vars(task), webhook_url=task.webhook_url, **told)
        branch = named(task.ref) if task.media_id else None
        if branch is not None and status == "completed" and (task.output or {}).get("url"):
            for topic in branch.topics:
                changes.record(connection, topic, vars(task), **told)
        _advance_media(connection, task_id)
    return True


def delete(database: sa.Engine, task_id: str) -> None:
    """Forget a task and the attempts at it; its bytes are the caller's business."""
    with database.begin() as connection:
        connection.execute(attempts.delete().where(attempts.c.task_id == task_id))
        connection.execute(tasks.delete().where(tasks.c.id == task_id))


def _change(database: sa.Engine, task_id: str, **values: Any) -> bool:
    with database.begin() as connection:
        changed = connection.execute(
            tasks.update().where(tasks.c.id == task_id, OPEN).values(updated_at=clock.now_ms(), **values)
        )
    return bool(changed.rowcount)


def read(row: sa.Row[Any]) -> Task:
    """The task of a row."""
    return Task(**{name: value for name, value in row._mapping.items() if name in Task.__dataclass_fields__})
