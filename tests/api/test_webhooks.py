"""Webhooks: told, signed, retried, logged, replayed."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from tests.api.served import serving, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.served import Server


class Receiver:
    """An address that keeps what it is told, and answers as it is told to."""

    def __init__(self) -> None:
        self.told: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.told.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status = receiver.answers.pop(0) if receiver.answers else 200
                self.send_response(status)
                self.send_header("location", receiver.url)
                self.end_headers()
                self.wfile.write(b"seen")

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.told]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.slow
def test_an_endpoint_is_told_what_it_asked_for_signed(server: Server, receiver: Receiver, plain_url: str) -> None:
    endpoint = server.post("/webhooks/endpoints", {"url": receiver.url, "topics": ["media.*", "task.succeeded"]})
    media_id = server.post("/media", {"url": plain_url})["id"]
    server.media(media_id, "ready", "failed")
    until(lambda: "media.ready" in [body["type"] for body in receiver.bodies()], 60)
    mine = [body for body in receiver.bodies() if media_id in json.dumps(body)]
    types = [body["type"] for body in mine]
    expected = {
        "media.created", "media.playable", "media.rendition.ready", "media.poster.ready", "media.preview.ready",
        "media.transcript.ready", "media.ready", "task.completed",
    }  # fmt: skip
    assert set(types) >= expected - {"media.transcript.ready"}
    assert types.count("task.completed") == 4
    assert types.count("media.ready") == 1
    ready = next(body for body in mine if body["type"] == "media.ready")
    assert ready["data"]["id"] == media_id
    assert ready["data"]["hlsUrl"].startswith(server.url)
    for headers, body in receiver.told:
        Webhook(endpoint["secret"]).verify(body.decode(), headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(endpoint["secret"]).verify(body.decode() + " ", headers)
    assert len({headers["webhook-id"] for headers, _ in receiver.told}) == len(receiver.told)
    assert "***" in server.get(f"/webhooks/endpoints/{endpoint['id']}")["secret"]
    server.api.delete(f"/webhooks/endpoints/{endpoint['id']}")


def test_a_delivery_is_tried_again_until_it_is_heard_and_each_attempt_is_logged(
    server: Server, receiver: Receiver, plain_url: str
) -> None:
    # A redirect is no answer.
    receiver.answers = [500, 302]
    endpoint = server.post("/webhooks/endpoints", {"url": receiver.url, "topics": ["task.failed"]})
    server.post("/tasks", {"input": f"{plain_url}.gone", "kind": "image"})
    query = f"/webhooks/deliveries?endpoint_id={endpoint['id']}"
    until(lambda: [one["status"] for one in server.get(query)] == ["delivered"], 60)
    (delivery,) = server.get(query)
    assert [attempt["status_code"] for attempt in delivery["attempts"]] == [500, 302, 200]
    assert delivery["attempts"][0]["answer"] == "seen"
    assert len({headers["webhook-id"] for headers, _ in receiver.told}) == 1
    assert server.post(f"/webhooks/deliveries/{delivery['id']}/replay", status=200) == {"replayed": 1}
    until(lambda: len(receiver.told) == 4, 60)
    assert receiver.told[3][0]["webhook-id"] == receiver.told[0][0]["webhook-id"]
    assert server.post(f"/webhooks/endpoints/{endpoint['id']}/replay?since=0", status=200) == {"replayed": 1}
    until(lambda: len(receiver.told) == 5, 60)
    server.api.delete(f"/webhooks/endpoints/{endpoint['id']}")


@pytest.mark.slow
def test_an_endpoint_that_is_gone_or_paused_is_told_no_more(server: Server, receiver: Receiver, plain_url: str) -> None:
    receiver.answers = [410]
    endpoint = server.post("/webhooks/endpoints", {"url": receiver.url, "topics": ["task.created"]})
    server.post("/tasks", {"input": plain_url, "kind": "image"})
    until(lambda: server.get(f"/webhooks/endpoints/{endpoint['id']}")["status"] == "disabled", 60)
    server.task(server.post("/tasks", {"input": plain_url, "kind": "image"})["id"], "completed")
    assert len(receiver.told) == 1
    server.api.patch(f"/webhooks/endpoints/{endpoint['id']}", json={"status": "active"})
    server.post("/tasks", {"input": plain_url, "kind": "image"})
    until(lambda: len(receiver.told) == 2, 60)
    server.api.patch(f"/webhooks/endpoints/{endpoint['id']}", json={"status": "paused"})
    server.task(server.post("/tasks", {"input": plain_url, "kind": "image"})["id"], "completed")
    assert len(receiver.told) == 2
    server.api.delete(f"/webhooks/endpoints/{endpoint['id']}")


@pytest.mark.slow
def test_the_address_of_a_task_is_told_the_task_with_its_type(
    server: Server, receiver: Receiver, plain_url: str
) -> None:
    done = server.post("/tasks", {"input": plain_url, "kind": "image", "webhook_url": receiver.url})
    bad = server.post("/tasks", {"input": f"{plain_url}.gone", "kind": "image", "webhook_url": receiver.url})
    until(lambda: len(receiver.told) == 2, 60)
    told = {body["id"]: body for body in receiver.bodies()}
    assert (told[done["id"]]["type"], told[done["id"]]["event"]) == ("job.succeeded", "task.completed")
    assert told[done["id"]]["status"] == "completed"
    assert told[done["id"]]["output"]["url"].startswith(server.url)
    assert told[done["id"]]["data"]["id"] == done["id"]
    assert (told[bad["id"]]["type"], told[bad["id"]]["status"]) == ("job.failed", "failed")


def test_an_endpoint_that_asks_for_what_never_happens_is_refused(server: Server) -> None:
    wrong = ({"url": "ftp://x"}, {"url": "http://x", "topics": ["media.exploded"]}, {"url": "http://x", "topics": []})
    for body in wrong:
        assert server.post("/webhooks/endpoints", body, 422)["code"] == "invalid_request"
    assert server.api.get("/webhooks/endpoints/we_00000000000000000000000000").json()["code"] == "endpoint_not_found"


@pytest.mark.slow
def test_a_webhook_that_was_due_when_the_server_died_is_delivered_after_its_start(
    tmp_path: Path, receiver: Receiver, plain_url: str
) -> None:
    receiver.answers = [500] * 3
    with serving(tmp_path / "home", ANABRANCH_RETRY_SCALE="0.1") as server:
        server.post("/tasks", {"input": plain_url, "kind": "image", "webhook_url": receiver.url})
        until(lambda: receiver.told, 60)
        server.kill()
        server.start()
        until(lambda: not receiver.answers, 60)
        until(lambda: [one["status"] for one in server.get("/webhooks/deliveries")] == ["delivered"], 60)
    assert len({headers["webhook-id"] for headers, _ in receiver.told}) == 1
