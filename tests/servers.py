"""Servers: object stores as processes of their own, and one in front of them that does what servers do on a bad day."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx2
import obstore
from obstore.store import S3Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY, SECRET = "anabranch", "a-secret-of-tests"


@dataclass(frozen=True)
class ObjectStore:
    """A bucket on a server that speaks S3.

    Attributes:
        url: of the bucket, such as `s3://films`.
        endpoint: of the server.
        environment: what has to be set for the bucket to be used.
    """

    url: str
    endpoint: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def bucket(self) -> str:
        return self.url.removeprefix("s3://").partition("/")[0]

    def below(self, prefix: str) -> ObjectStore:
        """A place of one's own in the same bucket."""
        url = f"s3://{self.bucket}/{prefix}"
        return ObjectStore(url, self.endpoint, {**self.environment, "ANABRANCH_STORAGE": url})

    def behind(self, endpoint: str) -> ObjectStore:
        """The same bucket, by way of a server in front."""
        return ObjectStore(self.url, endpoint, {**self.environment, "ANABRANCH_STORAGE_ENDPOINT": endpoint})

    def client(self) -> S3Store:
        """A client that has nothing of the project's."""
        return S3Store(
            self.bucket,
            endpoint=self.endpoint,
            access_key_id=KEY,
            secret_access_key=SECRET,
            client_options={"allow_http": True},
            disable_bulk_delete=True,
        )


def bucket_of(endpoint: str, name: str = "films") -> ObjectStore:
    """A new bucket on a server."""
    environment = {
        "ANABRANCH_STORAGE": f"s3://{name}",
        "ANABRANCH_STORAGE_ENDPOINT": endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }
    made = ObjectStore(f"s3://{name}", endpoint, environment)
    httpx2.put(obstore.sign(made.client(), "PUT", "", timedelta(minutes=5)), timeout=60).raise_for_status()
    return made


@contextmanager
def moto(log: Path) -> Iterator[ObjectStore]:
    """A bucket in a server that knows nearly all of S3 and asks nobody for a key."""
    with _started(log, "-m", "moto.server", "-H", "127.0.0.1", "-p") as endpoint:
        yield bucket_of(endpoint)


@contextmanager
def nanio(folder: Path) -> Iterator[ObjectStore]:
    """A bucket in a small server that checks each signature, and takes every write that asks for a condition."""
    arguments = ("-m", "nanio", "serve", "--data-dir", str(folder), "--host", "127.0.0.1", "--log-level", "error")
    with _started(folder / "log", *arguments, "--no-access-log", "--port") as endpoint:
        yield bucket_of(endpoint)


@contextmanager
def _started(log: Path, *arguments: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "NANIO_ACCESS_KEY": KEY, "NANIO_SECRET_KEY": SECRET}
    with log.open("w") as written:
        process = subprocess.Popen(
            [sys.executable, *arguments, str(port)], env=environment, stdout=written, stderr=written
        )
        try:
            _until_open(process, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def _until_open(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "the server did not open its port"
            time.sleep(0.05)
        else:
            return


class Closed:
    """A server in a private network, which nobody may connect to. Whoever does waits, and is counted."""

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.create_server(("127.0.0.2", port))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.2:{self.port}"

    def was_reached(self) -> bool:
        """Whether anybody has connected to it since it was last asked."""
        try:
            self._socket.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Let go of the port."""
        self._socket.close()


@contextmanager
def saying(*parts: bytes, every_s: float = 0.0) -> Iterator[str]:
    """The address of a server that says something bit by bit to the first who comes, and then nothing."""
    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(4096)
                for part in parts:
                    connection.sendall(part)
                    if stopped.wait(every_s):
                        return
                stopped.wait(30)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/a"
        finally:
            stopped.set()
            thread.join()


@dataclass
class Fault:
    """What goes wrong with some requests.

    Attributes:
        what: `status` (answers with `status` and does nothing), `cut` (closes the connection in the middle of the
            answer), `slow` (waits `seconds` before it does anything), `lie` (says that all went well, and does
            nothing) or `half` (says so, and stores half of it).
        method: of the requests that it happens to; any when empty.
        times: how many requests it happens to.
    """

    what: str
    method: str = ""
    times: int = 1_000_000
    status: int = 503
    seconds: float = 0.0


class Front:
    """A server in front of another, which hands on what it is asked unless something goes wrong.

    Attributes:
        url: where it is.
        fault: what goes wrong now; nothing when None.
        asked: the method and path of each request.
        headers: what it adds to each answer.
    """

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.url = ""
        self.fault: Fault | None = None
        self.asked: list[tuple[str, str]] = []
        self.headers: dict[str, str] = {}
        self.client = httpx2.Client(timeout=60, trust_env=False)
        self._lock = threading.Lock()

    def due(self, method: str, path: str) -> Fault | None:
        """What goes wrong with a request."""
        with self._lock:
            self.asked.append((method, path))
            fault = self.fault
            if fault is None or fault.times == 0 or fault.method not in ("", method):
                return None
            fault.times -= 1
            return fault


@contextmanager
def in_front_of(behind: str) -> Iterator[Front]:
    """Another server in front of one."""
    front = Front(behind)

    class Handler(_Handler):
        before = front

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Whoever asked may be gone: that is what is tried here."""

    with Server(("127.0.0.1", 0), Handler) as server:
        front.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield front
        server.shutdown()
        front.client.close()


class _Handler(BaseHTTPRequestHandler):
    before: Front
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        fault = self.before.due(self.command, self.path)
        if fault is not None and fault.what == "slow":
            time.sleep(fault.seconds)
        if fault is not None and fault.what in ("status", "lie"):
            self._send(fault.status if fault.what == "status" else 200, {"etag": '"of-nothing"'}, b"")
            return
        # Signed for this server's name: the one behind sees the same.
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        if fault is not None and fault.what == "half":
            # Only a server that checks no signature takes it.
            body = body[: len(body) // 2]
            headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
        request = httpx2.Request(self.command, self.before.behind + self.path, headers=headers, content=body)
        answer = self.before.client.send(request)
        cut = fault is not None and fault.what == "cut"
        self._send(answer.status_code, dict(answer.headers), answer.content, cut=cut)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_OPTIONS = _answer  # noqa: N815

    def _send(self, status: int, headers: dict[str, str], body: bytes, *, cut: bool = False) -> None:
        self.send_response_only(status)
        headers = {"content-length": str(len(body)), **headers, **self.before.headers}
        for name, value in headers.items():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: Any) -> None:
        pass
