"""Moving a real installation to a real Postgres, and back."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from anabranch.cli import cli
from anabranch.errors import SetupError
from anabranch.ownership import own_home
from tests import clips
from tests.api.served import anyone, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.api.served import Server
    from tests.moving.conftest import Installation

Json = Any

pytestmark = pytest.mark.slow
PART = {"tus-resumable": "1.0.0", "upload-offset": "1000", "content-type": "application/offset+octet-stream"}


def move(home: Path, database: str, storage: Path, *more: str, code: int = 0, **settings: str) -> Json:
    """What the command prints when it is given for a home folder."""
    arguments = ["migrate-data", "--to-database", database, "--to-storage", str(storage), "--json", *more]
    done = CliRunner().invoke(cli, arguments, env={"ANABRANCH_HOME": str(home), **settings})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def refused(home: Path, database: str, storage: Path | str, *more: str) -> str:
    """The code of the error with which the command ends."""
    arguments = ["migrate-data", "--to-database", database, "--to-storage", str(storage), *more]
    done = CliRunner().invoke(cli, arguments, env={"ANABRANCH_HOME": str(home)})
    return str(getattr(done.exception, "code", None))


def sqlite(home: Path) -> str:
    return f"sqlite:///{home / 'anabranch.db'}"


def bytes_of(folder: Path) -> dict[str, str]:
    """SHA-256 of every file."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def rows_of(url: str, table: str) -> list[Any]:
    database = sa.create_engine(url)
    with database.connect() as connection:
        found = [tuple(row) for row in connection.execute(sa.text(f"SELECT * FROM {table}"))]
    database.dispose()
    return found


def unsigned(answer: Json) -> Json:
    """An answer without the time at which it was given, which what signs its addresses has in it too."""
    told = {**answer, "now": 0} if isinstance(answer, dict) else answer
    return json.loads(re.sub(r"/signed/[^/]+/", "/signed/", json.dumps(told)))


def check_answers(server: Server, made: Installation, *, search: bool) -> None:
    for path, answer in made.answers.items():
        if search or "?q=" not in path:
            assert unsigned(server.get(path)) == unsigned(answer), path


def test_what_was_moved_answers_as_before_and_goes_on_where_it_was(
    installation: Installation, postgres: str, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    report = move(installation.home, postgres, new / "storage")
    assert report["equal"]
    assert {one["table"]: one["source"]["rows"] for one in report["tables"]}["media"] == 2
    assert bytes_of(new / "storage") == bytes_of(installation.home / "storage")
    # Unfinished uploads are of the home folder, which stays the same but for the storage in it.
    shutil.copytree(installation.home / "uploads", new / "uploads")
    server = installation.again(new, postgres).start()
    try:
        check_answers(server, installation, search=False)
        assert anyone.get(installation.link).status_code == 200
        assert server.task(installation.open_task, "completed", "failed")["status"] == "completed"
        ended = server.api.patch(installation.upload, content=installation.half, headers=PART)
        assert ended.status_code == 204, ended.text
        media_id = next(row["id"] for row in server.get("/media") if f"/media/{row['id']}" not in installation.answers)
        assert server.media(media_id, "ready", "degraded", "failed")["status"] == "ready"
    finally:
        server.stop()
    # It has been used: moving the old one again would undo that.
    assert refused(installation.home, postgres, new / "storage") == "target_in_use"
    # And from there to SQLite, where the search is built again.
    back = tmp_path / "back"
    from_there = ("--from-database", postgres, "--from-storage", str(new / "storage"))
    assert move(new, sqlite(back), back / "storage", *from_there)["equal"]
    server = installation.again(back).start()
    try:
        assert {row["id"] for row in server.get("/media?q=times")} >= {
            row["id"] for row in installation.answers["/media?q=times"]
        }
        assert len(server.get("/search?q=best+of+times")["hits"]) >= 1
        before = max(row[0] for row in rows_of(postgres, "changes"))
        server.upload(clips.no_index())
        assert max(row[0] for row in rows_of(sqlite(back), "changes")) > before
    finally:
        server.stop()
    here, there = bytes_of(new / "storage"), bytes_of(back / "storage")
    assert {key: there[key] for key in here} == here


def test_killed_at_any_moment_it_goes_on_when_it_is_started_again(
    installation: Installation, postgres: str, tmp_path: Path
) -> None:
    events = [{"id": f"many.{number}", "data": json.dumps({"n": "x" * 500})} for number in range(3000)]
    database = sa.create_engine(sqlite(installation.home))
    with database.begin() as connection:
        insert = "INSERT INTO events (id, name, data, ts, received_at) VALUES (:id, 'many', :data, 1, 1)"
        connection.execute(sa.text(insert), events)
    database.dispose()
    chance = random.Random(20261125)
    reached = []
    for number, stage in enumerate(("objects", "rows", "rows")):
        arguments = ["--to-database", postgres, "--to-storage", str(tmp_path / "there")]
        running = subprocess.Popen(
            [sys.executable, "-m", "anabranch", "migrate-data", *arguments],
            env={"ANABRANCH_HOME": str(installation.home), "PYTHONPATH": ":".join(sys.path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith(stage):
                break
        if number < 2:
            time.sleep(chance.uniform(0, 0.3))
        else:
            # In the middle of a table.
            until(lambda: len(rows_of(postgres, "events")) >= 500, 90)
        running.kill()
        reached.append(running.wait(60))
        running.stderr.close()
    assert reached == [-9, -9, -9]
    report = move(installation.home, postgres, tmp_path / "there")
    assert report["equal"]
    assert bytes_of(tmp_path / "there") == bytes_of(installation.home / "storage")
    again = move(installation.home, postgres, tmp_path / "there")
    assert (again["equal"], again["objects"]["copied"], again["objects"]["removed"]) == (True, 0, 0)


def test_what_changed_and_what_went_between_two_runs_changes_and_goes_at_the_target(
    installation: Installation, postgres: str, tmp_path: Path, changed: Callable[..., None]
) -> None:
    here, there = sqlite(installation.home), tmp_path / "there"
    move(installation.home, postgres, there)
    storage = installation.home / "storage"
    playlist = next(storage.rglob("*.m3u8"))
    poster = next(storage.rglob("*.jpg"), None) or next(storage.rglob("*.webp"))
    written = playlist.read_bytes()[:-2] + b"#\n"
    playlist.unlink()
    playlist.write_bytes(written)
    changed(here, "DELETE FROM files WHERE key = :key", key=str(poster.relative_to(storage)))
    poster.unlink()
    changed(here, "UPDATE media SET title = 'another' WHERE status = 'ready'")
    changed(here, "DELETE FROM media WHERE status <> 'ready'")
    changed(here, "DELETE FROM tasks WHERE status = 'cancelled'")
    # What is unique has another row now, and the number of the newest change is not given again.
    numbers = sorted(row[0] for row in rows_of(here, "changes"))
    first, second = numbers[:2]
    ids = {row[0]: row[1] for row in rows_of(here, "changes")}
    changed(here, "UPDATE changes SET id = 'x' WHERE number = :number", number=first)
    changed(here, "UPDATE changes SET id = :id WHERE number = :number", id=ids[first], number=second)
    changed(here, "DELETE FROM changes WHERE number = :number", number=numbers[-1])
    report = move(installation.home, postgres, there)
    assert (report["equal"], report["objects"]["copied"], report["objects"]["removed"]) == (True, 1, 1)
    assert bytes_of(there) == bytes_of(storage)
    assert [row[1] for row in rows_of(postgres, "media")] == ["ready"]
    insert = "INSERT INTO changes (id, type, data, created_at) VALUES ('new', 'media.ready', '{}', 1)"
    changed(postgres, insert)
    assert {row[1]: row[0] for row in rows_of(postgres, "changes")}["new"] == numbers[-1] + 1


def test_a_missing_object_is_told_and_the_rest_is_moved(
    installation: Installation, postgres: str, tmp_path: Path
) -> None:
    storage = installation.home / "storage"
    segment = next(storage.rglob("*.m4s"))
    segment.unlink()
    source = next(path for path in (storage / "sources").rglob("*") if path.is_file())
    source.unlink()
    missing = {str(path.relative_to(storage)) for path in (segment, source)}
    report = move(installation.home, postgres, tmp_path / "there", code=1)
    assert set(report["objects"]["missing"]) == missing
    assert not report["equal"]
    assert all(one["equal"] for one in report["tables"])
    assert bytes_of(tmp_path / "there") == bytes_of(storage)


def test_a_place_that_holds_something_else_is_refused_and_left_as_it_is(
    installation: Installation, postgres: str, tmp_path: Path, changed: Callable[..., None]
) -> None:
    here, there = sqlite(installation.home), tmp_path / "there"
    # Onto itself.
    assert refused(installation.home, here, installation.home / "storage") == "target_not_empty"
    # A storage with something in it.
    (tmp_path / "full" / "media").mkdir(parents=True)
    (tmp_path / "full" / "media" / "other.mp4").write_bytes(b"theirs")
    assert refused(installation.home, postgres, tmp_path / "full") == "target_not_empty"
    assert refused(installation.home, postgres, tmp_path / "full", "--dry-run") == "target_not_empty"
    move(installation.home, postgres, there)
    before = rows_of(postgres, "media")
    # Another installation: the same rows, and another name.
    other = tmp_path / "other"
    shutil.copytree(installation.home, other)
    changed(sqlite(other), "UPDATE secrets SET value = 'other' WHERE name = 'installation_id'")
    assert refused(other, postgres, there) == "target_not_empty"
    # One in whose place nothing is, and a store that nobody can open.
    assert refused(tmp_path / "nothing", postgres, there) == "database_unavailable"
    assert refused(installation.home, postgres, "ftp://there") == "invalid_option"
    assert rows_of(postgres, "media") == before


def test_nothing_is_moved_while_a_server_works_in_the_home_folder(installation: Installation, tmp_path: Path) -> None:
    # As a server does.
    with own_home(installation.home):
        assert refused(installation.home, sqlite(tmp_path), tmp_path / "there") == "home_in_use"
    assert not (tmp_path / "there").exists()
    assert not (tmp_path / "anabranch.db").exists()


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(
    installation: Installation, postgres: str, tmp_path: Path
) -> None:
    home = installation.home
    before = (bytes_of(home / "storage"), rows_of(sqlite(home), "secrets"))
    report = move(home, postgres, tmp_path / "there", "--dry-run")
    assert report["dryRun"]
    assert report["rows"]["media"] == 2
    held = report["objects"]["source"]
    assert held["count"] == len(before[0]) == report["objects"]["copied"]
    assert held["bytes"] == sum(path.stat().st_size for path in (home / "storage").rglob("*") if path.is_file())
    move(home, f"sqlite:///{tmp_path / 'none.db'}", tmp_path / "there", "--dry-run")
    assert not (tmp_path / "none.db").exists()
    assert not (tmp_path / "there").exists()
    assert (bytes_of(home / "storage"), rows_of(sqlite(home), "secrets")) == before
    database = sa.create_engine(postgres)
    assert sa.inspect(database).get_table_names() == []
    database.dispose()


def test_what_postgres_does_not_keep_is_replaced_and_counted(
    installation: Installation, postgres: str, tmp_path: Path, changed: Callable[..., None]
) -> None:
    here = sqlite(installation.home)
    insert = "INSERT INTO events (id, name, data, ts, received_at) VALUES (:id, 'odd', :data, 1, 1)"
    odd = r'{"a\u0000": ["b\u0000", "\ud83d", "\ud83c\udfac", NaN, -Infinity, 1.50], "z": 1, "a": "NaN"}'
    for id_ in ("odd\0b", "odd", "odd\N{GREEK SMALL LETTER ALPHA}", "odda"):
        changed(here, insert, id=id_, data=odd)
    changed(here, "UPDATE media SET title = :title", title="a\0b")
    changed(here, "UPDATE runs SET output = '5' WHERE status = 'completed'")
    for _ in range(2):
        report = move(installation.home, postgres, tmp_path / "there")
        assert report["equal"]
        replaced = {one["table"]: one["replaced"] for one in report["tables"] if one["replaced"]}
        assert (replaced["events"], replaced["media"]) == (4 * 5 + 1, 2)
    database = sa.create_engine(postgres)
    with database.connect() as connection:
        ids = set(connection.scalars(sa.text("SELECT id FROM events WHERE name = 'odd'")))
        assert ids == {"odd\ufffdb", "odd", "odd\N{GREEK SMALL LETTER ALPHA}", "odda"}
        kept = connection.scalar(sa.text("SELECT data FROM events WHERE id = 'odd'"))
        assert kept == {"a\ufffd": ["b\ufffd", "\ufffd", "\U0001f3ac", None, None, 1.5], "z": 1, "a": "NaN"}
        assert set(connection.scalars(sa.text("SELECT title FROM media"))) == {"a\ufffdb"}
    database.dispose()


def test_a_row_that_the_new_database_refuses_is_named(
    installation: Installation, postgres: str, tmp_path: Path
) -> None:
    # SQLite keeps what refers to nothing, if somebody writes it with another tool.
    with sqlite3.connect(installation.home / "anabranch.db") as connection:
        connection.execute("INSERT INTO plans (task_id, pieces, probe) VALUES ('task_gone', '[]', '{}')")
    connection.close()
    arguments = ["migrate-data", "--to-database", postgres, "--to-storage", str(tmp_path / "there")]
    done = CliRunner().invoke(cli, arguments, env={"ANABRANCH_HOME": str(installation.home)})
    assert isinstance(done.exception, SetupError)
    assert done.exception.code == "row_refused"
    assert "plans" in done.exception.message


def test_file_addresses_lead_to_the_new_place(tmp_path: Path) -> None:
    """What was made without a server has them."""
    made = tmp_path / "film"
    done = CliRunner().invoke(cli, ["run", str(clips.no_audio()), "-o", str(made), "--json"])
    assert done.exit_code == 0, done.output
    home = made / ".anabranch"
    new = tmp_path / "new"
    move(home, sqlite(new), new / "storage")
    (row,) = rows_of(sqlite(new), "media")
    addresses = [value for value in row if isinstance(value, str) and value.startswith("file://")]
    assert len(addresses) >= 3
    for address in addresses:
        path = Path(address.removeprefix("file://"))
        assert path.is_relative_to(new / "storage")
        assert path.is_file()
    # Whatever the row, and however deep.
    old = (home / "storage").as_uri()
    for table in ("media", "tasks", "attempts", "changes", "steps", "runs"):
        assert old not in str(rows_of(sqlite(new), table)), table
    # Behind a server they are the server's.
    move(
        home, sqlite(tmp_path / "served"), tmp_path / "served" / "storage", ANABRANCH_BASE_URL="https://films.example/"
    )
    (row,) = rows_of(sqlite(tmp_path / "served"), "media")
    assert [value for value in row if str(value).startswith("https://films.example/outputs/media/")]
    assert "file:///" not in str(row[3:])
