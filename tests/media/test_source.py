from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import obstore
import pytest
from werkzeug import Request, Response

from anabranch.errors import AnabranchError, ResourceError, SourceError
from anabranch.media import source
from anabranch.media.source import Terms
from tests.servers import SECRET, Fault, in_front_of

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer

    from tests.servers import ObjectStore

LOOPBACK = Terms(networks=(ip_network("127.0.0.1/32"),))
EVERYTHING = Terms(folders=(Path("/"),))


def test_a_local_file_is_used_where_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a film.mp4"
    file.write_bytes(b"x")
    assert source.fetch(str(file), tmp_path / "kept", EVERYTHING) == file
    assert source.fetch(file.as_uri(), tmp_path / "kept", EVERYTHING) == file
    source.forget(str(file), tmp_path / "kept")
    assert file.exists()


def test_a_file_at_an_address_is_fetched_once_by_many(httpserver: HTTPServer, tmp_path: Path) -> None:
    def slowly(request: Request) -> Response:
        time.sleep(0.3)
        return Response(b"film")

    httpserver.expect_request("/a").respond_with_handler(slowly)
    found: list[Path] = []

    def ask() -> None:
        found.append(source.fetch(httpserver.url_for("/a"), tmp_path, LOOPBACK))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert found[0].read_bytes() == b"film"
    assert len(httpserver.log) == 1
    source.forget(httpserver.url_for("/a"), tmp_path)
    assert not found[0].exists()


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (404, "source_not_found", False),
        (410, "source_not_found", False),
        (401, "source_forbidden", False),
        (418, "source_refused", False),
        (429, "source_unreachable", True),
        (503, "source_unreachable", True),
    ],
)
def test_an_answer_that_is_not_a_file_is_told(
    status: int, code: str, retryable: bool, httpserver: HTTPServer, tmp_path: Path
) -> None:
    httpserver.expect_request("/a").respond_with_data("no", status=status)
    with pytest.raises(AnabranchError) as raised:
        source.fetch(httpserver.url_for("/a"), tmp_path, LOOPBACK)
    assert (raised.value.code, raised.value.retryable) == (code, retryable)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_a_file_that_ends_early_is_not_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nhalf")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ResourceError) as raised:
            source.fetch(f"http://127.0.0.1:{server.getsockname()[1]}/a", tmp_path, LOOPBACK)
        thread.join()
    assert raised.value.code == "source_truncated"
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_a_server_that_does_not_answer_is_given_up(httpserver: HTTPServer, tmp_path: Path) -> None:
    def never(request: Request) -> Response:
        time.sleep(2)
        return Response(b"late")

    httpserver.expect_request("/a").respond_with_handler(never)
    with pytest.raises(ResourceError) as raised:
        source.fetch(httpserver.url_for("/a"), tmp_path, replace(LOOPBACK, timeout=httpx2.Timeout(0.3)))
    assert raised.value.code == "source_timeout"


@pytest.mark.slow
def test_an_address_that_leads_in_circles_is_refused(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/a").respond_with_response(Response(status=302, headers={"Location": "/a"}))
    with pytest.raises(SourceError) as raised:
        source.fetch(httpserver.url_for("/a"), tmp_path, LOOPBACK)
    assert raised.value.code == "source_refused"


def test_an_empty_file_is_told(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/a").respond_with_data(b"")
    with pytest.raises(SourceError) as raised:
        source.fetch(httpserver.url_for("/a"), tmp_path, LOOPBACK)
    assert raised.value.code == "empty_file"


@pytest.fixture
def incoming(nanio: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """A bucket of sources, with the environment that opens it."""
    place = nanio.below("incoming")
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    return place


@pytest.mark.parametrize("name", ["film.mp4", "a film (1) \u00e9#?+&.mp4"])
def test_an_object_is_fetched_once_with_this_machines_rights(name: str, incoming: ObjectStore, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000
    obstore.put(incoming.client(), f"incoming/{name}", content)
    address = f"{incoming.url}/{name}"
    found = source.fetch(address, tmp_path, Terms(endpoint=incoming.endpoint))
    assert found.read_bytes() == content
    obstore.delete(incoming.client(), f"incoming/{name}")
    assert source.fetch(address, tmp_path, Terms(endpoint=incoming.endpoint)) == found
    source.forget(address, tmp_path)
    assert not found.exists()


@pytest.mark.parametrize(
    ("address", "secret", "code", "retryable"),
    [
        ("s3://films/incoming/nothing.mp4", SECRET, "source_not_found", False),
        ("s3://films/incoming//a.mp4", SECRET, "source_not_found", False),
        ("s3://nowhere/film.mp4", SECRET, "source_not_found", False),
        ("s3://films/incoming/empty.mp4", SECRET, "empty_file", False),
        ("s3://films/incoming/empty.mp4", "wrong", "source_forbidden", False),
        ("s3://films", SECRET, "unsupported_address", False),
        ("s3:///film.mp4", SECRET, "unsupported_address", False),
    ],
)
def test_an_object_that_cannot_be_had_is_told(
    address: str,
    secret: str,
    code: str,
    retryable: bool,
    incoming: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    obstore.put(incoming.client(), "incoming/empty.mp4", b"")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    with pytest.raises(AnabranchError) as raised:
        source.fetch(address, tmp_path, Terms(endpoint=incoming.endpoint))
    assert (raised.value.code, raised.value.retryable) == (code, retryable)
    assert [path.suffix for path in tmp_path.iterdir()] in ([".lock"], [])


@pytest.mark.slow
def test_a_store_that_breaks_off_is_asked_again_later(incoming: ObjectStore, tmp_path: Path) -> None:
    obstore.put(incoming.client(), "incoming/film.mp4", b"film" * 1000)
    with in_front_of(incoming.endpoint) as front:
        terms = Terms(endpoint=front.url, timeout=httpx2.Timeout(0.5))
        front.fault = Fault("cut", method="GET", times=8)
        with pytest.raises(ResourceError) as raised:
            source.fetch(f"{incoming.url}/film.mp4", tmp_path, terms)
        assert raised.value.code == "source_unreachable"
        front.fault = None
        assert source.fetch(f"{incoming.url}/film.mp4", tmp_path, terms).stat().st_size == 4000


@pytest.mark.parametrize("address", ["ftp://host/film.mp4", "rtmp://host/live"])
def test_an_address_of_another_kind_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as raised:
        source.fetch(address, tmp_path, LOOPBACK)
    assert raised.value.code == "unsupported_address"


def test_what_is_told_of_an_address_has_no_password_and_no_signature(tmp_path: Path) -> None:
    with pytest.raises(ResourceError) as unreachable:
        source.fetch("http://user:a-password@127.0.0.1:9/film.mp4?X-Amz-Signature=a-signature", tmp_path, LOOPBACK)
    assert unreachable.value.code == "source_unreachable"
    assert "http://127.0.0.1:9/film.mp4?… cannot be reached" in str(unreachable.value)
    assert "a-password" not in str(unreachable.value)
    assert "a-signature" not in str(unreachable.value)
