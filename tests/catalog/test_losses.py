"""Losses: whom a worker that was lost takes down, and what is done with what takes down one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from anabranch.catalog import attempts, losses, tasks, work
from anabranch.catalog.work import Claim, Offer, Wish
from anabranch.functions.process_task import read_order
from anabranch.workers import Membership, workers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import sqlalchemy as sa

MOST = 3
BUSY = Offer(idle=False)


class Mortal:
    """A process that shares the database; it ends when it is told how."""

    def __init__(self, database: sa.Engine, home: Path) -> None:
        home.mkdir()
        self.database = database
        self.membership = Membership(database, home, {"slots": 2}, lease_s=12)

    def claim(self, offer: Offer = Offer(), most: int = MOST) -> Claim | None:  # noqa: B008
        return work.claim(self.database, self.membership.id, ["cpu"], lambda _: True, offer, most)

    def dies(self, most: int = MOST) -> None:
        """It falls silent, and somebody notices."""
        with self.database.begin() as connection:
            mine = workers.c.id == self.membership.id
            connection.execute(workers.update().where(mine).values(status="lost"))
        losses.release_lost(self.database, most)


@pytest.fixture
def born(database: sa.Engine, tmp_path: Path) -> Callable[[], Mortal]:
    """Makes a worker that nobody has seen before."""
    names = iter(range(100))
    return lambda: Mortal(database, tmp_path / f"home{next(names)}")


@pytest.fixture
def asked(database: sa.Engine) -> Callable[..., None]:
    """Asks for pieces of one task; those named first are due first."""
    tasks.create(database, read_order({"id": "task_1", "kind": "image", "input": "x"}, "run_1"))
    tasks.begin(database, "task_1", "run_1")
    return lambda *names: work.ask(database, "task_1", [Wish(name, "cpu", at) for at, name in enumerate(names)])


def statuses(database: sa.Engine, piece: str) -> list[str]:
    return [row.status for row in attempts.of_task(database, "task_1") if row.piece == piece]


def take(worker: Mortal, *names: str, **given: Any) -> None:
    claims = [worker.claim(**given) for _ in names]
    assert [claim and claim.piece for claim in claims] == list(names)


def test_a_piece_at_which_three_workers_were_lost_is_quarantined_with_a_report_of_each(
    database: sa.Engine, born: Callable[[], Mortal], asked: Callable[..., None]
) -> None:
    asked("poison")
    for number in range(1, 4):
        worker = born()
        take(worker, "poison")
        attempts.note(database, "task_1", "poison", number, (f"ffmpeg -i {number}", f"words {number}"))
        worker.dies()
    assert born().claim() is None
    assert statuses(database, "poison") == ["lost", "lost", "lost"]
    state = work.look(database, "task_1", "poison")
    assert state.error is not None
    assert (state.status, state.error["code"], state.error["retryable"]) == ("failed", "quarantined", False)
    report = state.error["report"]
    assert [(one["attempt"], one["command"], one["log"]) for one in report] == [
        (number, f"ffmpeg -i {number}", f"words {number}") for number in range(1, 4)
    ]
    assert len({one["workerId"] for one in report}) == 3
    assert all(one["lostAt"] for one in report)
    assert "3 workers were lost" in state.error["message"]
    assert "ffmpeg -i 3" in state.error["message"]
    task = tasks.get(database, "task_1")
    assert task is not None
    assert (task.error or {})["report"] == report


def test_what_was_done_beside_a_poisonous_piece_is_never_quarantined(
    database: sa.Engine, born: Callable[[], Mortal], asked: Callable[..., None]
) -> None:
    asked("innocent", "poison")
    for _ in range(2):
        worker = born()
        take(worker, "innocent", "poison", most=MOST)
        worker.dies()
    # From here on each is done alone.
    worker = born()
    innocent = worker.claim()
    assert innocent is not None
    assert (innocent.piece, innocent.alone) == ("innocent", True)
    assert worker.claim(BUSY) is None
    assert work.complete(database, innocent, {})
    take(worker, "poison")
    worker.dies()
    assert statuses(database, "innocent") == ["lost", "lost", "completed"]
    assert work.look(database, "task_1", "poison").status == "failed"


def test_a_piece_that_is_to_be_done_alone_is_waited_for_and_not_passed_over(
    database: sa.Engine, born: Callable[[], Mortal], asked: Callable[..., None]
) -> None:
    asked("suspect")
    for _ in range(2):
        worker = born()
        take(worker, "suspect")
        worker.dies()
    asked("suspect", "later")
    worker = born()
    # It would otherwise have something to do for ever, and the piece no worker that is idle.
    assert worker.claim(BUSY) is None
    take(worker, "suspect", "later")


def test_what_a_worker_gave_back_is_no_loss(
    database: sa.Engine, born: Callable[[], Mortal], asked: Callable[..., None]
) -> None:
    asked("long")
    for number in range(5):
        worker = born()
        claim = worker.claim()
        assert claim is not None
        assert not claim.alone
        if number % 2:
            work.release(database, claim)
        else:
            # It left, and could not say so of its piece.
            worker.membership.leave()
            losses.release_lost(database, MOST)
    assert statuses(database, "long") == ["interrupted"] * 5
    assert work.look(database, "task_1", "long").status == "open"


def test_losses_are_remembered_when_a_piece_has_failed_between_them(
    database: sa.Engine, born: Callable[[], Mortal], asked: Callable[..., None]
) -> None:
    asked("poison")
    for _ in range(2):
        worker = born()
        take(worker, "poison")
        worker.dies()
    claim = born().claim()
    assert claim is not None
    assert work.fail(database, claim, {"code": "encode_failed"})
    assert work.look(database, "task_1", "poison").status == "failed"
    asked("poison")
    worker = born()
    take(worker, "poison")
    worker.dies()
    assert (work.look(database, "task_1", "poison").error or {})["code"] == "quarantined"


def test_with_no_limit_of_losses_a_piece_is_done_until_it_ends(
    database: sa.Engine, born: Callable[[], Mortal], asked: Callable[..., None]
) -> None:
    asked("unlucky")
    for _ in range(5):
        worker = born()
        claim = worker.claim(BUSY, most=0)
        assert claim is not None
        assert not claim.alone
        worker.dies(most=0)
    assert work.look(database, "task_1", "unlucky").status == "open"
