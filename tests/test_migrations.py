from __future__ import annotations

from typing import TYPE_CHECKING

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from anabranch import migrations
from anabranch.catalog import tables as catalog
from anabranch.database import open_database
from anabranch.engine import tables as engine

if TYPE_CHECKING:
    from pathlib import Path


def test_migrating_gives_the_tables_that_the_code_expects(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    migrations.upgrade(database)
    migrations.upgrade(database)
    with database.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, [catalog.metadata, engine.metadata]) == []  # type: ignore[arg-type]
