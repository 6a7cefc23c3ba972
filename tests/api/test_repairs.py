"""Repairs: a branch done again from a piece, a branch cancelled, and many rows done again or deleted at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests import clips
from tests.api.served import anyone, until

if TYPE_CHECKING:
    from tests.api.served import Server
    from tests.api.troubled import Troubled

Json = Any

HLS = "hls-package"


def lane(server: Server, media_id: str, name: str) -> Json:
    return next(one for one in server.get(f"/media/{media_id}/timeline")["lanes"] if one["branch"] == name)


def made(of: Json) -> dict[str, Json]:
    """The attempts at each piece of a lane."""
    return {piece["name"]: piece["attempts"] for piece in of["pieces"]}


def count_of_segments(address: str) -> int:
    """How many segments a playlist leads to, all of which are there."""
    text = anyone.get(address).text
    assert text.startswith("#EXTM3U")
    count = 0
    for line in text.splitlines():
        name = line if line and not line.startswith("#") else line.partition('URI="')[2].partition('"')[0]
        beside = address.rpartition("/")[0] + "/" + name
        if name.endswith(".m3u8"):
            count += count_of_segments(beside)
        elif name:
            assert anyone.get(beside).status_code == 200, beside
            count += 1
    return count


@pytest.mark.slow
def test_a_package_that_failed_is_done_from_the_chunk_that_failed_and_keeps_the_others(troubled: Troubled) -> None:
    server = troubled.server
    clip = clips.plain(20, name="four_chunks.mp4")
    whole = server.upload(clip)
    assert server.media(whole, "ready", "degraded", "failed")["status"] == "ready"
    task = lane(server, whole, HLS)["taskId"]
    command = server.get(f"/tasks/{task}/attempts/chunk-0002/1")["command"]
    (word,) = re.findall(r"trim=end_pts=\d+", command)

    troubled.fails_at(word)
    media_id = server.upload(clip)
    assert server.media(media_id, "ready", "degraded", "failed")["error"]["code"] == "encode_failed"
    failed = lane(server, media_id, HLS)
    statuses = {piece["name"]: piece["status"] for piece in failed["pieces"]}
    assert (statuses["chunk-0000"], statuses["chunk-0002"]) == ("completed", "failed")
    folder = server.home / "storage" / "media" / media_id / failed["taskId"]
    kept = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    # What is done is kept, and nothing that somebody could take for a film.
    assert kept
    assert not [name for name in kept if name.endswith((".m3u8", ".mpd"))]

    troubled.is_mended()
    server.post(f"/media/{media_id}/branches/{HLS}/retry?from=chunk-0002", status=200)
    row = server.media(media_id, "ready", "failed")
    assert (row["status"], row["error"]) == ("ready", None)
    again = lane(server, media_id, HLS)
    assert [one["taskId"] for one in again["earlier"]] == [failed["taskId"]]
    before, after = made(failed), made(again)
    done_before = [name for name in before if name < "chunk-0002" and before[name][-1]["status"] == "completed"]
    assert "chunk-0000" in done_before
    for name in done_before:
        assert after[name] == [before[name][-1]], name
    for name in ("chunk-0002", "chunk-0003", "storyboard", "join"):
        (only,) = after[name]
        assert (only["status"], only["startedAt"] >= again["createdAt"]) == ("completed", True)
    # It is as good as one that never failed, and what the failed one had kept is gone.
    whole_url = server.get(f"/media/{whole}")["hlsUrl"]
    assert count_of_segments(row["hlsUrl"]) == count_of_segments(whole_url) > 8
    assert row["renditions"][0]["width"] == 320
    assert not folder.exists()


@pytest.mark.slow
def test_a_branch_that_was_done_is_joined_anew_of_what_there_is(server: Server) -> None:
    media_id = server.upload(clips.plain(4))
    before = server.media(media_id, "ready", "failed")
    first = lane(server, media_id, HLS)
    server.post(f"/media/{media_id}/branches/{HLS}/retry?from=join", status=200)
    until(lambda: server.get(f"/media/{media_id}")["hlsUrl"] not in (before["hlsUrl"], None), 60)
    after = server.media(media_id, "ready", "failed")
    assert (after["status"], after["percent"]) == ("ready", 100)
    again = lane(server, media_id, HLS)
    for name, attempts in made(again).items():
        if name == "join":
            assert attempts[0]["startedAt"] >= again["createdAt"]
        else:
            assert attempts == made(first)[name]
    assert count_of_segments(after["hlsUrl"]) == count_of_segments(before["hlsUrl"])
    assert after["storyboardUrl"]
    assert anyone.get(after["storyboardUrl"]).status_code == 200
    seen = server.get(f"/tasks/{again['taskId']}/attempts/chunk-0000/1")
    assert "ffmpeg" in seen["command"]


def test_a_piece_that_there_is_not_is_told_with_those_that_there_are(server: Server, plain_media: str) -> None:
    path = f"/media/{plain_media}/branches/{HLS}/retry"
    told = server.post(f"{path}?from=chunk-9999", status=404)
    assert told["code"] == "piece_not_found"
    assert "chunk-0000, audio, storyboard, join" in told["detail"]
    assert server.post(f"/media/med_none/branches/{HLS}/retry?from=join", status=404)["code"] == "media_not_found"
    waiting = server.post("/media", {"title": "Later"})["id"]
    for action in ("retry?from=join", "cancel"):
        assert server.post(f"/media/{waiting}/branches/{HLS}/{action}", status=409)["code"] == "branch_not_begun"
    assert server.post(f"/media/{plain_media}/branches/{HLS}/cancel", status=409)["code"] == "task_ended"
    assert server.post(f"/media/{plain_media}/branches/nope/cancel", status=404)["code"] == "branch_not_found"


@pytest.mark.slow
def test_a_branch_is_cancelled_and_the_others_go_on(server: Server) -> None:
    media_id = server.upload(clips.plain(30, "1280x720", "30", "long.mp4"))
    running = until(
        lambda: [one for one in server.get(f"/media/{media_id}/timeline")["lanes"] if one["branch"] == HLS], 60
    )
    task_id = running[0]["taskId"]
    until(lambda: any(task_id in line for line in server.children()), 60)
    assert server.post(f"/media/{media_id}/branches/{HLS}/retry?from=join", status=409)["code"] == "branch_running"
    told = server.post(f"/media/{media_id}/branches/{HLS}/cancel", status=200)
    assert next(one for one in told["branches"] if one["name"] == HLS)["status"] == "cancelled"
    until(lambda: not any(task_id in line for line in server.children()), 2.5)
    row = server.media(media_id, "ready", "degraded", "failed")
    assert (row["status"], row["error"]["code"], row["hlsUrl"]) == ("failed", "cancelled", None)
    assert row["posterUrl"]
    assert row["gifUrl"]
    assert not list((server.home / "storage" / "media" / media_id / task_id).rglob("*.m4s"))


@pytest.mark.slow
def test_an_upload_ends_with_its_run_when_that_is_cancelled(server: Server) -> None:
    media_id = server.upload(clips.plain(14, "1280x720", name="large.mp4"))
    until(lambda: any("libx264" in line and media_id in line for line in server.children()), 60)
    (run,) = [
        one
        for one in server.get("/v1/runs?function=anabranch-fanout-adaptive-streaming&status=running")["data"]
        if server.get(f"/v1/events/{one['event_id']}")["data"]["data"]["mediaId"] == media_id
    ]
    assert server.api.delete(f"/v1/runs/{run['id']}").status_code == 200
    until(lambda: not any(media_id in line for line in server.children()), 5)
    row = server.media(media_id, "ready", "degraded", "failed")
    assert (row["status"], row["error"]["code"]) == ("failed", "cancelled")
    # Its run done again is its upload done again.
    server.post(f"/v1/runs/{run['id']}/rerun")
    assert server.media(media_id, "ready")["error"] is None


@pytest.mark.slow
def test_many_rows_are_done_again_and_deleted_at_once(troubled: Troubled) -> None:
    server = troubled.server
    troubled.fails_at("palettegen")
    ids = [server.upload(clips.plain(3)) for _ in range(3)]
    for media_id in ids:
        assert server.media(media_id, "ready", "degraded", "failed")["status"] == "degraded"
    troubled.is_mended()
    asked = {"ids": [ids[0], ids[1], ids[0], "med_none"]}
    told = server.post("/media/retry", asked, 200)
    assert told == {"media": {ids[0]: ["gif-preview"], ids[1]: ["gif-preview"]}, "missing": ["med_none"]}
    for media_id in ids[:2]:
        assert server.media(media_id, "ready", "failed")["gifUrl"]
    assert server.get(f"/media/{ids[2]}")["status"] == "degraded"
    # Both forms together: of those that are named, those that match.
    assert server.post("/media/retry?error_code=disk_full", {"ids": ids}, 200)["media"] == {}
    assert server.post("/media/retry", {"ids": []}, 200) == {"media": {}, "missing": []}

    told = server.post("/media/delete", {"ids": [*ids, "med_none"]}, 200)
    assert told == {"deleted": ids, "missing": ["med_none"]}
    assert server.post("/media/delete", {"ids": ids}, 200) == {"deleted": [], "missing": ids}
    assert [path for path in server.home.rglob("*") if any(media_id in str(path) for media_id in ids)] == []
    for body in ({}, {"ids": "all"}, {"ids": ["x"] * 101}, {"ids": [], "all": True}):
        assert server.post("/media/delete", body, 422)["code"] == "invalid_request"
