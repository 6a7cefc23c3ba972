"""What a source may lead to, and how much of it is taken: addresses, redirects, size, time and packing."""

from __future__ import annotations

import gzip
import time
from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

import httpx2
import obstore
import pytest

from anabranch.errors import SourceError
from anabranch.media import source
from anabranch.media.source import Terms
from tests.servers import in_front_of, saying

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_httpserver import HTTPServer

    from tests.servers import Closed, ObjectStore

TERMS = Terms(networks=(ip_network("127.0.0.1/32"),), timeout=httpx2.Timeout(5.0))


def refused(address: str, folder: Path, terms: Terms) -> SourceError:
    with pytest.raises(SourceError) as raised:
        source.fetch(address, folder, terms)
    assert not raised.value.retryable
    assert [path.suffix for path in folder.iterdir()] == [".lock"]
    return raised.value


def test_a_source_in_a_private_network_is_not_asked_for(closed: Closed, tmp_path: Path) -> None:
    error = refused(f"{closed.url}/film.mp4", tmp_path, TERMS)
    assert error.code == "address_forbidden"
    assert "ANABRANCH_PRIVATE_NETWORKS" in error.hint
    assert not closed.was_reached()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_into_a_private_network_is_not_followed(
    status: int, httpserver: HTTPServer, closed: Closed, tmp_path: Path
) -> None:
    httpserver.expect_request("/1").respond_with_data("", status=302, headers={"location": "/2"})
    headers = {"location": f"{closed.url}/film.mp4"}
    httpserver.expect_request("/2").respond_with_data("", status=status, headers=headers)
    error = refused(httpserver.url_for("/1"), tmp_path, TERMS)
    assert error.code == "address_forbidden"
    assert len(httpserver.log) == 2
    assert not closed.was_reached()


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/film.mp4", "gopher://127.0.0.1:1/"])
def test_a_redirect_to_another_scheme_is_not_followed(location: str, httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/a").respond_with_data("", status=302, headers={"location": location})
    assert refused(httpserver.url_for("/a"), tmp_path, TERMS).code == "source_refused"


def test_what_a_redirect_says_itself_is_not_waited_for(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/film.mp4").respond_with_data("film")
    head = f"HTTP/1.1 302 Found\r\nLocation: {httpserver.url_for('/film.mp4')}\r\nContent-Length: 1000000000\r\n\r\n"
    with saying(head.encode()) as address:
        began = time.monotonic()
        assert source.fetch(address, tmp_path, TERMS).read_bytes() == b"film"
        assert time.monotonic() - began < 4


def test_a_proxy_of_the_environment_fetches_no_source(
    httpserver: HTTPServer, closed: Closed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, closed.url)
        monkeypatch.setenv(name.lower(), closed.url)
    httpserver.expect_request("/film.mp4").respond_with_data("film")
    assert source.fetch(httpserver.url_for("/film.mp4"), tmp_path, TERMS).read_bytes() == b"film"
    assert not closed.was_reached()


def test_a_source_that_says_it_is_too_large_is_not_begun(tmp_path: Path) -> None:
    with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n") as address:
        error = refused(address, tmp_path, replace(TERMS, largest_bytes=1000))
    assert error.code == "source_too_large"
    assert "ANABRANCH_MAX_UPLOAD_BYTES" in error.hint


def test_a_source_that_does_not_say_how_large_it_is_is_counted(tmp_path: Path) -> None:
    terms = replace(TERMS, largest_bytes=3_000_000)
    with saying(b"HTTP/1.1 200 OK\r\n\r\n", *[bytes(500_000)] * 8) as address:
        assert refused(address, tmp_path, terms).code == "source_too_large"


def test_a_source_of_exactly_the_largest_size_is_taken(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/film.mp4").respond_with_data(bytes(1000))
    terms = replace(TERMS, largest_bytes=1000)
    assert source.fetch(httpserver.url_for("/film.mp4"), tmp_path, terms).stat().st_size == 1000


def test_an_object_that_is_too_large_is_not_begun(
    nanio: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = nanio.below("limits")
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    obstore.put(place.client(), "limits/film.mp4", bytes(1001))
    with in_front_of(place.endpoint) as front:
        terms = Terms(endpoint=front.url, largest_bytes=1000)
        assert refused(f"{place.url}/film.mp4", tmp_path, terms).code == "source_too_large"
        assert [method for method, _ in front.asked] == ["HEAD"]
        terms = replace(terms, largest_bytes=1001)
        assert source.fetch(f"{place.url}/film.mp4", tmp_path, terms).stat().st_size == 1001


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b"x"] * 100], id="body"),
        pytest.param([b"HTTP/1.1 200 OK\r\n", *[b"X-Odd: 1\r\n"] * 100], id="headers"),
    ],
)
def test_a_server_that_says_a_little_now_and_then_is_given_up(parts: list[bytes], tmp_path: Path) -> None:
    with saying(*parts, every_s=0.05) as address:
        began = time.monotonic()
        error = refused(address, tmp_path, replace(TERMS, within_s=0.4))
        assert time.monotonic() - began < 3
    assert error.code == "source_too_slow"
    assert "ANABRANCH_SOURCE_TIMEOUT_S" in error.hint


def test_an_object_that_comes_too_slowly_is_given_up(
    nanio: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = nanio.below("limits")
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    obstore.put(place.client(), "limits/slow.mp4", bytes(9 << 20))
    terms = Terms(endpoint=place.endpoint, within_s=0.001)
    assert refused(f"{place.url}/slow.mp4", tmp_path, terms).code == "source_too_slow"


def test_what_comes_packed_is_not_unpacked(httpserver: HTTPServer, tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    httpserver.expect_request("/a").respond_with_data(bomb, headers={"content-encoding": "gzip"})
    error = refused(httpserver.url_for("/a"), tmp_path, TERMS)
    assert error.code == "source_refused"
    assert "gzip" in error.message
    assert httpserver.log[0][0].headers["accept-encoding"] == "identity"


def test_how_an_object_was_once_uploaded_is_no_packing(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/a").respond_with_data(b"film", headers={"content-encoding": "aws-chunked"})
    assert source.fetch(httpserver.url_for("/a"), tmp_path, TERMS).read_bytes() == b"film"
