"""Clock: put forward by a day and back by an hour, while runs sleep and leases are held."""

from __future__ import annotations

import asyncio
import datetime
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import inngest
import pytest

from anabranch import clock
from anabranch.engine import driver
from anabranch.engine.events import Event
from tests.engine.apps import new_client, running
from tests.faults.invariants import check
from tests.faults.test_kill import film, when

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.invariants import Installation
    from tests.fleet.processes import Fleet

A_DAY_S, AN_HOUR_S = 24 * 3600, 3600


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize(("sleeps_s", "shift_s"), [(20 * 3600, A_DAY_S), (1, -AN_HOUR_S)], ids=["forward", "back"])
async def test_a_sleep_ends_whatever_is_done_to_the_clock(
    sleeps_s: int, shift_s: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = new_client()
    awake = 0

    @client.create_function(fn_id="sleepy", trigger=inngest.TriggerEvent(event="go"))
    async def sleepy(ctx: inngest.Context) -> str:
        await ctx.step.sleep("nap", datetime.timedelta(seconds=sleeps_s))

        async def wake() -> str:
            nonlocal awake
            awake += 1
            return "awake"

        return await ctx.step.run("wake", wake)

    looks: list[int] = []
    is_past = driver._past

    def look(due_at: int) -> bool:
        looks.append(due_at)
        return is_past(due_at)

    monkeypatch.setattr(driver, "LOOK_AGAIN_S", 0.05)
    monkeypatch.setattr(driver, "_past", look)
    async with running(tmp_path, client, [sleepy]) as engine:
        (event_id,) = await engine.send([Event("go", {})])
        (started,) = engine.journal.runs_of_event(event_id)
        async with asyncio.timeout(60):
            while not looks:
                await asyncio.sleep(0.01)
            monkeypatch.setattr(clock, "time", SimpleNamespace(time=lambda: time.time() + shift_s))
            ended = await engine.ended(started.id)
    assert (ended.status, ended.output, awake) == ("completed", "awake", 1)


@pytest.mark.slow
def test_a_worker_whose_clock_is_set_keeps_its_lease_and_its_work(fleet: Fleet, shared: Installation) -> None:
    shift = fleet.folder / "shift"
    media_id = fleet.server.upload(film())
    for shift_s, stage in ((A_DAY_S, "first chunk"), (-AN_HOUR_S, "join")):
        when(shared, stage, media_id)
        shift.write_text(str(shift_s))
    try:
        check(shared, media_id)
    finally:
        shift.unlink()
    # A day is more than any lease, but it is the database that says what time it is.
    assert {row.status for row in shared.attempts(media_id, "%")} == {"completed"}
    (worker,) = fleet.workers
    assert "taken for lost" not in worker.log.read_text()
