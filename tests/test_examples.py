"""The examples: an application of each framework, with the functions inside it, driven from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from anabranch import migrations
from anabranch.database import open_database
from anabranch.engine.events import Event
from anabranch.engine.host import Engine
from anabranch.engine.signing import new_signing_key
from anabranch.wakeups import Wakeups
from anabranch.workers import Membership
from tests import clips
from tests.api.served import anyone, free_port, until

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parent.parent / "examples"

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["fastapi", "flask", "django"])
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """Name and address of an example in a process of its own, and the key that both sides sign with."""
    port, key = free_port(), new_signing_key()
    url = f"http://127.0.0.1:{port}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INNGEST_")}
    environment = {
        **kept,
        "PORT": str(port),
        "ANABRANCH_HOME": str(tmp_path / "home"),
        "ANABRANCH_BASE_URL": url,
        "INNGEST_SIGNING_KEY": key,
        "INNGEST_DEV": "0",
    }
    log = (tmp_path / "log").open("w")
    command = [sys.executable, str(EXAMPLES / f"{request.param}_app.py")]
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=tmp_path)

    def answers() -> bool:
        assert process.poll() is None, (tmp_path / "log").read_text()[-3000:]
        try:
            return httpx2.get(f"{url}/videos/none", timeout=5).status_code == 200
        except httpx2.HTTPError:
            return False

    try:
        until(answers, 60)
        yield request.param, url, key
    finally:
        process.kill()
        process.wait()
        log.close()


async def test_the_fan_out_runs_inside_an_application_of_ones_own(
    example: tuple[str, str, str], tmp_path: Path
) -> None:
    name, url, key = example
    database = open_database(f"sqlite:///{tmp_path / 'engine.db'}")
    migrations.upgrade(database)
    membership = Membership(database, tmp_path, {}, lease_s=12)
    engine = Engine(database, Wakeups(), membership, retry_scale=0, signing_key=key)
    await engine.start()
    try:
        synced = await engine.sync(f"{url}/api/inngest")
        assert f"my-{name}-app-fanout-adaptive-streaming" in synced["functions"]
        data = {"mediaId": "med_1", "sourceUrl": str(clips.plain(2))}
        (event_id,) = await engine.send([Event("video/uploaded", data)])
        (run,) = engine.journal.runs_of_event(event_id)
        ended = await engine.ended(run.id)
        assert ended.status == "completed", ended.error
    finally:
        await engine.stop()
        database.dispose()
    record = anyone.get(f"{url}/videos/med_1").json()
    assert (record["status"], record["percent"]) == ("ready", 100)
    assert record["hlsUrl"].startswith(f"{url}/outputs/media/med_1/")
    assert anyone.get(record["hlsUrl"]).text.startswith("#EXTM3U")
    assert anyone.get(record["gifUrl"]).content.startswith(b"GIF89a")
