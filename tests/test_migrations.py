from __future__ import annotations

import multiprocessing
import sqlite3
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from anabranch import migrations
from anabranch.catalog import tables as catalog
from anabranch.database import open_database
from anabranch.engine import tables as engine

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier
    from pathlib import Path


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
    assert _partial_indexes(database) == {"ix_runs_open", "ix_steps_waiting", "ix_deliveries_not_handed_over"}
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
        return list(compare_metadata(context, [catalog.metadata, engine.metadata]))  # type: ignore[arg-type]


def _partial_indexes(database: sa.Engine) -> set[str | None]:
    inspector = sa.inspect(database)
    option = f"{database.dialect.name}_where"
    return {
        index["name"]
        for table in inspector.get_table_names()
        for index in inspector.get_indexes(table)
        if option in index.get("dialect_options", {})
    }
