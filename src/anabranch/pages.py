"""Pages: a listing in parts. Ids sort by age, so an id is the cursor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    """Which part of a listing.

    Attributes:
        limit: how many at the most.
        after: the id behind which it begins, in the order of the listing.
        before: the id in front of which it ends.
        order: `desc` is newest first.
        skip: how many to pass over, for clients that count pages.
    """

    limit: int = 20
    after: str | None = None
    before: str | None = None
    order: Literal["asc", "desc"] = "desc"
    skip: int = 0


@dataclass(frozen=True)
class Found(Generic[T]):
    """A part of a listing, and whether more comes after it."""

    rows: list[T]
    has_more: bool


def read(
    database: sa.Engine,
    query: sa.Select[Any],
    by: sa.Column[Any],
    page: Page,
    make: Callable[[sa.Row[Any]], T],
    *,
    age: sa.Column[Any] | None = None,
) -> Found[T]:
    """The part of `query`, ordered by the id column `by`, that the page names.

    Where ids do not sort by age, because others made them, `age` is the column that does.
    """
    ascending = page.order == "asc"
    order: tuple[sa.Column[Any], ...] = (by,) if age is None else (age, by)

    def is_beyond(cursor: str, *, upwards: bool) -> sa.ColumnElement[bool]:
        place = sa.tuple_(*order)
        there: list[sa.ColumnElement[Any]] = [sa.literal(cursor, by.type)]
        if age is not None:
            there = [sa.select(age).where(by == cursor).scalar_subquery(), *there]
        return place > sa.tuple_(*there) if upwards else place < sa.tuple_(*there)

    if page.after is not None:
        query = query.where(is_beyond(page.after, upwards=ascending))
    if page.before is not None:
        query = query.where(is_beyond(page.before, upwards=not ascending))
    # With `before` alone the page ends there, so it is read from its end and turned around.
    backwards = page.before is not None and page.after is None
    query = query.order_by(*(one.asc() if ascending != backwards else one.desc() for one in order))
    with database.connect() as connection:
        rows = list(connection.execute(query.limit(page.limit + 1).offset(page.skip)))
    found = [make(row) for row in rows[: page.limit]]
    return Found(found[::-1] if backwards else found, len(rows) > page.limit)
