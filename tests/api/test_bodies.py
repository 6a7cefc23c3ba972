"""Bodies: what is no upload has a limit, however it is sent; and what comes before a body has one too."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import httpx2
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.served import Server

MIB = 1 << 20
LARGEST = 4 * MIB
TYPES = ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "")


def blocks(size: int) -> Iterator[bytes]:
    """A body of which nobody says how long it will be."""
    for _ in range(size // MIB):
        yield b" " * MIB
    yield b" " * (size % MIB)


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        *(("/tasks", kind) for kind in TYPES),
        *((path, "text/plain") for path in ("/webhooks/endpoints", "/media/delete", "/fn/register", "/e/{key}")),
    ],
)
def test_a_body_that_is_no_upload_is_not_read_beyond_its_limit(
    server: Server, kind: str, chunked: bool, path: str
) -> None:
    headers = {"content-type": kind} if kind else {}
    address = path.replace("{key}", server.key)
    body = blocks(LARGEST + 1) if chunked else b" " * (LARGEST + 1)
    answer = server.api.post(address, content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    # What is as large as may be is read, and then is no JSON.
    if kind == "text/plain" and path == "/tasks":
        assert server.api.post(address, content=b" " * LARGEST, headers=headers).status_code == 422


def test_what_is_said_of_a_film_is_limited_and_the_film_is_not(server: Server) -> None:
    large = b"\0" * (LARGEST + 1)
    for headers in ({"content-type": "application/json"}, {}, {"idempotency-key": "large"}):
        answer = server.api.post("/media", content=large, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    put = server.post("/signatures", {"filename": "a.mp4", "method": "put"})["url"]
    # As curl -T sends it: without a type.
    taken = httpx2.put(put, content=large, timeout=60)
    assert (taken.status_code, taken.json()["filesize"]) == (200, len(large))
    assert server.api.post("/media", files={"file": ("a.mp4", large)}).status_code == 201


def form_of(parts: int, size: int) -> bytes:
    one = b'--x\r\ncontent-disposition: form-data; name="field"\r\n\r\n' + b"y" * size + b"\r\n"
    return b"".join([one] * parts) + b"--x--\r\n"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (form_of(101, 1), 400, "invalid_form"),
        (form_of(10, MIB // 8), 413, "too_large"),
        (b"--x\r\n" + b"a: b\r\n" * 9 + b"\r\n\r\n--x--\r\n", 400, "invalid_form"),
        (b"--x\r\na: " + b"b" * 5000 + b"\r\n\r\n\r\n--x--\r\n", 400, "invalid_form"),
    ],
)
def test_a_form_has_so_many_parts_fields_and_headers(server: Server, body: bytes, status: int, code: str) -> None:
    answer = server.api.post("/media", content=body, headers={"content-type": "multipart/form-data; boundary=x"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_form_of_a_page_is_limited_too(server: Server) -> None:
    headers = {"origin": server.url, "content-type": "application/x-www-form-urlencoded"}
    assert server.api.post("/fetch", content=blocks(2 * MIB), headers=headers).status_code == 413


def spoken(server: Server, said: Iterator[bytes]) -> bytes:
    """What the server answers to something that is not quite HTTP."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        answer = b""
        try:
            for one in said:
                line.sendall(one)
            while got := line.recv(65536):
                answer += got
        except (BrokenPipeError, ConnectionResetError):
            pass
        return answer


def many_headers() -> Iterator[bytes]:
    yield b"GET /health HTTP/1.1\r\nhost: x\r\n"
    for number in range(2000):
        yield b"x-%d: %s\r\n" % (number, b"y" * 1000)


def a_long_header() -> Iterator[bytes]:
    yield b"GET /health HTTP/1.1\r\nhost: x\r\ncookie: "
    for _ in range(200):
        yield b"y" * 10_000


def a_long_address() -> Iterator[bytes]:
    yield b"GET /health?"
    for _ in range(200):
        yield b"y" * 10_000


@pytest.mark.parametrize("said", [many_headers, a_long_header, a_long_address])
def test_what_comes_before_a_body_has_a_limit(server: Server, said: object) -> None:
    answer = spoken(server, said())  # type: ignore[operator]
    # It is told so, or already cut off when it has not read the answer.
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert server.api.get("/health").status_code == 200
