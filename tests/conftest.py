"""What all tests share."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from anabranch import wakeups
from anabranch.database import open_database
from anabranch.storage.files import FileStorage
from tests import servers
from tests.databases import migrate, put_migrated, serving
from tests.servers import Closed
from tests.tasks.runner import desks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import sqlalchemy as sa

    from anabranch.tasks.desk import Desk
    from tests.databases import PostgresServer
    from tests.servers import ObjectStore

# Tests start hundreds of processes. Where this is set, each of them would compile anew all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


# For what is opened in the tests' own process, and for each process that they start. The other servers of the tests are
# at this address, and 127.0.0.2 stands for whatever else is in a private network.
os.environ["ANABRANCH_PRIVATE_NETWORKS"] = "127.0.0.1/32"
os.environ["ANABRANCH_SOURCE_FOLDERS"] = "/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What may take longest begins first: nobody waits for it at the end."""

    def allowed_s(item: pytest.Item) -> float:
        mark = item.get_closest_marker("timeout")
        return float(mark.args[0]) if mark else 0.0

    items.sort(key=allowed_s, reverse=True)


@pytest.fixture(autouse=True)
def _log_as_usual() -> Iterator[None]:
    """A command that a test has run here has logs written to what is closed by now."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches past this machine, not even by accident."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(("127.", "::1")):
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def httpserver_listen_address() -> tuple[str, int]:
    """By number: a bare machine may not know the name localhost."""
    return ("127.0.0.1", 0)


@pytest.fixture
def closed() -> Iterator[Closed]:
    """A server that nobody may connect to."""
    made = Closed()
    yield made
    made.close()


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A bucket in a server that knows nearly all of S3; tests use a prefix of their own in it."""
    with servers.moto(tmp_path_factory.mktemp("moto") / "log") as running:
        yield running


@pytest.fixture(scope="session")
def nanio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A bucket in a server that checks signatures; tests use a prefix of their own in it."""
    with servers.nanio(tmp_path_factory.mktemp("nanio")) as running:
        yield running


@pytest.fixture
def storage(tmp_path: Path) -> FileStorage:
    """An empty folder as storage."""
    return FileStorage(tmp_path / "storage")


@pytest.fixture
def make_desk(tmp_path: Path, storage: FileStorage) -> Callable[..., Desk]:
    """Makes a desk with a source on it."""
    return desks(tmp_path, storage)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the tests of this process. It starts when one of them asks for it."""
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> str:
    """The name of a database with all tables."""
    return migrate(postgres_server)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of an empty database on PostgreSQL."""
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


@pytest.fixture
def migrated_postgres(postgres_server: PostgresServer, migrated_template: str) -> Iterator[str]:
    """The address of a database on PostgreSQL with all tables and no rows."""
    url = postgres_server.create(migrated_template)
    yield url
    postgres_server.drop(url)


@pytest.fixture
def postgres(migrated_postgres: str) -> Iterator[sa.Engine]:
    """A database on PostgreSQL with all tables and no rows, open."""
    opened = open_database(migrated_postgres)
    yield opened
    opened.dispose()


@pytest.fixture
def _short_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever listens to Postgres notices sooner that it is to end."""
    monkeypatch.setattr(wakeups, "_LISTEN_FOR_S", 0.05)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database with all tables and no rows, on each of the two."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("migrated_postgres")
        return url
    return put_migrated(tmp_path / "anabranch.db")


@pytest.fixture
def database(database_url: str) -> Iterator[sa.Engine]:
    """A database with all tables and no rows, open, on each of the two."""
    opened = open_database(database_url)
    yield opened
    opened.dispose()
