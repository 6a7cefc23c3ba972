"""Room: what is free on the disk of a process, less what is kept, and less what it has promised.

Whoever is about to write much has it promised before: a piece of work its scratch, an upload its size. What has been
written of a promise is no longer free, so it counts once. Other processes on the same disk make promises of their own,
which are not seen here; what they have written is.
"""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from pathlib import Path

# Kept free for the rows: without, the database could not say what became of what was begun.
KEPT_BYTES = 64 << 20


@dataclass(frozen=True)
class _Promise:
    open_bytes: Callable[[], int]
    until: float | None


class Room:
    """The room on the disk of a folder. Any thread may ask.

    Args:
        folder: of this process; it is there.
        kept_bytes: what is given to nobody.
    """

    def __init__(self, folder: Path, kept_bytes: int = KEPT_BYTES) -> None:
        self._folder = folder
        self._kept_bytes = kept_bytes
        self._lock = threading.Lock()
        self._promises: dict[Hashable, _Promise] = {}

    def left_bytes(self) -> int:
        """What could be promised now; less than nothing when even what is kept is in use."""
        with self._lock:
            return self._left_bytes()

    def promise(self, whom: Hashable, open_bytes: Callable[[], int]) -> None:
        """Count on as much being written, until it is withdrawn, as `open_bytes` says when it is asked."""
        with self._lock:
            self._promises[whom] = _Promise(open_bytes, None)

    def take(self, whom: Hashable, open_bytes: Callable[[], int]) -> int | None:
        """The same if as much is left. None, or what is left when that is too little: then nothing is promised."""
        with self._lock:
            self._promises.pop(whom, None)
            left = self._left_bytes()
            if open_bytes() > max(left, 0):
                return left
            self._promises[whom] = _Promise(open_bytes, None)
            return None

    def let_lapse(self, whom: Hashable, within_s: float) -> None:
        """Let a promise end by itself after some seconds: whoever has it may never come back."""
        with self._lock:
            if whom in self._promises:
                self._promises[whom] = replace(self._promises[whom], until=time.monotonic() + within_s)

    def withdraw(self, whom: Hashable) -> None:
        """Promise it no more. Doing it twice is fine."""
        with self._lock:
            self._promises.pop(whom, None)

    def _left_bytes(self) -> int:
        now = time.monotonic()
        for whom in [whom for whom, one in self._promises.items() if one.until is not None and one.until < now]:
            del self._promises[whom]
        promised = sum(one.open_bytes() for one in self._promises.values())
        return shutil.disk_usage(self._folder).free - self._kept_bytes - promised


def said(size_bytes: int) -> str:
    """A number of bytes, as people say it."""
    size = float(max(0, size_bytes))
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit in ("bytes", "KiB") else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
