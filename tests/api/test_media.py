"""Media: every way to upload, the status, and repairing what failed."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests import clips
from tests.api.served import anyone, serving, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.served import Server


@pytest.mark.slow
def test_a_form_upload_becomes_a_record_with_four_branches(server: Server) -> None:
    with clips.plain(4).open("rb") as file:
        answer = server.api.post(
            "/media",
            files={"file": ("film.mp4", file, "video/mp4")},
            data={"title": "A film", "metadata": json.dumps({"who": "me"})},
        )
    assert answer.status_code == 201
    made = answer.json()
    assert (made["status"], made["title"], made["metadata"]) == ("processing", "A film", {"who": "me"})
    percents = []

    def look() -> bool:
        seen = server.get(f"/media/{made['id']}")
        percents.append(seen["percent"])
        return bool(seen["status"] != "processing")

    until(look, 60)
    row = server.get(f"/media/{made['id']}")
    assert (row["status"], row["playable"], row["percent"], row["error"]) == ("ready", True, 100, None)
    assert percents == sorted(percents)
    names = ["hls-package", "poster-image", "gif-preview", "audio-transcription"]
    assert [branch["name"] for branch in row["branches"]] == names
    assert {branch["status"] for branch in row["branches"]} == {"completed"}
    assert [(one["attempt"], one["maxAttempts"], one["nextRetryAt"]) for one in row["branches"]] == [(1, 4, None)] * 4
    assert row["renditions"][0]["width"] == 320
    types = {"hlsUrl": "application/vnd.apple.mpegurl", "posterUrl": "image/webp", "gifUrl": "image/gif"}
    for name, mime in (types | {"transcriptionUrl": "application/json"}).items():
        assert anyone.get(row[name]).headers["content-type"] == mime
    assert row["urls"]["poster-image"] == row["posterUrl"]
    source = next(file for file in row["files"] if file["ref"] == "source")
    assert anyone.get(source["url"]).content == clips.plain(4).read_bytes()
    assert anyone.get(source["url"].replace("/signed/" + source["url"].split("/")[4], "/outputs")).status_code == 403


@pytest.mark.slow
def test_a_bare_body_and_an_address_are_uploads_too(server: Server, plain_url: str) -> None:
    raw = server.upload(clips.plain(), title="Raw")
    fetched = server.post("/media", {"url": plain_url, "title": "Fetched"})["id"]
    for media_id, title in ((raw, "Raw"), (fetched, "Fetched")):
        row = server.media(media_id, "ready", "degraded", "failed")
        assert (row["status"], row["title"], row["width"]) == ("ready", title, 320)


@pytest.mark.slow
def test_a_row_without_bytes_has_an_address_to_put_them_to(server: Server) -> None:
    made = server.post("/media", {"title": "Later"})
    assert made["status"] == "waiting"
    put = anyone.put(made["upload_url"], content=clips.plain().read_bytes(), headers={"content-type": "video/mp4"})
    assert (put.status_code, put.json()["media_id"]) == (200, made["id"])
    assert server.media(made["id"], "ready", "failed")["status"] == "ready"
    again = anyone.put(made["upload_url"], content=b"x")
    assert (again.status_code, again.json()["code"]) == (409, "already_uploaded")
    forged = anyone.put(made["upload_url"].replace(made["id"], "med_other"), content=b"x")
    assert (forged.status_code, forged.json()["code"]) == (403, "signature_invalid")


def test_what_is_no_upload_is_told_so_and_leaves_nothing(server: Server) -> None:
    before = [one["id"] for one in server.get("/media?limit=1")]
    cases = [
        ({"content": b"", "headers": {"content-type": "video/mp4"}}, 422, "empty_file"),
        ({"data": {"title": "x"}, "files": {"wrong": (None, "x")}}, 422, "invalid_form"),
        ({"content": b"--b\r\n", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, "invalid_form"),
        ({"json": {"url": "file:///etc/passwd"}}, 422, "unsupported_address"),
        ({"json": {"metadata": 3}}, 422, "invalid_request"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 422, "invalid_request"),
    ]
    for request, status, code in cases:
        answer = server.api.post("/media", **request)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["code"]) == (status, code), request
    assert [one["id"] for one in server.get("/media?limit=1")] == before
    assert not list((server.home / "uploads").glob("once-*"))


def test_an_upload_that_is_repeated_with_its_key_exists_once(server: Server) -> None:
    film, key = clips.plain().read_bytes(), {"idempotency-key": "this film"}
    bare = {"content": film, "headers": {**key, "content-type": "video/mp4"}}
    first, again = (server.api.post("/media?filename=a.mp4", **bare) for _ in range(2))  # type: ignore[arg-type]
    assert first.json()["id"] == again.json()["id"]
    assert (first.status_code, again.status_code) == (201, 201)
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")
    other = server.api.post("/media?filename=a.mp4", **{**bare, "content": film[:-1]})  # type: ignore[arg-type]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    form = {"files": {"file": ("a.mp4", film, "video/mp4")}, "headers": {"idempotency-key": "this form"}}
    ids = {server.api.post("/media", **form).json()["id"] for _ in range(2)}  # type: ignore[arg-type]
    assert len(ids) == 1
    # What was refused was not done, and may be repeated.
    empty = {"content": b"", "headers": {"idempotency-key": "empty", "content-type": "video/mp4"}}
    assert server.api.post("/media", **empty).status_code == 422  # type: ignore[arg-type]
    full = {**empty, "content": film}
    assert server.api.post("/media", **full).status_code == 201  # type: ignore[arg-type]
    for media_id in (first.json()["id"], *ids):
        server.api.delete(f"/media/{media_id}")


@pytest.mark.slow
def test_what_is_not_media_fails_with_its_code(server: Server) -> None:
    answer = server.api.post("/media?filename=a.mp4", content=b"not a film", headers={"content-type": "video/mp4"})
    row = server.media(answer.json()["id"], "ready", "failed")
    assert (row["status"], row["error"]["code"], row["playable"]) == ("failed", "not_media", False)


def test_a_branch_is_done_again_alone_and_the_record_is_assembled_anew(server: Server, plain_media: str) -> None:
    before = server.get(f"/media/{plain_media}")
    assert server.post(f"/media/{plain_media}/branches/poster-image/retry", status=200)["media"]
    until(lambda: server.get(f"/media/{plain_media}")["posterUrl"] not in (before["posterUrl"], None), 60)
    after = server.media(plain_media, "ready", "failed")
    assert (after["status"], after["percent"]) == ("ready", 100)
    assert after["branches"][0]["taskId"] == before["branches"][0]["taskId"]
    assert server.post(f"/media/{plain_media}/branches/nope/retry", status=404)["code"] == "branch_not_found"
    assert server.post("/media/med_00000000000000000000000000/retry", status=404)["code"] == "media_not_found"


@pytest.mark.slow
def test_an_optional_branch_that_fails_degrades_and_is_repaired_with_all_others_like_it(tmp_path: Path) -> None:
    empty = tmp_path / "no-model"
    empty.mkdir()
    home = tmp_path / "home"
    speech = clips.said(3)
    with serving(home, ANABRANCH_SPEECH_MODEL=str(empty)) as server:
        ids = [server.upload(speech), server.upload(speech)]
        for media_id in ids:
            row = server.media(media_id, "ready", "degraded", "failed")
            assert (row["status"], row["playable"], row["error"]) == ("degraded", True, None)
            failed = [one for one in row["branches"] if one["status"] == "failed"]
            assert [one["name"] for one in failed] == ["audio-transcription"]
            assert failed[0]["error"]["code"].startswith("speech_")
        assert len(server.get("/media?status=degraded")) == 2
        server.stop()
        del server.settings["ANABRANCH_SPEECH_MODEL"]
        server.start()
        none = server.post("/media/retry?status=degraded&branch=gif-preview", status=200)["media"]
        assert none == {}
        retried = server.post("/media/retry?status=degraded", status=200)["media"]
        assert retried == {media_id: ["audio-transcription"] for media_id in ids}
        for media_id in ids:
            row = server.media(media_id, "ready", "degraded", "failed")
            assert row["status"] == "ready", row["branches"]
            assert row["transcriptionUrl"]


@pytest.mark.slow
def test_deleting_media_removes_every_byte_and_stops_what_is_done_for_it(server: Server) -> None:
    media_id = server.upload(clips.plain(30, "1280x720", "30", "long.mp4"))
    until(lambda: any(media_id in line or "libx264" in line for line in server.children()), 60)
    assert server.api.delete(f"/media/{media_id}").json()["deleted"]
    assert server.api.get(f"/media/{media_id}").status_code == 404
    time.sleep(0.5)
    left = [path for path in server.home.rglob("*") if media_id in str(path)]
    assert left == []
    assert server.get(f"/tasks?media_id={media_id}") == []
    assert server.api.delete(f"/media/{media_id}").status_code == 404


@pytest.mark.slow
def test_a_private_film_is_played_by_signed_addresses_alone(server: Server) -> None:
    media_id = server.upload(clips.plain(4))
    server.media(media_id, "ready", "failed")
    open_url = server.get(f"/media/{media_id}")["hlsUrl"]
    assert anyone.get(open_url).status_code == 200
    server.api.patch(f"/media/{media_id}", json={"private": True})
    refused = anyone.get(open_url)
    assert (refused.status_code, refused.json()["code"]) == (403, "signature_required")
    shown = server.get(f"/media/{media_id}")
    assert "/signed/" in shown["hlsUrl"]
    signed = server.post(f"/media/{media_id}/links?expires_in=2", status=200)
    master = signed["hlsUrl"]
    # Everything that the playlist leads to, by its relative addresses.
    pages = [master]
    segments = 0
    while pages:
        page = pages.pop()
        text = anyone.get(page).text
        assert text.startswith("#EXTM3U")
        for line in text.splitlines():
            name = line if line and not line.startswith("#") else line.partition('URI="')[2].partition('"')[0]
            if name.endswith(".m3u8"):
                pages.append(page.rpartition("/")[0] + "/" + name)
            elif name:
                segments += 1
                assert anyone.get(page.rpartition("/")[0] + "/" + name).status_code == 200
    assert segments > 2
    other = master.replace(media_id, "med_other")
    assert anyone.get(other).json()["code"] == "signature_invalid"
    time.sleep(3)
    assert anyone.get(master).json()["code"] == "signature_expired"
