"""Sources: what tasks are made from, as files of this machine. Each is fetched and looked into once, whoever asks."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from anabranch.catalog import tasks
from anabranch.errors import FinalError, SourceError
from anabranch.media import source
from anabranch.media.probe import Probe, probe
from anabranch.storage.files import FileStorage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import sqlalchemy as sa

    from anabranch.media.sandbox import Sandbox
    from anabranch.media.source import Terms
    from anabranch.storage import Storage

# How the address of something in storage begins; its key follows.
STORED = "storage:"


class Sources:
    """The sources of the tasks of one process.

    Args:
        storage: holds those that were uploaded.
        scratch: where others are fetched to, in a folder of their own.
        sandbox: where they are looked into.
        terms: what may be fetched, and what that may take.
    """

    def __init__(self, storage: Storage, scratch: Path, sandbox: Sandbox, terms: Terms) -> None:
        self._storage = storage
        self._sandbox = sandbox
        self._terms = terms
        self._folder = scratch / "sources"
        self._folder.mkdir(parents=True, exist_ok=True)
        # By address, for as long as somebody holds one or waits for it.
        self._locks: dict[str, threading.Lock] = {}
        self._users: Counter[str] = Counter()
        self._guard = threading.Lock()
        self._fetched: dict[str, Path] = {}
        self._seen: dict[str, Probe] = {}
        # How large those are that are about to be fetched.
        self._coming: dict[str, int] = {}

    @property
    def here(self) -> frozenset[str]:
        """Addresses of the sources that need not be fetched, or are being fetched."""
        return frozenset([*self._fetched, *self._coming])

    def open_bytes(self) -> int:
        """How much of what is being fetched is still to come."""
        come = 0
        for path in self._folder.glob("*.partial"):
            # It may be whole by now.
            with contextlib.suppress(OSError):
                come += path.stat().st_size
        return max(0, sum(list(self._coming.values())) - come)

    def expect(self, address: str, size_bytes: int) -> None:
        """Count on fetching a source of this size."""
        if size_bytes and address not in self._fetched:
            self._coming[address] = size_bytes

    def forget_expected(self, address: str) -> None:
        """Count on it no more."""
        self._coming.pop(address, None)

    def size_bytes(self, address: str) -> int:
        """How much room a source takes here once it has been fetched: 0 for one that is read where it is.

        One elsewhere is only known when it has come, and until then 0 as well.

        Raises:
            AnabranchError: storage does not answer.
        """
        key = address.removeprefix(STORED)
        if key == address or isinstance(self._storage, FileStorage):
            return 0
        found = self._storage.stat(key)
        return found.size_bytes if found is not None else 0

    def travels(self, address: str) -> bool:
        """Whether a source has to be fetched to be read."""
        if address.startswith(STORED):
            return not isinstance(self._storage, FileStorage)
        return "://" in address and not address.lower().startswith("file:")

    def fetch(self, address: str) -> Path:
        """The source as a file, fetched if it is not here.

        Raises:
            AnabranchError: it cannot be had.
        """
        with self._alone(address):
            return self._fetch(address)

    def look(self, address: str) -> Probe:
        """What is in the source.

        Raises:
            AnabranchError: it cannot be had, or is no media.
        """
        with self._alone(address):
            path = self._fetch(address)
            if address not in self._seen:
                self._seen[address] = probe(path, self._sandbox)
            return self._seen[address]

    def tidy(self, database: sa.Engine) -> None:
        """Forget the sources that no task needs any more, and remove those that were fetched for them."""
        for address in list(self._fetched):
            if tasks.open_with_input(database, address):
                continue
            with self._alone(address):
                self._fetched.pop(address, None)
                self._seen.pop(address, None)
                key = address.removeprefix(STORED)
                if key == address:
                    source.forget(address, self._folder)
                else:
                    self._storage.forget(key, self._folder)
        with self._guard:
            if not self._locks:
                # Nobody fetches anything now, in the only process that has this folder.
                for lock in self._folder.glob("*.lock"):
                    lock.unlink(missing_ok=True)

    @contextmanager
    def _alone(self, address: str) -> Iterator[None]:
        """Let nobody else fetch, look into or forget a source."""
        with self._guard:
            lock = self._locks.setdefault(address, threading.Lock())
            self._users[address] += 1
        try:
            with lock:
                yield
        finally:
            with self._guard:
                self._users[address] -= 1
                if not self._users[address]:
                    del self._users[address], self._locks[address]

    def _fetch(self, address: str) -> Path:
        path = self._fetched.get(address)
        # One that was swept is fetched again.
        if path is None or not path.exists():
            key = address.removeprefix(STORED)
            try:
                path = source.fetch(address, self._folder, self._terms) if key == address else self._stored(key)
                self._fetched[address] = path
            finally:
                self.forget_expected(address)
            self._seen.pop(address, None)
        return path

    def _stored(self, key: str) -> Path:
        try:
            return self._storage.local(key, self._folder)
        except FinalError as error:
            if error.code != "object_missing":
                raise
            raise gone(key) from error


def gone(name: str) -> SourceError:
    """The error of who wants a source that was stored here once, by its key or id."""
    return SourceError(
        "source_gone",
        f"The source {name} is not there any more: it is not kept (ANABRANCH_KEEP_SOURCES), or was deleted.",
        "What was made of it stays. To make more of it, upload it again.",
    )
