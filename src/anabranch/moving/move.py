"""Move: an installation to another place. Objects first, then rows, then both sides are compared.

It may be killed at any moment and done again, also after the source was used in between: at the end the target is what
the source is. What makes that safe is a mark in the target's `secrets`: which installation its rows are of, and the
number of the last change that the source had. A target without the mark has to be empty. One with a later change is in
use, and nothing in it is touched.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa

from anabranch import clock, migrations
from anabranch.catalog import keys
from anabranch.catalog.tables import changes, secrets
from anabranch.database import insert_once
from anabranch.errors import SetupError
from anabranch.ids import new_id
from anabranch.moving import objects, rows
from anabranch.moving.fitting import Fitting

if TYPE_CHECKING:
    from pathlib import Path

    from anabranch.moving.objects import Held, Inventory
    from anabranch.moving.rows import Compared
    from anabranch.storage import Storage

Json = Any

_INSTALLATION = "installation_id"
# Any key; only what is before it matters.
_SOME_KEY = "media"


class Watch(Protocol):
    """Is told how far a move is."""

    def __call__(self, stage: str, done: int, of: int | None) -> None:
        """Say that a stage is this far, in bytes or rows; `of` is None while nobody knows."""


@dataclass(frozen=True)
class Place:
    """Where an installation is.

    Attributes:
        database: holds its rows.
        storage: holds its objects.
    """

    database: sa.Engine
    storage: Storage


@dataclass
class Report:
    """What a move did, or of a dry run, what it would do.

    Attributes:
        dry_run: whether nothing was changed.
        source: what the source's storage holds.
        target: what the target's storage holds.
        copied: objects that were written, or would be.
        copied_bytes: their size.
        removed: objects of the target that the source has no more.
        missing: keys that rows of the source name, and that are nowhere.
        differing: keys that are on one side only, or not equally large.
        tables: each on both sides; empty for a dry run.
        to_move: rows of each table of the source.
    """

    dry_run: bool
    source: Held
    target: Held
    copied: int = 0
    copied_bytes: int = 0
    removed: int = 0
    missing: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    tables: list[Compared] = field(default_factory=list)
    to_move: dict[str, int] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Whether both sides hold the same, and all of it."""
        same = all(table.source == table.target for table in self.tables)
        return same and not self.differing and not self.missing


def move(source: Place, target: Place, scratch: Path, watch: Watch) -> Report:
    """Move everything, unless it is there already, and compare both sides.

    Args:
        source: whose addresses are those that objects have without a server.
        target: whose addresses are those that objects will have.
        scratch: a folder for what is on its way; emptied first.

    Raises:
        SetupError: `target_not_empty`, `target_in_use` or `row_refused`.
        ResourceError: `copy_differs`, or what the storages raise.
    """
    inventory = _inventory(source, target, scratch, watch)
    try:
        migrations.upgrade(target.database)
        _claim(source, target, inventory)
        report = Report(dry_run=False, source=inventory.held("here"), target=inventory.held("there"))
        _copy_objects(source, target, inventory, scratch, report, watch)
        report.to_move = _counts(source.database)
        passed = _Passed(watch, "rows", 2 * sum(report.to_move.values()))
        rows.copy(source.database, target.database, _fitting(source, target), passed.add)
        # Only now: until then, rows of an earlier move may have named them.
        for key in list(inventory.foreign()):
            target.storage.delete(key)
            report.removed += 1
        _verify(source, target, inventory, report, watch)
        return report
    finally:
        inventory.close()
        shutil.rmtree(scratch, ignore_errors=True)


def look(source: Place, target: sa.Engine | None, storage: Storage, scratch: Path, watch: Watch) -> Report:
    """What `move` would do. Nothing is changed.

    Args:
        target: the new database, or None when there is none yet.
        storage: the new storage.

    Raises:
        SetupError: `target_not_empty` or `target_in_use`.
    """
    with_tables = target is not None and sa.inspect(target).has_table(secrets.name)
    inventory = _inventory(source, Place(source.database, storage), scratch, watch)
    try:
        if target is not None and with_tables:
            _refuse(source, Place(target, storage), inventory)
        else:
            _refuse_objects(inventory)
        report = Report(dry_run=True, source=inventory.held("here"), target=inventory.held("there"))
        report.missing = inventory.missing()
        report.copied, report.copied_bytes = inventory.to_copy()
        report.removed = sum(1 for _ in inventory.foreign())
        report.to_move = _counts(source.database)
        return report
    finally:
        inventory.close()
        shutil.rmtree(scratch, ignore_errors=True)


class _Passed:
    """Adds up, and tells now and then."""

    def __init__(self, watch: Watch, stage: str, of: int | None) -> None:
        self._watch, self._stage, self._of = watch, stage, of
        self._done = self._told = 0
        watch(stage, 0, of)

    def add(self, more: int) -> None:
        self._done += more
        if self._done - self._told >= max(1, (self._of or 0) // 1000):
            self._told = self._done
            self._watch(self._stage, self._done, self._of)


def _inventory(source: Place, target: Place, scratch: Path, watch: Watch) -> Inventory:
    watch("inventory", 0, None)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    inventory = objects.Inventory(scratch)
    inventory.enter(source.database, source.storage, target.storage)
    return inventory


def _copy_objects(
    source: Place, target: Place, inventory: Inventory, scratch: Path, report: Report, watch: Watch
) -> None:
    passed = _Passed(watch, "objects", report.source.size_bytes)
    for copied in objects.copy(inventory, source.storage, target.storage, scratch, passed.add):
        report.copied += copied.written
        report.copied_bytes += copied.size_bytes if copied.written else 0


def _verify(source: Place, target: Place, inventory: Inventory, report: Report, watch: Watch) -> None:
    passed = _Passed(watch, "comparing", 2 * sum(report.to_move.values()))
    report.tables = rows.compare(source.database, target.database, _fitting(source, target), passed.add)
    inventory.look_again(target.storage)
    report.target = inventory.held("there")
    report.missing, report.differing = inventory.missing(), inventory.differing()


def _fitting(source: Place, target: Place) -> Fitting:
    old, new = (place.storage.url(_SOME_KEY).removesuffix(_SOME_KEY) for place in (source, target))
    return Fitting(strict=target.database.dialect.name == "postgresql", old=old, new=new)


def _counts(database: sa.Engine) -> dict[str, int]:
    return {table.name: rows.count(database, table) for table in rows.tables()}


def _claim(source: Place, target: Place, inventory: Inventory) -> None:
    """Write at the target whose rows it takes, or find that it takes them already."""
    _refuse(source, target, inventory)
    installation = keys.secret(source.database, _INSTALLATION, lambda: new_id("installation"))
    before = json.loads(_secret(target.database, rows.MARK) or '{"changes": 0}')
    # The newest may have gone from the source since then, and is still there at the target.
    newest = max(_last_change(source.database), before["changes"])
    mark = json.dumps({"installation": installation, "changes": newest})
    row = {"name": rows.MARK, "value": mark, "created_at": clock.now_ms()}
    with target.database.begin() as connection:
        if not connection.execute(insert_once(target.database, secrets).values(row)).rowcount:
            connection.execute(secrets.update().where(secrets.c.name == rows.MARK).values(row))
    # Another installation may have been as quick.
    _refuse(source, target, inventory)


def _refuse(source: Place, target: Place, inventory: Inventory) -> None:
    """Raise an error unless the target is empty, or has what an earlier move from this source brought."""
    mark = _secret(target.database, rows.MARK)
    if mark is None:
        _refuse_objects(inventory)
        full = [table.name for table in rows.tables() if rows.count(target.database, table)]
        if full:
            raise _not_empty(f"The new database has rows in {', '.join(full)} that no move brought there.")
        return
    said = json.loads(mark)
    if said["installation"] != _secret(source.database, _INSTALLATION):
        raise _not_empty("The new database holds what was moved from another installation.")
    if _last_change(target.database) > said["changes"] or _has_processes(target.database):
        raise SetupError(
            "target_in_use",
            "The new database was used by a server since it was moved to. Moving again would undo what happened there.",
            "Go on with it. To move once more in spite of that, name an empty database and an empty storage.",
        )


def _refuse_objects(inventory: Inventory) -> None:
    strange = next(inventory.foreign(), None)
    if strange is not None:
        raise _not_empty(f"The new storage has objects that the source does not have, such as {strange}.")


def _not_empty(said: str) -> SetupError:
    return SetupError("target_not_empty", said, "Name an empty database, and an empty folder or prefix.")


def _secret(database: sa.Engine, name: str) -> str | None:
    with database.connect() as connection:
        return connection.scalar(sa.select(secrets.c.value).where(secrets.c.name == name))


def _last_change(database: sa.Engine) -> int:
    with database.connect() as connection:
        return int(connection.scalar(sa.select(sa.func.max(changes.c.number))) or 0)


def _has_processes(database: sa.Engine) -> bool:
    with database.connect() as connection:
        there = [table for table in rows.NOT_MOVED if sa.inspect(connection).has_table(table)]
        return any(connection.scalar(sa.select(sa.exists().select_from(sa.table(table)))) for table in there)
