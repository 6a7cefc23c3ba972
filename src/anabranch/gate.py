"""Gate: how much runs at once: calls of a function, pieces on a core. Whoever waits goes in by rank and then by turn,
past those whose own key is full.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

# Those who wait for the same places, by rank and then by turn.
_Queue = list[tuple[int, int, "asyncio.Future[None]"]]


class Gate:
    """Places by key. For one event loop: what runs elsewhere is not counted, and a restart begins at none."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._turns = itertools.count()
        self._queues: dict[tuple[tuple[str, int], ...], _Queue] = defaultdict(list)

    @asynccontextmanager
    async def hold(self, limits: Mapping[str, int], rank: int) -> AsyncIterator[None]:
        """A place under every key of `limits`, for as long as the context lasts. The lowest rank goes first."""
        if not limits:
            yield
            return
        places = tuple(sorted(limits.items()))
        await self._take(places, rank)
        try:
            yield
        finally:
            self._give_back(places)

    async def _take(self, places: tuple[tuple[str, int], ...], rank: int) -> None:
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queues[places], (rank, next(self._turns), ticket))
        self._admit()
        try:
            await ticket
        except asyncio.CancelledError:
            # It may have been let in at the same moment; then the next in turn may go.
            if ticket.done() and not ticket.cancelled():
                self._give_back(places)
            raise

    def _give_back(self, places: tuple[tuple[str, int], ...]) -> None:
        for key, _ in places:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]
        self._admit()

    def _admit(self) -> None:
        while True:
            heads = [
                (queue[0], places)
                for places, queue in self._queues.items()
                if _drop_cancelled(queue) and all(self._held[key] < limit for key, limit in places)
            ]
            if not heads:
                break
            _, places = min(heads, key=lambda head: head[0][:2])
            _, _, ticket = heapq.heappop(self._queues[places])
            for key, _ in places:
                self._held[key] += 1
            ticket.set_result(None)
        for places in [places for places, queue in self._queues.items() if not queue]:
            del self._queues[places]


def _drop_cancelled(queue: _Queue) -> bool:
    """Take off the head whoever waits no more. Whether anybody is left."""
    while queue and queue[0][2].done():
        heapq.heappop(queue)
    return bool(queue)
