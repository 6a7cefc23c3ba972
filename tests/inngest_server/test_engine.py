"""The Inngest server in the place of the engine: events that go there, and what is said when they cannot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from anabranch.api.events import EventBody
from anabranch.connect_worker import connect_worker
from anabranch.engine.events import Event
from anabranch.errors import SetupError
from anabranch.inngest_engine import _parts
from anabranch.server import serve
from anabranch.settings import Settings
from tests import clips
from tests.inngest_server.conftest import opened

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

Json = Any


async def test_an_upload_that_the_server_does_not_take_has_failed_and_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, monkeypatch) as api:
        api.gateway.refuses_events = True
        content = clips.plain().read_bytes()
        refused = await api.http.post("/media", content=content, headers={"content-type": "video/mp4"})
        assert (refused.status_code, refused.json()["code"]) == (503, "engine_unavailable")
        assert "Event key not found" in refused.json()["detail"]
        (row,) = await api.get("/media")
        assert (row["status"], row["error"]["code"]) == ("failed", "engine_unavailable")
        api.gateway.refuses_events = False
        assert (await api.http.post(f"/media/{row['id']}/retry")).status_code == 200
        (event,) = api.gateway.driver.events
        assert (event["name"], event["data"]["mediaId"]) == ("video/uploaded", row["id"])
        assert (await api.get(f"/media/{row['id']}"))["status"] == "processing"


async def test_many_events_arrive_once_each_and_in_requests_that_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [Event("a/b", {"text": "é" * 60_000}, id=f"large-{at}") for at in range(5)]
    events += [Event("a/b", {}, id=f"small-{at}") for at in range(5001)]
    parts = list(_parts(events))
    assert [event for part in parts for event in part] == events
    for part in parts:
        shaped = [EventBody(**event.to_dict()).model_dump(exclude_none=True) for event in part]
        assert len(json.dumps(shaped)) <= 512 * 1024
        assert len(part) <= 5000
    async with opened(tmp_path, monkeypatch) as api:
        assert await api.app.engine.send(events) == [event.id for event in events]
        assert [event["id"] for event in api.gateway.driver.events] == [event.id for event in events]


@pytest.mark.parametrize("start", [serve, connect_worker])
async def test_a_key_that_is_missing_is_named_before_anything_starts(
    start: Callable[[Settings], Awaitable[None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("INNGEST_DEV", "INNGEST_EVENT_KEY", "INNGEST_SIGNING_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SetupError, match=r"^INNGEST_EVENT_KEY and INNGEST_SIGNING_KEY: needed") as caught:
        await start(Settings(home=tmp_path, port=0, engine="inngest"))
    assert caught.value.code == "inngest_key_missing"


async def test_apps_of_others_are_not_registered_here(tmp_path: Path) -> None:
    with pytest.raises(SetupError) as caught:
        await serve(Settings(home=tmp_path, port=0, engine="inngest"), ["http://127.0.0.1:9/api/inngest"])
    assert caught.value.code == "engine_elsewhere"
