"""Addresses: the bytes of a package's files, on this machine or on another."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import httpx2

if TYPE_CHECKING:
    from collections.abc import Callable

_TIMEOUT_S = 30.0


def fetcher(address: str) -> Callable[[str], bytes]:
    """What reads the files of a package at an address. It raises OSError where there is nothing to read.

    A package on another machine cannot lead to a file of this one.
    """
    if urlsplit(address).scheme not in ("http", "https"):
        return _read_local
    # One client: a connection for each segment would cost more than the segment.
    return partial(_fetch_remote, httpx2.Client(timeout=_TIMEOUT_S, follow_redirects=True))


def _read_local(address: str) -> bytes:
    parts = urlsplit(address)
    if parts.scheme != "file":
        raise OSError(f"a package on this machine leads to {parts.scheme}")
    return Path(unquote(parts.path)).read_bytes()


def _fetch_remote(client: httpx2.Client, address: str) -> bytes:
    if urlsplit(address).scheme not in ("http", "https"):
        raise OSError("a package of another machine leads to this one")
    try:
        return client.get(address).raise_for_status().content
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise OSError(str(error).partition("\n")[0]) from error
