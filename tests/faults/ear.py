"""Ear: an address that webhooks are sent to, which may be deaf for a while."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Ear:
    """What was heard.

    Attributes:
        url: where it listens.
        deaf: whether it answers 503 to everything.
        heard: id, type and subject of each message that it took.
    """

    def __init__(self) -> None:
        self.url = ""
        self.deaf = False
        self.heard: list[tuple[str, str, str]] = []

    def of(self, media_id: str) -> list[tuple[str, str]]:
        """What it heard of a media row, each message once however often it came."""
        return sorted({(message, kind) for message, kind, subject in self.heard if subject == media_id})


@contextmanager
def listening() -> Iterator[Ear]:
    """An ear on a port of its own."""
    ear = Ear()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body: Any = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if not ear.deaf:
                ear.heard.append((self.headers["webhook-id"], body["type"], body["data"]["id"]))
            self.send_response(503 if ear.deaf else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        ear.url = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield ear
        server.shutdown()
