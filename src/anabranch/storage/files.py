"""Files: storage in a folder. Written beside its place, synced, then renamed, so a reader sees all or nothing."""

from __future__ import annotations

import errno
import os
import re
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from anabranch.errors import FinalError, ResourceError
from anabranch.storage import Stored

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARTIAL = ".partial"
_BLOCK_BYTES = 1 << 20
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class FileStorage:
    """A `Storage` in a folder of this machine.

    Args:
        root: the folder; made when needed.
        base_url: the address under which somebody serves the folder; file addresses when None.
    """

    def __init__(self, root: Path, base_url: str | None = None) -> None:
        self._root = root.absolute()
        self._base_url = base_url

    def put(self, key: str, source: Path, content_type: str) -> None:  # noqa: ARG002  (a folder keeps no types)
        """Store the file under `key`; a hard link where the file system allows, else a copy."""
        path = self.path(key)
        partial = path.with_name(path.name + _PARTIAL)
        with _disk_errors(key):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                _link_or_copy(source, partial)
                _sync(partial)
                partial.replace(path)
                _sync(path.parent)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise

    def open(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to `end`, in blocks of at most 1 MiB."""
        try:
            file = self.path(key).open("rb")
        except (FileNotFoundError, IsADirectoryError):
            raise self._missing(key) from None
        return _blocks(file, start, end)

    def exists(self, key: str) -> bool:
        """Whether there is an object under `key`."""
        return self.path(key).is_file()

    def stat(self, key: str) -> Stored | None:
        """Size and version of the object, or None when there is none."""
        path = self.path(key)
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Stored(found.st_size, f"{found.st_mtime_ns}-{found.st_ino}") if path.is_file() else None

    def local(self, key: str, folder: Path) -> Path:  # noqa: ARG002  (it is a file of this machine already)
        """The object's own file."""
        if not self.exists(key):
            raise self._missing(key)
        return self.path(key)

    def delete(self, key: str) -> None:
        """Remove the object and the folders that this leaves empty."""
        path = self.path(key)
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self._root:
                return
            try:
                folder.rmdir()
            except OSError:
                return

    def url(self, key: str) -> str:
        """The object's address below `base_url`, or its file address."""
        if self._base_url is None:
            return self.path(key).as_uri()
        return f"{self._base_url.rstrip('/')}/{quote(key)}"

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with `prefix`; what a killed process left half-written is not among them."""
        for path in _files(self._root / prefix.rpartition("/")[0]):
            key = path.relative_to(self._root).as_posix()
            if key.startswith(prefix) and not path.name.endswith(_PARTIAL):
                yield key

    def size_bytes(self) -> int:
        """How much room all of it takes. What several keys share, and what is no object of ours, counts once."""
        seen: dict[tuple[int, int], int] = {}
        for path in _files(self._root):
            # It may be gone by now.
            with suppress(OSError):
                found = path.lstat()
                seen[found.st_dev, found.st_ino] = found.st_size
        return sum(seen.values())

    def sweep(self) -> None:
        """Remove what a killed process left half-written. Only while nobody else writes here."""
        for path in self._root.rglob(f"*{_PARTIAL}"):
            path.unlink(missing_ok=True)

    def _missing(self, key: str) -> FinalError:
        return FinalError("object_missing", f"There is no object {key} in {self._root}.", "It may have been deleted.")

    def path(self, key: str) -> Path:
        """Where the object is on this machine.

        Raises:
            FinalError: `invalid_key`, for a key that could lead out of the folder or to a hidden file.
        """
        if not _KEY.fullmatch(key) or key.endswith(_PARTIAL):
            raise FinalError(
                "invalid_key",
                f"{key!r} is not a storage key.",
                "Keys are names of letters, digits, dots, dashes and underscores, joined by single slashes.",
            )
        return self._root / key


def _files(root: Path) -> Iterator[Path]:
    """All files below a folder, which may go while it is walked through: what is deleted takes its folders with it."""
    for folder, _, names in os.walk(root):
        yield from (Path(folder, name) for name in names)


def _link_or_copy(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError as error:
        # Another file system, or one without hard links.
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        shutil.copyfile(source, target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _blocks(file: IO[bytes], start: int, end: int | None) -> Iterator[bytes]:
    with file:
        file.seek(start)
        left = None if end is None else end - start
        while left is None or left > 0:
            block = file.read(_BLOCK_BYTES if left is None else min(left, _BLOCK_BYTES))
            if not block:
                return
            left = None if left is None else left - len(block)
            yield block


@contextmanager
def _disk_errors(key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise ResourceError(
                "disk_full", f"There was no room to store {key}.", "Free some space; the step is tried again."
            ) from error
        raise ResourceError(
            "storage_unavailable",
            f"{key} could not be stored: {error.strerror}.",
            "Check the folder's permissions and disk; the step is tried again.",
        ) from error
