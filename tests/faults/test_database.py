"""Database: locked, read-only, damaged, away. What a restart of Postgres does is in `tests/test_database.py`, and to
workers in `tests/fleet/test_chaos.py`."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from anabranch import migrations
from anabranch.api.idempotency import Untold
from anabranch.app import opened
from anabranch.catalog import answers, tables
from anabranch.database import open_database
from anabranch.errors import SetupError
from anabranch.settings import read_settings
from anabranch.storage.files import FileStorage
from tests import clips
from tests.api.served import Server, serving, until
from tests.databases import serving as postgres_serving
from tests.faults.invariants import Installation, check, installed
from tests.faults.test_disk import small_disk
from tests.faults.test_kill import film, when

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2

pytestmark = pytest.mark.slow

LEASE_S = 1
# Longer than the lease, so that no heartbeat gets through.
LOCKED_S = 3


def test_a_database_that_another_process_has_locked_is_waited_for(tmp_path: Path) -> None:
    holder = (
        "import sqlite3, sys, time; database = sqlite3.connect(sys.argv[1], isolation_level=None);"
        f" database.execute('BEGIN IMMEDIATE'); print('held', flush=True); time.sleep({LOCKED_S})"
    )
    with serving(tmp_path / "home", ANABRANCH_LEASE_S=str(LEASE_S)) as server, installed(server) as held:
        media_id = server.upload(film())
        when(held, "first chunk", media_id)
        command = [sys.executable, "-c", holder, str(server.home / "anabranch.db")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as locking:
            assert locking.stdout is not None
            assert locking.stdout.readline() == "held\n"
            # Who reads does not notice, and who writes is answered when it is free.
            assert server.get(f"/media/{media_id}")["status"] == "processing"
            assert locking.poll() is None
            assert server.post("/media", {"title": "Waited"})["status"] == "waiting"
            assert locking.wait(1) == 0
        check(held, media_id)
        assert [row.status for row in held.attempts(media_id, "chunk-0000")] == ["completed"]
        # It was cut off from nobody but itself.
        assert len(held.rows("SELECT 1 FROM workers WHERE status = 'active'")) == 1


def refused(home: Path, **settings: str) -> str:
    """What a server says that does not start."""
    server = Server(home, **settings)
    with pytest.raises(AssertionError):
        server.start()
    assert server.process is not None
    assert server.process.wait(30) == 1
    said = (home / "server.log").read_text()
    assert "Traceback" not in said
    return said


def test_a_database_that_may_not_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        database = open_database(f"sqlite:///{disk / 'a.db'}")
        migrations.upgrade(database)
        database.dispose()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        settings = read_settings(home=tmp_path / "home", database_url=f"sqlite:///{disk / 'a.db'}")
        with pytest.raises(SetupError) as told, opened(settings):
            raise AssertionError
    assert told.value.code == "database_unavailable"


def damaged(path: Path, part: str) -> bytes:
    """A database that was whole until somebody wrote over a page of it, or all but the first, or a table's own."""
    database = open_database(f"sqlite:///{path}")
    migrations.upgrade(database)
    database.dispose()
    with closing(sqlite3.connect(path)) as connection:
        size = int(connection.execute("PRAGMA page_size").fetchone()[0])
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_master WHERE type = 'table'"))
    whole = path.read_bytes()
    first, last = {"beginning": (0, 1), "rest": (1, len(whole) // size)}.get(part) or (roots[part] - 1, roots[part])
    broken = whole[: first * size] + b"\xff" * ((last - first) * size) + whole[last * size :]
    path.write_bytes(broken)
    return broken


@pytest.mark.parametrize("part", ["beginning", "rest"])
def test_a_damaged_database_is_told_at_the_start_and_left_as_it_is(part: str, tmp_path: Path) -> None:
    path = tmp_path / "anabranch.db"
    broken = damaged(path, part)
    with pytest.raises(SetupError) as told, opened(read_settings(home=tmp_path)):
        raise AssertionError
    assert told.value.code == "database_unavailable"
    assert "malformed" in told.value.message or "not a database" in told.value.message
    assert path.read_bytes() == broken


def test_a_server_that_comes_upon_damage_while_it_starts_ends_and_says_so(tmp_path: Path) -> None:
    damaged(tmp_path / "anabranch.db", "media")
    assert "database_failed: The database cannot be read or written: database disk image is malformed." in refused(
        tmp_path
    )


def test_trouble_of_the_database_is_told_as_such(tmp_path: Path) -> None:
    damaged(tmp_path / "anabranch.db", "answers")
    with serving(tmp_path) as server:
        answer = server.api.post("/media", json={"title": "x"}, headers={"idempotency-key": "one"})
        assert (answer.status_code, answer.json()["code"]) == (503, "database_failed")
        assert "malformed" in answer.json()["detail"]
        # The rest is as it was.
        assert server.post("/media", {"title": "x"})["status"] == "waiting"


def test_a_postgres_that_is_away_for_seconds_costs_seconds(tmp_path: Path) -> None:
    with postgres_serving() as postgres:
        url = postgres.create()
        with serving(tmp_path / "home", ANABRANCH_DATABASE_URL=url, ANABRANCH_LEASE_S="2") as server:
            database = open_database(url)
            held = Installation(server, database, FileStorage(server.home / "storage"), [server.home])
            media_id = server.upload(film())
            when(held, "first chunk", media_id)
            postgres.stop()
            answer = server.api.get(f"/media/{media_id}")
            assert (answer.status_code, answer.json()["code"]) == (503, "database_failed")
            assert answer.headers["retry-after"] == "1"
            # Longer than the lease: until the children of this moment have ended, and their ends cannot be noted.
            until(lambda: not server.children(), 60)
            postgres.start()
            check(held, media_id)
            assert [row.status for row in held.attempts(media_id, "chunk-0000")] == ["completed"]
            database.dispose()


def test_a_key_whose_request_failed_while_the_database_was_away_is_free_again(tmp_path: Path) -> None:
    film = clips.plain().read_bytes()
    with postgres_serving() as postgres:
        url = postgres.create()
        with serving(
            tmp_path / "home", ANABRANCH_DATABASE_URL=url, ANABRANCH_MAX_UPLOAD_BYTES=str(len(film))
        ) as server:
            headers = {"content-type": "video/mp4", "idempotency-key": "one"}

            def longer_than_may_be() -> Iterator[bytes]:
                yield film
                until(lambda: _has_claimed(url), 30)
                postgres.stop()
                yield b"more"

            refused = server.api.post("/media", content=longer_than_may_be(), headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
            postgres.start()
            # The same request, as far as can be told before it comes.
            taken = until(lambda: _unless_away(server.api.post("/media", content=iter([film]), headers=headers)), 30)
            assert taken.status_code == 201, taken.text
            again = server.api.post("/media", content=iter([film]), headers=headers)
            assert (again.json()["id"], again.headers["idempotent-replayed"]) == (taken.json()["id"], "true")


def _has_claimed(url: str) -> bool:
    database = open_database(url)
    with database.connect() as connection:
        found = connection.scalar(sa.select(sa.func.count()).select_from(tables.answers))
    database.dispose()
    return bool(found)


def _unless_away(answer: httpx2.Response) -> httpx2.Response | None:
    return None if answer.status_code == 503 else answer


def test_what_a_request_came_to_is_kept_as_soon_as_the_database_is_there_again() -> None:
    with postgres_serving() as postgres:
        database = open_database(postgres.create())
        migrations.upgrade(database)
        answers.claim(database, "me", "key", "same", worker_id="wrk_1", now=7)
        untold = Untold()
        postgres.stop()
        untold.tell(partial(answers.keep, database, "me", "key", 201, {"id": "one"}))
        with pytest.raises(sa.exc.OperationalError):
            untold.tell_all()
        postgres.start()
        # The first connections are those of before.
        until(lambda: _tell(untold), 30)
        earlier, _ = answers.claim(database, "me", "key", "same", worker_id="wrk_2", now=8)
        assert earlier == answers.Answer("same", 201, {"id": "one"})
        database.dispose()


def _tell(untold: Untold) -> bool:
    try:
        untold.tell_all()
    except sa.exc.OperationalError:
        return False
    return True
