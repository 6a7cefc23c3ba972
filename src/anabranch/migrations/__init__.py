"""Migrations: bring a database to the tables of this version. Forward only; what is there is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from anabranch import workers
from anabranch.catalog import tables as catalog
from anabranch.engine import tables as engine

if TYPE_CHECKING:
    import sqlalchemy as sa

# All that this version keeps in a database.
METADATA = (catalog.metadata, engine.metadata, workers.metadata)


def upgrade(database: sa.Engine) -> None:
    """Create or change the tables, unless they are as they should be."""
    with database.connect() as connection:
        head = ScriptDirectory.from_config(config(connection)).get_current_head()
        if MigrationContext.configure(connection).get_current_revision() == head:
            return
    with database.begin() as connection:
        _lock(connection)
        # Looks again, under the lock, at what is left to do: another process may have done it.
        command.upgrade(config(connection), "head")


def config(connection: sa.Connection) -> Config:
    """What Alembic's commands need to work on `connection`, without a file."""
    found = Config(attributes={"connection": connection})
    found.set_main_option("script_location", str(Path(__file__).parent))
    return found


def _lock(connection: sa.Connection) -> None:
    # Two processes that start together must not both create the tables. Either lock ends with the transaction.
    if connection.dialect.name == "sqlite":
        # The driver itself takes the write lock only at the first change of a row.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('anabranch migrations'))")
