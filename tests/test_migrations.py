from __future__ import annotations

import multiprocessing
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from anabranch import migrations, workers
from anabranch.catalog import changes, keys, media, transcripts
from anabranch.catalog import tables as catalog
from anabranch.database import open_database
from anabranch.engine import tables as engine

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier
    from pathlib import Path

# What a database may have had in it before.
WRITTEN = (
    (
        "INSERT INTO media (id, status, source_url, renditions, created_at, updated_at)"
        " VALUES ('med_1', 'ready', 'x', '[]', 1, 1)"
    ),
    (
        "INSERT INTO tasks"
        " (id, media_id, ref, kind, input, options, metadata, status, progress, created_at, updated_at)"
        " VALUES ('task_1', 'med_1', 'poster-image', 'image', 'x', '{\"width\": 2}', '{}', 'completed', 100, 1, 1)"
    ),
    (
        "INSERT INTO attempts (task_id, piece, attempt, status, progress, started_at)"
        " VALUES ('task_1', 'chunk-0', 1, 'completed', 1, 1)"
    ),
    "INSERT INTO events (id, name, data, ts, received_at) VALUES ('e', 'n', '{}', 1, 1)",
    "INSERT INTO runs (id, event_id, function_id, status, created_at) VALUES ('run_1', 'e', 'app-f', 'running', 1)",
)
WRITTEN_SINCE_0002 = (
    "INSERT INTO changes (id, type, media_id, data, created_at) VALUES ('evt_1', 'media.ready', 'med_1', '{}', 1)",
    (
        "INSERT INTO transcripts (task_id, media_id, language, text, segments, created_at)"
        " VALUES ('task_1', 'med_1', 'en', 'Well, hello Café', '[[0, 1.0, 2.0], [6, 2.0, 3.0]]', 1)"
    ),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'a.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


def test_migrating_gives_the_tables_that_the_code_expects(url: str) -> None:
    database = open_database(url)
    migrations.upgrade(database)
    assert _differences(database) == []
    assert _partial_indexes(database) == {
        "ix_runs_open",
        "ix_runs_driver",
        "ix_steps_waiting",
        "ix_deliveries_not_handed_over",
        "ix_work_waiting",
    }
    database.dispose()


def test_the_newest_version_is_the_one_that_the_others_lead_to(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    with database.connect() as connection:
        versions = ScriptDirectory.from_config(migrations.config(connection))
    assert versions.get_heads() == [migrations.NEWEST]
    database.dispose()


def test_a_database_that_is_up_to_date_is_opened_without_what_others_need(tmp_path: Path) -> None:
    """Loading Alembic and psycopg would take a fifth of the time in which a server starts."""
    script = (
        "import sys; from anabranch import migrations; from anabranch.app import open_app; "
        "from anabranch.database import open_database; "
        f"migrations.upgrade(open_database('sqlite:///{tmp_path / 'a.db'}')); "
        "print(sorted({'alembic', 'psycopg'} & sys.modules.keys()))"
    )
    said = [subprocess.check_output([sys.executable, "-c", script], text=True).strip() for _ in range(2)]
    assert said == ["['alembic']", "[]"]


def test_keys_of_before_there_were_scopes_go_on_doing_everything(url: str) -> None:
    database = open_database(url)
    with database.begin() as connection:
        command.upgrade(migrations.config(connection), "0009")
        statement = "INSERT INTO api_keys (id, name, prefix, hash, created_at) VALUES ('key_1', 'old', 'ab_', 'x', 1)"
        connection.exec_driver_sql(statement)
    migrations.upgrade(database)
    with database.begin() as connection:
        # As a process of the version before makes one, which goes on meanwhile.
        connection.exec_driver_sql(statement.replace("key_1", "key_2").replace("'x'", "'y'"))
    found = [(key.scopes, key.requests_per_minute) for key in keys.every(database)]
    assert found == [(["admin"], None)] * 2
    assert keys.all_of(found[0][0]) == keys.SCOPES["admin"]
    database.dispose()


def test_migrating_again_keeps_what_is_there(url: str) -> None:
    database = open_database(url)
    migrations.upgrade(database)
    with database.begin() as connection:
        connection.execute(sa.insert(engine.events).values(id="e", name="n", data={}, ts=1, received_at=1))
    migrations.upgrade(database)
    with database.connect() as connection:
        assert connection.scalar(sa.select(engine.events.c.id)) == "e"
    database.dispose()


def test_tables_of_others_are_left_alone(url: str) -> None:
    database = open_database(url)
    with database.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE workflow_status (workflow_uuid TEXT PRIMARY KEY)")
    migrations.upgrade(database)
    with database.connect() as connection:
        # Raises if a generated migration would change anything.
        command.check(migrations.config(connection))
    assert sa.inspect(database).has_table("workflow_status")
    database.dispose()


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004", "0005"])
def test_what_an_earlier_version_has_written_is_there_after_migrating(url: str, revision: str) -> None:
    database = open_database(url)
    with database.begin() as connection:
        command.upgrade(migrations.config(connection), revision)
        for statement in WRITTEN:
            connection.exec_driver_sql(statement)
        if revision > "0001":
            for statement in WRITTEN_SINCE_0002:
                connection.exec_driver_sql(statement)
    migrations.upgrade(database)
    assert _differences(database) == []
    row = media.get(database, "med_1")
    assert row is not None
    assert (row.status, row.title, row.created_at) == ("ready", None, 1)
    with database.connect() as connection:
        assert connection.scalar(sa.select(catalog.tasks.c.options)) == {"width": 2}
        assert connection.scalar(sa.select(engine.runs.c.function_id)) == "app-f"
    if revision > "0001":
        (hit,) = transcripts.search(database, '"hello cafe"').hits
        assert (hit.media_id, hit.matches[0].start_s) == ("med_1", 2.0)
    before = changes.latest(database)
    assert media.delete(database, "med_1")
    assert changes.latest(database) == before + 1
    database.dispose()


def test_all_text_is_compared_by_its_bytes(postgres: sa.Engine) -> None:
    with postgres.connect() as connection:
        others = connection.execute(
            sa.text(
                "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
                " AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
            )
        )
        assert others.all() == []


@pytest.mark.slow
def test_processes_that_start_together_migrate_once(url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(2)
    starters = [spawn.Process(target=_start, args=(url, together)) for _ in range(2)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert [starter.exitcode for starter in starters] == [0, 0]
    database = open_database(url)
    assert _differences(database) == []
    database.dispose()


def test_a_database_that_is_up_to_date_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    migrations.upgrade(database)
    sa.event.listen(database, "begin", lambda connection: connection.exec_driver_sql("PRAGMA busy_timeout = 0"))
    writer = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    migrations.upgrade(database)
    writer.close()
    database.dispose()


def _start(url: str, together: Barrier) -> None:
    database = open_database(url)
    together.wait(timeout=60)
    migrations.upgrade(database)


def _differences(database: sa.Engine) -> list[object]:
    with database.connect() as connection:
        # The full-text index is a table of SQLite's own making.
        own = {"include_name": lambda name, type_, parents: not str(name).startswith("transcripts_fts")}
        context = MigrationContext.configure(connection, opts=own)
        return list(compare_metadata(context, [catalog.metadata, engine.metadata, workers.metadata]))  # type: ignore[arg-type]


def _partial_indexes(database: sa.Engine) -> set[str | None]:
    inspector = sa.inspect(database)
    option = f"{database.dialect.name}_where"
    return {
        index["name"]
        for table in inspector.get_table_names()
        for index in inspector.get_indexes(table)
        if option in index.get("dialect_options", {})
    }
