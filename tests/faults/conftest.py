"""What tests of faults share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anabranch.storage.opening import open_storage
from tests.faults.invariants import Installation
from tests.fleet.processes import Fleet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import PostgresServer
    from tests.servers import ObjectStore


@pytest.fixture(scope="session")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, moto: ObjectStore
) -> Iterator[Fleet]:
    """A server that does no pieces, and a worker, which share a Postgres and a bucket.

    The worker's clock is as many seconds ahead as the file `shift` in the fleet's folder says.
    """
    folder = tmp_path_factory.mktemp("fleet")
    place = moto.below(folder.name)
    running = Fleet(folder, postgres_server.create(), **place.environment)
    running.program = ("-m", "tests.faults.shifted", str(folder / "shift"))
    try:
        yield running.start(1)
    finally:
        running.stop()


@pytest.fixture
def shared(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """What the fleet holds."""
    for name, value in fleet.settings.items():
        monkeypatch.setenv(name, value)
    endpoint = fleet.settings["ANABRANCH_STORAGE_ENDPOINT"]
    storage = open_storage(fleet.settings["ANABRANCH_STORAGE"], fleet.folder / "unused", endpoint=endpoint)
    homes = [fleet.server.home, *(worker.home for worker in fleet.workers)]
    return Installation(fleet.server, fleet.database, storage, homes)
