"""Several uploads on one machine: who waits for whom."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from anabranch import clock
from anabranch.app import App, open_app, upload
from anabranch.catalog import attempts, media, tables, tasks
from anabranch.settings import Settings
from tests import clips

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def attempts_of(app: App, media_id: str, kind: str) -> list[sa.Row[tuple[object, ...]]]:
    """The attempts at a branch's pieces, in the order they began; none before its task has begun."""
    found = [task for task in tasks.of_media(app.database, media_id) if task.kind == kind]
    return [
        row for task in found for row in attempts.of_task(app.database, task.id) if row.piece not in ("plan", "join")
    ]


async def begun(app: App, media_id: str) -> None:
    """Wait until the upload's first chunk is encoded."""
    while not attempts_of(app, media_id, "adaptive_video"):
        await asyncio.sleep(0.02)


def ended_at(app: App, media_id: str) -> int:
    row = media.get(app.database, media_id)
    assert row is not None
    assert row.status == "ready"
    return row.updated_at


@pytest.mark.slow
async def test_short_uploads_do_not_wait_for_a_long_one_that_came_first(tmp_path: Path) -> None:
    short = [f"med_short{number}" for number in range(3)]
    async with open_app(Settings(home=tmp_path, cpu_slots=1)) as app:
        await upload(app, "med_long", str(clips.silent(30)))
        await begun(app, "med_long")
        for media_id in short:
            await upload(app, media_id, str(clips.silent(4)))
        await app.engine.drained()
        assert max(ended_at(app, media_id) for media_id in short) < ended_at(app, "med_long")
        chunks = attempts_of(app, "med_long", "adaptive_video")
        busy = [row for media_id in short for row in attempts_of(app, media_id, "adaptive_video")] + chunks
        quick = [row for one in short for kind in ("image", "video") for row in attempts_of(app, one, kind)]
        # Posters and previews did not even wait for the one core. One alone may happen to begin between two chunks.
        beside = [row for row in quick if any(other.started_at <= row.started_at < other.ended_at for other in busy)]
        assert len(beside) > len(quick) // 2
        # Of the long one's pieces, only the one that had begun went before the short ones' beginnings.
        beginnings = [attempts_of(app, media_id, "adaptive_video")[0].started_at for media_id in short]
        assert sum(row.started_at < max(beginnings) for row in chunks) <= 3


@pytest.mark.slow
async def test_how_long_an_upload_has_waited_counts_after_a_restart(tmp_path: Path) -> None:
    async with open_app(Settings(home=tmp_path, cpu_slots=1)) as app:
        await upload(app, "med_new", str(clips.silent(20)))
        await begun(app, "med_new")
        await upload(app, "med_old", str(clips.silent(20, name="old.mp4")))
        await begun(app, "med_old")
        with app.database.begin() as connection:
            older = sa.update(tables.tasks).where(tables.tasks.c.media_id == "med_old")
            connection.execute(older.values(created_at=tables.tasks.c.created_at - 3_600_000))
            of_old = sa.select(tables.tasks.c.id).where(tables.tasks.c.media_id == "med_old")
            waiting = sa.update(tables.work).where(tables.work.c.task_id.in_(of_old))
            connection.execute(waiting.values(due_at=tables.work.c.due_at - 3_600_000))
    opened_at = clock.now_ms()
    async with open_app(Settings(home=tmp_path, cpu_slots=1)) as app:
        await app.engine.drained()
        started = {
            media_id: [
                row.started_at for row in attempts_of(app, media_id, "adaptive_video") if row.started_at >= opened_at
            ]
            for media_id in ("med_new", "med_old")
        }
    # The one that begins first may find the core free, before the other run has been taken up.
    assert len(started["med_new"]) > 1
    assert max(started["med_old"]) < started["med_new"][1]
