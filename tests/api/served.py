"""Served: the server as a process of its own, as a user starts it; and what tests ask of it."""

from __future__ import annotations

import functools
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Json = Any

# How well it is encoded matters to few tests, and takes a third of the time of all others.
FAST = {"ANABRANCH_ADAPTIVE_VIDEO": '{"preset": "ultrafast"}'}
USUAL = {"ANABRANCH_ADAPTIVE_VIDEO": "{}"}
# Whoever waits for the end of an upload need not ask twenty times a second: that takes a quarter of a core.
_END_LOOK_S = 0.1
_SOON_S = 2.0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


# Without a key. As patient as those with one: a loaded machine may have its disk busy for seconds.
anyone = httpx2.Client(timeout=120, limits=httpx2.Limits(max_keepalive_connections=0))


class Server:
    """`anabranch serve` in a folder, which may be killed and started again."""

    # What python is given before the arguments; a test may put something of its own around the command.
    program: tuple[str, ...] = ("-m", "anabranch")

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {"ANABRANCH_RETRY_SCALE": "0.001", "ANABRANCH_SOURCE_FOLDERS": "", **FAST, **settings}
        self.key = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self, *arguments: str) -> Server:
        self.home.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "ANABRANCH_HOME": str(self.home), **self.settings}
        self.log = (self.home / "server.log").open("a")
        command = [sys.executable, *self.program, "serve", "--port", str(self.port), *arguments]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=self.log, text=True)
        assert self.process.stdout is not None
        if not self.key:
            self.key = self.process.stdout.readline().strip()
        self.api = httpx2.Client(base_url=self.url, headers={"authorization": f"Bearer {self.key}"}, timeout=120)
        until(self._answers, 120)
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.home / "server.log").read_text()[-3000:]
        try:
            return self.api.get("/ready").status_code == 200
        except httpx2.HTTPError:
            return False

    def kill(self) -> None:
        """As suddenly as can be."""
        assert self.process is not None
        self.process.kill()
        self._gone()

    def stop(self) -> None:
        """As a person does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self._gone()

    def _gone(self) -> None:
        assert self.process is not None
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.api.close()
        self.log.close()

    def get(self, path: str) -> Json:
        answer = self.api.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Json = None, status: int = 201, **headers: str) -> Json:
        answer = self.api.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    def upload(self, clip: Path, **query: str) -> str:
        """Upload a clip as a bare body; its media id."""
        answer = self.api.post(
            "/media",
            params={"filename": clip.name, **query},
            content=clip.read_bytes(),
            headers={"content-type": "video/mp4"},
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def file_id(self, media_id: str) -> str:
        """The source of a media row, to be used as input."""
        return f"file_{media_id.removeprefix('med_')}"

    def media(self, media_id: str, *statuses: str) -> Json:
        """The media row, once it has one of these statuses."""
        return until(lambda: (row := self.get(f"/media/{media_id}"))["status"] in statuses and row, 150, _END_LOOK_S)

    def task(self, task_id: str, *statuses: str) -> Json:
        """The task, once it has one of these statuses."""
        return until(lambda: (row := self.get(f"/tasks/{task_id}"))["status"] in statuses and row, 150, _END_LOOK_S)

    def children(self) -> list[str]:
        """Command lines of what the server has started and not ended."""
        assert self.process is not None
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                command = (entry / "cmdline").read_text().replace("\0", " ").strip()
            except (OSError, ValueError):
                continue
            if parent == self.process.pid and command:
                found.append(command)
        return found

    def memory_mib(self) -> float:
        """Resident memory of the server itself."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def until(look: Callable[[], Any], seconds: float, every_s: float = 0.05) -> Any:
    """What `look` gives, as soon as it gives something.

    Looking takes a quarter of a core when a server is asked each time. So what takes longer is looked at less often.
    """
    began = time.monotonic()
    while not (found := look()):
        waited_s = time.monotonic() - began
        assert waited_s < seconds, "waited in vain"
        time.sleep(every_s if waited_s < _SOON_S else 3 * every_s)
    return found


@contextmanager
def serving(home: Path, *arguments: str, **settings: str) -> Iterator[Server]:
    """A server, stopped at the end."""
    server = Server(home, **settings).start(*arguments)
    try:
        yield server
    finally:
        server.stop()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def elsewhere(folder: Path) -> Iterator[str]:
    """Another web server, with the files of a folder."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
