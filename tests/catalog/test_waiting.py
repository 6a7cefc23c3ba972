"""Waiting: which pieces wait for room, as the rows of those who could do them say."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from anabranch.catalog import tasks, waiting, work
from anabranch.catalog.work import Claim, Need, Offer, Wish
from anabranch.functions.process_task import read_order
from anabranch.workers import Membership

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import sqlalchemy as sa

GIB = 1 << 30


@pytest.fixture
def worker(database: sa.Engine, tmp_path: Path) -> Callable[[Offer], Membership]:
    """Makes a worker that tells what it has."""
    names = iter(range(100))

    def make(offer: Offer) -> Membership:
        home = tmp_path / f"home{next(names)}"
        home.mkdir()
        made = Membership(database, home, {"slots": 1}, lease_s=12)
        made.offer = offer.to_dict
        assert made._beat()
        return made

    return make


@pytest.fixture(autouse=True)
def _task(database: sa.Engine) -> None:
    tasks.create(database, read_order({"id": "task_1", "kind": "image", "input": "storage:film"}, "run_1"))


def ask(database: sa.Engine, piece: str, need: Need, due_at: int = 1) -> None:
    work.ask(database, "task_1", [Wish(piece, "cpu", due_at, room=need)])


def claim(database: sa.Engine, by: Membership, offer: Offer) -> Claim | None:
    return work.claim(database, by.id, ["cpu"], lambda _: True, offer)


def test_a_piece_that_nobody_has_room_for_waits_and_says_how_much_it_needs(
    database: sa.Engine, worker: Callable[[Offer], Membership]
) -> None:
    ask(database, "large", Need(scratch=3 * GIB + GIB // 10))
    ask(database, "small", Need(scratch=GIB), due_at=2)
    # Nobody works yet.
    assert waiting.for_room(database) == []
    little, more = Offer(GIB // 2), Offer(round(1.2 * GIB))
    worker(little)
    able = worker(more)
    (parked,) = waiting.for_room(database)
    assert parked.why == "waits for room: needs 3.1 GiB, the worker with the most has 1.2 GiB free"
    assert waiting.by_task(database, ["task_1"])["task_1"] == parked
    assert waiting.by_task(database, ["task_2"]) == {}
    # What is smaller goes before it.
    found = claim(database, able, more)
    assert found is not None
    assert found.piece == "small"
    assert claim(database, able, more) is None
    # It begins where there is room, and waits no more.
    plenty = Offer(4 * GIB)
    roomy = worker(plenty)
    assert waiting.for_room(database) == []
    found = claim(database, roomy, plenty)
    assert found is not None
    assert (found.piece, found.room) == ("large", Need(scratch=3 * GIB + GIB // 10))


def test_a_worker_that_drains_has_room_for_nothing(database: sa.Engine, worker: Callable[[Offer], Membership]) -> None:
    ask(database, "large", Need(scratch=2 * GIB))
    worker(Offer(GIB))
    leaving = worker(Offer(4 * GIB))
    assert waiting.for_room(database) == []
    leaving.drain()
    assert [one.piece for one in waiting.for_room(database)] == ["large"]


def test_a_source_takes_room_where_it_is_not_yet(database: sa.Engine, worker: Callable[[Offer], Membership]) -> None:
    ask(database, "chunk", Need(scratch=GIB // 10, source=3 * GIB))
    without, has = Offer(GIB), Offer(GIB, sources=frozenset({"storage:film"}))
    first = worker(without)
    assert [one.needs_bytes for one in waiting.for_room(database)] == [3 * GIB + GIB // 10]
    assert claim(database, first, without) is None
    second = worker(has)
    assert waiting.for_room(database) == []
    assert claim(database, second, has) is not None


def test_what_is_claimed_is_what_is_not_said_to_wait(
    database: sa.Engine, worker: Callable[[Offer], Membership]
) -> None:
    """The database asks by one rule and people are told by another; they are the same."""
    chance = random.Random(7)
    needs = {f"piece-{at}": Need(*(chance.choice((0, 1, 5)) for _ in range(3))) for at in range(27)}
    for at, (name, need) in enumerate(needs.items()):
        ask(database, name, need, due_at=at)
    sources = frozenset({"storage:film"})
    for offer in (Offer(-1), Offer(0), Offer(5, True), Offer(6), Offer(6, True, sources), Offer(11, False, sources)):
        by = worker(offer)
        said = {name for name, need in needs.items() if offer.lacks(need, "storage:film")}
        taken = set()
        while (found := claim(database, by, offer)) is not None:
            taken.add(found.piece)
        assert taken == set(needs) - said
        for name in taken:
            del needs[name]
