"""Source: a local file for an address. Local files are used where they are; others are fetched once."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx2
import obstore

from anabranch import buckets
from anabranch.errors import ResourceError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from anabranch.errors import AnabranchError

_MAX_REDIRECTS = 5
_TIMEOUT = httpx2.Timeout(30.0, connect=10.0)


def fetch(address: str, folder: Path, timeout: httpx2.Timeout = _TIMEOUT, endpoint: str | None = None) -> Path:
    """The source at `address` as a local file.

    Args:
        address: a path, a file, http or https URL, or an object's address such as `s3://bucket/film.mp4`.
        folder: where downloads are kept; several callers may ask for the same one at once.
        timeout: limits on connecting, and on each wait for more bytes.
        endpoint: where the object store is, when it is none of its makers' own.

    Raises:
        SourceError: `source_missing`, `source_unreadable`, `empty_file`, `source_not_found`, `source_forbidden`,
            `source_refused` or `unsupported_address`.
        ResourceError: `source_unreachable`, `source_timeout`, `source_truncated` or `disk_full`.
    """
    scheme = urlsplit(address).scheme.lower()
    if scheme in ("http", "https"):
        return _download(address, folder, lambda partial: _receive(address, partial, timeout))
    if scheme in buckets.SCHEMES:
        return _download(address, folder, lambda partial: _read(address, partial, timeout, endpoint))
    if scheme == "file":
        return _local(Path(unquote(urlsplit(address).path)))
    if "://" in address:
        raise SourceError(
            "unsupported_address",
            f"{address} cannot be fetched: {scheme} is not taken.",
            "Give a path, http or https, or s3, gs or az.",
        )
    return _local(Path(address))


def forget(address: str, folder: Path) -> None:
    """Remove what was downloaded for an address. A local file is its owner's and stays."""
    if urlsplit(address).scheme.lower() in ("http", "https", *buckets.SCHEMES):
        _place(address, folder).unlink(missing_ok=True)


def _local(path: Path) -> Path:
    if not path.exists():
        raise SourceError("source_missing", f"There is no file {path}.", "Check the path.")
    if not path.is_file():
        raise SourceError("source_unreadable", f"{path} is not a file.", "Give the path of one media file.")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise SourceError(
            "source_unreadable", f"{path} cannot be read: {error.strerror}.", "Give a file that this user may read."
        ) from error
    if empty:
        raise _empty(str(path))
    return path.absolute()


def _empty(name: str) -> SourceError:
    return SourceError("empty_file", f"{name} has no bytes.", "The upload was probably cut short; repeat it.")


def _place(address: str, folder: Path) -> Path:
    return folder / hashlib.sha256(address.encode()).hexdigest()[:32]


def _download(address: str, folder: Path, receive: Callable[[Path], None]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    place = _place(address, folder)
    partial = place.with_suffix(".partial")
    with _alone(place.with_suffix(".lock")):
        if not place.exists():
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


def _receive(address: str, partial: Path, timeout: httpx2.Timeout) -> None:
    shown = _shown(address)
    try:
        # A proxy of the environment would fetch with other rights than this machine has.
        with (
            httpx2.Client(
                timeout=timeout, follow_redirects=True, max_redirects=_MAX_REDIRECTS, trust_env=False
            ) as client,
            client.stream("GET", address, headers={"accept-encoding": "identity"}) as response,
        ):
            _check_status(shown, response.status_code)
            _write(shown, response, partial)
    except httpx2.TimeoutException:
        raise ResourceError(
            "source_timeout",
            f"{shown} did not answer in time.",
            "It is tried again; check that the server is up.",
        ) from None
    except httpx2.TooManyRedirects:
        _refuse(shown, f"redirected more than {_MAX_REDIRECTS} times")
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


def _read(address: str, partial: Path, timeout: httpx2.Timeout, endpoint: str | None) -> None:
    """Read an object with this machine's own rights."""
    try:
        place = buckets.place_of(address)
        if not place.path:
            raise ValueError(f"{address} names a bucket and no object in it")
    except ValueError as error:
        raise SourceError("unsupported_address", f"{error}.", "Name the bucket and the key.") from None
    patience = buckets.Patience(connect_s=timeout.connect or 10, stalled_s=timeout.read or 60)
    try:
        bucket = buckets.open_bucket(place, endpoint, patience)
        size_bytes = obstore.head(bucket, place.path)["size"]
        _save(address, buckets.blocks(bucket, place.path, 0, size_bytes), partial)
    except buckets.ERRORS as error:
        raise _told(address, buckets.trouble(error)) from error
    _check_whole(address, partial.stat().st_size, size_bytes)


def _told(address: str, trouble: buckets.Trouble) -> AnabranchError:
    said = f"{address} cannot be fetched: {trouble.why}."
    if trouble.kind == "missing":
        return SourceError("source_not_found", said, "Check the address.")
    if trouble.kind == "refused":
        return SourceError("source_forbidden", said, trouble.advice)
    return ResourceError("source_unreachable", said, trouble.advice)


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


def _write(address: str, response: httpx2.Response, partial: Path) -> None:
    _save(address, response.iter_bytes(1 << 20), partial)
    promised = response.headers.get("content-length")
    _check_whole(address, partial.stat().st_size, None if promised is None else int(promised))


def _save(address: str, blocks: Iterable[bytes], partial: Path) -> None:
    try:
        with partial.open("wb") as file:
            file.writelines(blocks)
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
        raise _empty(address)
