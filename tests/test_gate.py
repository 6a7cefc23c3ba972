"""Gates keep one promise: within a process, and over several that share a Postgres."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from anabranch.gate import Gate
from tests.engine.members import Member

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from anabranch.engine.places import Places

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Visitors:
    """Who goes through a gate, by name, in the order that they were let in. Each comes to the next process."""

    def __init__(self, gates: Sequence[Gate | Places], settled: Callable[[int, int], Awaitable[bool]]) -> None:
        self._gates = itertools.cycle(gates)
        self._settled = settled
        self._inside: dict[str, AsyncExitStack] = {}
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self.let_in: list[str] = []

    async def come(self, name: str, limits: Mapping[str, int], rank: int = 0) -> None:
        self._waiting[name] = asyncio.create_task(self._enter(name, limits, rank))
        await self._settle()

    async def _enter(self, name: str, limits: Mapping[str, int], rank: int) -> None:
        stack = AsyncExitStack()
        await stack.enter_async_context(next(self._gates).hold(limits, rank))
        self._inside[name] = stack
        self.let_in.append(name)

    async def leave(self, name: str) -> None:
        await self._inside.pop(name).aclose()
        await self._settle()

    async def give_up(self, name: str) -> None:
        self._waiting[name].cancel()
        await self._settle()

    async def _settle(self) -> None:
        async with asyncio.timeout(5):
            while True:
                # Of the tasks that are done some gave up.
                waiting = sum(not task.done() for task in self._waiting.values())
                if await self._settled(len(self._inside), waiting):
                    return


async def settled_here(_inside: int, _waiting: int) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return True


@pytest.fixture(params=["one process", "three processes"])
async def visitors(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Visitors]:
    if request.param == "one process":
        yield Visitors([Gate()], settled_here)
        return
    request.getfixturevalue("_short_listening")
    url = request.getfixturevalue("migrated_postgres")
    async with AsyncExitStack() as stack:
        members = [Member(url, tmp_path / name) for name in "abc"]
        for member in members:
            await stack.enter_async_context(member)

        async def settled(inside: int, waiting: int) -> bool:
            await asyncio.sleep(0.005)
            return members[0].rows() == (inside, waiting)

        yield Visitors([member.places for member in members], settled)


async def test_no_more_are_inside_than_there_are_places(visitors: Visitors) -> None:
    for name in ("a", "b", "c"):
        await visitors.come(name, {"cpu": 2})
    assert visitors.let_in == ["a", "b"]
    await visitors.leave("a")
    assert visitors.let_in == ["a", "b", "c"]


async def test_the_lowest_rank_goes_first_and_equals_go_by_turn(visitors: Visitors) -> None:
    await visitors.come("inside", {"cpu": 1})
    for name, rank in (("late", 2), ("early", 1), ("early too", 1)):
        await visitors.come(name, {"cpu": 1}, rank)
    for name in ("inside", "early", "early too"):
        await visitors.leave(name)
    assert visitors.let_in == ["inside", "early", "early too", "late"]


async def test_who_waits_for_two_places_holds_neither_meanwhile(visitors: Visitors) -> None:
    await visitors.come("encode", {"cpu": 1})
    await visitors.come("speech", {"cpu": 1, "speech": 1}, rank=1)
    await visitors.come("earlier speech", {"cpu": 1, "speech": 1}, rank=0)
    await visitors.leave("encode")
    assert visitors.let_in == ["encode", "earlier speech"]


async def test_a_full_key_keeps_nobody_from_another(visitors: Visitors) -> None:
    await visitors.come("speech", {"cpu": 2, "speech": 1})
    await visitors.come("more speech", {"cpu": 2, "speech": 1})
    await visitors.come("encode", {"cpu": 2}, rank=9)
    assert visitors.let_in == ["speech", "encode"]


async def test_who_gives_up_waiting_keeps_no_place(visitors: Visitors) -> None:
    for name in ("inside", "gone", "next"):
        await visitors.come(name, {"cpu": 1})
    await visitors.give_up("gone")
    await visitors.leave("inside")
    assert visitors.let_in == ["inside", "next"]
