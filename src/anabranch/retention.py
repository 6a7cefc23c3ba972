"""Retention: what has ended goes after a while, by the settings. History, media, and the sources of what is ready.

Rows go in small batches, each in a transaction of its own: who writes beside it waits for a few hundred rows at the
most. Nothing goes that something open needs: a run that has not ended keeps its event and the runs that it invoked, a
delivery that is pending keeps its change, media and sources stay while a task of theirs is at work. Who is killed in
the middle has removed less; it goes on the next time.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from anabranch import clock
from anabranch.catalog import media
from anabranch.catalog.tables import (
    answers,
    attempts,
    changes,
    deliveries,
    files,
    step_attempts,
    tasks,
    uploads,
)
from anabranch.catalog.tables import media as media_rows
from anabranch.catalog.tasks import OPEN
from anabranch.engine.tables import events, run_events, runs
from anabranch.tasks.sources import STORED

if TYPE_CHECKING:
    from collections.abc import Callable

    from anabranch.settings import Settings
    from anabranch.storage import Storage
    from anabranch.tasks.keeping import Keeping

_log = structlog.get_logger(__name__)

_BATCH = 500
_DAY_MS = 24 * 3600 * 1000
# How long an answer is kept for who repeats a request: docs/api.md.
_ANSWERS_MS = _DAY_MS
# By its range, which the index of keys has in order.
_IS_SOURCE = (files.c.key >= "sources/") & (files.c.key < "sources0")


@dataclass(frozen=True)
class Swept:
    """How much was removed.

    Attributes:
        objects: that no row names.
        sources: of media that are ready.
        media: that were too old.
        runs, events, changes, deliveries, logs, answers, uploads: rows of what has ended; of attempts their logs.
    """

    objects: int = 0
    sources: int = 0
    media: int = 0
    runs: int = 0
    events: int = 0
    changes: int = 0
    deliveries: int = 0
    logs: int = 0
    answers: int = 0
    uploads: int = 0

    def to_dict(self) -> dict[str, int]:
        """By name."""
        return asdict(self)


class Retention:
    """Removes what is kept no longer, for all who share the database.

    Args:
        database: holds the rows.
        storage: holds the bytes.
        keeping: removes what tasks have stored.
        settings: say for how long what is kept.
    """

    def __init__(self, database: sa.Engine, storage: Storage, keeping: Keeping, settings: Settings) -> None:
        self._database = database
        self._storage = storage
        self._keeping = keeping
        self._settings = settings

    def sweep(self) -> Swept:
        """Remove all that is too old, and what no row names."""
        history_ms = self._settings.keep_history_days * _DAY_MS
        swept = Swept(
            sources=self.sweep_sources(),
            media=self._sweep_media(),
            objects=self._keeping.sweep_orphans(),
            **self._sweep_history(clock.now_ms() - history_ms),
        )
        told = {name: count for name, count in swept.to_dict().items() if count}
        if told:
            _log.info("swept", **told)
        return swept

    def sweep_sources(self) -> int:
        """Remove the sources of media that are ready, if they are not kept. Returns how many those were."""
        if self._settings.keep_sources == "always":
            return 0
        used = sa.select(tasks.c.id).where(tasks.c.input == STORED + files.c.key, OPEN)
        found = (
            sa.select(files.c.id, files.c.key)
            .join(media_rows, media_rows.c.id == files.c.media_id)
            .where(_IS_SOURCE, media_rows.c.status == "ready", ~used.exists())
            .limit(_BATCH)
        )
        removed = 0
        while True:
            with self._database.connect() as connection:
                rows = connection.execute(found).all()
            for row in rows:
                # Bytes first: what is left of a row without them is found again, and bytes without a row are not.
                self._storage.delete(row.key)
                with self._database.begin() as connection:
                    gone = {"status": "gone", "key": None, "updated_at": clock.now_ms()}
                    connection.execute(files.update().where(files.c.id == row.id, files.c.key == row.key).values(gone))
            removed += len(rows)
            if len(rows) < _BATCH:
                return removed

    def _sweep_media(self) -> int:
        days = self._settings.keep_media_days
        if days is None:
            return 0
        at_work = sa.select(tasks.c.id).where(tasks.c.media_id == media_rows.c.id, OPEN)
        old = media_rows.c.created_at < clock.now_ms() - days * _DAY_MS
        found = sa.select(media_rows.c.id).where(old, media_rows.c.status != "processing", ~at_work.exists())
        with self._database.connect() as connection:
            ids = list(connection.scalars(found.order_by(media_rows.c.id)))
        return sum(self._forget(media_id) for media_id in ids)

    def _forget(self, media_id: str) -> bool:
        row = media.get(self._database, media_id)
        # It may have been deleted meanwhile, or be done again.
        if row is None or row.status == "processing":
            return False
        return self._keeping.forget_media(media_id)

    def _sweep_history(self, before: int) -> dict[str, int]:
        open_run = runs.alias()
        invoked_by_open = sa.select(open_run.c.id).where(
            open_run.c.id == runs.c.parent_run_id, open_run.c.ended_at.is_(None)
        )
        started = sa.select(runs.c.id).where(runs.c.event_id == events.c.id)
        batched = sa.select(run_events.c.run_id).where(run_events.c.event_id == events.c.id)
        told = sa.select(deliveries.c.id).where(deliveries.c.change_id == changes.c.id)
        # A number is never given twice, and the newest one says which came before it.
        newest = sa.select(sa.func.max(changes.c.number)).scalar_subquery()
        return {
            "runs": self._remove(runs, runs.c.id, (runs.c.ended_at < before) & ~invoked_by_open.exists()),
            "events": self._remove(
                events, events.c.id, (events.c.received_at < before) & ~started.exists() & ~batched.exists()
            ),
            "deliveries": self._remove(deliveries, deliveries.c.id, deliveries.c.ended_at < before),
            "changes": self._remove(
                changes,
                changes.c.number,
                (changes.c.created_at < before) & (changes.c.number < newest) & ~told.exists(),
            ),
            "logs": self._in_batches(lambda connection: _empty_logs(connection, before)),
            "answers": self._remove(answers, answers.c.key, answers.c.created_at < clock.now_ms() - _ANSWERS_MS),
            "uploads": self._remove(uploads, uploads.c.id, uploads.c.finished_at < before)
            + self._remove(step_attempts, step_attempts.c.run_id, step_attempts.c.updated_at < before),
        }

    def _remove(self, table: sa.Table, key: sa.Column[Any], which: sa.ColumnElement[bool]) -> int:
        def remove(connection: sa.Connection) -> int:
            some = sa.select(key).where(which).limit(_BATCH)
            return connection.execute(table.delete().where(key.in_(list(connection.scalars(some))), which)).rowcount

        return self._in_batches(remove)

    def _in_batches(self, remove: Callable[[sa.Connection], int]) -> int:
        removed = 0
        while True:
            with self._database.begin() as connection:
                some = remove(connection)
            removed += some
            if not some:
                return removed


def _empty_logs(connection: sa.Connection, before: int) -> int:
    """Forget what was run for old attempts, and what it said. That they were made, and what they came to, stays."""
    has = attempts.c.command.is_not(None) | attempts.c.log.is_not(None)
    this = (attempts.c.task_id, attempts.c.piece, attempts.c.attempt)
    some = connection.execute(sa.select(*this).where(attempts.c.ended_at < before, has).limit(_BATCH)).all()
    for row in some:
        one = (this[0] == row.task_id) & (this[1] == row.piece) & (this[2] == row.attempt)
        connection.execute(attempts.update().where(one).values(command=None, log=None))
    return len(some)
