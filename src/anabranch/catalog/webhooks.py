"""Webhooks: endpoints that are told of changes, each delivery to one of them, and each attempt at it."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch import clock, pages
from anabranch.catalog.tables import changes, deliveries, delivery_attempts, endpoints
from anabranch.database import serialize
from anabranch.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anabranch.pages import Page

Json = Any


@dataclass(frozen=True)
class Endpoint:
    """An address that is told of changes.

    Attributes:
        topics: which changes; `*` ends a prefix.
        secret: `whsec_` and 24 random bytes in base 64, that signs what it is told (Standard Webhooks).
        status: `active`, `paused` or `disabled`.
    """

    id: str
    url: str
    topics: list[str]
    secret: str
    status: str
    created_at: int
    updated_at: int


@dataclass(frozen=True)
class Delivery:
    """One change on its way to one address.

    Attributes:
        endpoint_id: None for the address that a task named itself.
        status: `pending`, `delivered`, `failed` or `dropped`.
    """

    id: str
    change_id: str
    endpoint_id: str | None
    url: str
    status: str
    created_at: int
    ended_at: int | None


def new_secret() -> str:
    """A secret as Standard Webhooks has them."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def create_endpoint(database: sa.Engine, url: str, topics: Sequence[str]) -> Endpoint:
    """A new endpoint with a secret of its own."""
    now = clock.now_ms()
    endpoint = Endpoint(new_id("we"), url, list(topics), new_secret(), "active", now, now)
    with database.begin() as connection:
        connection.execute(endpoints.insert().values(vars(endpoint)))
    return endpoint


def get_endpoint(database: sa.Engine, endpoint_id: str) -> Endpoint | None:
    """The endpoint, or None."""
    with database.connect() as connection:
        row = connection.execute(sa.select(endpoints).where(endpoints.c.id == endpoint_id)).one_or_none()
    return Endpoint(**row._mapping) if row else None


def list_endpoints(database: sa.Engine, page: Page) -> pages.Found[Endpoint]:
    """A page of endpoints."""
    return pages.read(database, sa.select(endpoints), endpoints.c.id, page, lambda row: Endpoint(**row._mapping))


def change_endpoint(database: sa.Engine, endpoint_id: str, values: Mapping[str, Json]) -> bool:
    """Change url, topics or status. False when there is no such endpoint."""
    with database.begin() as connection:
        changed = connection.execute(
            endpoints.update().where(endpoints.c.id == endpoint_id).values(updated_at=clock.now_ms(), **values)
        )
    return bool(changed.rowcount)


def delete_endpoint(database: sa.Engine, endpoint_id: str) -> bool:
    """Forget an endpoint; what was on its way to it is dropped. False when there is none."""
    with database.begin() as connection:
        connection.execute(
            deliveries.update()
            .where(deliveries.c.endpoint_id == endpoint_id, deliveries.c.status == "pending")
            .values(status="dropped", ended_at=clock.now_ms())
        )
        return bool(connection.execute(endpoints.delete().where(endpoints.c.id == endpoint_id)).rowcount)


def get_delivery(database: sa.Engine, delivery_id: str) -> Delivery | None:
    """The delivery, or None."""
    with database.connect() as connection:
        row = connection.execute(_select_delivery().where(deliveries.c.id == delivery_id)).one_or_none()
    return Delivery(**row._mapping) if row else None


def list_deliveries(
    database: sa.Engine, page: Page, *, endpoint_id: str | None = None, status: str | None = None
) -> pages.Found[Delivery]:
    """A page of deliveries."""
    found = _select_delivery()
    if endpoint_id is not None:
        found = found.where(deliveries.c.endpoint_id == endpoint_id)
    if status is not None:
        found = found.where(deliveries.c.status == status)
    return pages.read(database, found, deliveries.c.id, page, lambda row: Delivery(**row._mapping))


def attempts_at(database: sa.Engine, delivery_id: str) -> list[dict[str, Json]]:
    """Each attempt at a delivery, oldest first: what came back, or why nothing did."""
    shown = [column for column in delivery_attempts.c if column.name != "delivery_id"]
    with database.connect() as connection:
        rows = connection.execute(
            sa.select(*shown)
            .where(delivery_attempts.c.delivery_id == delivery_id)
            .order_by(delivery_attempts.c.attempt)
        )
        return [dict(row._mapping) for row in rows]


def waiting(database: sa.Engine, limit: int) -> list[str]:
    """Ids of the deliveries that the engine has not been told of, oldest first, `limit` at the most."""
    with database.connect() as connection:
        return list(
            connection.scalars(
                sa.select(deliveries.c.id)
                .where(deliveries.c.handed_over_at.is_(None))
                .order_by(deliveries.c.id)
                .limit(limit)
            )
        )


def hand_over(database: sa.Engine, delivery_ids: Sequence[str]) -> None:
    """Note that the engine has been told of these."""
    with database.begin() as connection:
        connection.execute(
            deliveries.update().where(deliveries.c.id.in_(delivery_ids)).values(handed_over_at=clock.now_ms())
        )


def note_attempt(
    database: sa.Engine,
    delivery_id: str,
    *,
    status_code: int | None,
    answer: str | None,
    error: str | None,
    took_ms: int,
) -> None:
    """Write down what came of an attempt."""
    with database.begin() as connection:
        serialize(connection, f"delivery {delivery_id}")
        made = sa.select(sa.func.count()).where(delivery_attempts.c.delivery_id == delivery_id)
        connection.execute(
            delivery_attempts.insert().values(
                delivery_id=delivery_id,
                attempt=(connection.scalar(made) or 0) + 1,
                status_code=status_code,
                answer=answer,
                error=error,
                took_ms=took_ms,
                started_at=clock.now_ms() - took_ms,
            )
        )


def end_delivery(database: sa.Engine, delivery_id: str, status: str) -> None:
    """End a delivery: `delivered`, `failed` or `dropped`."""
    with database.begin() as connection:
        connection.execute(
            deliveries.update()
            .where(deliveries.c.id == delivery_id, deliveries.c.status == "pending")
            .values(status=status, ended_at=clock.now_ms())
        )


def replay(database: sa.Engine, *, delivery_id: str | None = None, endpoint_id: str = "", since_ms: int = 0) -> int:
    """Deliver again: one delivery, or every change since a time that an endpoint was told of. Returns how many."""
    found = sa.select(deliveries.c.change_id, deliveries.c.endpoint_id, deliveries.c.url).distinct()
    if delivery_id is not None:
        found = found.where(deliveries.c.id == delivery_id)
    else:
        found = found.join(changes, changes.c.id == deliveries.c.change_id).where(
            deliveries.c.endpoint_id == endpoint_id, changes.c.created_at >= since_ms
        )
    now = clock.now_ms()
    with database.begin() as connection:
        again = connection.execute(found).all()
        for row in again:
            connection.execute(
                deliveries.insert().values(**row._mapping, id=new_id("dlv"), status="pending", created_at=now)
            )
    return len(again)


def _select_delivery() -> sa.Select[Any]:
    return sa.select(*(column for column in deliveries.c if column.name != "handed_over_at"))
