"""The workshop, asked for pieces as an engine may ask: in any order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from anabranch.catalog import attempts, tables
from anabranch.errors import ResourceError, RetriableError
from anabranch.functions.process_task import read_order
from anabranch.settings import Settings
from anabranch.tasks.kinds import kind_named
from tests import clips
from tests.working import at_work

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.slow
@pytest.mark.anyio
async def test_the_beginning_of_a_film_goes_first_though_it_is_asked_for_last(tmp_path: Path) -> None:
    film = str(clips.plain(14, name="pieces.mp4"))
    order = read_order({"id": "task_1", "kind": "adaptive_video", "input": film}, "run_1")
    with at_work(Settings(home=tmp_path, cpu_slots=1)) as parts:
        names = [piece["name"] for piece in (await parts.orders.plan(order))["pieces"]]
        await asyncio.gather(*(parts.orders.perform(order, name) for name in reversed(names)))
        begun = [row.piece for row in attempts.of_task(parts.database, "task_1")]
    assert begun == ["plan", "chunk-0000", "audio", "chunk-0001", "chunk-0002", "chunk-0003", "storyboard"]


@pytest.mark.slow
@pytest.mark.anyio
async def test_pieces_outlive_a_join_that_found_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with at_work(Settings(home=tmp_path, cpu_slots=1)) as parts:
        told = {
            "id": "task_1",
            "kind": "adaptive_video",
            "input": str(clips.plain()),
            "ref": "hls-package",
            "media_id": "med_1",
        }
        order = read_order(told, "run_1")
        for piece in (await parts.orders.plan(order))["pieces"]:
            await parts.orders.perform(order, piece["name"])
        made = set(parts.storage.keys("media/"))

        def full(*_: object) -> None:
            raise ResourceError("disk_full", "There is no room.", "Free some.")

        with monkeypatch.context() as patched:
            patched.setattr(kind_named("adaptive_video"), "join", full)
            with pytest.raises(RetriableError, match="no room"):
                await parts.orders.join(order)
        await parts.orders.give_up("task_1", {"code": "task_failed", "message": "", "retryable": False})
        again = {"taskId": "task_1", "from": "join"}
        later = read_order({**told, "id": "task_2"}, "run_2")
        await parts.orders.plan(later, again)
        assert {row.piece for row in attempts.of_task(parts.database, "task_2")} >= {"audio", "chunk-0000"}
        assert len(set(parts.storage.keys("media/")) & made) > 1
        assert (await parts.orders.join(later))["url"].endswith("master.m3u8")


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_task_that_an_earlier_version_planned_ends_with_its_plan(tmp_path: Path) -> None:
    """Such a plan says nothing of what came later, and was made by no attempt that could be found."""
    with at_work(Settings(home=tmp_path)) as parts:
        order = read_order({"id": "task_1", "kind": "image", "input": str(clips.plain())}, "run_1")
        await parts.orders.plan(order)
        with parts.database.begin() as connection:
            for table in (tables.work, tables.attempts):
                connection.execute(table.delete())
            pieces = [{"name": "render", "arguments": {}, "weight": 1.0, "slot": "cpu", "urgent": True}]
            connection.execute(tables.plans.update().values(pieces=pieces))
        assert await parts.orders.plan(order) == {"pieces": [{"name": "render", "optional": False}]}
        await parts.orders.perform(order, "render")
        assert (await parts.orders.join(order))["type"] == "image/jpeg"
