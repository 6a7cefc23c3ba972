"""Rows: makes the tables of one database equal to those of another, a few rows at a time, and compares them.

Both databases are read in the order of the primary key, side by side. So a move that was interrupted goes on, and one
that is done again writes what has changed since, and removes what is gone. First all that must go is removed, the
tables that refer to others before those; then all that is missing is written, the other way round. What differs in a
table that no other refers to is removed and written anew: its unique values may have changed places, and an index that
triggers keep learns of both.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from anabranch.errors import SetupError
from anabranch.migrations import METADATA
from anabranch.moving.fitting import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from anabranch.moving.fitting import Fitting

Row = tuple[Any, ...]

# They describe processes, which do not move.
NOT_MOVED = ("workers", "places")
# What says which process works on a row. Nobody does, after a move.
_HELD_BY = {"runs": ("driver",), "work": ("worker_id", "attempt")}
# Of the target alone: where its rows came from.
MARK = "moved_from"
_BATCH_ROWS = 500
_BATCH_BYTES = 4 << 20
# Plans of long films are large.
_READ_ROWS = 100


class _Verbatim(sa.types.UserDefinedType[str]):
    """JSON as the text that it is. Parsed and written again, it might come out otherwise."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSON"

    def column_expression(self, colexpr: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.cast(colexpr, sa.Text)


class Table:
    """A table that is moved, with its JSON as text.

    Attributes:
        name: of the table.
        leaf: whether no other table refers to it.
    """

    def __init__(self, table: sa.Table, *, leaf: bool) -> None:
        self.name = table.name
        self.leaf = leaf
        # What the database computes it computes there as well.
        kept = [column for column in table.c if column.computed is None]
        documents = {column.name for column in kept if isinstance(column.type, sa.JSON)}
        self.raw = sa.Table(
            table.name,
            sa.MetaData(),
            *(
                sa.Column(
                    column.name,
                    _Verbatim() if column.name in documents else column.type,
                    primary_key=column.primary_key,
                    autoincrement=False,
                )
                for column in kept
            ),
        )
        self.columns = list(self.raw.c)
        self.keys = list(self.raw.primary_key.columns)
        self.places = [self.columns.index(column) for column in self.keys]
        self.documents = self._places(lambda column: column.name in documents)
        self.texts = self._places(lambda column: isinstance(column.type, sa.Text))
        self.held_by = self._places(lambda column: column.name in _HELD_BY.get(self.name, ()))
        integer = len(self.keys) == 1 and isinstance(self.keys[0].type, sa.Integer)
        self.number = self.keys[0] if integer else None

    def _places(self, wanted: Callable[[sa.Column[Any]], bool]) -> list[int]:
        return [place for place, column in enumerate(self.columns) if wanted(column)]

    def key(self, row: Row) -> Row:
        """The values of its primary key."""
        return tuple(row[place] for place in self.places)


@dataclass(frozen=True)
class Sum:
    """What there is in a table: how many rows, and SHA-256 over them in order."""

    rows: int
    digest: str


@dataclass(frozen=True)
class Compared:
    """A table on both sides.

    Attributes:
        table: its name.
        source: what was to be moved, as the target takes it.
        target: what is there.
        replaced: values in which the target took something else, since it does not keep everything.
    """

    table: str
    source: Sum
    target: Sum
    replaced: int


def tables() -> list[Table]:
    """What is moved, a table after those that it refers to."""
    every = [table for metadata in METADATA for table in metadata.sorted_tables if table.name not in NOT_MOVED]
    referred = {key.column.table.name for table in every for key in table.foreign_keys}
    return [Table(table, leaf=table.name not in referred) for table in every]


def count(database: sa.Engine, table: Table) -> int:
    """How many rows it has; 0 when there is no such table."""
    if not sa.inspect(database).has_table(table.name):
        return 0
    with database.connect() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(table.raw).where(_moved(table))) or 0)


def copy(source: sa.Engine, target: sa.Engine, fitting: Fitting, passed: Callable[[int], None]) -> None:
    """Make the rows of `target` equal to those of `source`.

    Args:
        passed: told how many more rows have been gone through; all are twice.

    Raises:
        SetupError: `row_refused`.
    """
    for table in reversed(tables()):
        gone = (
            table.key(there)
            for here, there in _beside(source, target, table, fitting, passed)
            if there is not None and (here is None or (table.leaf and here != there))
        )
        remove = table.raw.delete().where(*(key == sa.bindparam(f"key_{key.name}") for key in table.keys))
        _execute(target, table, remove, gone, [f"key_{key.name}" for key in table.keys])
    for table in tables():
        wanted = (
            here
            for here, there in _beside(source, target, table, fitting, passed)
            if here is not None and here != there
        )
        _execute(target, table, _upsert(target, table), wanted, [column.name for column in table.columns])
        _go_on_counting(source, target, table)


def compare(source: sa.Engine, target: sa.Engine, fitting: Fitting, passed: Callable[[int], None]) -> list[Compared]:
    """Read every table on both sides, once more and each by itself."""
    found = []
    for table in tables():
        before = fitting.replaced
        here = _sum(_rows(source, table, fitting), passed)
        replaced = fitting.replaced - before
        found.append(Compared(table.name, here, _sum(_rows(target, table, None), passed), replaced))
    return found


def _sum(rows: Iterable[Row], passed: Callable[[int], None]) -> Sum:
    digest, number = hashlib.sha256(), 0
    for row in rows:
        digest.update(json.dumps(row).encode())
        number += 1
        passed(1)
    return Sum(number, digest.hexdigest())


def _beside(
    source: sa.Engine, target: sa.Engine, table: Table, fitting: Fitting, passed: Callable[[int], None]
) -> Iterator[tuple[Row | None, Row | None]]:
    """Each row of either side, with the one of the same key of the other side."""
    left, right = _rows(source, table, fitting), _rows(target, table, None)
    here, there = next(left, None), next(right, None)
    while here is not None or there is not None:
        if there is None or (here is not None and table.key(here) < table.key(there)):
            yield here, None
            here = next(left, None)
            passed(1)
        elif here is None or table.key(there) < table.key(here):
            yield None, there
            there = next(right, None)
        else:
            yield here, there
            here, there = next(left, None), next(right, None)
            passed(1)


def _rows(database: sa.Engine, table: Table, fitting: Fitting | None) -> Iterator[Row]:
    """The rows in the order of their keys; those of the source as the target takes them."""
    with database.connect() as connection:
        read = sa.select(table.raw).where(_moved(table)).order_by(*_order(connection, table, fitting))
        for found in connection.execution_options(yield_per=_READ_ROWS).execute(read):
            row = list(found)
            for place in table.documents:
                if row[place] is not None:
                    row[place] = _scalar(row[place])
            if fitting is not None:
                _fit(row, table, fitting)
            yield tuple(row)


def _fit(row: list[Any], table: Table, fitting: Fitting) -> None:
    for place in table.held_by:
        row[place] = None
    for place in table.texts:
        if row[place] is not None:
            row[place] = fitting.text(row[place])
    for place in table.documents:
        if row[place] is not None:
            row[place] = fitting.document(row[place])


def _order(connection: sa.Connection, table: Table, fitting: Fitting | None) -> list[sa.ColumnElement[Any]]:
    texts = {key.name for key in table.keys if isinstance(key.type, sa.Text)}
    if connection.dialect.name == "postgresql":
        # By bytes, as SQLite does and as Python does, not by the words of a language.
        return [key.collate("C") if key.name in texts else key for key in table.keys]
    if fitting is None or not fitting.strict or not _has_nul(connection, table, texts):
        return list(table.keys)
    driver: Any = connection.connection.driver_connection
    driver.create_function("readable", 1, readable, deterministic=True)
    return [sa.func.readable(key) if key.name in texts else key for key in table.keys]


def _has_nul(connection: sa.Connection, table: Table, texts: set[str]) -> bool:
    holds = [
        sa.func.instr(sa.cast(key, sa.LargeBinary), sa.literal_column("x'00'")) > 0
        for key in table.keys
        if key.name in texts
    ]
    return bool(holds) and bool(connection.scalar(sa.select(sa.exists().where(sa.or_(*holds)))))


def _moved(table: Table) -> sa.ColumnElement[bool]:
    return table.raw.c.name != MARK if table.name == "secrets" else sa.true()


def _scalar(raw: str) -> str:
    """SQLite makes a number of JSON that is one, and may write it otherwise than it came."""
    if raw[:1] not in "-0123456789":
        return raw
    try:
        return str(int(raw))
    except ValueError:
        number = float(raw)
        return str(int(number)) if number.is_integer() else repr(number)


def _upsert(database: sa.Engine, table: Table) -> Any:
    dialect = postgresql if database.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(table.raw)
    changing = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
    if not changing:
        return insert.on_conflict_do_nothing()
    return insert.on_conflict_do_update(index_elements=table.keys, set_=changing)


def _execute(database: sa.Engine, table: Table, statement: Any, rows: Iterable[Row], names: list[str]) -> None:
    """Do this with every row, in transactions of a few."""
    for batch in _batches(rows):
        try:
            with database.begin() as connection:
                connection.execute(statement, [dict(zip(names, row, strict=True)) for row in batch])
        except sa.exc.DBAPIError as error:
            if error.connection_invalidated:
                raise SetupError(
                    "database_unavailable",
                    f"The database was lost while rows of {table.name} were written: {error.orig}.",
                    "Give the same command again: it goes on where it was.",
                ) from error
            first, last = (json.dumps(batch[place][: len(table.keys)]) for place in (0, -1))
            raise SetupError(
                "row_refused",
                f"The new database refuses a row of {table.name}, between {first} and {last}: {error.orig}.",
                "Correct or delete the row at the source, and give the same command again.",
            ) from error


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size_bytes = 0
    for row in rows:
        batch.append(row)
        size_bytes += sum(len(value) for value in row if isinstance(value, str))
        if len(batch) == _BATCH_ROWS or size_bytes > _BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


def _go_on_counting(source: sa.Engine, target: sa.Engine, table: Table) -> None:
    """Have the target give numbers after those that the source has given, also when its newest row is gone."""
    if table.number is None:
        return
    last = last_number(source, table)
    with target.begin() as connection:
        if connection.dialect.name == "sqlite":
            if _counts(connection, table):
                connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
                new = sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)")
                connection.execute(new, {"name": table.name, "last": last})
            return
        sequence = sa.func.pg_get_serial_sequence(table.name, table.number.name)
        connection.execute(sa.select(sa.func.setval(sequence, max(last, 1), last > 0)).where(sequence.is_not(None)))


def last_number(database: sa.Engine, table: Table) -> int:
    """The highest number that was given in a table that numbers its rows."""
    assert table.number is not None
    with database.connect() as connection:
        highest = int(connection.scalar(sa.select(sa.func.max(table.number))) or 0)
        if connection.dialect.name == "sqlite":
            if not _counts(connection, table):
                return highest
            kept = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name")
            return max(highest, int(connection.scalar(kept, {"name": table.name}) or 0))
        sequence = sa.func.pg_get_serial_sequence(table.name, table.number.name)
        given = connection.scalar(sa.select(sa.func.pg_sequence_last_value(sa.cast(sequence, postgresql.REGCLASS))))
        return max(highest, int(given or 0))


def _counts(connection: sa.Connection, table: Table) -> bool:
    """Whether this SQLite table never gives a number twice."""
    made = sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name")
    return "AUTOINCREMENT" in str(connection.scalar(made, {"name": table.name})).upper()
