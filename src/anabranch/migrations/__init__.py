"""Migrations: bring a database to the tables of this version. Forward only; what is there is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from anabranch import workers
from anabranch.catalog import tables as catalog
from anabranch.database import order_by_bytes, serialize, wait_for_ever, words
from anabranch.engine import tables as engine
from anabranch.errors import SetupError

if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER = Path(__file__).parent
# Each version is a file, named by its revision.
NEWEST = max(path.name for path in (_FOLDER / "versions").glob("[0-9]*.py")).partition("_")[0]
# All that this version keeps in a database.
METADATA = (catalog.metadata, engine.metadata, workers.metadata)
# Those of this project; a database may have others.
TABLES = frozenset(name for metadata in METADATA for name in metadata.tables)


def upgrade(database: sa.Engine) -> None:
    """Create or change the tables, unless they are as they should be.

    Raises:
        SetupError: `database_unavailable`, it cannot be read, or not be changed.
    """
    try:
        _upgrade(database)
    except sa.exc.DatabaseError as error:
        raise SetupError(
            "database_unavailable",
            f"The database cannot be brought to the tables of this version: {words(error)}.",
            "Nothing was changed. One that is damaged is restored from a backup; else see to its role, disk or lock.",
        ) from error


def _upgrade(database: sa.Engine) -> None:
    with database.connect() as connection:
        if _revision(connection) == NEWEST:
            return
    # Only now: loading it, and all versions, would take a tenth of each start.
    from alembic import command

    with database.begin() as connection:
        # Two processes that start together must not both create the tables.
        wait_for_ever(connection)
        serialize(connection, "migrations")
        # Looks again, under the lock, at what is left to do: another process may have done it.
        command.upgrade(config(connection), "head")
        order_by_bytes(connection, TABLES)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return found


def config(connection: sa.Connection) -> Config:
    """What Alembic's commands need to work on `connection`, without a file."""
    from alembic.config import Config

    found = Config(attributes={"connection": connection})
    found.set_main_option("script_location", str(_FOLDER))
    return found
