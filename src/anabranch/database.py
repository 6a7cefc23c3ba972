"""Database: opens SQLite or Postgres so that both keep the same promises. The dialects differ in this file only.

Search differs too, in `catalog/fulltext.py`, and the migrations of its index.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeDecorator

from anabranch import clock
from anabranch.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy.sql.compiler import SQLCompiler

P = ParamSpec("P")
T = TypeVar("T")

_log = structlog.get_logger(__name__)

# Over which processes notify each other.
CHANNEL = "anabranch"
# For how long work waits for a database that restarts, before it gives up.
_PATIENCE_S = 120.0
_LONGEST_WAIT_S = 5.0
_leaving = threading.Event()

Json = Any

# The same on every database, so that a later migration can name what it changes.
CONSTRAINT_NAMES = {
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
}

# Numbers that a database gives. SQLite counts in 64 bits only where it is told INTEGER.
Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# As long as SQLite is told to wait for its writer. Whoever waits longer than this waits for somebody who is stuck.
_LOCK_TIMEOUT_MS = 30_000
CONNECTING: dict[str, Any] = {
    "application_name": "anabranch",
    "connect_timeout": 10,
    # A server that vanished without a word is noticed within a minute, also by who only listens.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
    # A process that stops in the middle of a transaction must not keep its locks.
    "options": f"-c lock_timeout={_LOCK_TIMEOUT_MS} -c statement_timeout=300000"
    " -c idle_in_transaction_session_timeout=15000",
}
# SQLSTATEs after which the same may well succeed: the connection was lost, the transaction lost a race, the server
# shuts down, starts, changes places with its standby, or is full of connections.
_TRANSIENT = re.compile(r"08...|40...|25006|25P03|53300|55P03|57P0[1-5]")
_SQLITE_BUSY, _SQLITE_LOCKED = 5, 6
# After which somebody has to see to the machine: no resources, a system error, damaged data; on SQLite READONLY, IOERR,
# CORRUPT, FULL, CANTOPEN and NOTADB.
_TROUBLE = re.compile(r"53...|58...|XX00[12]")
_SQLITE_TROUBLE = frozenset((8, 10, 11, 13, 14, 26))
# Which small letter belongs to a capital must not depend on the database's own order, which may know English alone.
# What Postgres has for that: from 17 on, with ICU, with the C library. The last is the database's own.
_KNOW_LETTERS = ("pg_c_utf8", "und-x-icu", "C.utf8", "en_US.utf8", "default")
# What Postgres takes in no text.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Timestamp(TypeDecorator[int]):
    """Unix milliseconds in a 64-bit integer, the same on every database."""

    impl = sa.BigInteger
    cache_ok = True


@dataclass(frozen=True)
class Facts:
    """What a database is.

    Attributes:
        name: of the product, with its version.
        details: encoding and order, and where it is.
        can_create: whether tables can be made in it.
        round_trip_ms: how long a question takes.
    """

    name: str
    details: str
    can_create: bool
    round_trip_ms: float


def open_database(url: str) -> sa.Engine:
    """An engine for `url`, set up for many readers and, on SQLite, one writer.

    Args:
        url: `sqlite:///…`, or `postgresql://…`, for which `postgres://…` will do.

    Raises:
        SetupError: `database_unavailable` when it cannot be opened.
    """
    shown = "ANABRANCH_DATABASE_URL"
    try:
        address = _address(url)
        shown = _shown(address)
        # What is written may be a secret, and what goes wrong ends in logs.
        engine = sa.create_engine(address, json_serializer=_to_json, hide_parameters=True, **_options(address))
        event.listen(engine, "before_cursor_execute", _clean, retval=True)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _prepare_sqlite)
        with engine.connect() as connection:
            _check(connection, shown)
    except (sa.exc.SQLAlchemyError, ImportError, ValueError) as error:
        raise SetupError(
            "database_unavailable",
            f"The database {shown} cannot be opened: {words(error)}.",
            "Check that its folder exists and is writable, or that its server runs, or set ANABRANCH_DATABASE_URL.",
        ) from error
    return engine


def is_transient(error: BaseException) -> bool:
    """Whether the same may succeed a moment later: the connection was lost, the server restarts, a race was lost."""
    if isinstance(error, sa.exc.TimeoutError):
        return True
    if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
        return True
    cause: Any = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    busy = getattr(cause, "sqlite_errorcode", None)
    if busy is not None:
        return int(busy) & 0xFF in (_SQLITE_BUSY, _SQLITE_LOCKED)
    if not hasattr(cause, "sqlstate"):
        return False
    if cause.sqlstate is None:
        # The driver's own words for a connection that could not be made, or is no more.
        return any(kind.__name__ in ("OperationalError", "InterfaceError") for kind in type(cause).__mro__)
    return bool(_TRANSIENT.fullmatch(cause.sqlstate))


def is_out_of_order(error: BaseException) -> bool:
    """Whether it is the database that has trouble, and no statement: no room, a disk that fails, a file that is broken
    or may not be written."""
    cause: Any = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        return int(code) & 0xFF in _SQLITE_TROUBLE
    return bool(_TROUBLE.fullmatch(getattr(cause, "sqlstate", None) or ""))


def words(error: BaseException) -> str:
    """What the database itself said, in a line."""
    told = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
    return " ".join(str(told).split()).rstrip(".")


def insert_once(database: sa.Engine, table: sa.Table) -> Any:
    """An INSERT that leaves a row alone that is there already; its `rowcount` says whether it was new.

    Who finds a row of a transaction that has not ended waits for it, and sees in its next statement what it wrote.
    """
    dialect = postgresql if database.dialect.name == "postgresql" else sqlite
    # Of an INSERT that number is not kept unless asked for: it would be -1, which is not "none".
    return dialect.insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def serialize(connection: sa.Connection, *names: str) -> None:
    """Let no other transaction that gives one of these names go on until this one ends.

    Call it first in a transaction: who waits here holds nothing that others wait for. What is read after it is what
    those before have written. SQLite has one writer at a time, so there it waits for its turn to write.
    """
    if not names:
        return
    if connection.dialect.name == "sqlite":
        # The driver itself takes the write lock only at the first change of a row.
        if not connection.connection.in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    # In the same order everywhere, so that no two wait for each other.
    for name in sorted(set(names)):
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(name, 0))))


def wait_for_ever(connection: sa.Connection) -> None:
    """Let the statements of this transaction take as long as they take: what changes tables is not repeated."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


def order_by_bytes(connection: sa.Connection, tables: Iterable[str]) -> None:
    """Have all text of these tables compared by its bytes, as SQLite does, whatever the order of the database.

    Ids sort by age only so, and texts of two orders cannot be compared at all.
    """
    if connection.dialect.name != "postgresql":
        return
    others = connection.execute(sa.text(_OTHER_ORDERS), {"tables": list(tables)}).all()
    quote = connection.dialect.identifier_preparer.quote
    for table, columns in others:
        changes = ", ".join(f'ALTER COLUMN {quote(column)} TYPE text COLLATE "C"' for column in columns)
        connection.exec_driver_sql(f"ALTER TABLE {quote(table)} {changes}")


_OTHER_ORDERS = """
SELECT tables.relname, array_agg(columns.attname ORDER BY columns.attnum)
FROM pg_class AS tables JOIN pg_attribute AS columns ON columns.attrelid = tables.oid
WHERE tables.relnamespace = current_schema()::regnamespace AND tables.relname = ANY(:tables)
  AND columns.atttypid = 'text'::regtype AND NOT columns.attisdropped
  AND columns.attcollation <> (
    SELECT oid FROM pg_collation WHERE collname = 'C' AND collnamespace = 'pg_catalog'::regnamespace)
GROUP BY tables.relname ORDER BY tables.relname"""


class has_text(sa.ColumnElement[bool]):  # noqa: N801  (it is used as a function of SQL)
    """Whether a text has another one in it, in capitals or not."""

    type = sa.Boolean()
    inherit_cache = True
    _traverse_internals = [  # noqa: RUF012  (SQLAlchemy's name for what makes two of these the same)
        ("whole", sa.sql.visitors.InternalTraversal.dp_clauseelement),
        ("part", sa.sql.visitors.InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, whole: sa.ColumnElement[Any], part: str) -> None:
        self.whole: sa.ColumnElement[Any] = whole
        self.part: sa.ColumnElement[Any] = sa.literal(part, sa.Text)


@compiles(has_text, "sqlite")
def _has_text_on_sqlite(element: has_text, compiler: SQLCompiler, **given: Any) -> str:
    whole, part = (compiler.process(one, **given) for one in (element.whole, element.part))
    return f"instr(lower({whole}), lower({part})) > 0"


@compiles(has_text, "postgresql")
def _has_text_on_postgres(element: has_text, compiler: SQLCompiler, **given: Any) -> str:
    order = getattr(compiler.dialect, "knows_letters", _KNOW_LETTERS[-1])
    whole, part = (
        f'lower({compiler.process(one, **given)} COLLATE "{order}")' for one in (element.whole, element.part)
    )
    return f"strpos({whole}, {part}) > 0"


def facts(database: sa.Engine) -> Facts:
    """What the database is, for who looks after it."""
    address = _shown(database.url)
    with database.connect() as connection:
        if connection.dialect.name == "sqlite":
            version = connection.exec_driver_sql("SELECT sqlite_version()").scalar_one()
            name, details, can_create = f"SQLite {version}", f"at {database.url.database}", True
        else:
            row = connection.exec_driver_sql(
                "SELECT current_setting('server_version'), pg_encoding_to_char(encoding), datcollate,"
                " coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"
                " FROM pg_database WHERE datname = current_database()"
            ).one()
            name, can_create = f"PostgreSQL {row[0]}", bool(row[3])
            details = f"{row[1]}, order {row[2]}, at {address}"
        started = time.perf_counter()
        connection.execute(sa.select(1))
        took_ms = (time.perf_counter() - started) * 1000
    return Facts(name, details, can_create, took_ms)


def _address(url: str) -> sa.URL:
    address = sa.make_url(url)
    # What a hoster calls it, and what libpq calls it.
    if address.drivername in ("postgres", "postgresql"):
        return address.set(drivername="postgresql+psycopg")
    if address.drivername not in ("postgresql+psycopg", "sqlite", "sqlite+pysqlite"):
        raise ValueError(f"{address.drivername} is none that is known, which are sqlite and postgresql")
    return address


def _shown(address: sa.URL) -> str:
    secret = {name: "***" for name in address.query if "pass" in name}
    return address.update_query_dict(secret).render_as_string(hide_password=True)


def _options(address: sa.URL) -> dict[str, Any]:
    if address.get_backend_name() == "sqlite":
        return {"pool_size": 16, "max_overflow": 16}
    return {
        # A server takes a hundred connections unless it is told otherwise, and many processes share it.
        "pool_size": 8,
        "max_overflow": 8,
        "pool_timeout": _LOCK_TIMEOUT_MS / 1000,
        # A server that was restarted is noticed before a transaction begins.
        "pool_pre_ping": True,
        # A firewall on the way forgets connections that are not used.
        "pool_recycle": 1800,
        # Each statement sees what was committed before it: whoever waited for a lock looks at what is there now.
        "isolation_level": "READ COMMITTED",
        "connect_args": {name: value for name, value in CONNECTING.items() if name not in address.query},
    }


def _check(connection: sa.Connection, shown: str) -> None:
    if connection.dialect.name == "sqlite":
        return
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise SetupError(
            "database_unavailable",
            f"The database {shown} has the encoding {encoding}, which cannot hold every language.",
            "Make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.",
        )
    there = set(connection.exec_driver_sql("SELECT collname FROM pg_collation").scalars())
    order = next(order for order in _KNOW_LETTERS if order in there)
    setattr(connection.dialect, "knows_letters", order)  # noqa: B010  (its class knows nothing of it)


def _clean(
    _connection: sa.Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
) -> tuple[str, Any]:
    """What Postgres takes in no text becomes a replacement character, on every database: a name, a log or a query
    that has one must not make its transaction fail."""
    if isinstance(parameters, list):
        return statement, [_cleaned(row) for row in parameters]
    return statement, _cleaned(parameters)


def _cleaned(row: Any) -> Any:
    if isinstance(row, dict):
        return {name: _storable(value) for name, value in row.items()}
    return tuple(_storable(value) for value in row) if isinstance(row, tuple) else row


def _storable(value: Any) -> Any:
    if isinstance(value, list):
        return [_storable(one) for one in value]
    if not isinstance(value, str) or (value.isascii() and "\0" not in value):
        return value
    return _UNSTORABLE.sub("\ufffd", value)


def _to_json(value: Json) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        # Python writes numbers that are none, as ffmpeg gives them of silence, in a way that is not JSON.
        return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # "IMMEDIATE" takes the write lock at the start; upgrading from a read lock later could fail half way.
    connection.isolation_level = "IMMEDIATE"
    connection.execute(f"PRAGMA busy_timeout = {_LOCK_TIMEOUT_MS}")
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


def be_brief(connection: sa.Connection) -> None:
    """Let this transaction wait for no lock for longer than a second: what it does is tried again soon."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL lock_timeout = '1s'")


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
        except sa.exc.SQLAlchemyError as error:
            if not is_transient(error) or time.monotonic() > deadline or _leaving.is_set():
                raise
            _log.warning("database is away", error=words(error)[:200], again_in_s=wait_s)
        _leaving.wait(wait_s)
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def stop_waiting() -> None:
    """Let nothing in this process wait for a database any more: the process is ending."""
    _leaving.set()
