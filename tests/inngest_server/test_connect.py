"""Connect: real workers, each a process, execute the fan-out for an Inngest server over connections of their own."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from anabranch import connect_worker
from anabranch.catalog import attempts, tasks
from tests import clips
from tests.inngest_server.conftest import Api, embedded, opened

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Json = Any
PROCESS = "anabranch-process-task"


async def look_alike(api: Api, media_id: str) -> list[str]:
    """The record and the timeline of a media row, by lines, without what differs between any two runs of the same."""
    record, lines = await api.get(f"/media/{media_id}"), await api.get(f"/media/{media_id}/timeline")
    # In the order in which they were made.
    record["files"].sort(key=lambda file: file["filename"])
    return json.dumps(_without([record, lines]), indent=1, sort_keys=True).splitlines()


def _without(value: Json) -> Json:
    if isinstance(value, dict):
        timed = re.compile(r".*(At|_at|speed|tookS)|now|created|updated|sourceUrl")
        return {name: _without(part) for name, part in value.items() if not timed.fullmatch(name)}
    if isinstance(value, list):
        return [_without(part) for part in value]
    told = r"(med|task|file|run|wrk)_[0-9a-z]{20,}|[0-9A-Z]{26}|(?<=/signed/)[^/]+"
    return re.sub(told, "ID", value) if isinstance(value, str) else value


def holding(api: Api, instance_id: str | None = None) -> list[str]:
    """Who executes steps of tasks, as they have said."""
    held = api.gateway.held.values()
    return [
        one.instance_id
        for one in held
        if one.function_id == PROCESS and one.acknowledged and instance_id in (None, one.instance_id)
    ]


@asynccontextmanager
async def two_workers(api: Api) -> AsyncIterator[tuple[subprocess.Popen[str], str]]:
    """Two workers that are ready; of the first, its process and its name."""
    with api.worker("a") as first:
        await api.gateway.until(lambda: api.gateway.workers)
        name = api.gateway.workers[0].instance_id
        with api.worker("b"):
            await api.gateway.until(lambda: len(api.gateway.workers) == 2)
            yield first, name


async def ended(api: Api, media_id: str, status: str = "ready") -> Json:
    """The record of a media row once its runs have come to their end."""
    await api.gateway.driver.settled()
    record = await api.get(f"/media/{media_id}")
    assert record["status"] == status, record
    return record


async def test_a_fan_out_looks_the_same_whoever_drives_it(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = clips.plain(8, name="eight.mp4")
    async with embedded(tmp_path) as api:
        media_id = await api.upload(clip)
        await api.app.engine.drained()
        expected = await look_alike(api, media_id)
    async with opened(tmp_path, monkeypatch, postgres_url) as api:
        async with two_workers(api):
            assert len({one.instance_id for one in api.gateway.workers}) == 2
            assert {one.concurrency for one in api.gateway.workers} == {1000}
            media_id = await api.upload(clip)
            await ended(api, media_id)
        assert api.gateway.lost == 0
        assert await look_alike(api, media_id) == expected


async def test_a_worker_that_is_killed_in_a_step_costs_nothing_but_that_step(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, monkeypatch, postgres_url) as api, two_workers(api) as (first, name):
        media_id = await api.upload(clips.plain(20, name="twenty.mp4"))
        await api.gateway.until(lambda: _running(api, media_id) and holding(api, name))
        first.kill()
        await ended(api, media_id)
        assert api.gateway.lost > 0
        done = [row for row in _made(api, media_id) if row.status == "completed"]
        assert len({(row.task_id, row.piece) for row in done}) == len(done)
        # A process that dies uses up no attempt of its steps.
        assert all(branch["attempt"] == 1 for branch in (await api.get(f"/media/{media_id}"))["branches"])


async def test_lost_connections_cost_nothing_and_a_worker_that_is_to_stop_finishes_what_it_has(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, monkeypatch, postgres_url) as api, two_workers(api) as (first, name):
        gateway = api.gateway
        media_id = await api.upload(clips.plain(20, name="twenty.mp4"))
        for lose in (gateway.drop, gateway.close_gently):
            await gateway.until(lambda: holding(api, name))
            opened_before = gateway.connections.count(name)
            await lose()
            await gateway.until(_more_than(opened_before, gateway.connections, name))
        await ended(api, media_id)
        second = await api.upload(clips.plain(8, name="eight.mp4"))
        await gateway.until(lambda: len(holding(api, name)) > 1)
        first.send_signal(signal.SIGTERM)
        await gateway.until(lambda: any(one.paused for one in gateway.workers))
        mine = [one for one in gateway.held.values() if one.instance_id == name and one.acknowledged]
        assert mine
        await gateway.until(lambda: first.poll() is not None)
        assert first.returncode == 0
        assert [one.step for one in mine if not one.answer.done()] == []
        await ended(api, second)
        assert gateway.lost == 0


async def test_a_server_that_is_away_for_long_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The SDK gives a connection up after five attempts, five seconds apart.
    monkeypatch.setattr("inngest.connect._internal.conn_init_starter.CONN_INIT_RETRY_INTERVAL_SEC", 0.02)
    monkeypatch.setattr("anabranch.connect_worker._AGAIN_AFTER_S", 0.02)
    async with opened(tmp_path, monkeypatch) as api:
        api.gateway.away = 12
        stop = asyncio.Event()
        executing = asyncio.create_task(connect_worker.execute(api.app, "one", stop))
        await api.gateway.until(lambda: api.gateway.workers)
        media_id = await api.upload(clips.plain())
        await ended(api, media_id)
        stop.set()
        await asyncio.wait_for(executing, 10)
        assert (api.gateway.away, api.gateway.connections) == (0, ["one"])


async def test_a_worker_whose_key_is_not_the_servers_says_so_and_ends(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, monkeypatch, postgres_url) as api:
        monkeypatch.setattr("tests.inngest_server.conftest.SIGNING_KEY", "signkey-test-ffff")
        with api.worker("a") as worker:
            await api.gateway.until(lambda: worker.poll() is not None)
        assert worker.returncode != 0
        assert "inngest_key_refused" in (tmp_path / "a" / "worker.log").read_text()


def _more_than(count: int, connections: list[str], name: str) -> Callable[[], bool]:
    return lambda: connections.count(name) > count


def _made(api: Api, media_id: str) -> list[Any]:
    found = tasks.of_media(api.app.database, media_id)
    return list(attempts.of_task(api.app.database, *(task.id for task in found)))


def _running(api: Api, media_id: str) -> bool:
    return any(row.status == "running" for row in _made(api, media_id))
