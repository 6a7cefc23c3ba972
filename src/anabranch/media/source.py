"""Source: a local file for an address. Local files are used where they are; others are fetched once.

What is fetched is bounded whatever answers: in size, in time, in redirects, and in what may be asked at all.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit, urlunsplit

import httpx2
import obstore

from anabranch import buckets, outbound
from anabranch.errors import ResourceError, SourceError
from anabranch.media import local_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from anabranch.errors import AnabranchError
    from anabranch.outbound import Network

_MAX_REDIRECTS = 5
_BLOCK_BYTES = 1 << 20
# Some stores keep how a file was once uploaded as if it were how it is encoded; its bytes are its own.
_PLAIN = ("", "identity", "aws-chunked")


@dataclass(frozen=True)
class Terms:
    """What may be fetched, and what that may take.

    Attributes:
        networks: which private networks may be asked, beside the public internet.
        folders: which folders files may be read from; with `/` all of this machine's are, where they are.
        largest_bytes: how large what is fetched may be.
        within_s: how long it may take until all of it has come.
        timeout: limits on connecting, and on each wait for more bytes.
        endpoint: where the object store is, when it is none of its makers' own.
    """

    networks: tuple[Network, ...] = ()
    folders: tuple[Path, ...] = ()
    largest_bytes: int = 50_000_000_000
    within_s: float = 7200.0
    timeout: httpx2.Timeout = field(default_factory=lambda: httpx2.Timeout(30.0, connect=10.0))
    endpoint: str | None = None


def fetch(address: str, folder: Path, terms: Terms) -> Path:
    """The source at `address` as a local file.

    Args:
        address: a path, a file, http or https URL, or an object's address such as `s3://bucket/film.mp4`.
        folder: where what is fetched is kept; several callers may ask for the same one at once.
        terms: what may be fetched.

    Raises:
        SourceError: `source_missing`, `source_unreadable`, `empty_file`, `source_not_found`, `source_forbidden`,
            `address_forbidden`, `source_refused`, `source_too_large`, `source_too_slow` or `unsupported_address`.
        ResourceError: `source_unreachable`, `source_timeout`, `source_truncated` or `disk_full`.
    """
    scheme = urlsplit(address).scheme.lower()
    if scheme in ("http", "https"):
        return _fetched(address, folder, lambda partial: _download(address, partial, terms))
    if scheme in buckets.SCHEMES:
        return _fetched(address, folder, lambda partial: _read(address, partial, terms))
    path = local_files.path_of(address)
    if path is None:
        raise SourceError(
            "unsupported_address",
            f"{address} cannot be fetched: {scheme} is not taken.",
            "Give a path, http or https, or s3, gs or az.",
        )
    if local_files.are_all(terms.folders):
        return local_files.in_place(path)
    return _fetched(address, folder, lambda partial: _take(path, partial, terms))


def forget(address: str, folder: Path) -> None:
    """Remove what was fetched for an address. A local file that was used where it is stays."""
    _place(address, folder).unlink(missing_ok=True)


def _place(address: str, folder: Path) -> Path:
    return folder / hashlib.sha256(address.encode()).hexdigest()[:32]


def _fetched(address: str, folder: Path, receive: Callable[[Path], None]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    place = _place(address, folder)
    partial = place.with_suffix(".partial")
    with _alone(place.with_suffix(".lock")):
        if not place.exists():
            # One that a killed process left may be a link to somebody's file.
            partial.unlink(missing_ok=True)
            try:
                receive(partial)
                partial.replace(place)
            finally:
                partial.unlink(missing_ok=True)
    return place


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    # Four branches ask for the same source at the same moment; one downloads, the others wait.
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download(address: str, partial: Path, terms: Terms) -> None:
    shown = _shown(address)
    clock = _Clock(shown, terms.within_s)
    try:
        with outbound.client(terms.networks, terms.within_s, terms.timeout) as client:
            request = client.build_request("GET", address, headers={"accept-encoding": "identity"})
            for _ in range(_MAX_REDIRECTS + 1):
                # A redirect's own body is not read: nobody says how large it is.
                with contextlib.closing(client.send(request, stream=True)) as response:
                    if response.next_request is None:
                        _check_answer(shown, response, terms)
                        _receive(shown, response, partial, terms)
                        return
                    request = response.next_request
        _refuse(shown, f"redirected more than {_MAX_REDIRECTS} times")
    except httpx2.TimeoutException:
        clock.check()
        raise ResourceError(
            "source_timeout",
            f"{shown} did not answer in time.",
            "It is tried again; check that the server is up.",
        ) from None
    except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        _refuse(shown, str(error))
    except httpx2.RemoteProtocolError as error:
        raise ResourceError(
            "source_truncated", f"{shown} ended early: {error}.", "It is tried again from the start."
        ) from error
    except httpx2.HTTPError as error:
        raise ResourceError(
            "source_unreachable",
            f"{shown} cannot be reached: {error}.",
            "It is tried again; check the host name.",
        ) from error


def _shown(address: str) -> str:
    """An address as it may be logged and told: a password or a signature in it is for the server that it names."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "…" if parts.query else "", ""))


def _read(address: str, partial: Path, terms: Terms) -> None:
    """Read an object with this machine's own rights."""
    try:
        place = buckets.place_of(address)
        if not place.path:
            raise ValueError(f"{address} names a bucket and no object in it")
    except ValueError as error:
        raise SourceError("unsupported_address", f"{error}.", "Name the bucket and the key.") from None
    patience = buckets.Patience(connect_s=terms.timeout.connect or 10, stalled_s=terms.timeout.read or 60)
    clock = _Clock(address, terms.within_s)
    try:
        bucket = buckets.open_bucket(place, terms.endpoint, patience)
        size_bytes = obstore.head(bucket, place.path)["size"]
        _check_size(address, size_bytes, terms)
        _save(address, clock.each(buckets.blocks(bucket, place.path, 0, size_bytes)), partial, terms)
    except buckets.ERRORS as error:
        raise _told(address, buckets.trouble(error)) from error
    _check_whole(address, partial.stat().st_size, size_bytes)


def _take(path: Path, partial: Path, terms: Terms) -> None:
    """Take a file of this machine as it is now: what is checked is what is used."""
    with local_files.held(path, terms.folders) as way:
        _check_size(str(path), way.stat().st_size, terms)
        if not local_files.link(way, partial):
            with way.open("rb") as file:
                _save(str(path), iter(lambda: file.read(_BLOCK_BYTES), b""), partial, terms)


class _Clock:
    """Tells when fetching has taken too long.

    Args:
        address: what is fetched.
        within_s: how long that may take, from now on.
    """

    def __init__(self, address: str, within_s: float) -> None:
        self._address = address
        self._within_s = within_s
        self._until = time.monotonic() + within_s

    def check(self) -> None:
        """Go on, unless the time has passed.

        Raises:
            SourceError: `source_too_slow`.
        """
        if time.monotonic() >= self._until:
            raise SourceError(
                "source_too_slow",
                f"{self._address} had not come as a whole after {self._within_s:g} s.",
                "Put it where it can be read faster, or give sources longer with ANABRANCH_SOURCE_TIMEOUT_S.",
            )

    def each(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """The blocks, as long as they come in time.

        Raises:
            SourceError: `source_too_slow`.
        """
        for block in blocks:
            yield block
            self.check()


def _told(address: str, trouble: buckets.Trouble) -> AnabranchError:
    said = f"{address} cannot be fetched: {trouble.why}."
    if trouble.kind == "missing":
        return SourceError("source_not_found", said, "Check the address.")
    if trouble.kind == "refused":
        return SourceError("source_forbidden", said, trouble.advice)
    return ResourceError("source_unreachable", said, trouble.advice)


def _check_answer(address: str, response: httpx2.Response, terms: Terms) -> None:
    _check_status(address, response.status_code)
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in _PLAIN:
        # A few bytes of it could unpack to any number.
        _refuse(address, f"it is packed with {encoding[:40]}, which was not asked for")
    promised = _promised(response)
    if promised is not None:
        _check_size(address, promised, terms)


def _promised(response: httpx2.Response) -> int | None:
    promised = response.headers.get("content-length")
    return None if promised is None else int(promised)


def _check_size(address: str, size_bytes: int, terms: Terms) -> None:
    if size_bytes > terms.largest_bytes:
        raise SourceError(
            "source_too_large",
            f"{address} has more than the {terms.largest_bytes:,} bytes that are taken here.",
            "Whoever runs this server may take more with ANABRANCH_MAX_UPLOAD_BYTES.",
        )


def _check_status(address: str, status: int) -> None:
    if status in (404, 410):
        raise SourceError("source_not_found", f"{address} answered {status}: nothing is there.", "Check the address.")
    if status in (401, 403):
        raise SourceError(
            "source_forbidden",
            f"{address} answered {status}: access denied.",
            "Give an address that needs no login.",
        )
    if status == 429 or status >= 500:
        raise ResourceError("source_unreachable", f"{address} answered {status}.", "It is tried again later.")
    if status != 200:
        _refuse(address, f"answered {status}")


def _refuse(address: str, why: str) -> NoReturn:
    raise SourceError("source_refused", f"{address} cannot be fetched: {why}.", "Give the address of the file itself.")


def _receive(address: str, response: httpx2.Response, partial: Path, terms: Terms) -> None:
    _save(address, response.iter_raw(_BLOCK_BYTES), partial, terms)
    _check_whole(address, partial.stat().st_size, _promised(response))


def _save(address: str, blocks: Iterable[bytes], partial: Path, terms: Terms) -> None:
    received = 0
    try:
        with partial.open("wb") as file:
            for block in blocks:
                received += len(block)
                _check_size(address, received, terms)
                file.write(block)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise ResourceError(
            "disk_full", f"There was no room for all of {address}.", "Free some space; it is tried again."
        ) from error


def _check_whole(address: str, received: int, promised: int | None) -> None:
    if promised is not None and received != promised:
        raise ResourceError(
            "source_truncated",
            f"{address} sent {received} of {promised} bytes.",
            "It is tried again from the start.",
        )
    if received == 0:
        raise local_files.empty(address)
