"""Several processes that publish at once, on each database: what flow control allows is what there is."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from anabranch import clock
from anabranch.engine import admission
from anabranch.engine.events import FUNCTION_FINISHED, Event
from anabranch.engine.flow import Batch, Cancel, Debounce, Flow, RateLimit, Singleton, Throttle
from anabranch.engine.journal import Journal
from anabranch.engine.protocol import Function, Trigger
from anabranch.engine.tables import events, run_events, runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anabranch.engine.journal import Published

PUBLISHERS = 8


def function(flow: Flow, *, name: str = "go", function_id: str = "app-f") -> Function:
    return Function(function_id, function_id, "http://app.test", (Trigger(name),), flow=flow)


def publish(database: sa.Engine, functions: Sequence[Function], count: int, name: str = "go") -> list[Published]:
    """What came of as many events as that, each published by itself, as many at once as there are publishers."""
    begun = threading.Barrier(PUBLISHERS)

    def some(first: int) -> list[Published]:
        begun.wait(10)
        # Each has a journal of its own, as each process does.
        journal = Journal(database, lambda: "wrk_1")
        return [
            journal.publish([Event(name, {"number": number}, id=f"e{number}")], functions)
            for number in range(first, count, PUBLISHERS)
        ]

    with ThreadPoolExecutor(PUBLISHERS) as pool:
        return [one for many in pool.map(some, range(PUBLISHERS)) for one in many]


def statuses(database: sa.Engine) -> list[str]:
    with database.connect() as connection:
        return list(connection.scalars(sa.select(runs.c.status).order_by(runs.c.status)))


def test_one_event_that_many_publish_starts_one_run(database: sa.Engine) -> None:
    def send(_: int) -> Any:
        return Journal(database, lambda: "wrk_1").publish([Event("go", {}, id="same")], [function(Flow())])

    with ThreadPoolExecutor(PUBLISHERS) as pool:
        assert sum(len(published.run_ids) for published in pool.map(send, range(PUBLISHERS))) == 1


def test_idempotency_starts_one_run_for_a_value(database: sa.Engine) -> None:
    publish(database, [function(Flow(idempotency="event.name"))], 16)
    assert statuses(database) == ["running"]


def test_a_rate_limit_is_kept(database: sa.Engine) -> None:
    publish(database, [function(Flow(rate_limit=RateLimit(3, 3600)))], 16)
    assert statuses(database) == ["running"] * 3


@pytest.mark.parametrize("mode", ["skip", "cancel"])
def test_a_singleton_is_alone(database: sa.Engine, mode: Any) -> None:
    publish(database, [function(Flow(singleton=Singleton(mode)))], 16)
    assert statuses(database).count("running") == 1
    assert len(statuses(database)) == (1 if mode == "skip" else 16)


def test_debounce_gathers_all_into_one_run(database: sa.Engine) -> None:
    publish(database, [function(Flow(debounce=Debounce(3600)))], 16)
    assert statuses(database) == ["queued"]


def test_batches_are_filled_exactly(database: sa.Engine) -> None:
    publish(database, [function(Flow(batch=Batch(10, 3600)))], 40)
    assert statuses(database) == ["running"] * 4
    with database.connect() as connection:
        sizes = connection.execute(sa.select(sa.func.count()).select_from(run_events).group_by(run_events.c.run_id))
        assert [row[0] for row in sizes] == [10] * 4


def test_throttled_starts_are_an_interval_apart(database: sa.Engine) -> None:
    publish(database, [function(Flow(throttle=Throttle(1, 60)))], 8)
    with database.connect() as connection:
        due = sorted(at for at in connection.scalars(sa.select(runs.c.due_at)) if at is not None)
    assert len(due) == 7
    assert all(later - earlier >= 60_000 for earlier, later in itertools.pairwise(due))


def test_an_event_that_joins_a_batch_which_starts_now_is_in_it_or_in_the_next(postgres: sa.Engine) -> None:
    batched = function(Flow(batch=Batch(100, 3600)))
    journal = Journal(postgres, lambda: "wrk_1")
    (run_id,) = journal.publish([Event("go", {}, id="first")], [batched]).run_ids
    with postgres.begin() as connection:
        connection.execute(runs.update().values(due_at=clock.now_ms() - 1))
    joined = threading.Event()

    def join() -> None:
        with postgres.begin() as connection:
            event = Event("go", {}, id="second")
            row = {**event.to_dict(), "received_at": clock.now_ms()}
            connection.execute(events.insert().values(row))
            assert admission.admit(connection, batched, event, "wrk_1").run_id == run_id
            joined.set()
            # It cannot begin before this is written.
            with pytest.raises(TimeoutError):
                begun.result(0.3)

    with ThreadPoolExecutor(2) as pool:

        def begin() -> list[str]:
            joined.wait(10)
            run = journal.begin(run_id)
            assert run is not None
            return [event.id for event in journal.events_of(run)]

        begun = pool.submit(begin)
        pool.submit(join).result(10)
        assert begun.result(10) == ["first", "second"]


@pytest.mark.slow
def test_ends_that_start_other_functions_and_events_that_cancel_never_wait_for_each_other(postgres: sa.Engine) -> None:
    singleton = Flow(singleton=Singleton("cancel"), cancel=(Cancel("stop"),))
    functions = [
        function(singleton, function_id="app-a"),
        function(Flow(cancel=(Cancel("stop"),)), function_id="app-b"),
        function(Flow(singleton=Singleton("cancel")), name=FUNCTION_FINISHED, function_id="app-c"),
        function(Flow(idempotency="event.id"), name=FUNCTION_FINISHED, function_id="app-d"),
    ]
    begun = threading.Barrier(PUBLISHERS)

    def work(number: int) -> None:
        journal = Journal(postgres, lambda: "wrk_1")
        begun.wait(10)
        for turn in range(6):
            published = journal.publish([Event("go", {}, id=f"{number}-{turn}")], functions)
            if turn == 3:
                journal.publish([Event("stop", {}, id=f"stop-{number}")], functions)
            for run_id in published.run_ids:
                journal.end(run_id, "completed", output=number, functions=functions)

    with ThreadPoolExecutor(PUBLISHERS) as pool:
        list(pool.map(work, range(PUBLISHERS)))
    with postgres.connect() as connection:
        deadlocks = connection.scalar(
            sa.text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        )
        alone = connection.scalar(
            sa.select(sa.func.count()).where(runs.c.function_id == "app-c", runs.c.ended_at.is_(None))
        )
    assert deadlocks == 0
    assert alone == 1
