"""Events: ten thousand of them, from a client that repeats what was not answered, to a server that is killed twice."""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.api.served import Server, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.alone]

EVENTS, TOGETHER = 10_000, 500
# One of ten starts a run, of a function whose step finds that there is nothing to do. At fifty runs a second all ten
# thousand would take minutes, and show no more.
HEARD, UNHEARD = "webhook/delivery.created", "app/heard.by.nobody"
RUNS = EVENTS // 10


def rows(server: Server, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{server.home / 'anabranch.db'}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()


@pytest.mark.timeout(600)
def test_ten_thousand_events_outlive_the_server_and_start_one_run_each(tmp_path: Path) -> None:
    server = Server(tmp_path / "home").start()
    began = time.monotonic()
    answered: list[int] = []

    def send(first: int) -> None:
        numbers = range(first, first + TOGETHER)
        events = [
            {"name": UNHEARD if number % 10 else HEARD, "id": f"e{number}", "data": {"deliveryId": f"e{number}"}}
            for number in numbers
        ]
        until(lambda: _taken(server, events), 120)
        answered.append(first)

    with ThreadPoolExecutor(4) as clients:
        sending = [clients.submit(send, first) for first in range(0, EVENTS, TOGETHER)]
        until(lambda: len(answered) >= len(sending) // 3, 120)
        server.kill()
        before = set(answered)
        there = {number for (number,) in rows(server, "SELECT CAST(substr(id, 2) AS INTEGER) FROM events")}
        assert before
        assert all(there.issuperset(range(first, first + TOGETHER)) for first in before)
        server.start()
        for one in sending:
            one.result()
    sent_s, sent_mib = time.monotonic() - began, server.memory_mib()
    finished = "SELECT count(*) FROM runs WHERE status = 'completed'"
    until(lambda: rows(server, finished)[0][0] > RUNS // 3, 120)
    server.kill()
    server.start()
    until(lambda: rows(server, finished)[0][0] >= RUNS, 300)
    sent = "SELECT count(*) FROM events WHERE id GLOB 'e[0-9]*'"
    assert rows(server, sent) == [(EVENTS,)]
    assert rows(server, "SELECT count(*), count(DISTINCT event_id) FROM runs") == [(RUNS, RUNS)]
    assert rows(server, "SELECT status, count(*) FROM steps GROUP BY 1") == [("completed", RUNS)]
    took_s, rate = time.monotonic() - began, RUNS / (time.monotonic() - began - sent_s)
    print(f"{EVENTS} events in {sent_s:.1f} s with a kill between, {sent_mib:.0f} MiB then")
    print(f"{RUNS} runs ended {took_s:.1f} s after the first event, {rate:.0f} a second, {server.memory_mib():.0f} MiB")
    server.stop()


def _taken(server: Server, events: list[dict[str, Any]]) -> bool:
    """Send events as a client does that asks again: their ids make them count once."""
    try:
        answer = httpx2.post(f"{server.url}/e/{server.key}", json=events, timeout=60)
    except httpx2.HTTPError:
        return False
    assert answer.status_code in (200, 503), answer.text
    return answer.status_code == 200
