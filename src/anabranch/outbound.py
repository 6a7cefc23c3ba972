"""Outbound: requests to addresses that somebody else named. They reach the public internet, and nothing nearer.

A name is looked up once for each connection. Every address that it has is judged, and one of those is connected to:
what a name server says a moment later changes nothing. TLS still wants the certificate of the name. Where a redirect
leads is judged like the first address. What an operator names (a Task API, an object store, an Inngest server) does not
come here.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import socket
import time
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote, urlsplit

import httpcore2
import httpx2
import structlog

from anabranch.errors import SourceError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Collection, Iterable, Iterator

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address
    Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_log = structlog.get_logger(__name__)

EVERYWHERE: tuple[Network, ...] = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))

# The IANA registry of special-purpose addresses, and what lies outside of what may be assigned. `is_global` of the
# standard library is true for some of these, and differs between versions of Python.
_CLOSED_V4 = [
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network; Linux takes 0.0.0.0 for itself
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # between a provider and its customers; 100.100.100.200 is Alibaba's metadata
        "127.0.0.0/8",  # this machine
        "169.254.0.0/16",  # link-local; 169.254.169.254 is the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # assigned by the IETF; 192.0.0.192 is Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays to 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks of networks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "168.63.129.16/32",  # public by its number, and inside of Azure the machine's host
    )
]
# All else of IPv6 is unassigned, or local (fc00::/7, fe80::/10, fec0::/10), multicast or a way to write IPv4.
_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
_CLOSED_V6 = [
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # assigned by the IETF, with Teredo (2001::/32), benchmarks and ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
]
# Where an IPv6 address has an IPv4 in it: of which network, and how many bits to its right.
_CARRIERS = [
    (ipaddress.IPv6Network(network), shift)
    for network, shift in (
        ("::/96", 0),  # IPv4-compatible
        ("::ffff:0:0/96", 0),  # IPv4-mapped
        ("::ffff:0:0:0/96", 0),  # IPv4-translated
        ("64:ff9b::/96", 0),  # NAT64
        ("64:ff9b:1::/48", 0),  # NAT64 of one's own
        ("2001::/32", 64),  # Teredo: its server
        ("2002::/16", 80),  # 6to4
    )
]
_TEREDO = ipaddress.IPv6Network("2001::/32")
_ISATAP = (0x5EFE, 0x02005EFE)


def is_open(address: Address, allowed: Collection[Network] = ()) -> bool:
    """Whether an address may be reached: it is public or allowed, and so is an IPv4 address that is inside it."""
    return all(
        _is_public(one) or any(one.version == network.version and one in network for network in allowed)
        for one in (address, *_carried(address))
    )


def check(url: str, allowed: Collection[Network] = ()) -> None:
    """Refuse a URL whose host is written as an address, in whatever spelling. Names are judged when they are used.

    Raises:
        SourceError: `address_forbidden`.
    """
    with contextlib.suppress(OSError, ValueError):
        host = unquote(urlsplit(url).hostname or "").rstrip(".")
        if host == "localhost" or host.endswith(".localhost"):
            host = "127.0.0.1"
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        _judge(host, found, allowed)


def client(allowed: Collection[Network], within_s: float, timeout: httpx2.Timeout) -> httpx2.Client:
    """A client for addresses that somebody else named. It follows no redirect: that reads a body that nobody asked for.

    Args:
        allowed: networks that may be reached beside the public ones.
        within_s: how long all of its requests may take together.
        timeout: limits on connecting, and on each wait.
    """
    transport = _Transport(_Door(allowed, time.monotonic() + within_s))
    # A proxy of the environment would look names up by itself, where nobody judges.
    return httpx2.Client(transport=transport, timeout=timeout, trust_env=False, follow_redirects=False)


def async_client(allowed: Collection[Network], timeout: httpx2.Timeout) -> httpx2.AsyncClient:
    """The same for a caller in an event loop, which ends by itself what takes too long."""
    transport = _AsyncTransport(_AsyncDoor(allowed))
    return httpx2.AsyncClient(transport=transport, timeout=timeout, trust_env=False, follow_redirects=False)


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    return address in _UNICAST_V6 and not any(address in network for network in _CLOSED_V6)


def _carried(address: Address) -> Iterator[ipaddress.IPv4Address]:
    """The IPv4 addresses that a packet to an IPv6 address may end at."""
    if isinstance(address, ipaddress.IPv4Address):
        return
    number = int(address)
    for network, shift in _CARRIERS:
        # `::1` is this machine, and no way to write 0.0.0.1.
        if address in network and number > 1:
            yield ipaddress.IPv4Address(number >> shift & 0xFFFFFFFF)
    if address in _TEREDO:
        yield ipaddress.IPv4Address(~number & 0xFFFFFFFF)
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        yield ipaddress.IPv4Address(number & 0xFFFFFFFF)


def _judge(host: str, found: Iterable[tuple[Any, ...]], allowed: Collection[Network]) -> list[str]:
    """The addresses of a host, each once, when all of them may be reached.

    Raises:
        SourceError: `address_forbidden`.
    """
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    for address in addresses:
        if not is_open(ipaddress.ip_address(address), allowed):
            _forbid(host, address)
    return addresses


def _forbid(host: str, address: str) -> NoReturn:
    # Whoever named a host is not told what it is here: they could ask for the map of the network, name by name.
    _log.warning("address refused", host=host, address=address)
    raise SourceError(
        "address_forbidden",
        f"{host} is at an address that is not public, and is not asked on behalf of others.",
        "Whoever runs this server finds the address in its log, and may allow its network in"
        " ANABRANCH_PRIVATE_NETWORKS.",
    )


@functools.cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the certificates takes some 50 ms, in which the server would answer nobody."""
    return httpx2.create_ssl_context(trust_env=False)


class _Transport(httpx2.HTTPTransport):
    def __init__(self, door: httpcore2.NetworkBackend) -> None:
        super().__init__(verify=_tls(), trust_env=False)
        # The class has no argument for it. A test connects by this alone.
        self._pool = httpcore2.ConnectionPool(ssl_context=_tls(), network_backend=door)


class _AsyncTransport(httpx2.AsyncHTTPTransport):
    def __init__(self, door: httpcore2.AsyncNetworkBackend) -> None:
        super().__init__(verify=_tls(), trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(ssl_context=_tls(), network_backend=door)


class _Door(httpcore2.NetworkBackend):
    """Connects to addresses that were looked up once and judged, and lets nothing last beyond a moment."""

    def __init__(self, allowed: Collection[Network], until: float) -> None:
        self._allowed = allowed
        self._until = until
        self._backend = httpcore2.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **kwargs: Any
    ) -> httpcore2.NetworkStream:
        with _told(host):
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = _judge(host, found, self._allowed)
        failed: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in addresses:
            # A dead way to one address leaves time for the others.
            patience = _left(self._until, timeout) / len(addresses)
            try:
                stream = self._backend.connect_tcp(address, port, patience, *args, **kwargs)
                return _Ending(stream, self._until)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed


class _Ending(httpcore2.NetworkStream):
    """A stream that ends at a moment, however often a little comes of it."""

    def __init__(self, stream: httpcore2.NetworkStream, until: float) -> None:
        self._stream = stream
        self._until = until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._until, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._until, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, _left(self._until, timeout))
        return _Ending(stream, self._until)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(until: float, timeout: float | None) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("the time for all of it has passed")
    return left if timeout is None else min(left, timeout)


class _AsyncDoor(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that were looked up once and judged."""

    def __init__(self, allowed: Collection[Network]) -> None:
        self._allowed = allowed
        self._backend = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **kwargs: Any
    ) -> httpcore2.AsyncNetworkStream:
        with _told(host):
            loop = asyncio.get_running_loop()
            found = await asyncio.wait_for(loop.getaddrinfo(host, port, type=socket.SOCK_STREAM), timeout)
        addresses = _judge(host, found, self._allowed)
        failed: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in addresses:
            patience = None if timeout is None else timeout / len(addresses)
            try:
                return await self._backend.connect_tcp(address, port, patience, *args, **kwargs)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed


@contextlib.contextmanager
def _told(host: str) -> Iterator[None]:
    """Tell what looking up a name came to as the client tells what connecting does."""
    try:
        yield
    except TimeoutError as error:
        raise httpcore2.ConnectTimeout(f"{host} was not found in time") from error
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(str(error)) from error
