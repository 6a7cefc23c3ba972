"""Migrations: bring a database to the tables of this version. Forward only; what is there is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

if TYPE_CHECKING:
    import sqlalchemy as sa


def upgrade(database: sa.Engine) -> None:
    """Create or change the tables, unless they are as they should be."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    head = ScriptDirectory.from_config(config).get_current_head()
    with database.begin() as connection:
        if database.dialect.name == "sqlite":
            # Two processes that start together must not both create the tables; the driver itself takes the
            # write lock only at the first change of a row.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        if MigrationContext.configure(connection).get_current_revision() != head:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
