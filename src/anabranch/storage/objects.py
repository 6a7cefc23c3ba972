"""Objects: storage in a bucket of S3, of what speaks like it, of Google Cloud Storage or of Azure.

Nothing here relies on a write that fails when somebody else was first: many stores take such a write and ignore what it
asks for. Keys carry the attempt that wrote them, and playlists are rows of which these are copies.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import itertools
import re
import tempfile
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import obstore

from anabranch import buckets
from anabranch.errors import AnabranchError, ResourceError, SetupError
from anabranch.storage import Stored
from anabranch.storage.names import PARTIAL, check_key, missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from anabranch.buckets import Patience, Place, Trouble

# A file of more than this is sent in parts, a few at once; together they are what a transfer needs of memory.
_PART_BYTES = 8 << 20
_PARTS_AT_ONCE = 4
# Stores take 10,000 parts of a file.
_MOST_PARTS = 9_000
# S3 copies no more than this by one request.
_COPIED_AT_ONCE_BYTES = 5 << 30
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}(;[ -~]{0,200})?")
_LISTED_AT_ONCE = 1_000
_DELETED_AT_ONCE = 500


class ObjectStorage:
    """A `Storage` in a bucket.

    Args:
        place: the bucket, and what keys begin with in it.
        base_url: the address under which this server, or a CDN, serves the outputs; the store's own when None.
        endpoint: where the store is, when it is none of its makers' own.
        patience: how long the store is waited for.

    Raises:
        SetupError: `storage_refused`, when the environment lacks what the store needs.
    """

    def __init__(
        self,
        place: Place,
        base_url: str | None = None,
        endpoint: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.place = place
        self._base_url = base_url
        self._prefix = f"{place.path}/" if place.path else ""
        try:
            self._bucket = buckets.open_bucket(place, endpoint, patience)
        except buckets.ERRORS as error:
            why = str(error).partition("\n\nDebug source")[0]
            raise SetupError(
                "storage_refused", f"{place} cannot be opened: {why}.", "docs/storage.md says what it needs."
            ) from error

    def put(self, key: str, source: Path, content_type: str) -> None:
        """Send the file, a large one in parts, and look whether all of it is there."""
        path = self._path(key)
        size_bytes = source.stat().st_size
        with self._troubles(key, "stored", writing=True):
            obstore.put(
                self._bucket,
                path,
                source,
                attributes={"Content-Type": _header(content_type)},
                chunk_size=_part_bytes(size_bytes),
                max_concurrency=_PARTS_AT_ONCE,
            )
        self._verify(key, size_bytes)

    def open(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to `end`, in blocks of at most 4 MiB, each asked for when it is wanted."""
        found = self._read(key, start, end)
        # Asked for now, so that a missing object is told before anything is answered.
        return itertools.chain(list(itertools.islice(found, 1)), found)

    def stat(self, key: str) -> Stored | None:
        """The object's size and version, or None when there is none."""
        path = self._path(key)
        try:
            with self._troubles(key, "found"):
                meta = obstore.head(self._bucket, path)
        except AnabranchError as error:
            if error.code == "object_missing":
                return None
            raise
        return Stored(meta["size"], buckets.version_of(meta))

    def exists(self, key: str) -> bool:
        """Whether there is an object under `key`."""
        return self.stat(key) is not None

    def delete(self, key: str) -> None:
        """Remove the object."""
        path = self._path(key)
        try:
            with self._troubles(key, "deleted"):
                obstore.delete(self._bucket, path)
        except AnabranchError as error:
            if error.code != "object_missing":
                raise

    def delete_all(self, keys: Iterable[str]) -> None:
        """Remove many objects, some at a time."""
        left = iter(keys)
        while some := list(itertools.islice(left, _DELETED_AT_ONCE)):
            try:
                with self._troubles(some[0], "deleted"):
                    obstore.delete(self._bucket, [self._path(key) for key in some])
            except AnabranchError as error:
                if error.code != "object_missing":
                    raise
                # Some stores mind that one is gone, and leave the others.
                for key in some:
                    self.delete(key)

    def copy(self, source_key: str, key: str, content_type: str) -> None:
        """Have the store copy the object; what is too large for that goes through this machine."""
        source, path = self._path(source_key), self._path(key)
        found = self.stat(source_key)
        if found is None:
            raise missing(source_key, self.place)
        if found.size_bytes > _COPIED_AT_ONCE_BYTES:
            with tempfile.TemporaryDirectory() as folder:
                self.put(key, self.local(source_key, Path(folder)), content_type)
            return
        with self._troubles(key, "copied"):
            obstore.copy(self._bucket, source, path)
        self._verify(key, found.size_bytes)

    def url(self, key: str) -> str:
        """The object's address below `base_url`, or its address in the store."""
        if self._base_url is None:
            return f"{self.place.scheme}://{self.place.bucket}/{self._path(key)}"
        return f"{self._base_url.rstrip('/')}/{quote(key)}"

    def signed_url(self, key: str, lifetime_s: int) -> str | None:
        """An address of the store's own, which reads this object for a while."""
        path = self._path(key)
        with self._troubles(key, "signed"):
            return obstore.sign(self._bucket, "GET", path, timedelta(seconds=lifetime_s))

    def local(self, key: str, folder: Path) -> Path:
        """The object in a file in `folder`: fetched once, whoever asks first, and whole or not there."""
        found = self.stat(key)
        if found is None:
            raise missing(key, self.place)
        folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(found.version.encode()).hexdigest()[:16]
        place = folder / f"{_name(key)}-{digest}"
        partial = place.with_name(place.name + PARTIAL)
        with _alone(folder / f"{_name(key)}.lock"), _disk_errors(key):
            if not (place.exists() and place.stat().st_size == found.size_bytes):
                try:
                    with partial.open("wb") as file:
                        file.writelines(self._read(key, 0, found.size_bytes))
                    self._check_size(key, partial.stat().st_size, found.size_bytes)
                    partial.replace(place)
                finally:
                    partial.unlink(missing_ok=True)
        return place

    def forget(self, key: str, folder: Path) -> None:
        """Remove what `local` fetched of an object, whatever its version."""
        for path in folder.glob(f"{_name(key)}-*"):
            path.unlink(missing_ok=True)

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with `prefix`."""
        # Stores list by whole names between slashes.
        for path, _ in self._list(prefix.rpartition("/")[0]):
            key = path.removeprefix(self._prefix)
            if key.startswith(prefix):
                yield key

    def size_bytes(self) -> int:
        """How much room all of it takes. Every thousand objects are a request."""
        return sum(size for _, size in self._list(""))

    def _path(self, key: str) -> str:
        check_key(key)
        return self._prefix + key

    def _read(self, key: str, start: int, end: int | None) -> Iterator[bytes]:
        path = self._path(key)
        with self._troubles(key, "read"):
            yield from buckets.blocks(self._bucket, path, start, end)

    def _list(self, folder: str) -> Iterator[tuple[str, int]]:
        prefix = (self._prefix + folder).strip("/") or None
        with self._troubles(folder, "listed"):
            for some in obstore.list(self._bucket, prefix, chunk_size=_LISTED_AT_ONCE):
                yield from ((one["path"], one["size"]) for one in some)

    def _verify(self, key: str, size_bytes: int) -> None:
        """Believe no store that it has stored something before it says how large that is."""
        found = self.stat(key)
        self._check_size(key, found.size_bytes if found else None, size_bytes)

    def _check_size(self, key: str, got: int | None, wanted: int) -> None:
        if got != wanted:
            has = "nothing" if got is None else f"{got} bytes"
            raise ResourceError(
                "storage_unavailable",
                f"{key} should have {wanted} bytes in {self.place}, and there is {has}.",
                "The step is tried again. If it stays so, the store loses what it says it has stored.",
            )

    @contextmanager
    def _troubles(self, key: str, done: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except AnabranchError:
            raise
        except buckets.ERRORS as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise self._told(key, done, buckets.trouble(error), writing=writing) from error

    def _told(self, key: str, done: str, trouble: Trouble, *, writing: bool) -> AnabranchError:
        said = f"{key or 'The objects'} in {self.place} could not be {done}: {trouble.why}."
        if trouble.kind == "missing" and not writing:
            return missing(key, self.place)
        if trouble.kind == "unavailable":
            return ResourceError("storage_unavailable", said, trouble.advice)
        return SetupError("storage_refused", said, trouble.advice)


def _part_bytes(size_bytes: int) -> int:
    """How large each part of a file is; the same for all but the last, as some stores want."""
    mebibytes = -(-size_bytes // _MOST_PARTS) + (1 << 20) - 1 >> 20
    return max(_PART_BYTES, mebibytes << 20)


def _header(content_type: str) -> str:
    """A type that can be said in a header: who uploads may claim any."""
    return content_type if _TYPE.fullmatch(content_type) else "application/octet-stream"


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    # Four branches ask for the same source at the same moment; one fetches, the others wait.
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _disk_errors(key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise ResourceError(
            "disk_full", f"There was no room to fetch {key}.", "Free some space; the step is tried again."
        ) from error
