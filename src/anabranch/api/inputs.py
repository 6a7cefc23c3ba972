"""Inputs: what a client may give as the source of a task, as an address that the workshop can read.

A client gives an address elsewhere, an address of this server's own outputs, or the id of a file. What this server may
read in folders, in buckets and in private networks, a stranger may only where the operator says so. What can be told of
an address by itself is told here; the rest when it is fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from anabranch import buckets, outbound
from anabranch.api import links
from anabranch.api.problems import Problem
from anabranch.catalog import files
from anabranch.errors import FinalError, SourceError
from anabranch.media import local_files
from anabranch.tasks.sources import STORED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from anabranch.app import App

Json = Any


def address_of(app: App, body: Mapping[str, Json]) -> str:
    """The source that a request names as `input`, `url` or `file_id`.

    Raises:
        Problem: `input_missing`, `file_not_found` or `file_not_ready`.
        SourceError: as `checked` raises.
    """
    given = body.get("input") or body.get("url") or body.get("file_id")
    if isinstance(given, dict):
        given = given.get("url") or given.get("file_id") or given.get("id")
    if not isinstance(given, str) or not given:
        raise Problem("input_missing", 422, "Name the source: `input` or `url` with an address, or `file_id`.")
    if given.startswith("file_"):
        return _of_file(app, given)
    return checked(app, given)


def checked(app: App, address: str) -> str:
    """A source's address that a stranger may have read.

    Raises:
        SourceError: `unsupported_address`, `source_not_found`, `source_forbidden`, `address_forbidden`, or what is
            wrong with a file.
    """
    if buckets.is_address(address):
        return _in_bucket(app, address)
    if app.settings.source_folders and (path := local_files.path_of(address)) is not None:
        return _in_folder(app, address, path)
    check_web_address(address)
    key = links.own_key(app, address)
    if key is None:
        outbound.check(address, app.settings.private_networks)
        return address
    try:
        found = app.storage.exists(key)
    except FinalError:
        found = False
    if not found:
        raise SourceError("source_not_found", f"Nothing is at {address[:200]}.", "It may have been deleted.")
    return STORED + key


def check_web_address(address: str) -> None:
    """Take an http or https address only.

    Raises:
        SourceError: `unsupported_address`.
    """
    try:
        parts = urlsplit(address)
        usable = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable or _breaks_lines(address):
        raise SourceError(
            "unsupported_address", f"{address[:200]!r} cannot be a source here.", "Give an http or https address."
        )


def _in_bucket(app: App, address: str) -> str:
    try:
        place = buckets.place_of(address)
    except ValueError as error:
        raise SourceError("unsupported_address", f"{error}.", "Name the bucket and the key.") from None
    if not place.path or _breaks_lines(address):
        raise SourceError("unsupported_address", f"{address[:200]!r} names no object.", "Name the key as well.")
    if place.bucket not in app.settings.source_buckets:
        raise SourceError(
            "source_forbidden",
            f"Sources are not read from the bucket {place.bucket} here.",
            "Whoever runs this server may list it in ANABRANCH_SOURCE_BUCKETS.",
        )
    return address


def _in_folder(app: App, address: str, path: Path) -> str:
    if not path.is_absolute() or _breaks_lines(str(path)):
        raise SourceError("unsupported_address", f"{address[:200]!r} is no path of a file.", "Begin it with a slash.")
    local_files.check(path, app.settings.source_folders)
    return str(path)


def _breaks_lines(address: str) -> bool:
    return any(character in address for character in "\r\n\0")


def _of_file(app: App, file_id: str) -> str:
    file = files.get(app.database, file_id)
    if file is None:
        raise Problem("file_not_found", 404, f"There is no file {file_id}.")
    if file.key is None:
        raise Problem("file_not_ready", 409, f"{file_id} is {file.status}. Wait until it is ready.", retryable=True)
    return STORED + file.key
