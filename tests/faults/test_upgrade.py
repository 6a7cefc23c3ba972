"""Upgrade: a database as an earlier version left it when it was killed in the middle of an upload, given to this one.

`releases/` has what `sqlite3 .dump` told of each, made with the code of that time: four branches open, a chunk being
encoded, nothing stored yet. `{SOURCE}` stands for the film. What migrations do to rows that are done is in
`tests/test_migrations.py`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from anabranch.app import open_app
from anabranch.catalog import changes, media, tables, tasks
from anabranch.catalog.branches import BRANCHES
from anabranch.media import conformance
from anabranch.settings import read_settings
from tests import clips

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

RELEASES = sorted((Path(__file__).parent / "releases").glob("*.sql"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.stem)
async def test_work_that_an_earlier_version_began_is_ended_by_this_one(release: Path, tmp_path: Path) -> None:
    dump = release.read_text().replace("{SOURCE}", str(clips.plain(14, name="pieces.mp4")))
    with closing(sqlite3.connect(tmp_path / "anabranch.db")) as old:
        old.executescript(dump)
        (media_id,) = old.execute("SELECT id FROM media WHERE status = 'processing'").fetchone()
        (before,) = old.execute("SELECT count(*) FROM runs WHERE status = 'running'").fetchone()
        done = old.execute("SELECT task_id, piece FROM attempts WHERE status = 'completed'").fetchall()
        assert before > 1
    async with asyncio.timeout(200), open_app(read_settings(home=tmp_path, retry_scale=0.001)) as app:
        await app.engine.drained()
        row = media.get(app.database, media_id)
        assert row is not None
        made = tasks.of_media(app.database, media_id)
        assert (row.status, row.error) == ("ready", None), [(task.ref, task.error) for task in made]
        assert Counter(task.ref for task in made) == {branch.step_id: 1 for branch in BRANCHES}
        told = Counter(change.type for change in changes.since(app.database, 0, media_id=media_id, limit=1000))
        assert told["media.ready"] == 1
        assert row.hls_url is not None
        found = conformance.check(row.hls_url, conformance.fetcher(row.hls_url))
        assert [finding for finding in found if finding.severity == "error"] == []
        with app.database.connect() as connection:
            counted = sa.select(tables.attempts.c.task_id, tables.attempts.c.piece, sa.func.count())
            counted = counted.where(tables.attempts.c.status == "completed").group_by(*counted.selected_columns[:2])
            times = {(task_id, piece): count for task_id, piece, count in connection.execute(counted)}
        # What was done then was not done again, and the rest once.
        assert set(times.values()) == {1}
        assert set(done) <= set(times)
