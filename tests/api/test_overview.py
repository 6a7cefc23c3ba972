"""The overview and the doctor, over a server that works."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests import clips
from tests.api.served import anyone, serving, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.served import Server
    from tests.api.troubled import Troubled

Json = Any


def test_what_was_made_and_stored_is_counted(server: Server, plain_media: str) -> None:
    seen = server.get("/overview")
    assert abs(seen["now"] - time.time() * 1000) < 60_000
    (worker,) = seen["workers"]
    assert worker["name"].endswith(f":{server.process.pid}")  # type: ignore[union-attr]
    assert worker["startedAt"] < seen["now"]
    assert worker["slots"] >= 1
    disk = seen["disk"]
    assert disk["storedBytes"] > clips.plain(4).stat().st_size
    assert disk["storedBytes"] + disk["freeBytes"] < disk["totalBytes"]
    pace = seen["throughput"]
    # The clip of four seconds, at least.
    assert pace["mediaS"] > 3.9
    assert 0 < pace["windowS"] <= 3600
    assert pace["minutesPerHour"] == pytest.approx(pace["mediaS"] * 60 / pace["windowS"], rel=0.01)
    assert server.get(f"/media/{plain_media}")["status"] == "ready"
    assert anyone.get(f"{server.url}/overview").status_code == 401


@pytest.mark.slow
def test_who_waits_and_what_is_done_is_seen_also_after_sudden_death(tmp_path: Path) -> None:
    with serving(tmp_path / "home", ANABRANCH_CPU_SLOTS="1") as server:
        empty = server.get("/overview")
        assert empty["queue"] == {"waiting": 0, "oldestWaitMs": 0}
        assert (empty["workers"][0]["doing"], empty["failures"]) == ([], [])
        assert empty["throughput"] == {"mediaS": 0, "windowS": 3600, "minutesPerHour": 0}
        media_id = server.upload(clips.plain(14, "640x360", name="large.mp4"), title="A long one")

        def encoding() -> Json:
            doing = server.get("/overview")["workers"][0]["doing"]
            return next((one for one in doing if one["branch"] == "hls-package" and one["progress"] > 0), None)

        one = until(encoding, 60)
        assert (one["mediaId"], one["title"], one["kind"], one["attempt"]) == (
            media_id,
            "A long one",
            "adaptive_video",
            1,
        )
        assert one["piece"].startswith(("chunk-", "audio"))
        assert server.get(f"/tasks/{one['taskId']}/attempts/{one['piece']}/1")["status"] in ("running", "completed")
        assert server.get("/overview")["queue"]["waiting"] > 0
        server.kill()
        # The dead process does nothing, whatever its rows said.
        server.start()
        doing = server.get("/overview")["workers"][0]["doing"]
        assert all(each["startedAt"] >= server.get("/overview")["workers"][0]["startedAt"] for each in doing)
        assert server.media(media_id, "ready", "failed")["status"] == "ready"
        assert server.get("/overview")["queue"] == {"waiting": 0, "oldestWaitMs": 0}


@pytest.mark.slow
def test_failures_are_grouped_by_code_with_what_to_do_and_what_can_be_repaired(troubled: Troubled) -> None:
    server = troubled.server

    def failure(code: str) -> Json:
        return next((one for one in server.get("/overview")["failures"] if one["code"] == code), None)

    before = (failure("encode_failed") or {"count": 0})["count"]
    troubled.fails_at("palettegen")
    media_id = server.upload(clips.plain(4))
    server.media(media_id, "degraded", "ready", "failed")
    seen = failure("encode_failed")
    assert seen["count"] == before + 1
    assert media_id in seen["mediaIds"]
    assert "no luck with palettegen" in seen["message"]
    assert "try by hand" in seen["advice"]
    assert seen["lastAt"] <= server.get("/overview")["now"]
    troubled.is_mended()
    assert server.post("/media/retry", {"ids": seen["mediaIds"]}, 200)["media"][media_id] == ["gif-preview"]
    server.media(media_id, "ready", "failed")
    # It happened, but there is nothing left to repair.
    after = failure("encode_failed")
    assert (after["count"], media_id in after["mediaIds"]) == (before + 1, False)


def test_the_doctor_says_how_the_installation_is(server: Server) -> None:
    found = {one["about"]: one for one in server.get("/doctor")}
    assert {"anabranch", "ffmpeg", "sandbox", "speech model", "disk", "database"} == set(found)
    assert found["database"]["status"] == "ok"
    assert str(server.home) in found["database"]["said"]
    assert anyone.get(f"{server.url}/doctor").status_code == 401
