"""What all tests share."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from anabranch.storage.files import FileStorage
from tests import servers
from tests.tasks.runner import desks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from anabranch.tasks.desk import Desk
    from tests.servers import ObjectStore


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
