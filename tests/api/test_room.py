"""A server whose disk is small, and what it keeps: what it refuses, what it removes, and what it says of both."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING

import httpx2
import pytest
import sqlalchemy as sa

from anabranch import clock
from anabranch.catalog import tables
from anabranch.database import open_database
from anabranch.room import KEPT_BYTES
from tests import clips
from tests.api.served import anyone, serving, until
from tests.api.test_stream import listen
from tests.api.test_uploads import TUS, create, patch
from tests.disks import fill, small_disk
from tests.test_command import finish, python

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.served import Server

pytestmark = pytest.mark.slow

MIB = 1 << 20
DAY_MS = 24 * 3600 * 1000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With 32 mebibytes more than it keeps free, and no more of a source than it needs."""
    settings = {"ANABRANCH_KEEP_SOURCES": "until_ready", "ANABRANCH_KEEP_HISTORY_DAYS": "1"}
    with (
        small_disk(tmp_path_factory.mktemp("small") / "disk", KEPT_BYTES + 32 * MIB) as disk,
        serving(disk, **settings) as running,
    ):
        yield running


def test_an_upload_for_which_there_is_no_room_is_refused_before_any_of_it_is_taken(server: Server) -> None:
    refused = create(server, 100 * MIB)
    assert (refused.status_code, refused.json()["code"], refused.json()["retryable"]) == (507, "disk_full", True)
    assert "needs 100.0 MiB, and there is room for" in refused.json()["detail"]
    assert not list((server.home / "uploads").iterdir())

    # It is told of it while it still waits with the body.
    asking = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    asking.putrequest("POST", "/media?filename=film.mp4")
    for name, value in {"content-type": "video/mp4", "authorization": f"Bearer {server.key}"}.items():
        asking.putheader(name, value)
    asking.putheader("content-length", str(100 * MIB))
    asking.endheaders()
    answer = asking.getresponse()
    assert (answer.status, json.loads(answer.read())["code"]) == (507, "disk_full")
    asking.close()
    assert not list((server.home / "uploads").iterdir())


def test_others_that_are_arriving_count_until_they_are_given_up(server: Server) -> None:
    first = create(server, 16 * MIB)
    assert first.status_code == 201
    assert create(server, 16 * MIB).status_code == 507
    # What has come of it is not counted twice.
    assert patch(first.headers["location"], 0, bytes(8 * MIB)).status_code == 204
    assert create(server, 16 * MIB).status_code == 507
    assert anyone.delete(first.headers["location"], headers=TUS).status_code == 204
    second = create(server, 16 * MIB)
    assert second.status_code == 201
    assert anyone.delete(second.headers["location"], headers=TUS).status_code == 204


def test_whoever_looks_is_told_what_waits_for_room_and_it_goes_on_when_there_is_some(server: Server) -> None:
    clip = clips.silent(2, name="little.mp4")
    # Enough to be taken, and too little to be looked into.
    spare = clip.stat().st_size + (200 << 10)
    filler = fill(server.home, server.get("/ready")["disk_free_bytes"] - KEPT_BYTES - spare)
    media_id = server.upload(clip)

    def waiting() -> bool:
        branches = server.get(f"/media/{media_id}")["branches"]
        return len(branches) == 4 and all(one["waitingFor"] for one in branches)

    until(waiting, 60)
    row = server.get(f"/media/{media_id}")
    told = row["branches"][0]["waitingFor"]
    assert (row["status"], row["branches"][0]["error"], told["piece"]) == ("processing", None, "plan")
    assert told["message"].startswith("waits for room: needs 256 KiB, the worker has ")
    task_id = row["branches"][0]["taskId"]
    assert server.get(f"/tasks/{task_id}")["waiting_for"]["needsBytes"] == 256 << 10
    assert all(lane["waitingFor"] for lane in server.get(f"/media/{media_id}/timeline")["lanes"])
    (finding,) = [one for one in server.get("/doctor") if one["about"] == "work"]
    assert (finding["status"], told["message"] in finding["said"]) == ("warning", True)
    reach = {"ANABRANCH_URL": server.url, "ANABRANCH_KEY": server.key}
    for shown in (("task", "show", task_id), ("media", "show", media_id)):
        code, out, _ = finish(python("-m", "anabranch", *shown, **reach))
        assert code == 0
        assert "waits for room: needs 256 KiB" in out
    with httpx2.Client(base_url=server.url, headers={"origin": server.url}) as browser:
        browser.post("/session", json={"key": server.key})
        assert "waiting for room" in browser.get(f"/watch/{media_id}").text
    filler.unlink()
    assert server.media(media_id, "ready", "failed")["status"] == "ready"
    assert not any(one["waitingFor"] for one in server.get(f"/media/{media_id}")["branches"])


def test_the_source_of_what_is_ready_goes_and_nothing_that_was_made_of_it(server: Server) -> None:
    media_id = server.upload(clips.silent(2, name="little.mp4"))
    assert server.media(media_id, "ready", "failed")["status"] == "ready"
    source = server.home / "storage" / "sources" / media_id
    until(lambda: not source.exists(), 60)
    file_id = server.file_id(media_id)
    until(lambda: server.get(f"/files/{file_id}")["status"] == "gone", 30)
    row = server.get(f"/media/{media_id}")
    assert (row["status"], row["sourceUrl"]) == ("ready", None)
    assert anyone.get(row["hlsUrl"]).status_code == 200
    # What cannot be done again stays as it is.
    refused = server.post(f"/media/{media_id}/branches/hls-package/retry", status=422)
    assert (refused["code"], refused["retryable"]) == ("source_gone", False)
    assert server.post("/tasks", {"file_id": file_id, "kind": "image"}, 422)["code"] == "source_gone"
    assert server.get(f"/media/{media_id}")["status"] == "ready"


def test_a_stream_whose_place_was_forgotten_says_so_and_goes_on_with_the_oldest(server: Server) -> None:
    server.upload(clips.silent(2, name="little.mp4"))
    database = open_database(f"sqlite:///{server.home / 'anabranch.db'}")
    with database.begin() as connection:
        numbers = list(connection.scalars(sa.select(tables.changes.c.number).order_by(tables.changes.c.number)))
        connection.execute(tables.changes.delete().where(tables.changes.c.number < numbers[-1]))
    database.dispose()
    heard = listen(server, "/events", lambda seen: len(seen) >= 2, **{"last-event-id": "1"})
    (_, name, told), (number, *_) = heard[:2]
    assert name == "history.forgotten"
    assert (told["data"]["after"], told["data"]["oldest"], number) == (1, numbers[-1], numbers[-1])
    kept = listen(server, "/events", lambda seen: len(seen) >= 1, **{"last-event-id": str(numbers[-1] - 1)})
    assert kept[0][1] != "history.forgotten"


def test_what_a_killed_server_left_is_swept_when_it_starts_again(server: Server) -> None:
    """Last, for it takes the history with it."""
    unfinished, expired = create(server, 2 * MIB), create(server, 2 * MIB)
    for made in (unfinished, expired):
        assert patch(made.headers["location"], 0, bytes(MIB)).status_code == 204
    server.kill()
    scratch = server.home / "scratch"
    left = [
        scratch / "task_1.chunk-0000.1" / "720p.mp4",
        scratch / "sources" / "abc.partial",
        scratch / "probe-1" / "x",
    ]
    left.append(server.home / "uploads" / "once-left")
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
    database = open_database(f"sqlite:///{server.home / 'anabranch.db'}")
    old = clock.now_ms() - 2 * DAY_MS
    gone = expired.headers["location"].rpartition("/")[2]
    with database.begin() as connection:
        connection.execute(tables.uploads.update().where(tables.uploads.c.id == gone).values(expires_at=old))
        connection.execute(tables.attempts.update().values(ended_at=old))
        logs = connection.scalar(sa.select(sa.func.count()).where(tables.attempts.c.command.is_not(None)))
        connection.execute(tables.changes.update().values(created_at=old))
    database.dispose()
    settings = {"ANABRANCH_HOME": str(server.home), **server.settings}
    code, out, _ = finish(python("-m", "anabranch", "sweep", "--json", **settings))
    assert code == 0
    assert logs
    assert json.loads(out)["logs"] == logs
    server.start()
    assert not any(path.exists() for path in left)
    assert [path.name for path in (server.home / "uploads").iterdir()] == [
        unfinished.headers["location"].rpartition("/")[2]
    ]
    assert anyone.head(expired.headers["location"], headers=TUS).status_code == 404
    assert anyone.head(unfinished.headers["location"], headers=TUS).headers["upload-offset"] == str(MIB)
