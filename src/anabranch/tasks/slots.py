"""Slots: how much work runs at once on this machine. Cores are the budget; urgent pieces go first."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Slots:
    """A number of places, given out by urgency and then by turn. For one event loop.

    Args:
        count: how many pieces may hold a place at the same time.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._turns = itertools.count()
        self._queue: list[tuple[bool, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def hold(self, *, urgent: bool = False) -> AsyncIterator[None]:
        """A place, for as long as the context lasts."""
        await self._take(urgent)
        try:
            yield
        finally:
            self._give_back()

    async def _take(self, urgent: bool) -> None:
        if self._free > 0:
            self._free -= 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (not urgent, next(self._turns), place))
        try:
            await place
        except asyncio.CancelledError:
            # It may have been given the place in the same moment; then the next in turn gets it.
            if place.done() and not place.cancelled():
                self._give_back()
            raise

    def _give_back(self) -> None:
        while self._queue:
            _, _, place = heapq.heappop(self._queue)
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
