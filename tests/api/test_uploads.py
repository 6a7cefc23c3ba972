"""Uploads in parts: the tus protocol, and the client that browsers use."""

from __future__ import annotations

import base64
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import clips, node
from tests.api.served import anyone, serving, until

if TYPE_CHECKING:
    import httpx2

    from tests.api.served import Server

TUS = {"tus-resumable": "1.0.0"}
PART = {**TUS, "content-type": "application/offset+octet-stream"}


def metadata(**pairs: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in pairs.items())


def create(server: Server, size: int, **headers: str) -> httpx2.Response:
    return server.api.post("/uploads", headers={**TUS, "upload-length": str(size), **headers})


def patch(url: str, offset: int, part: bytes) -> httpx2.Response:
    return anyone.patch(url, content=part, headers={**PART, "upload-offset": str(offset)})


@pytest.mark.slow
def test_an_upload_in_parts_becomes_media_when_the_last_has_come(server: Server) -> None:
    clip = clips.plain().read_bytes()
    described = metadata(filename="film.mp4", filetype="video/mp4", title="Ein Film, größer")
    made = create(server, len(clip), **{"upload-metadata": described})
    assert (made.status_code, made.headers["tus-resumable"], made.headers["upload-offset"]) == (201, "1.0.0", "0")
    url, media_id = made.headers["location"], made.headers["x-media-id"]
    half = len(clip) // 2
    assert patch(url, 0, clip[:half]).headers["upload-offset"] == str(half)
    head = anyone.head(url, headers=TUS)
    assert (head.status_code, head.headers["upload-offset"], head.headers["upload-length"]) == (
        200, str(half), str(len(clip)),
    )  # fmt: skip
    assert (head.headers["cache-control"], head.headers["upload-metadata"]) == ("no-store", described)
    assert server.api.get(f"/media/{media_id}").status_code == 404
    assert patch(url, half, clip[half:]).status_code == 204
    row = server.media(media_id, "ready", "failed")
    assert (row["status"], row["title"]) == ("ready", "Ein Film, größer")
    # A client that missed the answer asks, and is told that all has come.
    assert anyone.head(url, headers=TUS).headers["upload-offset"] == str(len(clip))


@pytest.mark.slow
def test_an_upload_may_begin_with_its_bytes_or_without_its_length(server: Server) -> None:
    clip = clips.plain().read_bytes()
    made = server.api.post("/uploads", content=clip, headers={**PART, "upload-length": str(len(clip))})
    assert (made.status_code, made.headers["upload-offset"]) == (201, str(len(clip)))
    assert server.media(made.headers["x-media-id"], "ready", "failed")["status"] == "ready"
    deferred = server.api.post("/uploads", headers={**TUS, "upload-defer-length": "1"})
    url = deferred.headers["location"]
    assert anyone.head(url, headers=TUS).headers["upload-defer-length"] == "1"
    assert patch(url, 0, clip[:1000]).status_code == 204
    answer = anyone.patch(
        url, content=clip[1000:], headers={**PART, "upload-offset": "1000", "upload-length": str(len(clip))}
    )
    assert answer.status_code == 204
    assert server.media(deferred.headers["x-media-id"], "ready", "failed")["status"] == "ready"


def test_what_is_against_the_protocol_is_refused(server: Server) -> None:
    url = create(server, 10).headers["location"]
    assert anyone.head(url).status_code == 412
    assert patch(url, 5, b"x").json()["code"] == "offset_mismatch"
    assert patch(url, 0, b"x" * 11).status_code == 413
    wrong = anyone.patch(url, content=b"x", headers={**TUS, "upload-offset": "0", "content-type": "text/plain"})
    assert wrong.status_code == 415
    assert anyone.patch(url, content=b"x", headers=PART).status_code == 400
    assert server.api.post("/uploads", headers=TUS).status_code == 400
    assert create(server, 10**15).status_code == 413
    assert create(server, 10, **{"upload-metadata": "name !!"}).status_code == 400
    assert anyone.post(f"{server.url}/uploads", headers={**TUS, "upload-length": "1"}).status_code == 401
    assert anyone.delete(url, headers=TUS).status_code == 204
    assert anyone.head(url, headers=TUS).status_code == 404
    options = anyone.options(f"{server.url}/uploads")
    assert (options.status_code, options.headers["tus-version"]) == (204, "1.0.0")
    assert "creation" in options.headers["tus-extension"]


@pytest.mark.slow
def test_an_upload_goes_on_after_the_server_was_killed(tmp_path: Path) -> None:
    clip = clips.plain(20, "1280x720", "30", "large.mp4")
    size = clip.stat().st_size
    with serving(tmp_path / "home") as server:
        client = subprocess.Popen(
            [node.binary(), str(Path(__file__).parent / "upload.mjs"), f"{server.url}/uploads", server.key, str(clip)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=node.modules(),
            env=node.environment(),
        )
        assert client.stdout is not None
        try:
            for line in client.stdout:
                if line.startswith("progress") and int(line.split()[1]) > size // 3:
                    break
            server.kill()
            server.start()
            told = client.stdout.read()
            assert client.wait(60) == 0, told
        finally:
            client.send_signal(signal.SIGKILL)
        assert "retrying" in told
        # It went on from where it was, and did not begin again.
        assert "resumed from 0\n" not in told
        media_id = told.split("media ")[1].split()[0]
        source = f"sources/{media_id}/source.mp4"
        until(lambda: (server.home / "storage" / source).exists(), 60)
        assert (server.home / "storage" / source).read_bytes() == clip.read_bytes()
        assert server.api.delete(f"/media/{media_id}").status_code == 200


@pytest.mark.slow
def test_an_upload_that_was_whole_when_the_server_died_is_finished_at_its_start(tmp_path: Path) -> None:
    clip = clips.plain().read_bytes()
    with serving(tmp_path / "home") as server:
        made = create(server, len(clip), **{"upload-metadata": metadata(filename="a.mp4")})
        server.kill()
        # The bytes came, and the process died before the row.
        upload_id = made.headers["location"].rpartition("/")[2]
        (server.home / "uploads" / upload_id).write_bytes(clip)
        (server.home / "uploads" / "once-left-behind").write_bytes(b"x")
        server.start()
        assert server.media(made.headers["x-media-id"], "ready", "failed")["status"] == "ready"
        assert not list((server.home / "uploads").iterdir())
