"""Checkup: tries whatever the project does with a bucket, says what came of it, and leaves nothing there."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2
import obstore
from obstore.exceptions import AlreadyExistsError

from anabranch import buckets, clock
from anabranch.errors import AnabranchError
from anabranch.findings import Finding
from anabranch.storage.objects import ObjectStorage

if TYPE_CHECKING:
    from collections.abc import Callable

    from anabranch.buckets import Place

# A person waits for it.
_PATIENCE = buckets.Patience(connect_s=5, stalled_s=20, request_s=60, retries=1, retry_s=30)
_SMALL = bytes(range(256)) * 4
# One byte more than what is sent in one piece.
_LARGE_BYTES = (8 << 20) + 1
# Stores refuse what is signed a quarter of an hour early or late.
_SKEW_S = 60
_CORS = "Set the CORS document of docs/storage.md on the bucket, or leave ANABRANCH_PLAYBACK unset."


def examine(place: Place, endpoint: str | None = None, *, redirected: bool = False) -> list[Finding]:
    """Try a bucket.

    Args:
        place: the bucket, and what keys begin with in it.
        endpoint: where the store is, when it is none of its makers' own.
        redirected: whether browsers are sent to the bucket.
    """
    try:
        return _Checkup(place, endpoint, redirected=redirected).findings()
    except AnabranchError as error:
        return [Finding("storage", "problem", error.message, error.hint)]


class _Checkup:
    def __init__(self, place: Place, endpoint: str | None, *, redirected: bool) -> None:
        self._place = place
        self._endpoint = endpoint
        self._redirected = redirected
        self._storage = ObjectStorage(place, endpoint=endpoint, patience=_PATIENCE)
        self._prefix = f"doctor/{secrets.token_hex(8)}"
        self._made: list[str] = []
        self._answer: httpx2.Response | None = None

    def findings(self) -> list[Finding]:
        with tempfile.TemporaryDirectory() as folder:
            self._folder = Path(folder)
            small = self._folder / "small"
            small.write_bytes(_SMALL)
            try:
                began = time.monotonic()
                self._put("small.bin", small)
                took_ms = (time.monotonic() - began) * 1000
                found = [Finding("storage", "ok", f"{self._place}{self._where()}, a write in {took_ms:.0f} ms")]
                found += [self._tried(about, check) for about, check in self._checks()]
            finally:
                left = self._deleted()
        return [*found, left]

    def _checks(self) -> list[tuple[str, Callable[[], Finding]]]:
        checks = [
            ("storage reading", self._reading),
            ("storage listing", self._listing),
            ("storage missing objects", self._missing),
            ("storage large files", self._large),
            ("storage copies", self._copies),
            ("storage signed addresses", self._signed),
            ("storage clock", self._clock),
            ("storage conditional writes", self._conditions),
        ]
        if self._redirected:
            checks.append(("storage browsers", self._browsers))
        if self._place.scheme == "s3" and self._endpoint is not None:
            checks.append(("storage path style", self._path_style))
        return checks

    def _tried(self, about: str, check: Callable[[], Finding]) -> Finding:
        try:
            return check()
        except AnabranchError as error:
            return Finding(about, "problem", error.message, error.hint)
        except httpx2.HTTPError as error:
            return Finding(about, "warning", f"The store cannot be asked as a browser asks: {error}.")

    def _where(self) -> str:
        return f" at {self._endpoint}" if self._endpoint else ""

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    def _put(self, name: str, path: Path) -> None:
        # Noted first: what is refused in the end may have been stored in the middle.
        self._made.append(self._key(name))
        self._storage.put(self._key(name), path, "application/octet-stream")

    def _reading(self) -> Finding:
        whole = b"".join(self._storage.open(self._key("small.bin")))
        part = b"".join(self._storage.open(self._key("small.bin"), 100, 200))
        if (whole, part) != (_SMALL, _SMALL[100:200]):
            return Finding("storage reading", "problem", "What is read is not what was written.", "Use another store.")
        return Finding("storage reading", "ok", "whole objects and ranges of them")

    def _listing(self) -> Finding:
        if list(self._storage.keys(f"{self._prefix}/")) != [self._key("small.bin")]:
            said = "What was just written is not listed."
            return Finding("storage listing", "problem", said, "Use a store whose listings are never out of date.")
        return Finding("storage listing", "ok", "what was just written is listed")

    def _missing(self) -> Finding:
        try:
            self._storage.stat(self._key("nothing.bin"))
        except AnabranchError as error:
            said = f"What is not there is refused and not missing: {error.message}"
            return Finding("storage missing objects", "problem", said, "Permit s3:ListBucket on the bucket itself.")
        return Finding("storage missing objects", "ok", "are told from forbidden ones")

    def _large(self) -> Finding:
        large = self._folder / "large"
        with large.open("wb") as file:
            file.truncate(_LARGE_BYTES)
        self._put("large.bin", large)
        return Finding("storage large files", "ok", "sent in parts")

    def _copies(self) -> Finding:
        self._made.append(self._key("copy.bin"))
        self._storage.copy(self._key("small.bin"), self._key("copy.bin"), "application/octet-stream")
        return Finding("storage copies", "ok", "made by the store")

    def _signed(self) -> Finding:
        answer = self._asked()
        if (answer.status_code, answer.content) == (206, _SMALL[:10]):
            return Finding("storage signed addresses", "ok", "read without a key, by ranges")
        said = f"A signed address answered {answer.status_code}."
        advice = "Nothing but ANABRANCH_PLAYBACK=redirect needs them."
        return Finding("storage signed addresses", "problem" if self._redirected else "warning", said, advice)

    def _asked(self) -> httpx2.Response:
        """What the store answers to the page of another site, which was redirected there."""
        if self._answer is None:
            address = self._storage.signed_url(self._key("small.bin"), 300)
            assert address is not None
            headers = {"origin": "null", "range": "bytes=0-9"}
            self._answer = httpx2.get(address, headers=headers, timeout=20, trust_env=False)
        return self._answer

    def _clock(self) -> Finding:
        date = self._asked().headers.get("date")
        if date is None:
            return Finding("storage clock", "ok", "the store does not tell the time")
        skew_s = clock.now().timestamp() - parsedate_to_datetime(date).timestamp()
        said = f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the store's"
        if abs(skew_s) > _SKEW_S:
            return Finding("storage clock", "warning", said, "Set it: at 15 minutes the store refuses everything.")
        return Finding("storage clock", "ok", said)

    def _conditions(self) -> Finding:
        """For information. Nothing relies on them."""
        self._made.append(self._key("once.bin"))
        bucket = buckets.open_bucket(self._place, self._endpoint, _PATIENCE)
        path = f"{self._place.path}/{self._key('once.bin')}".lstrip("/")
        said = "ignored; nothing relies on them"
        try:
            obstore.put(bucket, path, _SMALL, mode="create", use_multipart=False)
            obstore.put(bucket, path, _SMALL, mode="create", use_multipart=False)
        except AlreadyExistsError:
            said = "honoured; nothing relies on them"
        except buckets.ERRORS:
            said = "refused; nothing relies on them"
        return Finding("storage conditional writes", "ok", said)

    def _browsers(self) -> Finding:
        answer = self._asked()
        allowed = answer.headers.get("access-control-allow-origin")
        if allowed not in ("*", "null"):
            said = "Pages of other sites may not read the bucket, and players are redirected to it."
            return Finding("storage browsers", "problem", said, _CORS)
        shown = answer.headers.get("access-control-expose-headers", "").lower()
        if "*" not in shown and "content-range" not in shown:
            return Finding("storage browsers", "warning", "Pages do not see Content-Range.", _CORS)
        return Finding("storage browsers", "ok", "may read the bucket, by ranges")

    def _path_style(self) -> Finding:
        about = "storage path style"
        if os.environ.get("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "").lower() == "true":
            said = "the bucket is part of the host's name (AWS_VIRTUAL_HOSTED_STYLE_REQUEST)"
            return Finding(about, "ok", said)
        host = f"{self._place.bucket}.{urlsplit(self._endpoint or '').hostname}"
        try:
            socket.getaddrinfo(host, None)
        except OSError:
            return Finding(about, "ok", f"used, and needed: {host} is no name")
        return Finding(about, "ok", f"used; {host} is a name as well")

    def _deleted(self) -> Finding:
        try:
            self._storage.delete_all(self._made)
            left = list(self._storage.keys(f"{self._prefix}/"))
        except AnabranchError as error:
            advice = f"{error.hint} Remove {self._place}/{self._prefix} yourself."
            return Finding("storage deleting", "problem", error.message, advice)
        if left:
            said = f"{len(left)} objects are still there after they were deleted."
            return Finding("storage deleting", "problem", said, f"Remove {self._place}/{self._prefix} yourself.")
        return Finding("storage deleting", "ok", "nothing is left of this check")
