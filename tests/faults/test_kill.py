"""Kill: every process, killed as suddenly as can be at every stage of an upload, and what is true afterwards.

A stage is waited for in the rows, or halted at, and never slept for. What a kill in the middle of an upload in parts
does is in `tests/api/test_uploads.py`, of a chunk's worker in `tests/fleet/test_workers.py`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import clips
from tests.api.served import Server, until
from tests.faults.ear import listening
from tests.faults.invariants import Installation, check, check_nothing_left, installed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.ear import Ear
    from tests.fleet.processes import Fleet

pytestmark = pytest.mark.slow

# Some last a few milliseconds: one that has just ended will do.
_AT = (
    "SELECT 1 FROM attempts JOIN tasks ON tasks.id = attempts.task_id"
    " WHERE tasks.media_id = :media_id AND tasks.ref = '{}' AND piece LIKE '{}'"
)
STAGES = {
    "planned": "SELECT 1 FROM plans JOIN tasks ON tasks.id = plans.task_id WHERE tasks.media_id = :media_id",
    "first chunk": _AT.format("hls-package", "chunk-0000"),
    "poster": _AT.format("poster-image", "render"),
    "transcript": _AT.format("audio-transcription", "transcribe%"),
    "join": _AT.format("hls-package", "join"),
    "webhooks": (
        "SELECT 1 FROM deliveries JOIN changes ON changes.id = deliveries.change_id"
        " WHERE changes.media_id = :media_id AND type = 'media.ready' AND deliveries.status = 'pending'"
    ),
}
# Whose attempt lasts long enough for a kill to be in the middle of it for certain.
LONG = {"first chunk": "chunk-0000", "transcript": "transcribe%"}


@pytest.fixture(scope="module")
def ear() -> Iterator[Ear]:
    with listening() as running:
        yield running


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory, ear: Ear) -> Iterator[Installation]:
    """A server, to be killed by each test and started again, and whatever the tests before have left in it."""
    server = Server(tmp_path_factory.mktemp("killed")).start()
    server.post("/webhooks/endpoints", {"url": ear.url, "topics": ["media.ready", "media.failed"]})
    with installed(server) as found:
        yield found
    server.stop()


def film() -> Path:
    """Without sound, so that nothing is written down; enough to be killed at."""
    return clips.silent(3, name="three.mp4")


def talk() -> Path:
    """Real pictures under a real voice."""
    return clips.spoken(5)


def when(held: Installation, stage: str, media_id: str) -> None:
    """Return as soon as the rows say that a stage has come."""
    deadline = time.monotonic() + 100
    while not held.rows(STAGES[stage], media_id=media_id):
        assert time.monotonic() < deadline, stage
        time.sleep(0.002)


@pytest.mark.parametrize("stage", STAGES)
def test_a_server_killed_at_any_stage_goes_on_and_does_nothing_twice(stage: str, held: Installation, ear: Ear) -> None:
    ear.deaf = stage == "webhooks"
    media_id = held.server.upload(talk() if stage == "transcript" else film())
    when(held, stage, media_id)
    held.server.kill()
    ear.deaf = False
    held.server.start()
    check(held, media_id)
    # A message may come twice; then it has the same id.
    assert [kind for _, kind in ear.of(media_id)] == ["media.ready"]
    if stage in LONG:
        statuses = [row.status for row in held.attempts(media_id, LONG[stage])]
        assert statuses == ["lost", "completed"]


def test_of_an_upload_in_one_go_that_was_arriving_nothing_is_left(held: Installation) -> None:
    before = held.server.get("/media?limit=1")[0]["id"]
    head = f"POST /media?filename=a.mp4 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {held.server.key}\r\n"
    head += "Content-Type: video/mp4\r\nContent-Length: 4000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", held.server.port)) as client:
        client.sendall(head.encode() + bytes(2 << 20))
        until(lambda: any(one.stat().st_size for one in (held.server.home / "uploads").glob("once-*")), 60)
        held.server.kill()
    held.server.start()
    assert held.server.get("/media?limit=1")[0]["id"] == before
    check_nothing_left(held)


def halted(held: Installation, place: str) -> None:
    """Upload to a server that halts at a line, and kill it there."""
    marker = held.server.home / "halted"
    marker.unlink(missing_ok=True)
    held.server.stop()
    held.server.program = ("-m", "tests.faults.halting", place, str(marker))
    held.server.start()
    held.server.program = ("-m", "anabranch")
    body = film().read_bytes()
    head = f"POST /media?filename=a.mp4 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {held.server.key}\r\n"
    head += f"Content-Type: video/mp4\r\nIdempotency-Key: {place}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", held.server.port)) as client:
        client.sendall(head.encode() + body)
        try:
            until(marker.exists, 60)
        finally:
            held.server.kill()
    held.server.start()


def test_an_upload_that_was_stored_and_has_no_row_is_gone_and_may_be_repeated(held: Installation) -> None:
    sources = held.server.home / "storage" / "sources"
    before = set(sources.iterdir()) if sources.exists() else set()
    halted(held, "anabranch.catalog.files:create")
    # Nobody was told that it had come.
    assert set(sources.iterdir()) == before
    check(held, held.server.upload(film()))


def test_an_upload_that_has_a_row_and_no_event_is_begun_at_the_next_start(held: Installation) -> None:
    before = {row.id for row in held.rows("SELECT id FROM media")}
    place = "anabranch.api.ingest:begin_upload"
    halted(held, place)
    (media_id,) = {row.id for row in held.rows("SELECT id FROM media")} - before
    # As a client does that got no answer.
    headers = {"content-type": "video/mp4", "idempotency-key": place}
    again = held.server.api.post("/media?filename=a.mp4", content=film().read_bytes(), headers=headers)
    assert (again.status_code, again.json()["id"]) == (201, media_id)
    check(held, media_id)


# Each child, the piece that it works on, and the code of the failure that its end is.
CHILDREN = (
    ("anabranch.media.probe_child", "plan", "out_of_memory"),
    (".chunk-0000.", "chunk-0000", "out_of_memory"),
    (".render.", "render", "out_of_memory"),
    ("anabranch.media.speech.whisper", "transcribe%", "speech_failed"),
)


def test_children_killed_from_outside_fail_their_attempts_alone_and_are_run_again(held: Installation) -> None:
    """As the kernel does when memory runs out: by a signal that no process can answer."""
    server = held.server.process
    assert server is not None
    media_id = held.server.upload(talk())
    with ThreadPoolExecutor() as each:
        list(each.map(lambda child: kill_child(server.pid, child[0]), CHILDREN))
    check(held, media_id)
    for word, piece, code in CHILDREN:
        failed = [row for row in held.attempts(media_id, piece) if row.status == "failed"]
        assert len(failed) == 1, word
        assert json.loads(failed[0].error)["code"] == code
    assert server.poll() is None


def kill_child(parent: int, word: str) -> None:
    """Kill the first child that has a word in its command, as soon as it is there."""
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline, word
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError):
                ppid = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if ppid == parent and word in (entry / "cmdline").read_text().replace("\0", " "):
                    os.kill(int(entry.name), signal.SIGKILL)
                    return
        time.sleep(0.002)


@pytest.mark.parametrize("stage", ["transcript", "join"])
def test_a_worker_killed_at_any_stage_is_followed_by_the_next_one(
    stage: str, fleet: Fleet, shared: Installation
) -> None:
    (worker,) = fleet.workers
    media_id = fleet.server.upload(talk())
    when(shared, stage, media_id)
    worker.kill()
    worker.start()
    check(shared, media_id)
