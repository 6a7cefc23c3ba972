"""Processes: a server and workers that share a PostgreSQL and an object store, each to be killed, frozen and thawed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from anabranch import workers
from anabranch.database import open_database
from tests.api.served import FAST, Server, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import sqlalchemy as sa

Json = Any


class Worker:
    """`anabranch worker` with a home folder of its own."""

    def __init__(self, home: Path, settings: dict[str, str], *arguments: str) -> None:
        self.home = home
        self._settings = settings
        self._arguments = arguments
        # What python is given before the arguments; a test may put something of its own around the command.
        self.program: tuple[str, ...] = ("-m", "anabranch")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Worker:
        """Start it; again in the same home after it has ended."""
        self.home.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **self._settings, "ANABRANCH_HOME": str(self.home)}
        with self.log.open("ab") as log:
            command = [sys.executable, *self.program, "worker", *self._arguments]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        return self

    @property
    def log(self) -> Path:
        """What it says."""
        return self.home / "worker.log"

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """As suddenly as can be; what it had started dies with it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on as if nothing had happened."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> int:
        """Tell it to stop, and return what it came to."""
        if self.process is None or self.process.poll() is not None:
            return 0
        self.thaw()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(90)


class Fleet:
    """What shares a database and a storage.

    Args:
        folder: for the homes.
        database_url: of an empty database.
        settings: of the storage, and others, for all of them.
    """

    def __init__(self, folder: Path, database_url: str, **settings: str) -> None:
        self.folder = folder
        self.settings = {
            "ANABRANCH_DATABASE_URL": database_url,
            "ANABRANCH_RETRY_SCALE": "0.01",
            "ANABRANCH_LEASE_S": "4",
            **FAST,
            **settings,
        }
        self.database = open_database(database_url)
        self.server = Server(folder / "server", **self.settings)
        # What python is given before the arguments of a worker.
        self.program: tuple[str, ...] = ("-m", "anabranch")
        self.workers: list[Worker] = []

    def start(self, workers: int, *arguments: str) -> Fleet:
        """Start the server, which does no pieces, and so many workers."""
        self.server.start("--no-work", *arguments)
        for _ in range(workers):
            self.add()
        until(lambda: len(self.living()) >= workers + 1, 60)
        return self

    def add(self, **settings: str) -> Worker:
        """One more worker."""
        home = self.folder / f"worker-{len(self.workers)}"
        worker = Worker(home, {**self.settings, **settings})
        worker.program = self.program
        self.workers.append(worker.start())
        return worker

    def living(self) -> list[sa.Row[Any]]:
        """The rows of those that live."""
        return workers.every(self.database)

    def stop(self) -> None:
        """End all of them."""
        for worker in self.workers:
            worker.stop()
        self.server.stop()
        self.database.dispose()


@contextmanager
def fleet(folder: Path, database_url: str, workers: int, **settings: str) -> Iterator[Fleet]:
    """A server and workers, which are ended whatever happens."""
    made = Fleet(folder, database_url, **settings)
    try:
        yield made.start(workers)
    finally:
        made.stop()
