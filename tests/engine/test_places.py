"""Places: limits of concurrency over several engines on one Postgres, of which any may die."""

from __future__ import annotations

import asyncio
import datetime
import signal
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import inngest
import pytest
import sqlalchemy as sa

from anabranch.engine.events import Event
from anabranch.engine.tables import places
from anabranch.ids import new_id
from tests.engine.apps import new_client, running
from tests.engine.members import Member
from tests.engine.test_flow import Crowd, all_runs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from anabranch.engine.host import Engine

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("_short_listening")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Engines:
    """Starts engines on one database, each as if it were in a process of its own."""

    def __init__(self, url: str, folder: Path, stack: AsyncExitStack) -> None:
        self._url = url
        self._folder = folder
        self._stack = stack

    async def start(self, count: int, functions: Sequence[inngest.Function[Any]]) -> list[Engine]:
        homes = [self._folder / new_id("home") for _ in range(count)]
        return [
            await self._stack.enter_async_context(running(home, new_client(), functions, url=self._url))
            for home in homes
        ]

    async def stop(self) -> None:
        await self._stack.aclose()


@pytest.fixture
async def engines(migrated_postgres: str, tmp_path: Path) -> AsyncIterator[Engines]:
    async with AsyncExitStack() as stack:
        yield Engines(migrated_postgres, tmp_path, stack)


@pytest.mark.slow
async def test_a_limit_holds_over_three_engines(engines: Engines, postgres: sa.Engine) -> None:
    client, crowd = new_client(), Crowd()

    @client.create_function(
        fn_id="f", trigger=inngest.TriggerEvent(event="go"), concurrency=[inngest.Concurrency(limit=1)]
    )
    async def f(ctx: inngest.Context) -> None:
        await ctx.step.run("visit", lambda: crowd.visit(stay_s=0.01))

    three = await engines.start(3, [f])
    await asyncio.gather(*(engine.send([Event("go") for _ in range(4)]) for engine in three))
    await asyncio.wait_for(asyncio.gather(*(engine.drained() for engine in three)), 20)
    assert [one.status for one in all_runs(three[0])] == ["completed"] * 12
    assert (crowd.most, len(crowd.order)) == (1, 12)
    await until_empty(postgres)


async def test_functions_of_two_engines_share_what_the_environment_has(engines: Engines) -> None:
    client, crowd = new_client(), Crowd()
    shared = [inngest.Concurrency(limit=1, scope="env", key='"gpu"')]

    @client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="f"), concurrency=shared)
    async def f(ctx: inngest.Context) -> None:
        await crowd.visit("f")

    @client.create_function(fn_id="g", trigger=inngest.TriggerEvent(event="g"), concurrency=shared)
    async def g(ctx: inngest.Context) -> None:
        await crowd.visit("g")

    one, other = await engines.start(2, [f, g])
    await asyncio.gather(one.send([Event("f"), Event("f")]), other.send([Event("g"), Event("g")]))
    await asyncio.wait_for(asyncio.gather(one.drained(), other.drained()), 20)
    assert (crowd.most, sorted(crowd.order)) == (1, ["f", "f", "g", "g"])


async def test_who_has_priority_goes_first_whichever_engine_has_it(engines: Engines, postgres: sa.Engine) -> None:
    client, crowd = new_client(), Crowd()
    leave = asyncio.Event()

    @client.create_function(
        fn_id="f",
        trigger=inngest.TriggerEvent(event="go"),
        concurrency=[inngest.Concurrency(limit=1)],
        priority=inngest.Priority(run="event.data.ahead"),
    )
    async def f(ctx: inngest.Context) -> None:
        await crowd.visit(ctx.event.data["ahead"], 0)
        await leave.wait()

    three = await engines.start(3, [f])
    for engine, ahead in zip([three[0], *three], (0, -100, 1, 120), strict=True):
        await engine.send([Event("go", {"ahead": ahead})])
        while not crowd.order:
            await asyncio.sleep(0.01)
    while waiting(postgres) < 3:
        await asyncio.sleep(0.01)
    leave.set()
    await asyncio.wait_for(asyncio.gather(*(engine.drained() for engine in three)), 20)
    assert crowd.order == [0, 120, 1, -100]


@pytest.mark.slow
async def test_a_run_that_waits_too_long_for_another_engine_is_cancelled(engines: Engines, postgres: sa.Engine) -> None:
    client, crowd = new_client(), Crowd()
    leave = asyncio.Event()

    @client.create_function(
        fn_id="f",
        trigger=inngest.TriggerEvent(event="go"),
        concurrency=[inngest.Concurrency(limit=1)],
        timeouts=inngest.Timeouts(start=datetime.timedelta(seconds=1)),
    )
    async def f(ctx: inngest.Context) -> None:
        await crowd.visit()
        await leave.wait()

    one, other = await engines.start(2, [f])
    await one.send([Event("go")])
    while not crowd.order:
        await asyncio.sleep(0.01)
    (late,) = await other.send([Event("go")])
    (run,) = other.journal.runs_of_event(late)
    assert (await asyncio.wait_for(other.ended(run.id), 5)).status == "cancelled"
    leave.set()
    await asyncio.wait_for(one.drained(), 5)
    assert crowd.order == [None]
    await until_empty(postgres)


@pytest.mark.slow
async def test_a_run_that_another_engine_takes_up_is_not_late_for_having_begun_long_ago(engines: Engines) -> None:
    client = new_client()

    @client.create_function(
        fn_id="f",
        trigger=inngest.TriggerEvent(event="go"),
        concurrency=[inngest.Concurrency(limit=1)],
        timeouts=inngest.Timeouts(start=datetime.timedelta(seconds=1)),
    )
    async def f(ctx: inngest.Context) -> None:
        await ctx.step.wait_for_event("sign", event="sign", timeout=datetime.timedelta(minutes=1))

    (first,) = await engines.start(1, [f])
    (event_id,) = await first.send([Event("go")])
    (run,) = first.journal.runs_of_event(event_id)
    while not first.journal.steps(run.id):
        await asyncio.sleep(0.01)
    await engines.stop()
    await asyncio.sleep(max(0.0, 1.2 - (time.time() - run.created_at / 1000)))
    (second,) = await engines.start(1, [f])
    await second.send([Event("sign")])
    assert (await asyncio.wait_for(second.ended(run.id), 5)).status == "completed"


async def test_keys_are_counted_alone_whatever_an_app_puts_into_them(migrated_postgres: str, tmp_path: Path) -> None:
    keys = ["f  1", "f  2", "é\0" + "x" * 9000, "é\0" + "x" * 9001]
    async with Member(migrated_postgres, tmp_path / "a") as here, Member(migrated_postgres, tmp_path / "b") as there:
        async with AsyncExitStack() as inside:
            for key in keys:
                await asyncio.wait_for(inside.enter_async_context(here.places.hold({key: 1}, 0)), 5)
            for key in keys:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1), there.places.hold({key: 1}, 0):
                        pass
        for key in keys:
            async with asyncio.timeout(5), there.places.hold({key: 1}, 0):
                pass


async def test_what_a_restored_database_holds_is_put_right_with_a_heartbeat(
    migrated_postgres: str, tmp_path: Path
) -> None:
    async with Member(migrated_postgres, tmp_path / "a", lease_s=1) as member:
        with member.database.begin() as connection:
            row = {"key": "cpu", "capacity": 1, "limits": '{"cpu": 1}', "rank": 0, "granted": True}
            connection.execute(places.insert().values(call_id="gone", worker_id=member.membership.id, **row))
        first = asyncio.create_task(hold_a_moment(member))
        while member.rows()[1] < 1:
            await asyncio.sleep(0.01)
        with member.database.begin() as connection:
            connection.execute(places.delete().where(~places.c.granted))
        await asyncio.wait_for(first, 5)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_the_place_of_a_process_that_is_killed_or_frozen_is_free_once_it_is_lost(
    migrated_postgres: str, tmp_path: Path, how: signal.Signals
) -> None:
    lease_s = 1.0
    module = [sys.executable, "-m", "tests.engine.members"]
    command = [*module, migrated_postgres, str(tmp_path / "a"), "cpu", str(lease_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            await asyncio.to_thread(read_until, other, "in")
            async with Member(migrated_postgres, tmp_path / "b", lease_s) as member:
                waits = asyncio.create_task(hold_a_moment(member))
                await asyncio.sleep(lease_s)
                assert not waits.done()
                other.send_signal(how)
                stopped_at = time.monotonic()
                await asyncio.wait_for(waits, 10)
                # It may have been silent for the time between two heartbeats.
                assert time.monotonic() - stopped_at > lease_s / 2
            if how is signal.SIGSTOP:
                other.send_signal(signal.SIGCONT)
                await asyncio.to_thread(read_until, other, "lost")
        finally:
            other.kill()


def read_until(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert any(line == f"{word}\n" for line in process.stdout)


async def hold_a_moment(member: Member) -> None:
    async with member.places.hold({"cpu": 1}, 0):
        pass


def waiting(database: sa.Engine) -> int:
    with database.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).where(~places.c.granted)) or 0


async def until_empty(database: sa.Engine) -> None:
    async with asyncio.timeout(5):
        while True:
            with database.connect() as connection:
                if not connection.scalar(sa.select(sa.exists().select_from(places))):
                    return
            await asyncio.sleep(0.01)
