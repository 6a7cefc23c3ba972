"""The overview's numbers, on rows that are known and a clock that stands still."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from anabranch import clock
from anabranch.catalog import attempts, media, overview, tasks
from anabranch.catalog.tasks import Task
from anabranch.database import open_database
from tests.databases import put_migrated

if TYPE_CHECKING:
    from pathlib import Path


MINUTE_MS = 60_000
NOW = 1_800_000_000_000


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.ms = NOW

    def now_ms(self) -> int:
        return self.ms

    def go(self, minutes: float) -> None:
        self.ms += round(minutes * MINUTE_MS)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Clock:
    standing = Clock()
    monkeypatch.setattr(clock, "now_ms", standing.now_ms)
    return standing


def begin(database: sa.Engine, task_id: str, ref: str = "hls-package", *, pieces: int | None, media_id: str) -> None:
    media.create(database, media_id, "storage:x", title=f"Film {media_id}")
    given: dict[str, Any] = {"media_id": media_id, "ref": ref, "kind": "image", "input": "x", "options": {}}
    state: dict[str, Any] = {"metadata": {}, "status": "queued", "progress": 0.0, "pieces": None, "output": None}
    times: dict[str, Any] = {"created_at": clock.now_ms(), "started_at": None, "finished_at": None}
    tasks.create(database, Task(id=task_id, **given, **state, error=None, **times))
    if pieces is not None:
        tasks.plan(database, task_id, [{"name": f"chunk-{n}", "weight": float(n + 1)} for n in range(pieces)])


def attempt(database: sa.Engine, piece: str) -> int:
    with database.begin() as connection:
        return attempts.begin(connection, "task_1", piece)


def complete(database: sa.Engine, piece: str, number: int) -> None:
    with database.begin() as connection:
        attempts.complete(connection, "task_1", piece, number, {})


def test_pieces_wait_until_they_are_begun_and_the_oldest_wait_is_of_a_task_that_stands_still(
    database: sa.Engine, held: Clock
) -> None:
    assert overview.queue(database) == overview.Queue(0, 0)
    begin(database, "task_1", pieces=3, media_id="med_1")
    held.go(1)
    begin(database, "task_2", pieces=None, media_id="med_2")
    held.go(1)
    # Three of the first, and the second, which is not planned.
    assert overview.queue(database) == overview.Queue(4, 2 * MINUTE_MS)
    number = attempt(database, "chunk-0")
    assert overview.queue(database) == overview.Queue(3, MINUTE_MS)
    complete(database, "chunk-0", number)
    held.go(5)
    # Nothing has been done of the first for five minutes, of the second for six.
    assert overview.queue(database) == overview.Queue(3, 6 * MINUTE_MS)
    tasks.fail(database, "task_2", {"code": "not_media", "message": "no", "retryable": False})
    assert overview.queue(database) == overview.Queue(2, 5 * MINUTE_MS)
    for name in ("chunk-1", "chunk-2"):
        complete(database, name, attempt(database, name))
    attempt(database, "join")
    assert overview.queue(database) == overview.Queue(0, 0)


def test_what_is_done_is_told_with_the_film_it_is_of(database: sa.Engine, held: Clock) -> None:
    begin(database, "task_1", pieces=2, media_id="med_1")
    held.go(1)
    attempt(database, "chunk-0")
    attempts.advance(database, "task_1", "chunk-0", 1, 0.25, 3.5)
    (one,) = overview.doing(database)
    assert (one.title, one.branch, one.piece, one.attempt) == ("Film med_1", "hls-package", "chunk-0", 1)
    assert (one.started_at, one.progress, one.speed) == (NOW + MINUTE_MS, 0.25, 3.5)
    with database.begin() as connection:
        attempts.interrupt(connection, "task_1", "chunk-0", 1)
    assert overview.doing(database) == []
    assert attempts.of_task(database, "task_1")[0].status == "interrupted"


def test_failures_are_of_a_day_and_repairable_where_no_newer_task_is(database: sa.Engine, held: Clock) -> None:
    full = {"code": "disk_full", "message": "No room. Free some.", "retryable": True, "hint": "Free some."}
    begin(database, "task_0", pieces=1, media_id="med_0")
    tasks.fail(database, "task_0", full)
    held.go(24 * 60 + 1)
    for number in (1, 2, 3):
        begin(database, f"task_{number}", pieces=1, media_id=f"med_{number}")
        tasks.fail(database, f"task_{number}", full)
    begin(database, "task_4", "poster-image", pieces=1, media_id="med_1")
    tasks.fail(database, "task_4", {"code": "encode_failed", "message": "broke", "retryable": True})
    # What is no branch cannot be done again as one.
    begin(database, "task_9", "thumb", pieces=1, media_id="med_9")
    tasks.fail(database, "task_9", {"code": "encode_failed", "message": "broke", "retryable": True})
    # The third was done again.
    begin(database, "task_5", pieces=1, media_id="med_3")
    first, second = overview.failures(database)
    assert (first.code, first.count, first.hint, first.last_at) == ("disk_full", 3, "Free some.", held.ms)
    assert first.message == "No room."
    assert set(first.media_ids) == {"med_1", "med_2"}
    assert (second.code, second.count, second.hint, second.media_ids) == ("encode_failed", 2, "", ("med_1",))


def test_each_chunk_counts_for_its_share_of_the_film_in_the_last_hour(database: sa.Engine, held: Clock) -> None:
    begin(database, "task_1", pieces=3, media_id="med_1")
    media.describe(database, "med_1", {"duration_s": 600.0})
    # Weights are 1, 2 and 3: a sixth, a third, and half of ten minutes.
    for minutes, name in ((30, "chunk-0"), (40, "chunk-1"), (10, "chunk-2")):
        number = attempt(database, name)
        held.go(minutes)
        complete(database, name, number)
    pace = overview.throughput(database)
    # The first ended fifty minutes ago and was begun before the hour.
    assert (round(pace.media_s), pace.window_s) == (600, 3600)
    assert pace.minutes_per_hour == pytest.approx(10)
    # Done again from its last chunk on: the others are in both tasks, and were made once.
    held.go(1)
    begin(database, "task_2", pieces=3, media_id="med_1")
    for name in ("chunk-0", "chunk-1"):
        row = attempts.completed(database, "task_1", name)
        assert row is not None
        attempts.take_over(database, "task_2", row, {})
    assert round(overview.throughput(database).media_s) == 600
    held.go(30)
    pace = overview.throughput(database)
    assert (round(pace.media_s), pace.window_s) == (500, 3600)
    held.go(60)
    assert overview.throughput(database) == overview.Throughput(0.0, 3600.0)


def test_work_that_began_lately_is_measured_since_it_began(database: sa.Engine, held: Clock) -> None:
    begin(database, "task_1", pieces=1, media_id="med_1")
    media.describe(database, "med_1", {"duration_s": 120.0})
    number = attempt(database, "chunk-0")
    held.go(2)
    complete(database, "chunk-0", number)
    pace = overview.throughput(database)
    assert (pace.media_s, pace.window_s, pace.minutes_per_hour) == (120, 120, 60)


def test_the_queries_read_what_is_of_now_and_not_all_there_ever_was(tmp_path: Path) -> None:
    # On SQLite, whose plans do not depend on how many rows there are.
    database = open_database(put_migrated(tmp_path / "a.db"))
    seen = []
    sa.event.listen(database, "before_cursor_execute", lambda *given: seen.append((given[2], given[3])))
    for look in (overview.queue, overview.doing, overview.failures, overview.throughput):
        look(database)
    with database.connect() as connection:
        asked = [one for one in seen if one[0].startswith("SELECT")]
        plans = [str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all()) for text, values in asked]
    assert len(plans) >= 5
    assert not [plan for plan in plans if re.search(r"SCAN (tasks|attempts)\b", plan)]
    database.dispose()
