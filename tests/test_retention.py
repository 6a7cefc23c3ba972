"""Retention: what goes when it is too old, and what stays though it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from anabranch import clock
from anabranch.catalog import attempts, files, media, tables, tasks
from anabranch.engine import tables as engine
from anabranch.functions.process_task import read_order
from anabranch.retention import Retention
from anabranch.settings import Settings
from anabranch.tasks.keeping import Keeping

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anabranch.storage.files import FileStorage

DAY_MS = 24 * 3600 * 1000
OLD, NEW = 10 * DAY_MS, DAY_MS
DAYS = 5


@pytest.fixture
def retention(database: sa.Engine, storage: FileStorage) -> Callable[..., Retention]:
    def make(**settings: Any) -> Retention:
        given = Settings(keep_history_days=DAYS, **settings)
        return Retention(database, storage, Keeping(database, storage), given)

    return make


def put(database: sa.Engine, table: sa.Table, **values: Any) -> None:
    with database.begin() as connection:
        connection.execute(table.insert().values(values))


def left(database: sa.Engine, column: sa.Column[Any]) -> set[Any]:
    with database.connect() as connection:
        return set(connection.scalars(sa.select(column)))


def run(database: sa.Engine, name: str, ago: int, *, ended: bool = True, parent: str | None = None) -> None:
    at = clock.now_ms() - ago
    put(database, engine.events, id=f"event-{name}", name="x", data={}, ts=at, received_at=at)
    put(
        database,
        engine.runs,
        id=name,
        event_id=f"event-{name}",
        function_id="f",
        status="completed" if ended else "running",
        parent_run_id=parent,
        parent_step_id=parent and "step",
        created_at=at,
        ended_at=at if ended else None,
    )
    put(
        database,
        engine.steps,
        run_id=name,
        id="s",
        name="s",
        op="StepRun",
        status="completed",
        failures=0,
        created_at=at,
    )


def test_runs_that_have_ended_go_with_their_events_and_steps_and_no_others(
    database: sa.Engine, retention: Callable[..., Retention]
) -> None:
    run(database, "old", OLD)
    run(database, "new", NEW)
    run(database, "open", OLD, ended=False)
    run(database, "of-open", OLD, parent="open")
    run(database, "of-old", OLD, parent="old")
    put(database, engine.events, id="heard-by-none", name="x", data={}, ts=1, received_at=1)
    swept = retention().sweep()
    assert (swept.runs, swept.events) == (2, 3)
    assert left(database, engine.runs.c.id) == {"new", "open", "of-open"}
    assert left(database, engine.steps.c.run_id) == {"new", "open", "of-open"}
    assert left(database, engine.events.c.id) == {"event-new", "event-open", "event-of-open"}
    assert retention().sweep().to_dict() == dict.fromkeys(swept.to_dict(), 0)


def change(database: sa.Engine, name: str, ago: int) -> None:
    put(database, tables.changes, id=name, type="media.ready", data={}, created_at=clock.now_ms() - ago)


def test_changes_go_but_for_the_newest_and_those_that_somebody_is_still_to_be_told_of(
    database: sa.Engine, retention: Callable[..., Retention]
) -> None:
    for name in ("told", "pending", "plain"):
        change(database, name, OLD)
    for name, ended_at in (("told", 1), ("pending", None)):
        row = {"id": f"dlv-{name}", "change_id": name, "url": "x", "status": "x", "created_at": 1}
        put(database, tables.deliveries, **row, ended_at=ended_at)
    put(database, tables.delivery_attempts, delivery_id="dlv-told", attempt=1, took_ms=1, started_at=1)
    swept = retention().sweep()
    # The newest of all is old as well; the numbers go on from it.
    assert left(database, tables.changes.c.id) == {"pending", "plain"}
    assert left(database, tables.deliveries.c.id) == {"dlv-pending"}
    assert left(database, tables.delivery_attempts.c.delivery_id) == set()
    assert (swept.changes, swept.deliveries) == (1, 1)
    change(database, "new", NEW)
    assert retention().sweep().changes == 1
    assert left(database, tables.changes.c.id) == {"pending", "new"}


def test_of_old_attempts_the_logs_go_and_what_they_came_to_stays(
    database: sa.Engine, retention: Callable[..., Retention], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anabranch.retention._BATCH", 2)
    tasks.create(database, read_order({"id": "task_1", "kind": "image", "input": "x"}, "run_1"))
    for number in range(5):
        ago = NEW if number == 4 else OLD
        row = {"task_id": "task_1", "piece": f"p{number}", "attempt": 1, "status": "completed", "progress": 1}
        ended_at = clock.now_ms() - ago
        put(database, tables.attempts, **row, result={"made": 1}, started_at=1, ended_at=ended_at, command="x", log="y")
    assert retention().sweep().logs == 4
    assert len(attempts.results(database, "task_1")) == 5
    kept = [attempts.get(database, "task_1", f"p{number}", 1) for number in (0, 4)]
    assert [(row.command, row.log) for row in kept if row] == [(None, None), ("x", "y")]


def test_answers_go_after_a_day_and_uploads_that_have_ended_with_the_history(
    database: sa.Engine, retention: Callable[..., Retention]
) -> None:
    now = clock.now_ms()
    for name, ago in (("old", 2 * DAY_MS), ("new", DAY_MS // 2)):
        put(database, tables.answers, owner="o", key=name, fingerprint="f", created_at=now - ago)
    row = {"media_id": "m", "metadata": {}, "created_at": 1, "expires_at": 1}
    for name, ended in (("done", now - OLD), ("lately", now), ("open", None)):
        put(database, tables.uploads, id=name, **row, finished_at=ended)
    swept = retention().sweep()
    assert (swept.answers, swept.uploads) == (1, 1)
    assert left(database, tables.answers.c.key) == {"new"}
    assert left(database, tables.uploads.c.id) == {"lately", "open"}


def film(database: sa.Engine, storage: FileStorage, folder: Path, name: str, ago: int, status: str = "ready") -> None:
    """A media row that was made so long ago, with its source and a task that has ended."""
    media_id, key = f"med_{name}", f"sources/med_{name}/source.mp4"
    for stored in (key, f"media/{media_id}/task_{name}/poster.1.jpeg"):
        path = folder / "bytes"
        path.write_bytes(b"x")
        storage.put(stored, path, "x")
    media.create(database, media_id, f"storage:{key}")
    told = {"id": f"task_{name}", "kind": "image", "input": f"storage:{key}", "media_id": media_id}
    tasks.create(database, read_order(told, "run_1"))
    tasks.begin(database, f"task_{name}", "run_1")
    tasks.complete(
        database, f"task_{name}", {"url": "x", "files": [{"key": f"media/{media_id}/task_{name}/poster.1.jpeg"}]}
    )
    values = {"media_id": media_id, "kind": "video", "type": "x", "status": "ready", "key": key, "ref": "source"}
    files.create(database, files.id_of(media_id), values)
    with database.begin() as connection:
        made = {"status": status, "created_at": clock.now_ms() - ago}
        connection.execute(tables.media.update().where(tables.media.c.id == media_id).values(made))


def test_media_go_whole_when_they_are_too_old_and_none_does_that_is_at_work(
    database: sa.Engine, storage: FileStorage, tmp_path: Path, retention: Callable[..., Retention]
) -> None:
    film(database, storage, tmp_path, "old", OLD)
    film(database, storage, tmp_path, "failed", OLD, "failed")
    film(database, storage, tmp_path, "new", NEW)
    film(database, storage, tmp_path, "at-work", OLD, "processing")
    film(database, storage, tmp_path, "again", OLD)
    tasks.create(database, read_order({"id": "task_more", "kind": "image", "input": "x", "media_id": "med_again"}, "r"))
    assert retention().sweep().media == 0
    assert retention(keep_media_days=DAYS).sweep().media == 2
    assert left(database, tables.media.c.id) == {"med_new", "med_at-work", "med_again"}
    assert {key.split("/")[1] for key in storage.keys("")} == {"med_new", "med_at-work", "med_again"}
    assert left(database, tables.files.c.media_id) == {"med_new", "med_at-work", "med_again"}
    assert "task_old" not in left(database, tables.tasks.c.id)
    assert "media.deleted" in left(database, tables.changes.c.type)


def test_sources_go_when_all_is_made_of_them_and_only_if_they_are_not_kept(
    database: sa.Engine, storage: FileStorage, tmp_path: Path, retention: Callable[..., Retention]
) -> None:
    film(database, storage, tmp_path, "ready", NEW)
    film(database, storage, tmp_path, "degraded", NEW, "degraded")
    film(database, storage, tmp_path, "used", NEW)
    more = {"id": "task_more", "kind": "image", "input": "storage:sources/med_used/source.mp4"}
    tasks.create(database, read_order(more, "r"))
    assert retention().sweep_sources() == 0
    assert retention(keep_sources="until_ready").sweep_sources() == 1
    assert set(storage.keys("sources/")) == {f"sources/med_{name}/source.mp4" for name in ("degraded", "used")}
    assert len(set(storage.keys("media/"))) == 3
    file = files.get(database, files.id_of("med_ready"))
    assert file is not None
    assert (file.status, file.key) == ("gone", None)
    assert retention(keep_sources="until_ready").sweep_sources() == 0
