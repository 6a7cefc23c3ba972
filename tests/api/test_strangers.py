"""What clients name and this server goes to: sources and webhooks, in private networks and on its own disk."""

from __future__ import annotations

import asyncio
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from anabranch import webhooks
from anabranch.catalog import changes
from anabranch.catalog import webhooks as catalog
from anabranch.settings import Settings
from tests import clips
from tests.api.served import serving
from tests.servers import saying

if TYPE_CHECKING:
    from pathlib import Path

    import sqlalchemy as sa
    from pytest_httpserver import HTTPServer

    from tests.api.served import Server
    from tests.servers import Closed


def test_a_task_whose_source_leads_into_the_private_network_fails(
    server: Server, httpserver: HTTPServer, closed: Closed
) -> None:
    headers = {"location": f"{closed.url}/film.mp4"}
    httpserver.expect_request("/film.mp4").respond_with_data("", status=302, headers=headers)
    task = server.post("/tasks", {"kind": "image", "input": httpserver.url_for("/film.mp4")})
    task = server.task(task["id"], "completed", "failed")
    assert (task["status"], task["error_code"], task["error_retryable"]) == ("failed", "address_forbidden", False)
    # What is final is not asked for again.
    assert len(httpserver.log) == 1
    assert not closed.was_reached()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tasks", {"kind": "image", "input": "HERE/film.mp4"}),
        ("/jobs", {"kind": "image", "input": "http://0x7f.2/film.mp4"}),
        ("/tasks", {"kind": "image", "url": "http://169.254.169.254/latest/meta-data/"}),
        ("/tasks", {"kind": "image", "input": {"url": "http://[::ffff:10.0.0.1]/film.mp4"}}),
        ("/media", {"url": "HERE/film.mp4"}),
        ("/files", {"url": "HERE/film.mp4"}),
        ("/webhooks/endpoints", {"url": "HERE/hook"}),
        ("/tasks", {"kind": "image", "input": "https://films.example/a.mp4", "webhook_url": "HERE/hook"}),
    ],
)
def test_an_address_in_the_private_network_is_refused_when_it_is_named(
    server: Server, closed: Closed, path: str, body: dict[str, Any]
) -> None:
    named = {key: value.replace("HERE", closed.url) if isinstance(value, str) else value for key, value in body.items()}
    problem = server.post(path, named, 422)
    assert problem["code"] == "address_forbidden"
    assert "ANABRANCH_PRIVATE_NETWORKS" in problem["detail"]
    assert not closed.was_reached()


def test_an_endpoint_does_not_move_into_the_private_network(server: Server) -> None:
    endpoint = server.post("/webhooks/endpoints", {"url": "https://hooks.example/", "topics": ["media.deleted"]})
    answer = server.api.patch(f"/webhooks/endpoints/{endpoint['id']}", json={"url": "http://10.0.0.1/"})
    assert (answer.status_code, answer.json()["code"]) == (422, "address_forbidden")
    assert server.get(f"/webhooks/endpoints/{endpoint['id']}")["url"] == "https://hooks.example/"
    server.api.delete(f"/webhooks/endpoints/{endpoint['id']}")


@pytest.mark.parametrize(
    ("name", "data", "member"),
    [
        ("video/uploaded", {"mediaId": "m", "sourceUrl": "http://10.0.0.1/a.mp4"}, "sourceUrl"),
        ("task/created", {"input": "http://10.0.0.1/a.mp4"}, "input"),
        ("task/created", {"input": "https://films.example/a.mp4", "webhook_url": "http://10.0.0.1/"}, "webhook_url"),
    ],
)
def test_an_event_with_an_address_in_the_private_network_is_not_taken(
    server: Server, name: str, data: dict[str, Any], member: str
) -> None:
    answer = server.api.post(f"/e/{server.key}", json={"name": name, "data": data})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(f"{name}: {member}: 10.0.0.1 is at an address that is not public")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("own", [False, True])
def test_a_webhook_into_the_private_network_is_not_sent(own: bool, database: sa.Engine, closed: Closed) -> None:
    # It was named when it was allowed, or its name has changed its address.
    if own:
        with changes.telling(database) as connection:
            changes.record(connection, "media.deleted", {}, webhook_url=f"{closed.url}/hook")
    else:
        catalog.create_endpoint(database, f"{closed.url}/hook", ["*"])
        with changes.telling(database) as connection:
            changes.record(connection, "media.deleted", {})
    (delivery_id,) = catalog.waiting(database, 10)
    sender = webhooks.Sender(database, Settings().private_networks)
    assert asyncio.run(sender.attempt(delivery_id)) == "again"
    (attempt,) = catalog.attempts_at(database, delivery_id)
    assert attempt["error"].startswith("127.0.0.2 is at an address that is not public")
    assert "ANABRANCH_PRIVATE_NETWORKS" in attempt["error"]
    assert attempt["status_code"] is None
    assert not closed.was_reached()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("parts", "outcome", "said"),
    [
        pytest.param([b"HTTP/1.1 200 OK\r\n\r\n", *[b"x"] * 100], "delivered", None, id="body"),
        pytest.param([b"HTTP/1.1 200 OK\r\n", *[b"X-Odd: 1\r\n"] * 100], "again", "nothing within", id="headers"),
    ],
)
def test_a_receiver_that_says_a_little_now_and_then_keeps_nobody(
    parts: list[bytes], outcome: str, said: str | None, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "_TIMEOUT_S", 0.5)
    with saying(*parts, every_s=0.05) as url:
        with changes.telling(database) as connection:
            changes.record(connection, "media.deleted", {}, webhook_url=url)
        (delivery_id,) = catalog.waiting(database, 10)
        began = time.monotonic()
        assert asyncio.run(webhooks.Sender(database, Settings().private_networks).attempt(delivery_id)) == outcome
        assert time.monotonic() - began < 4
    (attempt,) = catalog.attempts_at(database, delivery_id)
    assert said is None or said in attempt["error"]


@pytest.mark.slow
def test_files_are_sources_only_in_folders_that_are_listed(tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    film = films / "a film.mp4"
    shutil.copy(clips.plain(), film)
    shutil.copy(clips.plain(), tmp_path / "secret.mp4")
    (films / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    with serving(tmp_path / "home", ANABRANCH_SOURCE_FOLDERS=str(films)) as server:
        for address in (str(film), film.as_uri()):
            task = server.post("/tasks", {"kind": "probe", "input": address})
            assert server.task(task["id"], "completed", "failed")["status"] == "completed"
        for path, code in [
            (tmp_path / "secret.mp4", "source_forbidden"),
            (tmp_path / "nothing.mp4", "source_forbidden"),
            (films / "../secret.mp4", "source_forbidden"),
            (films / "link.mp4", "source_forbidden"),
            (films / "nothing.mp4", "source_missing"),
        ]:
            assert server.post("/tasks", {"kind": "image", "input": str(path)}, 422)["code"] == code
            assert server.post("/media", {"url": path.as_uri()}, 422)["code"] == code
        assert server.post("/tasks", {"kind": "image", "input": "film.mp4"}, 422)["code"] == "unsupported_address"
    assert film.read_bytes() == clips.plain().read_bytes()
