"""Sources: what tasks are made from, as files of this machine. Each is fetched and looked into once, whoever asks."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

from anabranch.catalog import tasks
from anabranch.media import source
from anabranch.media.probe import Probe, probe

if TYPE_CHECKING:
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
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._fetched: dict[str, Path] = {}
        self._seen: dict[str, Probe] = {}

    def fetch(self, address: str) -> Path:
        """The source as a file, fetched if it is not here.

        Raises:
            AnabranchError: it cannot be had.
        """
        with self._locks[address]:
            return self._fetch(address)

    def look(self, address: str) -> Probe:
        """What is in the source.

        Raises:
            AnabranchError: it cannot be had, or is no media.
        """
        with self._locks[address]:
            path = self._fetch(address)
            if address not in self._seen:
                self._seen[address] = probe(path, self._sandbox)
            return self._seen[address]

    def tidy(self, database: sa.Engine) -> None:
        """Forget the sources that no task needs any more, and remove those that were fetched for them."""
        for address in list(self._fetched):
            if tasks.open_with_input(database, address):
                continue
            with self._locks[address]:
                self._fetched.pop(address, None)
                self._seen.pop(address, None)
                key = address.removeprefix(STORED)
                if key == address:
                    source.forget(address, self._folder)
                else:
                    self._storage.forget(key, self._folder)
            self._locks.pop(address, None)

    def _fetch(self, address: str) -> Path:
        path = self._fetched.get(address)
        # One that was swept is fetched again.
        if path is None or not path.exists():
            key = address.removeprefix(STORED)
            if key == address:
                path = source.fetch(address, self._folder, self._terms)
            else:
                path = self._storage.local(key, self._folder)
            self._fetched[address] = path
            self._seen.pop(address, None)
        return path
