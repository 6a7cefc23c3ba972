"""Serving: a folder on this machine's own interface, as a content delivery network would serve it to a player."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HERE = Path(__file__).parent
TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".m4s": "video/iso.segment",
    ".mp4": "video/mp4",
    ".vtt": "text/vtt",
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
}
# Where the players and the page that drives them are, beside what is served.
_PLAYERS = "/players/"


@contextmanager
def served(folder: Path, changing: Mapping[str, Callable[[], str]] | None = None) -> Iterator[str]:
    """The address of a folder, with CORS and ranges; `changing` writes what is at a path anew for each request."""

    class Handler(_Handler):
        root = folder
        texts = changing or {}

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # The thread ends with the server, and a request that a closed browser left open does not keep it.
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    root: Path
    texts: Mapping[str, Callable[[], str]]

    def handle(self) -> None:
        # A player that switches levels hangs up on what it no longer wants.
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        data = self._read(path)
        if data is None:
            self._answer(404, b"", "text/plain")
            return
        kind = TYPES.get(Path(path).suffix, "application/octet-stream")
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            self._answer(200, data, kind)
            return
        first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
        self._answer(206, data[first : last + 1], kind, {"Content-Range": f"bytes {first}-{last}/{len(data)}"})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_OPTIONS(self) -> None:
        self._answer(204, b"", "text/plain")

    def _read(self, path: str) -> bytes | None:
        if path.lstrip("/") in self.texts:
            return self.texts[path.lstrip("/")]().encode()
        folder, name = (HERE, path.removeprefix(_PLAYERS)) if path.startswith(_PLAYERS) else (self.root, path[1:])
        file = folder / name
        return file.read_bytes() if file.is_file() else None

    def _answer(self, status: int, data: bytes, kind: str, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(data)), "Cache-Control": "no-store"}
        headers |= {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "Range", **(more or {})}
        headers["Access-Control-Expose-Headers"] = "Content-Range, Content-Length"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: the facts that the page reports are the log."""
