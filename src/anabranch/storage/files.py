"""Files: storage in a folder. Written beside its place, synced, then renamed, so a reader sees all or nothing."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from anabranch import clock
from anabranch.errors import ResourceError
from anabranch.storage import Stored
from anabranch.storage.names import PARTIAL, check_key, missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BLOCK_BYTES = 1 << 20


class FileStorage:
    """A `Storage` in a folder of this machine, or one that several machines share.

    Args:
        root: the folder; made when needed.
        base_url: the address under which somebody serves the folder; file addresses when None.
    """

    def __init__(self, root: Path, base_url: str | None = None) -> None:
        self.root = root.absolute()
        self._base_url = base_url

    def put(self, key: str, source: Path, content_type: str) -> None:  # noqa: ARG002  (a folder keeps no types)
        """Store the file under `key`; a hard link where the file system allows, else a copy."""
        path = self.path(key)
        # Whoever else stores this key at this moment has a name of its own.
        partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PARTIAL}")
        with _disk_errors(key):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                _link_or_copy(source, partial)
                _sync(partial)
                partial.replace(path)
                _sync(path.parent)
            finally:
                # It stays even then when the object was a link of the same file: renaming does nothing.
                partial.unlink(missing_ok=True)

    def open(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to `end`, in blocks of at most 1 MiB."""
        try:
            file = self.path(key).open("rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise missing(key, self.root) from None
        return _blocks(file, start, end)

    def stat(self, key: str) -> Stored | None:
        """The object's size and version, or None when there is none."""
        path = self.path(key)
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not path.is_file():
            return None
        return Stored(found.st_size, f"{found.st_mtime_ns} {found.st_ino}")

    def exists(self, key: str) -> bool:
        """Whether there is an object under `key`."""
        return self.path(key).is_file()

    def delete(self, key: str) -> None:
        """Remove the object and the folders that this leaves empty."""
        path = self.path(key)
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self.root:
                return
            try:
                folder.rmdir()
            except OSError:
                return

    def delete_all(self, keys: Iterable[str]) -> None:
        """Remove many objects."""
        for key in keys:
            self.delete(key)

    def copy(self, source_key: str, key: str, content_type: str) -> None:
        """Store the object under another key as well; a hard link where the file system allows, else a copy."""
        if not self.exists(source_key):
            raise missing(source_key, self.root)
        self.put(key, self.path(source_key), content_type)

    def url(self, key: str) -> str:
        """The object's address below `base_url`, or its file address."""
        if self._base_url is None:
            return self.path(key).as_uri()
        return f"{self._base_url.rstrip('/')}/{quote(key)}"

    def signed_url(self, key: str, lifetime_s: int) -> str | None:  # noqa: ARG002
        """None: nobody serves the folder but this server."""
        return None

    def local(self, key: str, folder: Path) -> Path:  # noqa: ARG002
        """The object itself."""
        if not self.exists(key):
            raise missing(key, self.root)
        return self.path(key)

    def forget(self, key: str, folder: Path) -> None:
        """Nothing was fetched."""

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with `prefix`; what a killed process left half-written is not among them."""
        for path in _files(self.root / prefix.rpartition("/")[0]):
            key = path.relative_to(self.root).as_posix()
            if key.startswith(prefix) and not path.name.endswith(PARTIAL):
                yield key

    def size_bytes(self) -> int:
        """How much room all of it takes. What several keys share, and what is no object of ours, counts once."""
        seen: dict[tuple[int, int], int] = {}
        for path in _files(self.root):
            # It may be gone by now.
            with suppress(OSError):
                found = path.lstat()
                seen[found.st_dev, found.st_ino] = found.st_size
        return sum(seen.values())

    def sweep(self, older_than_s: float = 0) -> None:
        """Remove what killed processes left half-written.

        Args:
            older_than_s: of what age; 0 only while nobody else writes here.
        """
        until_s = clock.now_ms() / 1000 - older_than_s
        for path in self.root.rglob(f"*{PARTIAL}"):
            # Whoever writes it may be done with it by now.
            with suppress(FileNotFoundError):
                # A link has the times of what it links to, but for this one.
                if path.stat().st_ctime <= until_s or not older_than_s:
                    path.unlink()

    def path(self, key: str) -> Path:
        """Where the object is on this machine.

        Raises:
            FinalError: `invalid_key`, for a key that could lead out of the folder or to a hidden file.
        """
        check_key(key)
        return self.root / key


def _files(root: Path) -> Iterator[Path]:
    """All files below a folder, which may go while it is walked through: what is deleted takes its folders with it."""
    for folder, _, names in os.walk(root):
        yield from (Path(folder, name) for name in names)


def _link_or_copy(source: Path, target: Path) -> None:
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
