"""Database: opens SQLite or Postgres so that both keep the same promises. The dialects differ in this file only."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeDecorator

from anabranch import clock
from anabranch.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_log = structlog.get_logger(__name__)

# Over which processes notify each other.
CHANNEL = "anabranch"
# For how long work waits for a database that restarts, before it gives up.
_PATIENCE_S = 120.0
_LONGEST_WAIT_S = 5.0

# The same on every database, so that a later migration can name what it changes.
CONSTRAINT_NAMES = {
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
}


class Timestamp(TypeDecorator[int]):
    """Unix milliseconds in a 64-bit integer, the same on every database."""

    impl = sa.BigInteger
    cache_ok = True


def open_database(url: str) -> sa.Engine:
    """An engine for `url`, with SQLite set up for many readers and one writer.

    Raises:
        SetupError: `database_unavailable` when it cannot be opened.
    """
    try:
        engine = sa.create_engine(url, pool_size=16, max_overflow=16, pool_pre_ping=not url.startswith("sqlite"))
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _prepare_sqlite)
        with engine.connect():
            pass
    except sa.exc.SQLAlchemyError as error:
        raise SetupError(
            "database_unavailable",
            f"The database {sa.make_url(url).render_as_string(hide_password=True)} cannot be opened: {error}.",
            "Check that its folder exists and is writable, or set ANABRANCH_DATABASE_URL.",
        ) from error
    return engine


def insert_once(database: sa.Engine, table: sa.Table) -> Any:
    """An INSERT that leaves a row alone that is there already; its `rowcount` says whether it was new."""
    dialect = postgresql if database.dialect.name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # "IMMEDIATE" takes the write lock at the start; upgrading from a read lock later could fail half way.
    connection.isolation_level = "IMMEDIATE"
    connection.execute("PRAGMA busy_timeout = 30000")
    # A reader never waits for the writer, and a run costs half the time of the rollback journal.
    connection.execute("PRAGMA journal_mode = WAL")
    # Survives a killed process; only a power cut may undo the last moments. The event log asks for more.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    # SQLite's own knows the English letters only; Postgres knows them all.
    connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def now_ms(connection: sa.Connection) -> int:
    """The time by which processes judge each other, Unix milliseconds: the server's, for clocks of machines differ."""
    if connection.dialect.name != "postgresql":
        return clock.now_ms()
    return int(connection.scalar(sa.text("SELECT extract(epoch FROM clock_timestamp()) * 1000")))


def notify(connection: sa.Connection, key: str | tuple[str, ...]) -> None:
    """Wake what waits for `key` in other processes, when the caller's transaction is committed."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_notify(:channel, :key)"), {"channel": CHANNEL, "key": json.dumps(key)})


def persist(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do something with the database, again and again while it is away. Only what may be done twice."""
    deadline = time.monotonic() + _PATIENCE_S
    wait_s = 0.1
    while True:
        try:
            return work(*args, **kwargs)
        except sa.exc.DBAPIError as error:
            if not is_transient(error) or time.monotonic() > deadline:
                raise
            _log.warning("database is away", error=str(error.orig)[:200], again_in_s=wait_s)
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def is_transient(error: BaseException) -> bool:
    """Whether the same may succeed in a moment: the connection was lost, the server restarts, or two were in a knot."""
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if error.connection_invalidated or (state or "").startswith(("08", "57P", "40", "55P03")):
        return True
    return state is None and isinstance(error, sa.exc.OperationalError) and "sqlite" not in type(error.orig).__module__
