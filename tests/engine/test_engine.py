from __future__ import annotations

import asyncio
import datetime
import time
from typing import TYPE_CHECKING, Any

import inngest
import pytest
import sqlalchemy as sa

from anabranch.engine import tables
from anabranch.engine.driver import ASKED_AT_ONCE
from anabranch.engine.events import Event
from tests.engine.apps import new_client, run, running

if TYPE_CHECKING:
    from pathlib import Path

    from anabranch.engine.journal import Run

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Calls:
    """Counts side effects by name."""

    def __init__(self) -> None:
        self.count: dict[str, int] = {}

    def step(self, name: str, result: Any = None, fail: int = 0, error: Exception | None = None) -> Any:
        """A step's body that fails the given number of times."""

        async def body() -> Any:
            self.count[name] = self.count.get(name, 0) + 1
            if self.count[name] <= fail:
                raise error or RuntimeError(f"{name} broke")
            return result if result is not None else name

        return body


async def test_steps_side_by_side_run_once_each_and_rejoin(tmp_path: Path) -> None:
    client, calls = new_client(), Calls()

    @client.create_function(fn_id="fan", trigger=inngest.TriggerEvent(event="go"))
    async def fan(ctx: inngest.Context) -> Any:
        parts = await ctx.group.parallel(
            tuple(lambda name=name: ctx.step.run(name, calls.step(name)) for name in ("a", "b", "c"))  # type: ignore[misc]
        )
        return [*parts, await ctx.step.run("join", calls.step("join"))]

    async with running(tmp_path, client, [fan]) as engine:
        ended = await run(engine, "go")
    assert ended.status == "completed"
    assert ended.output == ["a", "b", "c", "join"]
    assert calls.count == {"a": 1, "b": 1, "c": 1, "join": 1}


async def test_steps_side_by_side_do_run_at_the_same_time(tmp_path: Path) -> None:
    client = new_client()
    met = asyncio.Barrier(3)

    @client.create_function(fn_id="fan", trigger=inngest.TriggerEvent(event="go"))
    async def fan(ctx: inngest.Context) -> None:
        async def meet() -> None:
            await asyncio.wait_for(met.wait(), 5)

        await ctx.group.parallel(tuple(lambda n=n: ctx.step.run(f"meet{n}", meet) for n in range(3)))  # type: ignore[misc]

    async with running(tmp_path, client, [fan]) as engine:
        assert (await run(engine, "go")).status == "completed"


async def test_of_many_steps_side_by_side_a_few_are_asked_for_at_once_in_their_order(tmp_path: Path) -> None:
    client = new_client()
    begun: list[int] = []
    ended = 0
    most = 0

    @client.create_function(fn_id="fan", trigger=inngest.TriggerEvent(event="go"))
    async def fan(ctx: inngest.Context) -> None:
        async def work(number: int) -> None:
            nonlocal ended, most
            begun.append(number)
            most = max(most, len(begun) - ended)
            await asyncio.sleep(0.02)
            ended += 1

        def step(number: int) -> Any:
            return lambda: ctx.step.run(f"work{number}", lambda: work(number))

        await ctx.group.parallel(tuple(step(number) for number in range(3 * ASKED_AT_ONCE)))

    async with running(tmp_path, client, [fan]) as engine:
        assert (await run(engine, "go")).status == "completed"
    assert 1 < most <= ASKED_AT_ONCE
    assert sorted(begun) == list(range(3 * ASKED_AT_ONCE))
    # Calls that are made at the same time may overtake each other, but none that were made long before.
    assert all(abs(number - place) <= ASKED_AT_ONCE for place, number in enumerate(begun))


async def test_only_the_step_that_failed_is_tried_again(tmp_path: Path) -> None:
    client, calls = new_client(), Calls()

    @client.create_function(fn_id="fan", trigger=inngest.TriggerEvent(event="go"), retries=3)
    async def fan(ctx: inngest.Context) -> Any:
        await ctx.step.run("before", calls.step("before"))
        return await ctx.group.parallel(
            (
                lambda: ctx.step.run("steady", calls.step("steady")),
                lambda: ctx.step.run("shaky", calls.step("shaky", fail=2)),
            )
        )

    async with running(tmp_path, client, [fan]) as engine:
        ended = await run(engine, "go")
        step = next(step for step in engine.journal.steps(ended.id).values() if step.name == "shaky")
    assert ended.status == "completed"
    assert calls.count == {"before": 1, "steady": 1, "shaky": 3}
    assert step.failures == 2


async def test_a_step_is_tried_as_often_as_the_function_says_and_then_fails(tmp_path: Path) -> None:
    client, calls = new_client(), Calls()

    @client.create_function(fn_id="doomed", trigger=inngest.TriggerEvent(event="go"), retries=2)
    async def doomed(ctx: inngest.Context) -> None:
        await ctx.step.run("broken", calls.step("broken", fail=99))

    async with running(tmp_path, client, [doomed]) as engine:
        ended = await run(engine, "go")
    assert ended.status == "failed"
    assert ended.error is not None
    assert ended.error["message"] == "broken broke"
    assert calls.count == {"broken": 3}


async def test_an_error_that_is_not_to_be_retried_is_not(tmp_path: Path) -> None:
    client, calls = new_client(), Calls()

    @client.create_function(fn_id="final", trigger=inngest.TriggerEvent(event="go"), retries=5)
    async def final(ctx: inngest.Context) -> str:
        try:
            await ctx.step.run("no", calls.step("no", fail=9, error=inngest.NonRetriableError("never")))
        except inngest.StepError as error:
            return f"caught {error.message}"
        return "missed"

    async with running(tmp_path, client, [final]) as engine:
        ended = await run(engine, "go")
    assert ended.output == "caught never"
    assert calls.count == {"no": 1}


async def test_a_step_may_say_when_to_try_it_again(tmp_path: Path) -> None:
    client, calls = new_client(), Calls()
    later = inngest.RetryAfterError("busy", datetime.timedelta(seconds=1))

    @client.create_function(fn_id="later", trigger=inngest.TriggerEvent(event="go"))
    async def patient(ctx: inngest.Context) -> None:
        await ctx.step.run("busy", calls.step("busy", fail=1, error=later))

    async with running(tmp_path, client, [patient]) as engine:
        started = time.monotonic()
        assert (await run(engine, "go")).status == "completed"
    assert time.monotonic() - started > 0.5
    assert calls.count == {"busy": 2}


async def test_the_function_itself_is_tried_again_without_its_finished_steps(tmp_path: Path) -> None:
    client, calls = new_client(), Calls()
    body = calls.step("body", fail=1)

    @client.create_function(fn_id="shaky", trigger=inngest.TriggerEvent(event="go"))
    async def shaky(ctx: inngest.Context) -> Any:
        await ctx.step.run("once", calls.step("once"))
        return await body()

    async with running(tmp_path, client, [shaky]) as engine:
        assert (await run(engine, "go")).status == "completed"
    assert calls.count == {"once": 1, "body": 2}


async def test_a_run_sleeps_and_goes_on(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(fn_id="sleepy", trigger=inngest.TriggerEvent(event="go"))
    async def sleepy(ctx: inngest.Context) -> str:
        await ctx.step.sleep("nap", 300)
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(milliseconds=200)
        await ctx.step.sleep_until("doze", until)
        return "awake"

    async with running(tmp_path, client, [sleepy]) as engine:
        started = time.monotonic()
        assert (await run(engine, "go")).output == "awake"
    assert time.monotonic() - started > 0.4


async def test_a_run_waits_for_the_event_that_it_means(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(fn_id="waiting", trigger=inngest.TriggerEvent(event="order"))
    async def waiting(ctx: inngest.Context) -> Any:
        paid = await ctx.step.wait_for_event(
            "paid", event="paid", if_exp="async.data.order == event.data.order", timeout=5000
        )
        return paid.data if paid else None

    async with running(tmp_path, client, [waiting]) as engine:
        (event_id,) = await engine.send([Event("order", {"order": 7})])
        (started,) = engine.journal.runs_of_event(event_id)
        while not any(step.op == "WaitForEvent" for step in engine.journal.steps(started.id).values()):
            await asyncio.sleep(0.01)
        await engine.send([Event("paid", {"order": 6, "by": "other"}), Event("paid", {"order": 7, "by": "me"})])
        assert (await engine.ended(started.id)).output == {"order": 7, "by": "me"}


async def test_a_wait_ends_without_its_event_when_its_time_is_over(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(fn_id="waiting", trigger=inngest.TriggerEvent(event="go"))
    async def waiting(ctx: inngest.Context) -> bool:
        return await ctx.step.wait_for_event("never", event="never", timeout=1000) is None

    async with running(tmp_path, client, [waiting]) as engine:
        assert (await run(engine, "go")).output is True


async def test_a_run_invokes_another_and_gets_its_result_or_its_error(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(fn_id="double", trigger=inngest.TriggerEvent(event="never"), retries=0)
    async def double(ctx: inngest.Context) -> int:
        number = ctx.event.data["n"]
        if not isinstance(number, int):
            raise inngest.NonRetriableError("not a number")
        return number * 2

    @client.create_function(fn_id="caller", trigger=inngest.TriggerEvent(event="go"))
    async def caller(ctx: inngest.Context) -> Any:
        good = await ctx.step.invoke("good", function=double, data={"n": 21})
        try:
            await ctx.step.invoke("bad", function=double, data={"n": "x"})
        except inngest.StepError as error:
            return [good, error.message]

    async with running(tmp_path, client, [double, caller]) as engine:
        assert (await run(engine, "go")).output == [42, "not a number"]


async def test_a_function_that_nobody_registered_is_a_clear_error(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(fn_id="caller", trigger=inngest.TriggerEvent(event="go"))
    async def caller(ctx: inngest.Context) -> Any:
        await ctx.step.invoke_by_id("missing", function_id="ghost")

    async with running(tmp_path, client, [caller]) as engine:
        ended = await run(engine, "go")
    assert ended.error is not None
    assert "app-ghost" in ended.error["message"]


async def test_what_handles_failures_is_told_of_each_once(tmp_path: Path) -> None:
    client = new_client()
    told: list[Any] = []

    async def remember(ctx: inngest.Context) -> None:
        told.append(ctx.event.data)

    @client.create_function(fn_id="doomed", trigger=inngest.TriggerEvent(event="go"), retries=0, on_failure=remember)
    async def doomed(ctx: inngest.Context) -> None:
        raise RuntimeError("so be it")

    async with running(tmp_path, client, [doomed]) as engine:
        ended = await run(engine, "go", {"k": 1})
        await engine.drained()
    assert [entry["run_id"] for entry in told] == [ended.id]
    assert told[0]["error"]["message"] == "so be it"
    assert told[0]["event"]["data"] == {"k": 1}


async def test_an_event_that_comes_twice_counts_once(tmp_path: Path) -> None:
    client, calls = new_client(), Calls()

    @client.create_function(fn_id="one", trigger=inngest.TriggerEvent(event="go"))
    async def one(ctx: inngest.Context) -> None:
        await ctx.step.run("count", calls.step("count"))

    async with running(tmp_path, client, [one]) as engine:
        for _ in range(3):
            await engine.send([Event("go", id="the-same")])
        await engine.drained()
        assert len(engine.journal.runs_of_event("the-same")) == 1
    assert calls.count == {"count": 1}


async def test_conditions_choose_which_functions_an_event_starts(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(fn_id="big", trigger=inngest.TriggerEvent(event="go", expression="event.data.n > 10"))
    async def big(ctx: inngest.Context) -> None: ...

    @client.create_function(fn_id="all", trigger=inngest.TriggerEvent(event="go*"))
    async def every(ctx: inngest.Context) -> None: ...

    async with running(tmp_path, client, [big, every]) as engine:
        (small,) = await engine.send([Event("go", {"n": 1})])
        (large,) = await engine.send([Event("go", {"n": 11})])
        started = [sorted(one.function_id for one in engine.journal.runs_of_event(id_)) for id_ in (small, large)]
        await engine.drained()
    assert started == [["app-all"], ["app-all", "app-big"]]


async def test_a_result_of_four_megabytes_holds(tmp_path: Path) -> None:
    client = new_client()
    large = "x" * (4 << 20)

    @client.create_function(fn_id="large", trigger=inngest.TriggerEvent(event="go"))
    async def heavy(ctx: inngest.Context) -> int:
        async def make() -> str:
            return large

        return len(await ctx.step.run("make", make)) + len(await ctx.step.run("again", make))

    async with running(tmp_path, client, [heavy]) as engine:
        assert (await run(engine, "go")).output == 2 * len(large)


async def test_a_run_that_was_left_goes_on_where_it_was(tmp_path: Path) -> None:
    client, calls = new_client(), Calls()
    allowed = asyncio.Event()

    @client.create_function(fn_id="long", trigger=inngest.TriggerEvent(event="go"))
    async def long(ctx: inngest.Context) -> str:
        await ctx.step.run("first", calls.step("first"))

        async def second() -> str:
            calls.count["second"] = calls.count.get("second", 0) + 1
            await allowed.wait()
            return "done"

        return await ctx.step.run("second", second)

    async with running(tmp_path, client, [long]) as engine:
        (event_id,) = await engine.send([Event("go")])
        while calls.count.get("second") != 1:
            await asyncio.sleep(0.01)
    allowed.set()
    async with running(tmp_path, client, [long]) as engine:
        (started,) = engine.journal.runs_of_event(event_id)
        ended = await asyncio.wait_for(engine.ended(started.id), 20)
        step = next(step for step in engine.journal.steps(ended.id).values() if step.name == "second")
    assert ended.output == "done"
    assert calls.count == {"first": 1, "second": 2}
    # The process went away; the step did not fail, so it has lost none of its attempts.
    assert step.failures == 0


@pytest.mark.slow
async def test_a_sleep_that_was_left_ends_when_it_would_have(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(fn_id="sleepy", trigger=inngest.TriggerEvent(event="go"))
    async def sleepy(ctx: inngest.Context) -> str:
        await ctx.step.sleep("nap", 2000)
        return "awake"

    started = time.time()
    async with running(tmp_path, client, [sleepy]) as engine:
        (event_id,) = await engine.send([Event("go")])
        await asyncio.sleep(0.3)
    async with running(tmp_path, client, [sleepy]) as engine:
        (left,) = engine.journal.runs_of_event(event_id)
        assert (await engine.ended(left.id)).output == "awake"
        (nap,) = engine.journal.steps(left.id).values()
    assert nap.due_at is not None
    assert nap.due_at / 1000 - started < 2.5


@pytest.mark.slow
async def test_a_run_outlives_a_database_that_fails_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, calls = new_client(), Calls()

    @client.create_function(fn_id="steady", trigger=inngest.TriggerEvent(event="go"))
    async def steady(ctx: inngest.Context) -> Any:
        return await ctx.step.run("work", calls.step("work"))

    async with running(tmp_path, client, [steady]) as engine:
        settle = engine.journal.settle
        faults = [sa.exc.OperationalError("COMMIT", None, Exception("database or disk is full"))]

        def failing(*given: Any) -> bool:
            if faults:
                raise faults.pop()
            return settle(*given)

        monkeypatch.setattr(engine.journal, "settle", failing)
        ended = await asyncio.wait_for(run(engine, "go"), 20)
    assert ended.output == "work"


def copy(database: Path, ended: Run, times: int) -> None:
    """Put down a run that has ended so many times more, with its event and its steps."""
    event_id, run_id = ended.event.id, ended.id
    kept = (
        (tables.events, tables.events.c.id == event_id, {"id": event_id}),
        (tables.runs, tables.runs.c.id == run_id, {"id": run_id, "event_id": event_id}),
        (tables.steps, tables.steps.c.run_id == run_id, {"run_id": run_id}),
    )
    opened = sa.create_engine(f"sqlite:///{database}")
    with opened.begin() as connection:
        for table, of, ids in kept:
            for row in connection.execute(sa.select(table).where(of)).mappings().all():
                of_each = [{name: f"{value}-{number}" for name, value in ids.items()} for number in range(times)]
                connection.execute(table.insert(), [{**row, **own} for own in of_each])
    opened.dispose()


@pytest.mark.slow
async def test_ten_thousand_ended_runs_do_not_slow_a_new_one(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(fn_id="quick", trigger=inngest.TriggerEvent(event="go"))
    async def quick(ctx: inngest.Context) -> str:
        async def work() -> str:
            return "done"

        return await ctx.step.run("work", work)

    async def median_s(engine: Any) -> float:
        times = []
        for _ in range(15):
            started = time.perf_counter()
            await run(engine, "go")
            times.append(time.perf_counter() - started)
        return sorted(times)[7]

    async with running(tmp_path, client, [quick]) as engine:
        before = await median_s(engine)
        copy(tmp_path / "engine.db", await run(engine, "go"), 10_000)
        assert engine.journal.unfinished() == []
        assert await median_s(engine) < 3 * before + 0.02
