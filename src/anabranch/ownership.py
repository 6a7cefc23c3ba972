"""Ownership: a home folder and a SQLite file each belong to one process at a time.

The lock is the operating system's, on a file beside: it ends with the process, however that ends.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from anabranch.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa


@contextmanager
def own_home(home: Path) -> Iterator[None]:
    """Hold the home folder for this process alone: a second one would drive the same runs.

    Raises:
        SetupError: `home_unwritable` or `home_in_use`.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "lock").open("a+")
    except OSError as error:
        raise SetupError(
            "home_unwritable",
            f"The folder {home} cannot be written: {error.strerror}.",
            "Choose another one, or correct its permissions.",
        ) from error
    with lock:
        if holder := _held_by(lock):
            raise SetupError(
                "home_in_use",
                f"Process {holder} works in {home} already.",
                "Wait for it, stop it, or choose another folder.",
            )
        yield


@contextmanager
def own_file(database: sa.Engine) -> Iterator[None]:
    """Hold a SQLite file for this process alone, from whichever home folder: processes that share one do not hear of
    each other. A Postgres is for everybody.

    Raises:
        SetupError: `database_unavailable` or `database_in_use`.
    """
    path = database.url.database
    if database.dialect.name != "sqlite" or not path or path == ":memory:":
        yield
        return
    resolved = Path(path).resolve()
    try:
        lock = (resolved.parent / f"{resolved.name}.lock").open("a+")
    except OSError as error:
        raise SetupError(
            "database_unavailable",
            f"The folder of the database {path} cannot be written: {error.strerror}.",
            "Correct its permissions, or set ANABRANCH_DATABASE_URL.",
        ) from error
    with lock:
        if holder := _held_by(lock):
            raise SetupError(
                "database_in_use",
                f"Process {holder} works on the database {path} already.",
                "Stop it, or set ANABRANCH_DATABASE_URL to a PostgreSQL, which several may share.",
            )
        yield


def _held_by(lock: IO[str]) -> str | None:
    """The process that holds a lock; None, and this one holds it until it is closed, when there was none."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        return lock.read().strip() or "unknown"
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return None
