"""Overview: what waits, what is being done, what fails and how much gets done, counted from rows.

A restart changes nothing of it, and there is nothing beside the rows that could be wrong.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from anabranch import clock
from anabranch.catalog.branches import BRANCHES
from anabranch.catalog.tables import attempts, media, tasks
from anabranch.errors import without_hint

Json = Any

_HOUR_MS = 3600 * 1000
_DAY_MS = 24 * _HOUR_MS
# The branch whose pace is the pace of the whole.
_FILM = BRANCHES[0].step_id
_BRANCHES = [branch.step_id for branch in BRANCHES]
_NOT_ENDED = tasks.c.finished_at.is_(None)
_MOST_MEDIA = 100
# What is done of every task beside its pieces.
_NOT_PIECES = ("plan", "join")


@dataclass(frozen=True)
class Queue:
    """What waits to be done.

    Attributes:
        waiting: pieces of work, also those that wait to be tried again; a task that is not planned yet is one.
        oldest_ms: for how long nothing has been done of the task that has waited longest; 0 when none waits.
    """

    waiting: int
    oldest_ms: int


@dataclass(frozen=True)
class Doing:
    """An attempt that is being made.

    Attributes:
        title: of the media row.
        branch: which one of it, or what the client called the task.
        worker_id: who makes it; None of what another Task API does.
    """

    task_id: str
    media_id: str | None
    title: str | None
    branch: str | None
    kind: str
    piece: str
    attempt: int
    started_at: int
    progress: float
    speed: float | None
    worker_id: str | None


@dataclass(frozen=True)
class Failure:
    """Tasks that failed for good for the same reason.

    Attributes:
        code: of the error.
        count: how many tasks.
        message: of the last of them, without what to do.
        hint: what it says to do, or empty.
        last_at: when the last of them did.
        media_ids: the media rows in which this is still so, and can be repaired; the newest of them.
    """

    code: str
    count: int
    message: str
    hint: str
    last_at: int
    media_ids: tuple[str, ...]


@dataclass(frozen=True)
class Throughput:
    """How much of films was made.

    Attributes:
        media_s: seconds of media whose package was made.
        window_s: in how many seconds: the last hour, or since work began within it.
    """

    media_s: float
    window_s: float

    @property
    def minutes_per_hour(self) -> float:
        """Minutes of media for each hour of the clock."""
        return self.media_s * 60 / self.window_s if self.window_s else 0.0


def queue(database: sa.Engine) -> Queue:
    """What waits to be done."""
    pieces = sa.func.coalesce(sa.func.json_array_length(tasks.c.pieces), 1)
    begun = (
        sa.select(
            attempts.c.task_id,
            sa.func.count(sa.distinct(attempts.c.piece))
            .filter(attempts.c.piece.not_in(_NOT_PIECES), attempts.c.status.in_(("running", "completed")))
            .label("taken"),
            sa.func.count().filter(attempts.c.status == "running").label("running"),
            sa.func.max(attempts.c.ended_at).label("last_at"),
        )
        .join(tasks, tasks.c.id == attempts.c.task_id)
        .where(_NOT_ENDED)
        .group_by(attempts.c.task_id)
    ).subquery()
    found = (
        sa.select(tasks.c.created_at, pieces.label("pieces"), begun.c.taken, begun.c.running, begun.c.last_at)
        .outerjoin(begun, begun.c.task_id == tasks.c.id)
        .where(_NOT_ENDED)
    )
    waiting, since = 0, []
    with database.connect() as connection:
        for row in connection.execute(found):
            left = max(0, row.pieces - (row.taken or 0))
            waiting += left
            if left and not row.running:
                since.append(max(row.created_at, row.last_at or 0))
    return Queue(waiting, max(0, clock.now_ms() - min(since)) if since else 0)


def doing(database: sa.Engine) -> list[Doing]:
    """What is being done, what began first first."""
    found = (
        sa.select(
            attempts.c.task_id,
            tasks.c.media_id,
            media.c.title,
            tasks.c.ref.label("branch"),
            tasks.c.kind,
            attempts.c.piece,
            attempts.c.attempt,
            attempts.c.started_at,
            attempts.c.progress,
            attempts.c.speed,
            attempts.c.worker_id,
        )
        .join(tasks, tasks.c.id == attempts.c.task_id)
        .outerjoin(media, media.c.id == tasks.c.media_id)
        .where(attempts.c.ended_at.is_(None), attempts.c.status == "running", _NOT_ENDED)
        .order_by(attempts.c.started_at)
    )
    with database.connect() as connection:
        return [Doing(**row._mapping) for row in connection.execute(found)]


def failures(database: sa.Engine) -> list[Failure]:
    """What failed for good within a day, by its code, the most frequent first."""
    lately = (tasks.c.status == "failed") & (tasks.c.finished_at > clock.now_ms() - _DAY_MS)
    failed: sa.Select[Any] = sa.select(tasks.c.id, tasks.c.media_id, tasks.c.error, tasks.c.finished_at).where(lately)
    # Of a branch that was done again only the newest task counts.
    newest = (
        sa.select(sa.func.max(tasks.c.id))
        .where(tasks.c.media_id.in_(sa.select(tasks.c.media_id).where(lately)), tasks.c.ref.in_(_BRANCHES))
        .group_by(tasks.c.media_id, tasks.c.ref)
    )
    by_code: dict[str, list[sa.Row[Any]]] = defaultdict(list)
    with database.connect() as connection:
        current = set(connection.scalars(newest))
        for row in connection.execute(failed.order_by(tasks.c.finished_at.desc())):
            by_code[(row.error or {}).get("code", "task_failed")].append(row)
    found = [_failure(code, rows, current) for code, rows in by_code.items()]
    return sorted(found, key=lambda failure: (-failure.count, failure.code))


def _failure(code: str, rows: list[sa.Row[Any]], current: set[str]) -> Failure:
    last = rows[0].error or {}
    repairable = dict.fromkeys(str(row.media_id) for row in rows if row.media_id and row.id in current)
    return Failure(
        code=code,
        count=len(rows),
        message=without_hint(last),
        hint=last.get("hint") or "",
        last_at=rows[0].finished_at,
        media_ids=tuple(repairable)[:_MOST_MEDIA],
    )


def throughput(database: sa.Engine) -> Throughput:
    """How much of films was made within an hour: each piece of a package counts for its share of the film."""
    now = clock.now_ms()
    found: sa.Select[Any] = (
        sa.select(attempts.c.task_id, attempts.c.piece, attempts.c.started_at, tasks.c.pieces, media.c.duration_s)
        .join(tasks, tasks.c.id == attempts.c.task_id)
        .join(media, media.c.id == tasks.c.media_id)
        .where(
            attempts.c.ended_at > now - _HOUR_MS,
            attempts.c.status == "completed",
            attempts.c.piece.not_in(_NOT_PIECES),
            # What was taken over from an earlier task counted then.
            attempts.c.started_at >= tasks.c.created_at,
            tasks.c.ref == _FILM,
        )
    )
    with database.connect() as connection:
        rows = connection.execute(found).all()
    if not rows:
        return Throughput(0.0, _HOUR_MS / 1000)
    began = max(now - _HOUR_MS, min(row.started_at for row in rows))
    return Throughput(sum(map(_media_s, rows)), (now - began) / 1000)


def _media_s(row: sa.Row[Any]) -> float:
    weights = {piece["name"]: piece["weight"] for piece in row.pieces or []}
    return float((row.duration_s or 0.0) * weights.get(row.piece, 0.0) / (sum(weights.values()) or 1.0))
