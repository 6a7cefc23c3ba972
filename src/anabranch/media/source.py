"""Source: a local file for an address. Local files are used where they are; others are fetched once."""

from __future__ import annotations

import errno
import fcntl
import hashlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote, urlsplit

import httpx2

from anabranch.errors import ResourceError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_REDIRECTS = 5
_TIMEOUT = httpx2.Timeout(30.0, connect=10.0)


def fetch(address: str, folder: Path, timeout: httpx2.Timeout = _TIMEOUT) -> Path:
    """The source at `address` as a local file.

    Args:
        address: a path, or a file, http or https URL.
        folder: where downloads are kept; several callers may ask for the same one at once.
        timeout: limits on connecting, and on each wait for more bytes.

    Raises:
        SourceError: `source_missing`, `source_unreadable`, `empty_file`, `source_not_found`, `source_forbidden`,
            `source_refused` or `unsupported_address`.
        ResourceError: `source_unreachable`, `source_timeout`, `source_truncated` or `disk_full`.
    """
    scheme = urlsplit(address).scheme.lower()
    if scheme in ("http", "https"):
        return _download(address, folder, timeout)
    if scheme == "file":
        return _local(Path(unquote(urlsplit(address).path)))
    if "://" in address:
        raise SourceError(
            "unsupported_address",
            f"{address} cannot be fetched: {scheme} is not taken.",
            "Give a path, http or https.",
        )
    return _local(Path(address))


def forget(address: str, folder: Path) -> None:
    """Remove what was downloaded for an address. A local file is its owner's and stays."""
    if urlsplit(address).scheme.lower() in ("http", "https"):
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


def _download(address: str, folder: Path, timeout: httpx2.Timeout) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    place = _place(address, folder)
    partial = place.with_suffix(".partial")
    with _alone(place.with_suffix(".lock")):
        if not place.exists():
            try:
                _receive(address, partial, timeout)
                partial.replace(place)
            finally:
                partial.unlink(missing_ok=True)
    return place


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    # Four branches ask for the same source at the same moment; one downloads, the others wait.
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _receive(address: str, partial: Path, timeout: httpx2.Timeout) -> None:
    try:
        # A proxy of the environment would fetch with other rights than this machine has.
        with (
            httpx2.Client(
                timeout=timeout, follow_redirects=True, max_redirects=_MAX_REDIRECTS, trust_env=False
            ) as client,
            client.stream("GET", address, headers={"accept-encoding": "identity"}) as response,
        ):
            _check_status(address, response.status_code)
            _write(address, response, partial)
    except httpx2.TimeoutException:
        raise ResourceError(
            "source_timeout",
            f"{address} did not answer in time.",
            "It is tried again; check that the server is up.",
        ) from None
    except httpx2.TooManyRedirects:
        _refuse(address, f"redirected more than {_MAX_REDIRECTS} times")
    except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        _refuse(address, str(error))
    except httpx2.RemoteProtocolError as error:
        raise ResourceError(
            "source_truncated", f"{address} ended early: {error}.", "It is tried again from the start."
        ) from error
    except httpx2.HTTPError as error:
        raise ResourceError(
            "source_unreachable",
            f"{address} cannot be reached: {error}.",
            "It is tried again; check the host name.",
        ) from error


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
    received = 0
    try:
        with partial.open("wb") as file:
            for block in response.iter_bytes(1 << 20):
                file.write(block)
                received += len(block)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise ResourceError(
            "disk_full",
            f"There was no room for {address} after {received} bytes.",
            "Free some space; it is tried again.",
        ) from error
    promised = response.headers.get("content-length")
    if promised is not None and received != int(promised):
        raise ResourceError(
            "source_truncated",
            f"{address} sent {received} of {promised} bytes.",
            "It is tried again from the start.",
        )
    if received == 0:
        raise _empty(address)
