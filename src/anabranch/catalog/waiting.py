"""Waiting: pieces that nobody begins because no worker has room for them. Derived from rows: nothing says it but them.

Each worker tells with its heartbeat what it has left (`Offer`). A piece waits for room when none of those that live has
enough. It is begun as soon as one has; what is smaller goes before it until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch import workers
from anabranch.catalog.tables import WAITS, tasks, work
from anabranch.catalog.work import Offer, need_of
from anabranch.room import said

if TYPE_CHECKING:
    from collections.abc import Collection

Json = Any

ADVICE = "Free some space on a worker, or start one that has more. It goes on by itself then."
# More than anybody reads.
_MOST = 1000


@dataclass(frozen=True)
class Parked:
    """A piece that waits for room.

    Attributes:
        needs_bytes: the room that it takes where it takes least.
        most_bytes: what the worker has left that has most.
        workers: how many there are.
    """

    task_id: str
    piece: str
    needs_bytes: int
    most_bytes: int
    workers: int

    @property
    def why(self) -> str:
        """In words, to follow what it is said of."""
        has = "the worker has" if self.workers == 1 else "the worker with the most has"
        return f"waits for room: needs {said(self.needs_bytes)}, {has} {said(self.most_bytes)} free"

    def to_dict(self) -> dict[str, Json]:
        """As clients see it."""
        return {
            "for": "room",
            "message": self.why,
            "hint": ADVICE,
            "piece": self.piece,
            "needsBytes": self.needs_bytes,
            "mostFreeBytes": self.most_bytes,
        }


def for_room(database: sa.Engine, *task_ids: str) -> list[Parked]:
    """The pieces that wait for room, those that are due first first: of some tasks, or of all when none is named."""
    offers = _offers(database)
    if not offers:
        # Nobody works, or somebody has not said yet what it has.
        return []
    rooms = [offer.free_bytes or 0 for offer in offers]
    # A worker whose own source this is needs less; the rest is asked of those few that could not be begun by all.
    most = work.c.scratch_bytes + work.c.stored_bytes + work.c.source_bytes > min(rooms)
    found = sa.select(work, tasks.c.input).join(tasks, tasks.c.id == work.c.task_id).where(WAITS, most)
    if task_ids:
        found = found.where(work.c.task_id.in_(task_ids))
    with database.connect() as connection:
        rows = connection.execute(found.order_by(work.c.due_at, work.c.place, work.c.task_id).limit(_MOST)).all()
    return [_parked(row, offers) for row in rows if all(offer.lacks(need_of(row), row.input) for offer in offers)]


def by_task(database: sa.Engine, task_ids: Collection[str]) -> dict[str, Parked]:
    """Of each of these tasks that waits for room, the piece that is due first."""
    if not task_ids:
        return {}
    found: dict[str, Parked] = {}
    for parked in for_room(database, *task_ids):
        found.setdefault(parked.task_id, parked)
    return found


def _offers(database: sa.Engine) -> list[Offer]:
    able = [row for row in workers.every(database) if row.capabilities and row.status == "active"]
    return [Offer.from_dict(row.offer) for row in able] if all(row.offer for row in able) else []


def _parked(row: sa.Row[Any], offers: list[Offer]) -> Parked:
    least = min(offer.bytes_for(need_of(row), row.input) for offer in offers)
    most = max(offer.free_bytes or 0 for offer in offers)
    return Parked(row.task_id, row.piece, least, most, len(offers))
