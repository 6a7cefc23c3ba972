"""Workers that come and go: killed, frozen, told to stop, unable to do something."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from anabranch import workers
from anabranch.catalog import attempts, media, tables, tasks
from anabranch.media import ffmpeg
from anabranch.storage.opening import open_storage
from tests import clips
from tests.api.served import until
from tests.fleet.processes import Fleet, Worker, fleet

if TYPE_CHECKING:
    from pathlib import Path

    from anabranch.storage import Storage
    from tests.servers import ObjectStore

pytestmark = pytest.mark.slow


@pytest.fixture
def bucket(moto: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """A place of one's own on a server that speaks S3."""
    own = moto.below(tmp_path.name)
    for name, value in own.environment.items():
        monkeypatch.setenv(name, value)
    return own


def film() -> Path:
    """Whose chunks take seconds each."""
    return clips.plain(14, size="1280x720", name="large.mp4")


def at_chunk(running: Fleet, worker: Worker) -> Any:
    """The attempt that a worker makes at a chunk, as soon as it has been at it for a moment."""

    def look() -> Any:
        mine = [row.id for row in running.living() if row.pid == worker.pid]
        row = tables.attempts.c
        made = (row.worker_id.in_(mine)) & (row.status == "running") & row.piece.like("chunk-%") & (row.progress > 0)
        with running.database.connect() as connection:
            return connection.execute(sa.select(tables.attempts).where(made)).first()

    return until(look, 60)


def ready(running: Fleet, media_id: str) -> bool:
    row = media.get(running.database, media_id)
    return row is not None and row.status == "ready"


def made_of(running: Fleet, task_id: str, piece: str) -> list[sa.Row[Any]]:
    return [row for row in attempts.of_task(running.database, task_id) if row.piece == piece]


def check_all_is_named(running: Fleet, storage: Storage) -> None:
    """Of what is in storage, every object is part of an output."""
    with running.database.connect() as connection:
        outputs = list(connection.scalars(sa.select(tables.tasks.c.output)))
    named = {file["key"] for output in outputs for file in output["files"]}
    assert set(storage.keys("media/")) == named


@pytest.mark.alone
def test_another_worker_takes_over_within_half_a_minute_what_a_killed_one_did(
    bucket: ObjectStore, postgres_url: str, tmp_path: Path
) -> None:
    usual = {**bucket.environment, "ANABRANCH_LEASE_S": "12"}
    with fleet(tmp_path, postgres_url, 2, **usual) as running:
        media_id = running.server.upload(film())
        lost = at_chunk(running, running.workers[0])
        running.workers[0].kill()
        killed_at = time.time()
        again = until(lambda: made_of(running, lost.task_id, lost.piece)[1:], 60)
        assert again[0].started_at / 1000 - killed_at < 30
        until(lambda: ready(running, media_id), 120)
        first, second = made_of(running, lost.task_id, lost.piece)
        assert (first.status, second.status) == ("lost", "completed")
        assert first.worker_id != second.worker_id
        # What was done stays done.
        counted = [row.piece for row in attempts.of_task(running.database, lost.task_id) if row.status == "completed"]
        assert len(counted) == len(set(counted))


def test_a_worker_that_was_frozen_finds_its_work_done_by_another(
    bucket: ObjectStore, postgres_url: str, tmp_path: Path
) -> None:
    with fleet(tmp_path, postgres_url, 2, **bucket.environment) as running:
        media_id = running.server.upload(film())
        late = at_chunk(running, running.workers[0])
        running.workers[0].freeze()
        until(lambda: ready(running, media_id), 120)
        record = running.server.get(f"/media/{media_id}")
        running.workers[0].thaw()
        # It hears that it was taken for lost, and is another from then on.
        until(lambda: "goes on under another name" in running.workers[0].log.read_text(), 30)
        until(lambda: any(row.pid == running.workers[0].pid for row in running.living()), 30)
        first, second = made_of(running, late.task_id, late.piece)
        assert (first.status, second.status) == ("lost", "completed")
        assert running.server.get(f"/media/{media_id}")["updatedAt"] == record["updatedAt"]
        storage = open_storage(bucket.url, tmp_path / "unused", endpoint=bucket.endpoint)
        until(lambda: not list((running.workers[0].home / "scratch").glob(f"{late.task_id}.*")), 30)
        check_all_is_named(running, storage)
        # And it is of use again.
        running.workers[1].kill()
        other = running.server.upload(clips.silent(2, name="little.mp4"))
        until(lambda: ready(running, other), 60)


def test_a_worker_that_is_told_to_stop_ends_what_it_is_at(
    bucket: ObjectStore, postgres_url: str, tmp_path: Path
) -> None:
    with fleet(tmp_path, postgres_url, 2, **bucket.environment) as running:
        media_id = running.server.upload(film())
        held = at_chunk(running, running.workers[0])
        assert running.workers[0].stop() == 0
        (attempt,) = made_of(running, held.task_id, held.piece)
        assert attempt.status == "completed"
        until(lambda: ready(running, media_id), 120)
        rows = attempts.of_task(running.database, held.task_id)
        assert {row.status for row in rows} == {"completed"}
        with running.database.connect() as connection:
            status = sa.select(workers.workers.c.status).where(workers.workers.c.id == held.worker_id)
            assert connection.scalar(status) == "left"


def test_a_worker_that_may_not_wait_hands_over_at_once(bucket: ObjectStore, postgres_url: str, tmp_path: Path) -> None:
    usual = {**bucket.environment, "ANABRANCH_DRAIN_S": "0", "ANABRANCH_LEASE_S": "60"}
    with fleet(tmp_path, postgres_url, 2, **usual) as running:
        media_id = running.server.upload(film())
        held = at_chunk(running, running.workers[0])
        assert running.workers[0].stop() == 0
        until(lambda: ready(running, media_id), 120)
        first, second = made_of(running, held.task_id, held.piece)
        assert (first.status, second.status) == ("interrupted", "completed")
        # Long before anybody could have taken the first for lost.
        assert second.started_at - first.ended_at < 30_000


def test_a_server_that_works_is_a_worker_among_the_others(
    bucket: ObjectStore, postgres_url: str, tmp_path: Path
) -> None:
    running = Fleet(tmp_path, postgres_url, **bucket.environment)
    try:
        running.server.start()
        running.add()
        until(lambda: len(running.living()) == 2, 60)
        media_id = running.server.upload(clips.plain(14, name="pieces.mp4"))
        until(lambda: ready(running, media_id), 60)
        made = [
            row
            for task in tasks.of_media(running.database, media_id)
            for row in attempts.of_task(running.database, task.id)
        ]
        assert {row.worker_id for row in made} == {row.id for row in running.living()}
    finally:
        running.stop()


def test_runs_go_on_without_the_server_that_began_them(bucket: ObjectStore, postgres_url: str, tmp_path: Path) -> None:
    with fleet(tmp_path, postgres_url, 1, **bucket.environment) as running:
        media_id = running.server.upload(clips.plain(14, name="pieces.mp4"))
        until(lambda: tasks.of_media(running.database, media_id), 30)
        running.server.kill()
        until(lambda: ready(running, media_id), 60)
        running.server.start("--no-work")
        assert running.server.get(f"/media/{media_id}")["status"] == "ready"


def test_what_no_worker_can_do_is_said_at_once_and_done_by_the_one_that_can(
    bucket: ObjectStore, postgres_url: str, tmp_path: Path
) -> None:
    lesser = tmp_path / "ffmpeg"
    real = ffmpeg.find().path
    lesser.write_text(
        f'#!/bin/sh\ncase "$*" in *-encoders*) "{real}" "$@" | grep -v svtav1 ;; *) exec "{real}" "$@" ;; esac\n'
    )
    lesser.chmod(0o755)
    usual = {**bucket.environment, "ANABRANCH_FFMPEG": str(lesser)}
    with fleet(tmp_path, postgres_url, 2, **usual) as running:
        media_id = running.server.upload(clips.silent(2, name="little.mp4"))
        until(lambda: ready(running, media_id), 60)
        body = {"input": running.server.get(f"/media/{media_id}")["hlsUrl"], "kind": "image"}
        body["input"] = running.server.get(f"/media/{media_id}")["files"][0]["id"]
        wish = {"file_id": body["input"], "kind": "image", "options": {"format": "avif"}}
        began = time.monotonic()
        task_id = running.server.post("/tasks", wish)["id"]
        failed = until(lambda: _ended(running, task_id), 30)
        assert time.monotonic() - began < 10
        assert failed["status"] == "failed"
        assert "encoder:libsvtav1" in str(failed["error"])
        assert tasks.get(running.database, task_id).error["code"] == "no_capable_worker"  # type: ignore[union-attr,index]
        able = running.add(ANABRANCH_FFMPEG=str(real))
        until(lambda: any(row.pid == able.pid for row in running.living()), 60)
        task_id = running.server.post("/tasks", wish)["id"]
        assert until(lambda: _ended(running, task_id), 60)["status"] == "completed"
        (render,) = made_of(running, task_id, "render")
        assert {row.id for row in running.living() if row.pid == able.pid} == {render.worker_id}


def _ended(running: Fleet, task_id: str) -> Any:
    task = running.server.get(f"/tasks/{task_id}")
    return task if task["status"] in ("completed", "failed") else None


def test_a_worker_without_a_database_that_can_be_shared_says_so(tmp_path: Path) -> None:
    worker = Worker(tmp_path / "home", {}).start()
    assert worker.process is not None
    assert worker.process.wait(30) == 1
    assert "database_not_shared: A worker shares its database with others" in worker.log.read_text()


def test_a_worker_waits_for_a_server_and_for_the_database(
    bucket: ObjectStore, postgres_url: str, tmp_path: Path
) -> None:
    running = Fleet(tmp_path, postgres_url, **bucket.environment)
    try:
        worker = running.add()
        until(lambda: worker.log.exists() and "worker waits" in worker.log.read_text(), 30)
        running.server.start("--no-work")
        media_id = running.server.upload(clips.silent(2, name="little.mp4"))
        until(lambda: ready(running, media_id), 60)
        seen = running.server.get("/overview")["workers"]
        assert sorted(one["slots"] > 0 for one in seen) == [False, True]
    finally:
        running.stop()
