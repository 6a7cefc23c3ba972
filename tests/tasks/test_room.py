"""Pieces and the room that there is for them, on real disks that are nearly full."""

from __future__ import annotations

import asyncio
import shutil
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from anabranch import doctor
from anabranch.app import opened, working
from anabranch.catalog import attempts, tasks, waiting
from anabranch.errors import RetriableError
from anabranch.functions.process_task import read_order
from anabranch.room import KEPT_BYTES
from anabranch.settings import Settings
from anabranch.tasks import workshop
from tests import clips
from tests.disks import fill, small_disk
from tests.working import at_work

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from anabranch.app import Parts
    from anabranch.catalog.tasks import Task


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with sixteen mebibytes more than what is kept free."""
    with small_disk(tmp_path / "disk", KEPT_BYTES + (16 << 20)) as folder:
        yield folder


async def parked(parts: Parts) -> waiting.Parked:
    """The first piece that is said to wait for room, as soon as one is."""
    for _ in range(600):
        found = await asyncio.to_thread(waiting.for_room, parts.database)
        if found:
            return found[0]
        await asyncio.sleep(0.05)
    raise AssertionError("nothing waits for room")


@pytest.fixture
def film(tmp_path: Path) -> str:
    """A film of two seconds that weighs four mebibytes: what is kept of it takes eight, in scratch and in storage."""
    padding = 4 << 20
    path = tmp_path / "padded.mp4"
    path.write_bytes(clips.plain().read_bytes() + struct.pack(">I4s", padding + 8, b"free") + bytes(padding))
    return str(path)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workshop, "_LOOK_AGAIN_S", 0.2)
    monkeypatch.setattr(workshop, "_TIDY_EVERY_S", 0.2)


def fetched(number: int, film: str) -> Task:
    return read_order({"id": f"task_{number}", "kind": "import", "input": film}, f"run_{number}")


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.usefixtures("_impatient")
async def test_a_piece_without_room_waits_and_goes_on_by_itself_when_there_is_some(disk: Path, film: str) -> None:
    order = fetched(1, film)
    with structlog.testing.capture_logs() as logs, at_work(Settings(home=disk, lease_s=1)) as parts:
        filler = fill(disk, 11 << 20)
        await parts.orders.plan(order)
        asking = asyncio.create_task(parts.orders.perform(order, "store"))
        one = await parked(parts)
        assert (one.task_id, one.piece, one.workers) == ("task_1", "store", 1)
        assert one.why.startswith("waits for room: needs 8.")
        (finding,) = [one for one in doctor.examine(Settings(home=disk)) if one.about == "work"]
        assert finding.status == "warning"
        # Between the two looks the free space may have changed.
        assert finding.said.startswith("store of task_1 waits for room: needs 8.")
        await asyncio.sleep(1.5)
        # Nothing failed, nothing was begun, nothing is half-written.
        assert [row.piece for row in attempts.of_task(parts.database, "task_1")] == ["plan"]
        task = tasks.get(parts.database, "task_1")
        assert task is not None
        assert (task.status, task.error) == ("processing", None)
        assert not list((disk / "scratch").glob("task_1.*"))
        filler.unlink()
        assert await asyncio.wait_for(asking, 60) == {"piece": "store"}
        assert waiting.for_room(parts.database) == []
    # Said once, and not each time that somebody looked.
    assert [one["event"] for one in logs].count("work waits for room") == 1


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.usefixtures("_impatient")
async def test_two_pieces_do_not_both_take_the_last_of_the_room(
    disk: Path, film: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each finds room and a place, and for both there is a place and no room."""
    copy = shutil.copyfile

    def slow(*given: Any) -> Any:
        time.sleep(1)
        return copy(*given)

    monkeypatch.setattr(shutil, "copyfile", slow)
    orders = [fetched(number, film) for number in (1, 2)]
    with at_work(Settings(home=disk, cpu_slots=2, lease_s=1)) as parts:
        for order in orders:
            await parts.orders.plan(order)
        await asyncio.wait_for(asyncio.gather(*(parts.orders.perform(order, "store") for order in orders)), 60)
        made = [row for order in orders for row in attempts.of_task(parts.database, order.id) if row.piece == "store"]
        first, second = sorted(made, key=lambda row: row.started_at)
        assert (first.status, second.status) == ("completed", "completed")
        assert second.started_at >= first.ended_at


@pytest.mark.slow
@pytest.mark.anyio
async def test_whoever_does_not_let_pieces_wait_is_told_that_there_is_no_room(disk: Path, film: str) -> None:
    """As a command is that somebody waits for."""
    with opened(Settings(home=disk, lease_s=1), parks=False) as parts:
        fill(disk, 16 << 20)
        async with working(parts):
            with pytest.raises(RetriableError, match="plan waits for room: needs 256 KiB, the worker has") as raised:
                await parts.orders.plan(fetched(1, film))
        assert raised.value.code == "disk_full"
