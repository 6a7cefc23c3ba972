"""Load and faults: bursts, sudden death, slow clients, large uploads, clients that vanish."""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests import clips
from tests.api.served import serving, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.served import Server

pytestmark = pytest.mark.slow

# A function that does nothing but leave its rows: the event names no delivery.
EVENT = "webhook/delivery.created"


def ended(server: Server, event_ids: list[str]) -> list[str]:
    """The end of each run of these events."""
    statuses = []
    for event_id in event_ids:
        runs = server.get(f"/v1/events/{event_id}/runs")["data"]
        assert len(runs) == 1
        statuses.append(runs[0]["status"])
    return statuses


@pytest.mark.alone
def test_a_thousand_events_at_once_are_all_taken_and_each_runs_once(tmp_path: Path) -> None:
    ids = [f"e{number}" for number in range(1000)]

    async def burst(url: str) -> list[int]:
        limits = httpx2.Limits(max_connections=200)
        async with httpx2.AsyncClient(timeout=120, limits=limits) as client:
            bodies = [{"name": EVENT, "id": one, "data": {"deliveryId": one}} for one in ids]
            answers = await asyncio.gather(*(client.post(url, json=body) for body in bodies))
        return [answer.status_code for answer in answers]

    with serving(tmp_path / "home") as server:
        assert set(asyncio.run(burst(f"{server.url}/e/{server.key}"))) == {200}
        until(lambda: "anabranch_runs" in server.api.get("/metrics").text, 60)
        done = 'anabranch_runs{function_id="anabranch-deliver-webhook",status="Completed"} 1000.0'
        until(lambda: done.lower() in server.api.get("/metrics").text.lower(), 120)
        assert set(ended(server, ids[::50])) == {"Completed"}
        assert server.memory_mib() < 300


@pytest.mark.alone
def test_a_hundred_webhooks_at_once_keep_nobody_waiting(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        for number in range(100):
            server.post("/webhooks/endpoints", {"url": f"http://127.0.0.1:9/{number}", "topics": ["media.created"]})
        server.post("/media", {"title": "a film"})
        waits = []
        for _ in range(100):
            started = time.monotonic()
            assert server.get("/media") != []
            waits.append(time.monotonic() - started)
            time.sleep(0.05)
        attempted = server.get("/webhooks/deliveries?limit=100")
        assert len(attempted) == 100
        # A quarter of a second when each attempt reads the certificates.
        assert statistics.mean(waits) < 0.15


def test_sudden_death_a_millisecond_after_the_answer_loses_nothing(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        for round_ in range(3):
            ids = [f"k{round_}-{number}" for number in range(20)]
            events = [{"name": EVENT, "id": one, "data": {"deliveryId": one}} for one in ids]
            answer = httpx2.post(f"{server.url}/e/{server.key}", json=events, timeout=30)
            time.sleep(0.001)
            server.kill()
            assert answer.json()["ids"] == ids
            server.start()
            until(lambda ids=ids: set(ended(server, ids)) == {"Completed"}, 60)  # type: ignore[misc]


def test_a_task_that_was_answered_is_done_after_sudden_death(tmp_path: Path, plain_url: str) -> None:
    with serving(tmp_path / "home") as server:
        made = server.post("/tasks", {"input": plain_url, "kind": "image"}, 201, **{"idempotency-key": "one"})
        server.kill()
        server.start()
        assert server.task(made["id"], "completed", "failed")["status"] == "completed"
        again = server.post("/tasks", {"input": plain_url, "kind": "image"}, 201, **{"idempotency-key": "one"})
        assert again["id"] == made["id"]


@pytest.mark.alone
def test_a_hundred_slow_clients_and_a_large_upload_take_little_memory(tmp_path: Path) -> None:
    size = 2 << 30
    block = bytes(1 << 20)
    with serving(tmp_path / "home") as server:
        media_id = server.upload(clips.plain(4))
        url = server.media(media_id, "ready", "failed")["gifUrl"]
        path = url.removeprefix(server.url)
        slow = []
        for _ in range(100):
            client = socket.create_connection(("127.0.0.1", server.port))
            # Small windows, so that the server has to wait for them.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            slow.append(client)
        most = 0.0

        def film() -> object:
            nonlocal most
            for number in range(size >> 20):
                if number % 64 == 0:
                    most = max(most, server.memory_mib())
                    # The slow ones read a little now and then.
                    for client in slow[number % 100 :: 100]:
                        client.recv(256)
                yield block

        headers = {"content-type": "video/mp4", "content-length": str(size)}
        answer = server.api.post("/media?filename=zeros.mp4", content=film(), headers=headers, timeout=280)  # type: ignore[arg-type]
        assert answer.status_code == 201
        stored = server.home / "storage" / "sources" / answer.json()["id"] / "source.mp4"
        assert stored.stat().st_size == size
        assert server.media(answer.json()["id"], "failed")["error"]["code"] == "not_media"
        most = max(most, server.memory_mib())
        assert most < 300, most
        for client in slow:
            client.close()
        assert server.api.delete(f"/media/{answer.json()['id']}").status_code == 200
        assert not stored.exists()


def test_a_client_that_vanishes_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        known = f"Host: x\r\nAuthorization: Bearer {server.key}\r\n"
        cut = f"POST /media HTTP/1.1\r\n{known}Content-Type: video/mp4\r\nContent-Length: 100000\r\n\r\nsome bytes"
        for request in (cut, f"GET /events HTTP/1.1\r\n{known}\r\n"):
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(request.encode())
                time.sleep(0.5)
        until(lambda: not list((server.home / "uploads").glob("once-*")), 60)
        assert server.get("/media") == []
        assert server.children() == []
        assert server.get("/health") == {"status": "ok"}
