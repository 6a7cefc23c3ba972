"""Changes: what happened to media and tasks, in order. Streams resume from them, and webhooks tell of them.

A change is written in the transaction of what it tells, and with it a delivery for every endpoint that listens. So
nothing is told that did not happen, and nothing that happened goes untold, whenever the process dies.

Transactions that write changes take turns, from their first statement to their commit. Otherwise one that was given
the number 7 could commit after one that was given 8, and a stream that has seen 8 would never ask for it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch import clock
from anabranch.catalog.tables import changes, deliveries, endpoints
from anabranch.database import serialize
from anabranch.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Json = Any

# What an endpoint may ask for.
TOPICS = (
    "media.created",
    "media.playable",
    "media.rendition.ready",
    "media.poster.ready",
    "media.preview.ready",
    "media.transcript.ready",
    "media.ready",
    "media.degraded",
    "media.failed",
    "media.deleted",
    "task.created",
    "task.completed",
    "task.failed",
    "task.cancelled",
)
# The ends of a task, as an endpoint may also call them.
_ALSO = {"task.completed": ("task.succeeded", "job.succeeded"), "task.failed": ("job.failed",)}

_TURN = "changes"


@dataclass(frozen=True)
class Change:
    """Something that happened.

    Attributes:
        number: its place in the order, from 1; gaps mean nothing.
        type: one of `TOPICS`.
        data: the media record or the task, as it was then.
    """

    number: int
    id: str
    type: str
    media_id: str | None
    task_id: str | None
    data: dict[str, Json]
    created_at: int


@contextmanager
def telling(database: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that writes changes. No other such one is between its first statement and its commit."""
    with database.begin() as connection:
        serialize(connection, _TURN)
        connection.info[_TURN] = True
        try:
            yield connection
        finally:
            # It is the connection's, and outlives the transaction.
            del connection.info[_TURN]


def record(
    connection: sa.Connection,
    type_: str,
    data: Mapping[str, Json],
    *,
    media_id: str | None = None,
    task_id: str | None = None,
    webhook_url: str | None = None,
) -> None:
    """Note that something happened, and who is to be told. Part of a transaction that is `telling`."""
    assert connection.info.get(_TURN), "changes are written in turn only"
    now = clock.now_ms()
    change_id = new_id("evt")
    connection.execute(
        changes.insert().values(
            id=change_id, type=type_, media_id=media_id, task_id=task_id, data=dict(data), created_at=now
        )
    )
    told = [(row.id, row.url) for row in connection.execute(sa.select(endpoints)) if _listens(row, type_)]
    if webhook_url:
        told.append((None, webhook_url))
    for endpoint_id, url in told:
        connection.execute(
            deliveries.insert().values(
                id=new_id("dlv"),
                change_id=change_id,
                endpoint_id=endpoint_id,
                url=url,
                status="pending",
                created_at=now,
            )
        )


def deleted_since(connection: sa.Connection, media_id: str, moment: int) -> bool:
    """Whether the media row has been deleted since then, Unix milliseconds. Part of the caller's transaction."""
    deleted = sa.select(changes.c.number).where(
        changes.c.media_id == media_id, changes.c.type == "media.deleted", changes.c.created_at >= moment
    )
    return connection.scalar(deleted.limit(1)) is not None


def get(database: sa.Engine, change_id: str) -> Change | None:
    """The change, or None."""
    with database.connect() as connection:
        row = connection.execute(sa.select(changes).where(changes.c.id == change_id)).one_or_none()
    return Change(**row._mapping) if row else None


def since(database: sa.Engine, number: int, *, media_id: str | None = None, limit: int = 200) -> list[Change]:
    """The changes after a number, oldest first: of one media row, or of all."""
    found = sa.select(changes).where(changes.c.number > number).order_by(changes.c.number).limit(limit)
    if media_id is not None:
        found = found.where(changes.c.media_id == media_id)
    with database.connect() as connection:
        return [Change(**row._mapping) for row in connection.execute(found)]


def media_since(database: sa.Engine, number: int) -> list[str]:
    """The ids of the media rows that have changed after a number."""
    found = sa.select(changes.c.media_id).distinct().where(changes.c.number > number, changes.c.media_id.is_not(None))
    with database.connect() as connection:
        return list(connection.scalars(found))


def forgotten_since(database: sa.Engine, number: int) -> int | None:
    """The number of the oldest change that is remembered, if there may have been others after `number` before it."""
    with database.connect() as connection:
        oldest = connection.scalar(sa.select(sa.func.min(changes.c.number)))
    # Who begins at the beginning has missed nothing.
    return oldest if oldest is not None and 0 < number < oldest - 1 else None


def latest(database: sa.Engine) -> int:
    """The number of the newest change, 0 when there is none."""
    with database.connect() as connection:
        return connection.scalar(sa.select(sa.func.max(changes.c.number))) or 0


def matches(topics: Sequence[str], type_: str) -> bool:
    """Whether one of the topics names the change; `*` ends a prefix, and alone it is everything."""
    names = (type_, *_ALSO.get(type_, ()))
    return any(
        name == topic or (topic.endswith("*") and name.startswith(topic[:-1])) for topic in topics for name in names
    )


def _listens(endpoint: sa.Row[Any], type_: str) -> bool:
    return endpoint.status == "active" and matches(endpoint.topics, type_)
