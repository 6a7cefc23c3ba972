"""Serve: an Inngest server calls the functions of `anabranch serve --engine inngest` over HTTP, signed both ways."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests import clips
from tests.api.served import Server
from tests.inngest_server import driver
from tests.inngest_server.conftest import variables
from tests.inngest_server.gateway import SIGNING_KEY, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.inngest_server.gateway import Gateway

pytestmark = pytest.mark.anyio

Json = Any


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Server, Gateway]]:
    """A server whose engine is elsewhere, and that engine, which calls it over HTTP."""
    async with running() as gateway:
        server = Server(tmp_path / "home", INNGEST_DEV="0", **variables(gateway.url))
        await driver.in_thread(lambda: server.start("--engine", "inngest"))
        url = f"{server.url}/api/inngest"
        gateway.driver.calls_by(driver.http(url, SIGNING_KEY))
        gateway.driver.register(await driver.in_band(url, SIGNING_KEY))
        yield server, gateway
        await driver.in_thread(server.stop)


@pytest.mark.slow
async def test_an_inngest_server_drives_an_upload_over_http(served: tuple[Server, Gateway]) -> None:
    server, gateway = served
    media_id = await driver.in_thread(lambda: server.upload(clips.plain()))
    await gateway.driver.settled()
    assert server.get(f"/media/{media_id}")["status"] == "ready"
    lanes = server.get(f"/media/{media_id}/timeline")["lanes"]
    assert {lane["status"] for lane in lanes} == {"completed"}
    # Whoever has sent events to this server may go on to.
    data = {"mediaId": "med_sent", "sourceUrl": server.file_id(media_id)}
    sent = {"name": "video/uploaded", "data": {**data, "sourceUrl": f"{server.url}/nothing.mp4"}}
    answer = await driver.in_thread(lambda: server.api.post(f"/e/{server.key}", json=sent))
    assert answer.status_code == 200, answer.text
    await gateway.driver.settled()
    assert server.get("/media/med_sent")["status"] == "failed"
    # A branch is done again, and a task cancelled, by events too.
    await driver.in_thread(lambda: server.post(f"/media/{media_id}/branches/gif-preview/retry", status=200))
    await gateway.driver.settled()
    again = next(one for one in server.get(f"/media/{media_id}/timeline")["lanes"] if one["branch"] == "gif-preview")
    assert (again["status"], len(again["earlier"])) == ("completed", 1)
    # What only the engine knows is asked of it.
    for path in ("/v1/runs", "/v1/events", "/v1/apps", "/v1/runs/x"):
        refused = server.api.get(path)
        assert (refused.status_code, refused.json()["code"]) == (501, "engine_elsewhere"), path
        assert gateway.url in refused.json()["detail"]
    registered = server.api.post("/fn/register", json={"url": "http://127.0.0.1:9/api/inngest", "functions": []})
    assert (registered.status_code, registered.json()["code"]) == (501, "engine_elsewhere")
    # An unsigned call, or one signed with another key, is turned away.
    body = {"ctx": {}, "event": {"name": "video/uploaded", "data": {}}, "events": [], "steps": {}}
    for headers in ({}, driver.signed(body, "signkey-test-ffff")):
        url = f"{server.url}/api/inngest?fnId=anabranch-fanout-adaptive-streaming&stepId=step"
        assert httpx2.post(url, content=json.dumps(body), headers=headers).status_code == 401
