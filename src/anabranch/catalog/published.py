"""Published: what stands under an address that lasts and changes, as an edition of its task.

All that changes together is one edition, written in one transaction and only over the edition that it was made from. So
whoever was slower than somebody else publishes nothing, and nobody sees half of an edition. Storage has a copy of each
text, which may be late but is brought up to date; `stored_edition` says up to where that is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from anabranch import clock
from anabranch.catalog.tables import published, tasks

if TYPE_CHECKING:
    from collections.abc import Mapping

# How long nobody may have stored an edition before somebody else does.
_STORED_WITHIN_MS = 30_000


@dataclass(frozen=True)
class Text:
    """A text under an address.

    Attributes:
        key: where it is.
        type: MIME type.
        edition: of its task, with which it was written.
    """

    key: str
    type: str
    text: str
    edition: int


def editions(database: sa.Engine, task_id: str) -> tuple[int, int]:
    """The edition that is published of a task, 0 when there is none; and up to which storage has them."""
    with database.connect() as connection:
        found = sa.select(tasks.c.edition, tasks.c.stored_edition).where(tasks.c.id == task_id)
        row = connection.execute(found).one_or_none()
    return (row.edition, row.stored_edition) if row else (0, 0)


def put(connection: sa.Connection, task_id: str, made_from: int | None, texts: Mapping[str, tuple[str, str]]) -> bool:
    """Publish the next edition: type and text by key. Part of the caller's transaction.

    Args:
        connection: of the transaction.
        task_id: whose it is.
        made_from: the edition that this one was made from; None when it is right whatever was before.
        texts: those that change; the others stay.

    Returns:
        False, with nothing changed, when another edition than `made_from` is published.
    """
    here = tasks.c.id == task_id
    if made_from is not None:
        here &= tasks.c.edition == made_from
    raised = tasks.update().where(here).values(edition=tasks.c.edition + 1, updated_at=clock.now_ms())
    number = connection.scalar(raised.returning(tasks.c.edition))
    if number is None:
        return False
    connection.execute(published.delete().where(published.c.key.in_(texts)))
    rows = [
        {"key": key, "task_id": task_id, "type": type_, "text": text, "edition": number}
        for key, (type_, text) in texts.items()
    ]
    if rows:
        connection.execute(published.insert(), rows)
    return True


def get(database: sa.Engine, key: str) -> Text | None:
    """The text under a key, or None."""
    with database.connect() as connection:
        row = connection.execute(sa.select(published).where(published.c.key == key)).one_or_none()
    return _read(row) if row else None


def since(database: sa.Engine, task_id: str, number: int) -> list[Text]:
    """The texts of a task that were written with an edition after a number."""
    newer = (published.c.task_id == task_id) & (published.c.edition > number)
    with database.connect() as connection:
        return [_read(row) for row in connection.execute(sa.select(published).where(newer))]


def note_stored(database: sa.Engine, task_id: str, number: int) -> None:
    """Note that storage has all texts up to an edition."""
    with database.begin() as connection:
        behind = (tasks.c.id == task_id) & (tasks.c.stored_edition < number)
        connection.execute(tasks.update().where(behind).values(stored_edition=number))


def not_stored(database: sa.Engine) -> list[str]:
    """The tasks whose editions nobody has stored in time."""
    late = (tasks.c.stored_edition < tasks.c.edition) & (tasks.c.updated_at < clock.now_ms() - _STORED_WITHIN_MS)
    with database.connect() as connection:
        return list(connection.scalars(sa.select(tasks.c.id).where(late, tasks.c.status == "completed").limit(100)))


def withdraw(connection: sa.Connection, *keys: str) -> None:
    """Publish these no more. Part of the caller's transaction."""
    connection.execute(published.delete().where(published.c.key.in_(keys)))


def forget(database: sa.Engine, task_id: str) -> None:
    """Publish nothing of a task any more."""
    with database.begin() as connection:
        connection.execute(published.delete().where(published.c.task_id == task_id))


def _read(row: sa.Row[tuple[str, str, str, str, int]]) -> Text:
    return Text(row.key, row.type, row.text, row.edition)
