"""The workshop, asked for pieces as an engine may ask: in any order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from anabranch import migrations
from anabranch.app import open_storage, tools
from anabranch.catalog import attempts
from anabranch.database import open_database
from anabranch.errors import ResourceError
from anabranch.functions.process_task import read_order
from anabranch.settings import Settings
from anabranch.tasks.kinds import kind_named
from anabranch.tasks.workshop import Again, Workshop
from tests import clips

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize("earlier", [[], ["audio", "chunk-0000"]], ids=["new", "taken up again"])
async def test_the_beginning_of_a_film_goes_first_though_it_is_asked_for_last(
    earlier: list[str], tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, cpu_slots=1)
    database = open_database(settings.database)
    migrations.upgrade(database)
    workshop = Workshop(tools(settings, database, open_storage(settings)))
    film = str(clips.plain(14, name="pieces.mp4"))
    order = read_order({"id": "task_1", "kind": "adaptive_video", "input": film}, "run_1")
    await workshop.plan(order)
    for name in earlier:
        await workshop.perform(order, name)
    workshop = Workshop(tools(settings, database, open_storage(settings)))

    async def ask(late: int, name: str) -> None:
        await asyncio.sleep(late * 0.05)
        await workshop.perform(order, name)

    left = [name for name in ("chunk-0001", "storyboard", "audio", "chunk-0000") if name not in earlier]
    await asyncio.gather(*(ask(late, name) for late, name in enumerate(left)))
    begun = [row.piece for row in attempts.of_task(database, "task_1")]
    assert begun.index("chunk-0000") < begun.index("chunk-0001")
    assert set(begun) == {"audio", "chunk-0000", "chunk-0001", "storyboard"}


@pytest.mark.slow
@pytest.mark.anyio
async def test_pieces_outlive_a_join_that_found_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path, cpu_slots=1)
    database = open_database(settings.database)
    migrations.upgrade(database)
    storage = open_storage(settings)
    workshop = Workshop(tools(settings, database, storage))
    told = {
        "id": "task_1",
        "kind": "adaptive_video",
        "input": str(clips.plain()),
        "ref": "hls-package",
        "media_id": "med_1",
    }
    order = read_order(told, "run_1")
    for piece in (await workshop.plan(order))["pieces"]:
        await workshop.perform(order, piece["name"])
    made = set(storage.keys("media/"))

    def full(*_: object) -> None:
        raise ResourceError("disk_full", "There is no room.", "Free some.")

    with monkeypatch.context() as patched:
        patched.setattr(kind_named("adaptive_video"), "join", full)
        with pytest.raises(ResourceError):
            await workshop.join(order)
    await workshop.give_up("task_1", {"code": "task_failed", "message": "", "retryable": False})
    again = Again("task_1", "join")
    later = read_order({**told, "id": "task_2"}, "run_2")
    await workshop.plan(later, again)
    assert {row.piece for row in attempts.of_task(database, "task_2")} >= {"audio", "chunk-0000"}
    assert len(set(storage.keys("media/")) & made) > 1
    assert (await workshop.join(later))["url"].endswith("master.m3u8")
