"""Outbound: which addresses are reached on behalf of others, however they are written and whoever answers for a name.

127.0.0.1 is allowed in these tests and 127.0.0.2 is not, with a real server at each.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import re
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from anabranch import outbound
from anabranch.errors import SetupError, SourceError
from anabranch.settings import read_settings
from tests.servers import Closed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_httpserver import HTTPServer

HERE = (ipaddress.ip_network("127.0.0.1/32"),)
PATIENCE = httpx2.Timeout(5.0)


def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(text)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What name servers say of a name, one answer after another; the last one again and again."""
    answers: dict[str, list[list[str]]] = {}
    known = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in answers:
            return known(host, port, *args, **kwargs)
        found = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return answers


def get(url: str, allowed: tuple[Any, ...] = HERE) -> int:
    with outbound.client(allowed, 10.0, PATIENCE) as client:
        return client.get(url).status_code


def get_in_a_loop(url: str, allowed: tuple[Any, ...] = HERE) -> int:
    async def ask() -> int:
        async with outbound.async_client(allowed, PATIENCE) as client:
            return (await client.get(url)).status_code

    return asyncio.run(ask())


both_ways = pytest.mark.parametrize("ask", [get, get_in_a_loop])


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1",
        "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255",
        "192.0.0.8", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
        "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::8.8.8.8", "::127.0.0.1", "::ffff:8.8.8.8", "::ffff:10.0.0.1", "::ffff:0:8.8.8.8",
        "64:ff9b::8.8.8.8", "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8", "100::1", "2001::1", "2001:0:808:808::1",
        "2001:2::1", "2001:10::1", "2001:db8::1", "2002:808:808::1", "2002:a00:1::1", "3fff::1", "4000::1", "5f00::1",
        "fc00::1", "fd00:ec2::254", "fd12:3456::1", "fe80::1", "fe80::1%lo", "febf::1", "fec0::1", "feff::1", "ff02::1",
        "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:10.0.0.1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_closed(text: str) -> None:
    assert not outbound.is_open(address(text))


@pytest.mark.parametrize(
    "text",
    [
        "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "168.63.129.17", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.169.0.0", "198.17.255.255", "198.20.0.0",
        "223.255.255.255", "2001:4860:4860::8888", "2003::1", "2606:4700:4700::1111", "2a00:1450::1",
    ],
)  # fmt: skip
def test_an_address_that_is_public_is_open(text: str) -> None:
    assert outbound.is_open(address(text))


@pytest.mark.parametrize(
    ("text", "network", "open_"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.2.0.0/16", False),
        ("10.1.2.3", "::/0", False),
        ("::1", "::1/128", True),
        ("fd00::1", "fd00::/8", True),
        ("::ffff:10.1.2.3", "10.0.0.0/8", False),
        # Where IPv4 is reached by NAT64, its public addresses are; what is private stays so.
        ("64:ff9b::8.8.8.8", "64:ff9b::/96", True),
        ("64:ff9b::10.1.2.3", "64:ff9b::/96", False),
        ("64:ff9b::7f00:1", "64:ff9b::/96", False),
        ("2002:a00:1::1", "2002::/16", False),
        ("64:ff9b:1::8.8.8.8", "64:ff9b:1::/48", True),
        ("64:ff9b:1::10.1.2.3", "64:ff9b:1::/48", False),
        ("::ffff:10.1.2.3", "::ffff:0:0/96", False),
        ("::ffff:0:10.1.2.3", "::ffff:0:0:0/96", False),
        ("::10.1.2.3", "::/96", False),
        # Teredo has two in it: its server, and whom it leads to, with all bits turned.
        ("2001:0:808:808::f7f7:f7f7", "2001::/32", True),
        ("2001:0:a00:1::f7f7:f7f7", "2001::/32", False),
        ("2001:0:808:808::f5ff:fffe", "2001::/32", False),
    ],
)
def test_a_network_that_is_allowed_opens_its_own_addresses_alone(text: str, network: str, open_: bool) -> None:
    assert outbound.is_open(address(text), [ipaddress.ip_network(network)]) is open_


@pytest.mark.parametrize("text", ["127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "fe80::1%lo", "224.0.0.1"])
def test_for_oneself_everything_is_open(text: str) -> None:
    assert outbound.is_open(address(text), outbound.EVERYWHERE)


SPELLINGS = [
    "127.0.0.2", "0x7f.2", "0177.0.0.2", "127.2", "2130706434", "0x7f000002", "[::ffff:127.0.0.2]", "[::ffff:7f00:2]",
    "[::127.0.0.2]", "[64:ff9b::7f00:2]", "[fe80::1]", "0", "0.0.0.0", "films.example@127.0.0.2", "a:b@127.0.0.2",
    "[::1]", "[fe80::1%25lo]",
]  # fmt: skip


@pytest.mark.parametrize("host", [*SPELLINGS, "localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.2."])
def test_a_host_that_is_written_as_an_address_is_refused_before_it_is_used(host: str) -> None:
    with pytest.raises(SourceError) as raised:
        outbound.check(f"http://{host}:8000/film.mp4")
    assert raised.value.code == "address_forbidden"


@pytest.mark.parametrize("host", ["films.example", "127.0.0.1.films.example", "93.184.216.34", "[2606:4700::1]", "1x"])
def test_a_host_that_is_a_name_or_public_is_not_refused_before_it_is_used(host: str) -> None:
    outbound.check(f"https://{host}/film.mp4")


@both_ways
@pytest.mark.parametrize("host", SPELLINGS)
def test_a_closed_address_is_not_connected_to_however_it_is_written(
    host: str, ask: Callable[[str], int], closed: Closed
) -> None:
    # Some the client takes for no host.
    with pytest.raises((SourceError, httpx2.InvalidURL, httpx2.ConnectError)) as raised:
        ask(f"http://{host}:{closed.port}/film.mp4")
    odd = host in ("0177.0.0.2", "[fe80::1%25lo]")
    assert odd or (isinstance(raised.value, SourceError) and raised.value.code == "address_forbidden")
    assert not closed.was_reached()


@both_ways
def test_a_name_with_one_closed_address_is_refused_as_a_whole(
    ask: Callable[[str], int], closed: Closed, names: dict[str, list[list[str]]]
) -> None:
    for answer in (["93.184.216.34", "127.0.0.2"], ["127.0.0.2", "93.184.216.34"], ["93.184.216.34", "fd00::1"]):
        names["films.test"] = [answer]
        with pytest.raises(SourceError) as raised:
            ask(f"http://films.test:{closed.port}/film.mp4")
        assert raised.value.code == "address_forbidden"
        # Where it is, is for whoever reads the log.
        assert "films.test" in str(raised.value)
        assert not re.search(r"127\.0\.0\.2|fd00|loopback|private address", str(raised.value))
    assert not closed.was_reached()


@both_ways
def test_a_name_that_changes_its_address_after_it_was_looked_up_gains_nothing(
    ask: Callable[[str], int], httpserver: HTTPServer, names: dict[str, list[list[str]]]
) -> None:
    httpserver.expect_request("/").respond_with_data("film")
    with contextlib.closing(Closed(httpserver.port)) as closed:
        names["films.test"] = [["127.0.0.1"], ["127.0.0.2"]]
        assert ask(f"http://films.test:{httpserver.port}/") == 200
        # Once for the connection. The next answer is still to be given, and another connection is refused by it.
        assert len(names["films.test"]) == 1
        with pytest.raises(SourceError):
            ask(f"http://films.test:{httpserver.port}/")
        assert len(httpserver.log) == 1
        assert not closed.was_reached()


@both_ways
def test_a_dead_address_of_a_name_leaves_the_others(
    ask: Callable[[str], int], httpserver: HTTPServer, names: dict[str, list[list[str]]]
) -> None:
    httpserver.expect_request("/").respond_with_data("film")
    names["films.test"] = [["127.0.0.3", "127.0.0.1"]]
    allowed = (ipaddress.ip_network("127.0.0.0/8"),)
    assert ask(f"http://films.test:{httpserver.port}/", allowed) == 200  # type: ignore[call-arg]


@both_ways
@pytest.mark.parametrize("host", ["nothing.invalid", f"{'a' * 70}.test", "a..b"])
def test_a_name_that_is_none_is_told_as_what_cannot_be_reached(host: str, ask: Callable[[str], int]) -> None:
    with pytest.raises((httpx2.ConnectError, httpx2.InvalidURL)):
        ask(f"http://{host}/")


@both_ways
def test_a_proxy_of_the_environment_is_not_asked(
    ask: Callable[[str], int], httpserver: HTTPServer, closed: Closed, monkeypatch: pytest.MonkeyPatch
) -> None:
    httpserver.expect_request("/").respond_with_data("film")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, closed.url)
        monkeypatch.setenv(name.lower(), closed.url)
    assert ask(httpserver.url_for("/")) == 200
    assert not closed.was_reached()


@both_ways
def test_no_redirect_is_followed(ask: Callable[[str], int], httpserver: HTTPServer, closed: Closed) -> None:
    httpserver.expect_request("/").respond_with_data("", status=302, headers={"location": closed.url})
    assert ask(httpserver.url_for("/")) == 302
    assert not closed.was_reached()


@pytest.fixture
def tls_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, list[str | None]]]:
    """A server that has a certificate for `films.test`: its port, and the names that it is asked for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "films.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("films.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    chain = tmp_path / "chain.pem"
    chain.write_bytes(certificate.public_bytes(pem) + key.private_bytes(pem, kind, serialization.NoEncryption()))
    trusted = ssl.create_default_context(cafile=str(chain))
    monkeypatch.setattr(outbound, "_tls", lambda: trusted)
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Whoever trusts no certificate breaks off."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server.server_port, asked
        server.shutdown()


@both_ways
def test_a_certificate_has_to_be_for_the_name_and_not_for_the_address(
    ask: Callable[[str], int], tls_server: tuple[int, list[str | None]], names: dict[str, list[list[str]]]
) -> None:
    port, asked = tls_server
    names["films.test"] = names["other.test"] = [["127.0.0.1"]]
    assert ask(f"https://films.test:{port}/") == 200
    assert asked == ["films.test"]
    with pytest.raises(httpx2.ConnectError, match=r"other\.test"):
        ask(f"https://other.test:{port}/")


def test_networks_and_folders_are_lists_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANABRANCH_PRIVATE_NETWORKS")
    monkeypatch.delenv("ANABRANCH_SOURCE_FOLDERS")
    assert (read_settings().private_networks, read_settings().source_folders) == ((), ())
    monkeypatch.setenv("ANABRANCH_PRIVATE_NETWORKS", "10.1.0.0/16, fd00::/8,192.168.1.7")
    found = [str(network) for network in read_settings().private_networks]
    assert found == ["10.1.0.0/16", "fd00::/8", "192.168.1.7/32"]
    monkeypatch.setenv("ANABRANCH_SOURCE_FOLDERS", "/srv/films,/mnt/in")
    assert [str(folder) for folder in read_settings().source_folders] == ["/srv/films", "/mnt/in"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ANABRANCH_PRIVATE_NETWORKS", "10.1.2.3/8", "10.1.2.3/8 has host bits set"),
        ("ANABRANCH_PRIVATE_NETWORKS", "10.0.0.0/8,intranet", "'intranet'"),
        ("ANABRANCH_SOURCE_FOLDERS", "/srv/films,films", "absolute"),
    ],
)
def test_a_network_or_folder_that_is_none_is_told(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SetupError, match=re.escape(said)) as raised:
        read_settings()
    assert f"{name}: " in raised.value.message
