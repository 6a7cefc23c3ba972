"""Mutated media through everything: uploaded to one running app, whose four branches do with it what they can."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from anabranch.app import App, open_app, upload
from anabranch.catalog import attempts, media, tasks
from anabranch.media import conformance, process
from anabranch.settings import Settings
from anabranch.tasks.keeping import Keeping
from tests.fuzz import TIMES, checking, mutants
from tests.fuzz.forked import Forks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANY = range(200 * TIMES)
# Enough that there is always a piece to do. More wait for each other.
_AT_ONCE = 3


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def forks() -> Iterator[Forks]:
    with Forks(_AT_ONCE) as started:
        yield started


# Two minutes of two cores, which others may want as well.
@pytest.mark.timeout(1200 * TIMES)
@pytest.mark.anyio
@pytest.mark.slow
async def test_an_app_survives_every_upload_and_each_ends_in_one_of_three_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forks: Forks
) -> None:
    home = tmp_path / "home"
    monkeypatch.setattr(process, "run", forks.run)
    async with open_app(Settings(home=home, retry_scale=0)) as app:
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int) -> str | checking.Wrong:
            made = mutants.mutant(number)
            path = tmp_path / f"{number}-{made.name}"
            path.write_bytes(made.data)
            async with turns:
                await app.engine.ended(await upload(app, _media_id(number), str(path)))
            return await asyncio.to_thread(checking.tried, lambda _: _came_to(app, _media_id(number)), number)

        came_to = await asyncio.gather(*map(one, MANY))
        await app.engine.drained()
        assert Keeping(app.database, app.storage).sweep_orphans() == 0
    wrong = [str(one) for one in came_to if isinstance(one, checking.Wrong)]
    assert not wrong, f"{len(wrong)} of them:\n" + "\n".join(wrong[:20])
    assert set(came_to) == {"ready", "degraded", "failed"}, Counter(came_to)
    assert [entry for entry in (home / "scratch").rglob("*") if entry.is_file()] == []


def _media_id(number: int) -> str:
    return f"med_{number}"


def _came_to(app: App, media_id: str) -> str:
    """The status of an upload, when all of it is as it must be."""
    record = media.record(app.database, media_id)
    assert record is not None
    status: str = record["status"]
    if status not in ("ready", "degraded", "failed"):
        raise checking.Wrong(f"it is {status}")
    for task in tasks.of_media(app.database, media_id):
        _check_task(app, task)
    if (status == "failed") != (record.get("error") is not None):
        raise checking.Wrong(f"it is {status}, with the error {record.get('error')}")
    if record.get("hlsUrl"):
        address = record["hlsUrl"]
        found = [one for one in conformance.check(address, conformance.fetcher(address)) if one.severity == "error"]
        if found:
            raise checking.Wrong(f"its package does not conform: {found[:3]}")
    return status


def _check_task(app: App, task: tasks.Task) -> None:
    """A task has ended, and whatever was in the way of it or of one of its attempts is known."""
    if task.status not in ("completed", "failed"):
        raise checking.Wrong(f"its task {task.kind} is {task.status}")
    errors = [row.error for row in attempts.of_task(app.database, task.id)] + [task.error]
    for error in errors:
        if error is not None:
            _check_error(task, error)


def _check_error(task: tasks.Task, error: dict[str, Any]) -> None:
    code = error["code"]
    # It is explained, but means that something broke that nobody had thought of.
    if code == "internal_error" or code not in checking.documented():
        raise checking.Wrong(f"its task {task.kind} failed with {error}")
