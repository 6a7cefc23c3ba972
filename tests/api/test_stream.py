"""The stream: what happens, as it happens, from where the client was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import clips
from tests.api.served import anyone

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.api.served import Server

Event = tuple[int, str, dict[str, Any]]


def listen(server: Server, path: str, enough: Callable[[list[Event]], bool], **headers: str) -> list[Event]:
    """The events of a stream until there are enough of them."""
    heard: list[Event] = []
    fields: dict[str, str] = {}
    with server.api.stream("GET", path, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
            elif "data" in fields:
                heard.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
                fields = {}
                if enough(heard):
                    break
    return heard


def ended(heard: list[Event]) -> bool:
    return any(name == "progress" and data["status"] == "ready" for _, name, data in heard)


@pytest.mark.slow
def test_a_stream_tells_progress_and_ends_and_goes_on_from_where_the_client_was(server: Server) -> None:
    media_id = server.upload(clips.plain(4))
    heard = listen(server, f"/media/{media_id}/events", ended)
    names = [name for _, name, _ in heard]
    assert {"media.created", "task.created", "media.poster.ready", "media.playable", "media.ready"} <= set(names)
    percents = [data["percent"] for _, name, data in heard if name == "progress"]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    numbers = [number for number, name, _ in heard if name != "progress"]
    assert numbers == sorted(set(numbers))
    # As a browser does when the connection was lost after the third change.
    again = listen(server, f"/media/{media_id}/events", ended, **{"last-event-id": str(numbers[2])})
    assert [number for number, name, _ in again if name != "progress"] == numbers[3:]
    since = listen(server, f"/media/{media_id}/events?since={numbers[-2]}", ended)
    assert [name for _, name, _ in since] == ["media.ready", "progress"]


@pytest.mark.slow
def test_a_stream_of_everything_begins_now(server: Server, plain_url: str) -> None:
    seen: list[str] = []

    def enough(heard: list[Event]) -> bool:
        return bool(seen) and any(data["task_id"] == seen[0] for _, _, data in heard)

    import threading

    timer = threading.Timer(1, lambda: seen.append(server.post("/tasks", {"input": plain_url, "kind": "image"})["id"]))
    timer.start()
    heard = listen(server, "/events", enough)
    # Events may be heard before the answer to what caused them.
    assert next(name for _, name, data in heard if data["task_id"] == seen[0]) == "task.created"


def test_there_is_no_stream_of_nothing(server: Server) -> None:
    assert server.api.get("/media/med_00000000000000000000000000/events").status_code == 404
    assert anyone.get(f"{server.url}/events").status_code == 401


@pytest.mark.slow
def test_a_stream_of_everything_tells_the_status_of_each_row_and_of_those_that_changed_meanwhile(
    server: Server,
) -> None:
    media_ids: list[str] = []

    def both_ready(heard: list[Event]) -> bool:
        if not media_ids:
            media_ids.extend(server.upload(clips.plain(4)) for _ in range(2))
        ready = {data["id"] for _, name, data in heard if name == "progress" and data["status"] == "ready"}
        return ready >= set(media_ids)

    first = server.upload(clips.plain(4))
    heard = listen(server, "/events?progress=true", both_ready)
    for media_id in media_ids:
        told = [data for _, name, data in heard if name == "progress" and data["id"] == media_id]
        percents = [data["percent"] for data in told]
        assert percents == sorted(percents)
        assert len(percents) > 1
        assert {"posterUrl", "branches", "renditions"} <= set(told[-1])
    # Whoever was away is told how what has ended stands.
    server.media(first, "ready")
    created = next(
        number for number, name, data in heard if name == "media.created" and data["media_id"] == media_ids[0]
    )
    again = listen(server, f"/events?progress=true&since={created - 1}", both_ready)
    assert {name for _, name, _ in again} >= {"media.ready", "progress"}
