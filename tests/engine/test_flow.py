"""Flow control, as functions of the official SDK ask for it, on the real engine."""

from __future__ import annotations

import asyncio
import datetime
import time
from typing import TYPE_CHECKING, Any

import inngest
import pytest
import sqlalchemy as sa

from anabranch.engine import schedule
from anabranch.engine.events import Event
from anabranch.engine.tables import runs
from tests.engine.apps import new_client, run, running

if TYPE_CHECKING:
    from pathlib import Path

    from anabranch.engine.host import Engine
    from anabranch.engine.journal import Run

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def ms(count: int) -> datetime.timedelta:
    return datetime.timedelta(milliseconds=count)


def all_runs(engine: Engine) -> list[Run]:
    with engine.journal._database.connect() as connection:
        ids = connection.scalars(sa.select(runs.c.id).order_by(runs.c.id)).all()
    return [found for run_id in ids if (found := engine.journal.run(run_id))]


async def send(engine: Engine, name: str, *datas: dict[str, Any]) -> list[str]:
    return [(await engine.send([Event(name, data)]))[0] for data in datas]


class Crowd:
    """Counts who is inside at once."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.order: list[Any] = []

    async def visit(self, name: Any = None, stay_s: float = 0.05) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.order.append(name)
        await asyncio.sleep(stay_s)
        self.inside -= 1


async def test_no_more_calls_run_at_once_than_concurrency_allows(tmp_path: Path) -> None:
    client, crowd = new_client(), Crowd()

    @client.create_function(
        fn_id="f", trigger=inngest.TriggerEvent(event="go"), concurrency=[inngest.Concurrency(limit=2)]
    )
    async def f(ctx: inngest.Context) -> None:
        await ctx.step.run("visit", crowd.visit)

    async with running(tmp_path, client, [f]) as engine:
        await send(engine, "go", *({} for _ in range(8)))
        await engine.drained()
        assert {one.status for one in all_runs(engine)} == {"completed"}
    assert crowd.most == 2


async def test_concurrency_with_a_key_limits_each_value_alone(tmp_path: Path) -> None:
    client, crowds = new_client(), {"a": Crowd(), "b": Crowd()}
    both = Crowd()

    @client.create_function(
        fn_id="f",
        trigger=inngest.TriggerEvent(event="go"),
        concurrency=[inngest.Concurrency(limit=1, key="event.data.who")],
    )
    async def f(ctx: inngest.Context) -> None:
        who = str(ctx.event.data["who"])
        await asyncio.gather(crowds[who].visit(stay_s=0.1), both.visit(stay_s=0.1))

    async with running(tmp_path, client, [f]) as engine:
        await send(engine, "go", *({"who": who} for who in "aabb"))
        await engine.drained()
    assert (crowds["a"].most, crowds["b"].most, both.most) == (1, 1, 2)


async def test_who_has_priority_goes_first_among_those_who_wait(tmp_path: Path) -> None:
    client, crowd = new_client(), Crowd()

    @client.create_function(
        fn_id="f",
        trigger=inngest.TriggerEvent(event="go"),
        concurrency=[inngest.Concurrency(limit=1)],
        priority=inngest.Priority(run="event.data.ahead"),
    )
    async def f(ctx: inngest.Context) -> None:
        await crowd.visit(ctx.event.data["ahead"], 0.1)

    async with running(tmp_path, client, [f]) as engine:
        await send(engine, "go", {"ahead": 0})
        while not crowd.order:
            await asyncio.sleep(0.01)
        await send(engine, "go", {"ahead": -100}, {"ahead": 1}, {"ahead": 120})
        await engine.drained()
    assert crowd.order == [0, 120, 1, -100]


@pytest.mark.slow
async def test_throttled_runs_start_one_after_another_and_none_is_lost(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(
        fn_id="f",
        trigger=inngest.TriggerEvent(event="go"),
        throttle=inngest.Throttle(limit=1, period=datetime.timedelta(seconds=1), burst=2),
    )
    async def f(ctx: inngest.Context) -> None:
        pass

    async with running(tmp_path, client, [f]) as engine:
        await send(engine, "go", {}, {}, {}, {})
        await engine.drained()
        started = [one.started_at or 0 for one in all_runs(engine)]
    gaps = [round((moment - started[0]) / 1000) for moment in started]
    assert gaps == [0, 0, 1, 2]


async def test_events_above_the_rate_limit_start_nothing(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(
        fn_id="f",
        trigger=inngest.TriggerEvent(event="go"),
        rate_limit=inngest.RateLimit(limit=2, period=datetime.timedelta(minutes=1), key="event.data.who"),
    )
    async def f(ctx: inngest.Context) -> None:
        pass

    async with running(tmp_path, client, [f]) as engine:
        await send(engine, "go", *({"who": who} for who in "aaaab"))
        await engine.drained()
        assert [one.event.data["who"] for one in all_runs(engine)] == ["a", "a", "b"]


@pytest.mark.slow
async def test_debounced_events_start_one_run_with_the_last_of_them(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(
        fn_id="f",
        trigger=inngest.TriggerEvent(event="go"),
        debounce=inngest.Debounce(period=datetime.timedelta(seconds=1), key="event.data.who"),
    )
    async def f(ctx: inngest.Context) -> Any:
        return ctx.event.data["n"]

    async with running(tmp_path, client, [f]) as engine:
        began = time.monotonic()
        for n in range(3):
            await send(engine, "go", {"who": "a", "n": n})
            await asyncio.sleep(0.3)
        await send(engine, "go", {"who": "b", "n": 9})
        await engine.drained()
        took_s = time.monotonic() - began
        assert sorted(one.output for one in all_runs(engine)) == [2, 9]
    assert took_s > 1.6


@pytest.mark.slow
async def test_a_debounce_that_never_rests_ends_at_its_timeout(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(
        fn_id="f",
        trigger=inngest.TriggerEvent(event="go"),
        debounce=inngest.Debounce(period=datetime.timedelta(minutes=1), timeout=datetime.timedelta(seconds=1)),
    )
    async def f(ctx: inngest.Context) -> None:
        pass

    async with running(tmp_path, client, [f]) as engine:
        await send(engine, "go", {}, {})
        await asyncio.wait_for(engine.drained(), 10)
        assert len(all_runs(engine)) == 1


@pytest.mark.slow
async def test_a_batch_is_one_run_with_all_its_events(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(
        fn_id="f",
        trigger=inngest.TriggerEvent(event="go"),
        batch_events=inngest.Batch(max_size=3, timeout=datetime.timedelta(seconds=1)),
    )
    async def f(ctx: inngest.Context) -> Any:
        return [event.data["n"] for event in ctx.events]

    async with running(tmp_path, client, [f]) as engine:
        ids = await send(engine, "go", *({"n": n} for n in range(4)))
        await engine.drained()
        assert [one.output for one in all_runs(engine)] == [[0, 1, 2], [3]]
        assert [one.id for one in engine.journal.runs_of_event(ids[2])] == [all_runs(engine)[0].id]


@pytest.mark.parametrize(("mode", "ends"), [("skip", ["completed"]), ("cancel", ["cancelled", "completed"])])
async def test_a_singleton_is_alone(tmp_path: Path, mode: Any, ends: list[str]) -> None:
    client = new_client()

    @client.create_function(
        fn_id="f",
        trigger=inngest.TriggerEvent(event="go"),
        singleton=inngest.Singleton(mode=mode, key="event.data.who"),
    )
    async def f(ctx: inngest.Context) -> None:
        await ctx.step.sleep("nap", ms(1000))

    async with running(tmp_path, client, [f]) as engine:
        await send(engine, "go", {"who": "a"})
        await asyncio.sleep(0.2)
        await send(engine, "go", {"who": "a"})
        await engine.drained()
        assert [one.status for one in all_runs(engine)] == ends


async def test_an_idempotency_expression_allows_one_run_for_each_value(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(
        fn_id="f", trigger=inngest.TriggerEvent(event="go"), idempotency="event.data.cart + '-' + event.data.user"
    )
    async def f(ctx: inngest.Context) -> None:
        pass

    async with running(tmp_path, client, [f]) as engine:
        await send(engine, "go", {"cart": "1", "user": "a"}, {"cart": "1", "user": "a"}, {"cart": "2", "user": "a"})
        await engine.drained()
        assert len(all_runs(engine)) == 2


@pytest.mark.slow
async def test_an_event_cancels_the_runs_that_it_matches_and_those_only(tmp_path: Path) -> None:
    client, told = new_client(), []

    @client.create_function(
        fn_id="f",
        trigger=inngest.TriggerEvent(event="go"),
        cancel=[inngest.Cancel(event="stop", if_exp="event.data.id == async.data.id")],
    )
    async def f(ctx: inngest.Context) -> None:
        await ctx.step.run("long", lambda: asyncio.sleep(1.0))

    @client.create_function(fn_id="listen", trigger=inngest.TriggerEvent(event="inngest/function.cancelled"))
    async def listen(ctx: inngest.Context) -> None:
        told.append(ctx.event.data["event"]["data"]["id"])  # type: ignore[index, call-overload]

    async with running(tmp_path, client, [f, listen]) as engine:
        await send(engine, "go", {"id": 1}, {"id": 2})
        await asyncio.sleep(0.3)
        await send(engine, "stop", {"id": 1}, {"id": 3})
        await engine.drained()
        found = {one.event.data["id"]: one.status for one in all_runs(engine) if one.function_id == "app-f"}
    assert found == {1: "cancelled", 2: "completed"}
    assert told == [1]


async def test_a_cancelled_run_ends_at_once_and_stays_so_after_a_restart(tmp_path: Path) -> None:
    client = new_client()
    seen = []

    @client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="go"))
    async def f(ctx: inngest.Context) -> None:
        async def long() -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                seen.append("stopped")
                raise

        await ctx.step.run("long", long)

    async with running(tmp_path, client, [f]) as engine:
        await send(engine, "go", {})
        (started,) = all_runs(engine)
        await asyncio.sleep(0.3)
        assert await engine.cancel(started.id)
        assert not await engine.cancel(started.id)
        assert (await asyncio.wait_for(engine.ended(started.id), 2)).status == "cancelled"
        while not seen:
            await asyncio.sleep(0.01)
    async with running(tmp_path, client, [f]) as engine:
        assert (await asyncio.wait_for(engine.ended(started.id), 2)).status == "cancelled"


@pytest.mark.slow
async def test_runs_that_start_or_finish_too_late_are_cancelled(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(
        fn_id="slow",
        trigger=inngest.TriggerEvent(event="slow"),
        timeouts=inngest.Timeouts(finish=datetime.timedelta(seconds=1)),
    )
    async def slow(ctx: inngest.Context) -> None:
        await ctx.step.sleep("nap", datetime.timedelta(minutes=1))

    @client.create_function(
        fn_id="late",
        trigger=inngest.TriggerEvent(event="late"),
        concurrency=[inngest.Concurrency(limit=1)],
        timeouts=inngest.Timeouts(start=datetime.timedelta(seconds=1)),
    )
    async def late(ctx: inngest.Context) -> None:
        await asyncio.sleep(1.5)

    async with running(tmp_path, client, [slow, late]) as engine:
        await send(engine, "slow", {})
        await send(engine, "late", {}, {})
        await asyncio.wait_for(engine.drained(), 10)
        ends = sorted((one.function_id, one.status) for one in all_runs(engine))
    assert ends == [("app-late", "cancelled"), ("app-late", "completed"), ("app-slow", "cancelled")]


async def test_an_event_of_the_future_starts_its_run_then(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="go"))
    async def f(ctx: inngest.Context) -> None:
        pass

    async with running(tmp_path, client, [f]) as engine:
        due_at = int(time.time() * 1000) + 700
        await engine.send([Event("go", ts=due_at)])
        assert all_runs(engine)[0].status == "queued"
        await engine.drained()
        assert (all_runs(engine)[0].started_at or 0) >= due_at


async def test_a_queued_run_starts_after_a_restart(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(
        fn_id="f",
        trigger=inngest.TriggerEvent(event="go"),
        debounce=inngest.Debounce(period=datetime.timedelta(seconds=1)),
    )
    async def f(ctx: inngest.Context) -> None:
        pass

    async with running(tmp_path, client, [f]) as engine:
        await send(engine, "go", {})
    async with running(tmp_path, client, [f]) as engine:
        await asyncio.wait_for(engine.drained(), 10)
        assert [one.status for one in all_runs(engine)] == ["completed"]


@pytest.mark.slow
async def test_a_schedule_starts_its_function_once_for_each_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = new_client()

    @client.create_function(fn_id="f", trigger=inngest.TriggerCron(cron="TZ=Europe/Paris 0 9 * * *"))
    async def f(ctx: inngest.Context) -> Any:
        return ctx.event.data["cron"]

    # The schedule's own arithmetic is tested below; here each second is a moment.
    monkeypatch.setattr(schedule, "next_ms", lambda cron, after_ms: (after_ms // 1000 + 1) * 1000)
    async with running(tmp_path, client, [f]) as engine:
        await asyncio.sleep(2.2)
        found = all_runs(engine)
        function = engine.functions["app-f"]
        moment = found[0].event.ts
        again = engine.journal.tick(function, "TZ=Europe/Paris 0 9 * * *", moment, [function])
    assert 2 <= len(found) <= 3
    assert len({one.event.ts for one in found}) == len(found)
    assert again.run_ids == ()
    assert found[0].output == "TZ=Europe/Paris 0 9 * * *"


def at(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("cron", "after", "due"),
    [
        ("*/15 * * * *", "2026-03-01T00:00:01+00:00", "2026-03-01T00:15:00+00:00"),
        ("TZ=Europe/Paris 0 9 * * *", "2026-07-01T00:00:00+00:00", "2026-07-01T07:00:00+00:00"),
        ("TZ=Europe/Paris 0 9 * * *", "2026-12-01T00:00:00+00:00", "2026-12-01T08:00:00+00:00"),
        ("0 0 29 2 *", "2026-03-01T00:00:00+00:00", "2028-02-29T00:00:00+00:00"),
    ],
)
def test_schedules_are_read_in_their_time_zone(cron: str, after: str, due: str) -> None:
    assert schedule.next_ms(cron, at(after)) == at(due)


@pytest.mark.parametrize("cron", ["", "often", "61 * * * *", "TZ=Nowhere/Land 0 9 * * *", "0 0 30 2 *"])
def test_what_is_no_schedule_is_refused(cron: str) -> None:
    with pytest.raises(ValueError, match=r"schedule|time zone"):
        schedule.next_ms(cron, at("2026-03-01T00:00:00+00:00"))


async def test_a_run_is_done_again_whole_or_from_a_step(tmp_path: Path) -> None:
    client, calls = new_client(), []

    @client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="go"))
    async def f(ctx: inngest.Context) -> None:
        for name in ("one", "two", "three"):

            async def note(name: str = name) -> None:
                calls.append(name)

            await ctx.step.run(name, note)

    async with running(tmp_path, client, [f]) as engine:
        first = await run(engine, "go")
        for from_step in (None, "two"):
            again = await engine.rerun(first.id, from_step)
            assert again is not None
            ended = await engine.ended(again)
            assert (ended.status, ended.original) == ("completed", first.id)
        assert await engine.rerun(first.id, "four") is None
        assert await engine.rerun("run_none") is None
    assert calls == ["one", "two", "three", "one", "two", "three", "two", "three"]


async def test_what_failed_and_when_it_is_tried_again_is_known_without_its_results(tmp_path: Path) -> None:
    client = new_client()

    @client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="go"))
    async def f(ctx: inngest.Context) -> None:
        async def broken() -> None:
            raise RuntimeError("no")

        await ctx.step.run("broken", broken)

    async with running(tmp_path, client, [f], retry_scale=1.0) as engine:
        before = time.time() * 1000
        await send(engine, "go", {})
        (started,) = all_runs(engine)
        known = engine.journal.retries([started.id, "another"])
        assert known in ({}, {started.id: (0, None)})
        while not known or known[started.id][0] == 0:
            await asyncio.sleep(0.02)
            known = engine.journal.retries([started.id])
        failures, due_at = known[started.id]
    assert failures == 1
    assert due_at is not None
    assert 14_000 < due_at - before < 60_000
