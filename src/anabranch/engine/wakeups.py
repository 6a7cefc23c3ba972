"""Wakeups: how a step that waits in this process hears at once what the journal already knows."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator


class Wakeups:
    """Signals by key, between coroutines of one event loop. A hint only: the journal says what is so."""

    def __init__(self) -> None:
        self._signals: dict[Hashable, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def expect(self, key: Hashable) -> Iterator[asyncio.Event]:
        """A signal that is set when somebody wakes `key`."""
        signal = asyncio.Event()
        self._signals[key].add(signal)
        try:
            yield signal
        finally:
            self._signals[key].discard(signal)
            if not self._signals[key]:
                del self._signals[key]

    def wake(self, key: Hashable) -> None:
        """Set every signal that waits for `key`."""
        for signal in self._signals.get(key, ()):
            signal.set()
