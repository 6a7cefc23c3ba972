"""Objects: copies what is in one storage to another, several at once, and says what is missing.

What is where stands in an inventory, a small SQLite file beside the scratch files: there may be millions of keys.
"""

from __future__ import annotations

import hashlib
import itertools
import mimetypes
import sqlite3
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from anabranch.catalog.tables import files, tasks
from anabranch.errors import FinalError, ResourceError
from anabranch.storage.files import FileStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from anabranch.storage import Storage, Stored

A = TypeVar("A")
B = TypeVar("B")

# Of a store across the network most of the time is waiting.
_AT_ONCE = 16
_PAGE = 1000
# They are written again under the same key, perhaps as long as before.
_CHANGING = (".m3u8", ".mpd")
_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".m4s": "video/iso.segment",
    ".vtt": "text/vtt; charset=utf-8",
    ".srt": "application/x-subrip; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".opus": "audio/ogg",
}


@dataclass(frozen=True)
class Held:
    """What a storage holds."""

    count: int
    size_bytes: int


@dataclass(frozen=True)
class Copied:
    """How an object came to be there: `written` now, or found there already."""

    written: bool
    size_bytes: int


class Inventory:
    """Every key of either storage, its size in each, and whether a row names it.

    Args:
        folder: where it is kept, an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self._rows = sqlite3.connect(folder / "inventory.db")
        # It is made anew each time.
        self._rows.execute("PRAGMA synchronous = OFF")
        self._rows.execute(
            "CREATE TABLE objects (key TEXT PRIMARY KEY, here INTEGER, there INTEGER, named INTEGER NOT NULL DEFAULT 0)"
            " WITHOUT ROWID"
        )

    def close(self) -> None:
        """Give the file back."""
        self._rows.close()

    def enter(self, database: sa.Engine, source: Storage, target: Storage) -> None:
        """Look at both storages and at the rows of the source."""
        self._enter_sizes("here", source)
        self._enter_sizes("there", target)
        for batch in _batched(_named(database)):
            self._rows.executemany(
                "INSERT INTO objects (key, named) VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET named = 1",
                [(key,) for key in batch],
            )
        self._rows.commit()

    def look_again(self, target: Storage) -> None:
        """Look anew at what the target holds."""
        self._rows.execute("UPDATE objects SET there = NULL")
        self._enter_sizes("there", target)

    def _enter_sizes(self, side: str, storage: Storage) -> None:
        enter = (
            f"INSERT INTO objects (key, {side}) VALUES (?, ?)"  # noqa: S608  (here or there)
            f" ON CONFLICT (key) DO UPDATE SET {side} = excluded.{side}"
        )
        sizes = at_once(lambda key: (key, _stat(storage, key)), storage.keys(""))
        found = ((key, stored.size_bytes) for key, stored in sizes if stored is not None)
        for batch in _batched(found):
            self._rows.executemany(enter, batch)
        self._rows.commit()

    def held(self, side: str) -> Held:
        """What there is `here`, at the source, or `there`, at the target."""
        row = self._rows.execute(f"SELECT count({side}), coalesce(sum({side}), 0) FROM objects").fetchone()  # noqa: S608
        return Held(*row)

    def to_copy(self) -> tuple[int, int]:
        """How many objects the target does not have as large, and their bytes."""
        row = self._rows.execute(
            "SELECT count(*), coalesce(sum(here), 0) FROM objects WHERE here IS NOT NULL AND here IS NOT there"
        ).fetchone()
        return int(row[0]), int(row[1])

    def missing(self) -> list[str]:
        """Keys that rows name and nobody has."""
        return [key for key, _ in self._where("named AND here IS NULL AND there IS NULL")]

    def foreign(self) -> Iterator[str]:
        """Keys of the target that neither the source nor its rows know."""
        return (key for key, _ in self._where("there IS NOT NULL AND here IS NULL AND NOT named"))

    def present(self) -> Iterator[tuple[str, bool]]:
        """Every key of the source, and whether the target has one as large."""
        return ((key, bool(same)) for key, same in self._where("here IS NOT NULL", "coalesce(here = there, 0)"))

    def differing(self) -> list[str]:
        """Keys of the source that the target does not have as large, and those that only the target has."""
        return [key for key, _ in self._where("here IS NOT there AND NOT (named AND here IS NULL)")]

    def _where(self, condition: str, value: str = "NULL") -> Iterator[tuple[str, Any]]:
        last = ""
        # By pages: what is read is also written to.
        while page := self._rows.execute(
            f"SELECT key, {value} FROM objects WHERE key > ? AND {condition} ORDER BY key LIMIT {_PAGE}",  # noqa: S608
            (last,),
        ).fetchall():
            yield from page
            last = page[-1][0]


def copy(
    inventory: Inventory, source: Storage, target: Storage, scratch: Path, passed: Callable[[int], None]
) -> Iterator[Copied]:
    """Copy every object of the source that the target does not have.

    Args:
        inventory: what is where.
        scratch: folder for objects on their way.
        passed: told how many more bytes are there.
    """

    def one(wanted: tuple[str, bool]) -> Copied:
        key, same_size = wanted
        changes = PurePosixPath(key).suffix.lower() in _CHANGING
        if same_size and not changes:
            stored = target.stat(key)
            return Copied(written=False, size_bytes=stored.size_bytes if stored else 0)
        folder = scratch / hashlib.sha256(key.encode()).hexdigest()[:32]
        folder.mkdir()
        path = source.local(key, folder)
        try:
            size_bytes = path.stat().st_size
            if same_size and _digest(target.open(key)) == _digest(source.open(key)):
                return Copied(written=False, size_bytes=size_bytes)
            target.put(key, path, type_of(key))
            _check(target, key, path)
            return Copied(written=True, size_bytes=size_bytes)
        finally:
            if path.is_relative_to(folder):
                path.unlink(missing_ok=True)
            folder.rmdir()

    for copied in at_once(one, inventory.present()):
        passed(copied.size_bytes)
        yield copied


def type_of(key: str) -> str:
    """The content type of an object, by its name."""
    ending = PurePosixPath(key).suffix.lower()
    return _TYPES.get(ending) or mimetypes.guess_type(f"a{ending}")[0] or "application/octet-stream"


def at_once(do: Callable[[A], B], things: Iterable[A]) -> Iterator[B]:
    """What comes of each thing, in order, several being done at once and few waiting."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        going: deque[Any] = deque()
        try:
            for thing in things:
                going.append(pool.submit(do, thing))
                if len(going) > 4 * _AT_ONCE:
                    yield going.popleft().result()
            while going:
                yield going.popleft().result()
        finally:
            for future in going:
                future.cancel()


def _check(target: Storage, key: str, path: Path) -> None:
    """That what was stored is what was to be: by size, and in a folder by its bytes."""
    stored = target.stat(key)
    same = stored is not None and stored.size_bytes == path.stat().st_size
    if same and isinstance(target, FileStorage) and not target.path(key).samefile(path):
        same = _digest(target.open(key)) == _digest(_blocks(path))
    if not same:
        raise ResourceError(
            "copy_differs",
            f"{key} was stored, and is not what was to be stored.",
            "Give the same command again. If it repeats, check the disk or the store.",
        )


def _stat(storage: Storage, key: str) -> Stored | None:
    try:
        return storage.stat(key)
    except FinalError:
        # `invalid_key`: a file that somebody else put there. It is no object.
        return None


def _digest(blocks: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.digest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block


def _named(database: sa.Engine) -> Iterator[str]:
    """The keys that rows say are there."""
    with database.connect() as connection:
        stream = connection.execution_options(yield_per=100)
        ready = sa.select(files.c.key).where(files.c.key.is_not(None), files.c.status == "ready")
        yield from stream.scalars(ready)
        for output in stream.scalars(sa.select(tasks.c.output).where(tasks.c.status == "completed")):
            # The main file is a file's row, unless somebody deleted it.
            yield from (
                one["key"] for one in (output or {}).get("files") or [] if one["key"] != (output or {}).get("key")
            )


def _batched(found: Iterable[A]) -> Iterator[list[A]]:
    left = iter(found)
    while batch := list(itertools.islice(left, _PAGE)):
        yield batch
