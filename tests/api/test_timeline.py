"""The timeline: lanes, pieces and attempts, and what was run for each of them."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests import clips
from tests.api.served import serving, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.served import Server
    from tests.api.troubled import Troubled

Json = Any


def lane(server: Server, media_id: str, name: str) -> Json:
    lanes = server.get(f"/media/{media_id}/timeline")["lanes"]
    return next(one for one in lanes if one["branch"] == name)


def attempt(server: Server, of: Json, piece: str, number: int = 1) -> Json:
    return server.get(f"/tasks/{of['taskId']}/attempts/{piece}/{number}")


def test_each_branch_is_a_lane_and_each_attempt_has_its_time(server: Server, plain_media: str) -> None:
    seen = server.get(f"/media/{plain_media}/timeline")
    names = ["hls-package", "poster-image", "gif-preview", "audio-transcription"]
    assert (seen["media"], [one["branch"] for one in seen["lanes"]]) == (plain_media, names)
    assert abs(seen["now"] - time.time() * 1000) < 60_000
    film = seen["lanes"][0]
    assert [piece["name"] for piece in film["pieces"]] == ["chunk-0000", "audio", "storyboard", "join"]
    assert [piece["optional"] for piece in film["pieces"]] == [False, False, True, False]
    for one in seen["lanes"]:
        assert (one["status"], one["percent"], one["error"], one["nextRetryAt"]) == ("completed", 100, None, None)
        assert one["runId"].startswith("run_")
        for piece in one["pieces"]:
            assert piece["status"] == "completed", piece
            (only,) = piece["attempts"]
            assert (only["attempt"], only["status"], only["progress"], only["error"]) == (1, "completed", 1, None)
            assert one["createdAt"] <= only["startedAt"] <= only["endedAt"] <= seen["now"]
    assert server.api.get("/media/med_00000000000000000000000000/timeline").json()["code"] == "media_not_found"


@pytest.mark.slow
@pytest.mark.parametrize(("branch", "piece"), [("poster-image", "render"), ("audio-transcription", "transcribe")])
def test_what_was_run_can_be_pasted(server: Server, plain_media: str, branch: str, piece: str) -> None:
    seen = attempt(server, lane(server, plain_media, branch), piece)
    assert (seen["piece"], seen["status"]) == (piece, "completed")
    assert "ffmpeg" in seen["command"]
    assert "exited 0 after" in seen["log"]
    done = subprocess.run(["bash", "-ec", seen["command"]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_speech_model_is_among_what_was_run(server: Server, plain_media: str) -> None:
    seen = attempt(server, lane(server, plain_media, "audio-transcription"), "transcribe")
    assert "anabranch.media.speech.whisper" in seen["command"].splitlines()[-1]


def test_there_is_no_attempt_that_was_not_made(server: Server, plain_media: str) -> None:
    task = lane(server, plain_media, "poster-image")["taskId"]
    for path in (f"{task}/attempts/render/2", f"{task}/attempts/nope/1"):
        assert server.api.get(f"/tasks/{path}").json()["code"] == "attempt_not_found"
    assert server.api.get("/tasks/task_00000000000000000000000000/attempts/a/1").json()["code"] == "task_not_found"
    assert server.api.get(f"/tasks/{task}/attempts/render/0").json()["code"] == "invalid_request"


@pytest.mark.slow
def test_a_failed_attempt_says_what_was_run_why_it_failed_and_what_to_do(troubled: Troubled) -> None:
    server = troubled.server
    troubled.fails_at("palettegen")
    media_id = server.upload(clips.plain(4))
    row = server.media(media_id, "degraded", "ready", "failed")
    assert row["status"] == "degraded"
    preview = lane(server, media_id, "gif-preview")
    assert (preview["status"], preview["error"]["code"]) == ("failed", "encode_failed")
    assert "try by hand" in preview["error"]["hint"]
    piece = preview["pieces"][0]
    assert (piece["status"], [one["attempt"] for one in piece["attempts"]]) == ("failed", [1, 2, 3, 4])
    assert {one["error"]["code"] for one in piece["attempts"]} == {"encode_failed"}
    assert preview["pieces"][-1] == {
        "name": "join", "weight": 0, "optional": False, "status": "waiting", "attempts": []
    }  # fmt: skip
    seen = attempt(server, preview, piece["name"], 4)
    assert "palettegen" in seen["command"]
    assert "no luck with palettegen" in seen["log"]
    assert "exited 1 after" in seen["log"]
    # What was run fails for whoever pastes it, and does not once it is mended.
    pasted = subprocess.run(["bash", "-ec", seen["command"]], capture_output=True, text=True, check=False)
    assert pasted.returncode == 1
    troubled.is_mended()
    subprocess.run(["bash", "-ec", seen["command"]], capture_output=True, check=True)
    server.post(f"/media/{media_id}/branches/gif-preview/retry", status=200)
    server.media(media_id, "ready", "failed")
    again = lane(server, media_id, "gif-preview")
    assert (again["status"], [one["taskId"] for one in again["earlier"]]) == ("completed", [preview["taskId"]])
    assert again["earlier"][0]["pieces"][0]["attempts"] == piece["attempts"]


@pytest.mark.slow
def test_a_running_attempt_is_listened_to_and_one_whose_server_died_was_lost(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        media_id = server.upload(clips.plain(14, "1280x720", name="large.mp4"))

        def running() -> Json:
            found = [
                one for one in server.get(f"/media/{media_id}/timeline")["lanes"] if one["branch"] == "hls-package"
            ]
            pieces = found[0]["pieces"] if found else []
            return next(((found[0], one) for one in pieces if one["attempts"] and one["status"] == "running"), None)

        film, piece = until(running, 60)
        assert piece["attempts"][-1]["endedAt"] is None
        heard = until(lambda: (one := attempt(server, film, piece["name"]))["command"] and one, 60)
        assert "ffmpeg" in heard["command"]
        server.kill()
        server.start()
        seen = next(one for one in lane(server, media_id, "hls-package")["pieces"] if one["name"] == piece["name"])
        assert seen["attempts"][0]["status"] in ("lost", "completed")
        server.media(media_id, "ready", "failed")
        film = lane(server, media_id, "hls-package")
        all_attempts = [one for each in film["pieces"] for one in each["attempts"]]
        assert "lost" in {one["status"] for one in all_attempts}
        assert {one["status"] for one in film["pieces"]} == {"completed"}
        assert all(one["endedAt"] for one in all_attempts)
