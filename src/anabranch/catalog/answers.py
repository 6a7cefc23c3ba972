"""Answers: what was said to requests that carry an Idempotency-Key, so that a repeated one is told the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from anabranch.catalog.tables import answers
from anabranch.database import insert_once, serialize
from anabranch.workers import living

Json = Any

_KEPT_MS = 24 * 3600 * 1000


@dataclass(frozen=True)
class Answer:
    """What is known of an earlier request; `status_code` is None while it is worked on."""

    fingerprint: str
    status_code: int | None
    body: Json


def claim(
    database: sa.Engine, owner: str, key: str, fingerprint: str, *, worker_id: str, now: int
) -> tuple[Answer | None, int]:
    """Take the key for a request.

    Args:
        database: holds the answers.
        owner: whose key it is.
        key: as the client gave it.
        fingerprint: of the request.
        worker_id: the process that is going to work on it. When one before it has died, or was lost, at the same
            request, it takes that one's place.
        now: the time, Unix milliseconds.

    Returns:
        None when the key is free, else what an earlier request with it came to; and when the key was first taken.
    """
    mine = (answers.c.owner == owner) & (answers.c.key == key)
    with database.begin() as connection:
        serialize(connection, _turn(owner, key))
        connection.execute(answers.delete().where(mine, answers.c.created_at < now - _KEPT_MS))
        taken = {"owner": owner, "key": key, "fingerprint": fingerprint, "worker_id": worker_id, "created_at": now}
        if connection.execute(insert_once(database, answers).values(taken)).rowcount:
            return None, now
        row = connection.execute(sa.select(answers).where(mine)).one()
        if row.status_code is None and row.fingerprint == fingerprint:
            abandoned = answers.c.worker_id.is_(None) | answers.c.worker_id.not_in(living())
            taking = answers.update().where(mine, abandoned).values(worker_id=worker_id)
            if connection.execute(taking).rowcount:
                return None, row.created_at
    return Answer(row.fingerprint, row.status_code, row.body), row.created_at


def keep(database: sa.Engine, owner: str, key: str, status_code: int, body: Json) -> None:
    """Note what the request was told."""
    with database.begin() as connection:
        connection.execute(
            answers.update()
            .where(answers.c.owner == owner, answers.c.key == key)
            .values(status_code=status_code, body=body)
        )


def release(database: sa.Engine, owner: str, key: str, *, worker_id: str, claimed_at: int) -> None:
    """Free the key that this process has taken then: the request came to nothing, and may be made again."""
    mine = (answers.c.owner == owner) & (answers.c.key == key) & (answers.c.created_at == claimed_at)
    mine &= answers.c.worker_id == worker_id
    with database.begin() as connection:
        serialize(connection, _turn(owner, key))
        connection.execute(answers.delete().where(mine, answers.c.status_code.is_(None)))


def _turn(owner: str, key: str) -> str:
    return f"answer {owner} {key}"
