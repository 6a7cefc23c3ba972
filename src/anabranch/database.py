"""Database: opens SQLite or Postgres so that both keep the same promises. The dialects differ in this file only."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeDecorator

from anabranch.errors import SetupError

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
    # Of an INSERT, psycopg's count is gone by the time it is asked for unless it is kept.
    return dialect.insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


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
