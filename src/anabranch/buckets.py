"""Buckets: object stores by address. How they are opened, how long they are waited for, and what they say in words."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore import ObjectMeta

    Bucket = S3Store | GCSStore | AzureStore

SCHEMES = ("s3", "gs", "az")

# What the client raises. A missing object is Python's own error, and a key that it cannot express a ValueError.
ERRORS = (BaseError, FileNotFoundError, ValueError, OSError)

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")

# Each block is a request of its own, so that a limit on a request limits no film.
_BLOCK_BYTES = 4 << 20

_S3_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")

_ADVICE = {
    "NoSuchBucket": "Make the bucket, or correct its name.",
    "ContainerNotFound": "Make the container, or correct its name.",
    "InvalidBucketName": "Correct the name of the bucket.",
    "SignatureDoesNotMatch": "The secret is wrong (AWS_SECRET_ACCESS_KEY), or the region is (AWS_REGION).",
    "InvalidAccessKeyId": "There is no such key: check AWS_ACCESS_KEY_ID.",
    "RequestTimeTooSkewed": "The clocks of this machine and of the store differ. Set them right.",
    "AuthorizationHeaderMalformed": "The region is wrong. Set AWS_REGION to the bucket's.",
    "PermanentRedirect": "The region is wrong. Set AWS_REGION to the bucket's.",
    "ExpiredToken": "The credentials have expired. Give new ones.",
    "InvalidToken": "AWS_SESSION_TOKEN is not one of these credentials.",
    "AccessDenied": "Give the key the permissions that docs/storage.md lists.",
}


@dataclass(frozen=True)
class Place:
    """What an address names.

    Attributes:
        scheme: `s3`, `gs` or `az`.
        bucket: the bucket; of Azure, the container.
        path: the key, or the beginning of keys, without slashes at its ends.
    """

    scheme: str
    bucket: str
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.path}".rstrip("/")


@dataclass(frozen=True)
class Patience:
    """How long a store is waited for.

    Attributes:
        connect_s: for a connection.
        stalled_s: for the answer to begin, and then for each next part of it.
        request_s: for a whole request, which carries a block or a part of a file and never a film.
        retries: how often a request is made again that failed in passing.
        retry_s: how long after its beginning it is made again at the latest.
        pause_s: before the first time; twice as long before each further one, and more or less by chance.
    """

    connect_s: float = 10
    stalled_s: float = 60
    request_s: float = 120
    retries: int = 5
    retry_s: float = 120
    pause_s: float = 0.2


@dataclass(frozen=True)
class Trouble:
    """Why a request came to nothing.

    Attributes:
        kind: `missing` (no such object), `refused` (asking again cannot help) or `unavailable`.
        why: what happened, as the end of a sentence.
        advice: what to do about it.
        status: of the store's answer; None when there was none.
        code: the store's own word for it, or empty.
    """

    kind: str
    why: str
    advice: str
    status: int | None = None
    code: str = ""


def is_address(text: str) -> bool:
    """Whether a text is the address of a bucket, or of something in one."""
    return text.partition("://")[0].lower() in SCHEMES and "://" in text


def place_of(address: str) -> Place:
    """What an address such as `s3://bucket/films/a.mp4` names.

    Raises:
        ValueError: it names no bucket.
    """
    parts = urlsplit(address)
    # Keys may hold what is special elsewhere.
    path = address.partition("://")[2].partition("/")[2]
    if parts.scheme.lower() not in SCHEMES or not _BUCKET.fullmatch(parts.netloc):
        raise ValueError(f"{address[:200]!r} names no bucket: write s3://BUCKET, gs://BUCKET or az://CONTAINER")
    return Place(parts.scheme.lower(), parts.netloc, path.strip("/"))


def open_bucket(place: Place, endpoint: str | None = None, patience: Patience | None = None) -> Bucket:
    """A client of the bucket that a place is in. Credentials are the environment's; nothing is asked yet.

    Args:
        place: names the bucket.
        endpoint: where the store is, when it is none of its makers' own; plain HTTP is spoken if it says so.
        patience: how long the store is waited for.

    Raises:
        BaseError: the environment lacks what the store needs, or contradicts itself.
    """
    patience = patience or Patience()
    if endpoint is None and place.scheme == "s3":
        endpoint = next(filter(None, map(os.environ.get, _S3_ENDPOINTS)), None)
    given: dict[str, Any] = {
        "client_options": {
            "allow_http": bool(endpoint and endpoint.lower().startswith("http://")),
            "connect_timeout": timedelta(seconds=patience.connect_s),
            "read_timeout": timedelta(seconds=patience.stalled_s),
            "timeout": timedelta(seconds=patience.request_s),
        },
        "retry_config": {
            "max_retries": patience.retries,
            "retry_timeout": timedelta(seconds=patience.retry_s),
            "backoff": {
                "init_backoff": timedelta(seconds=patience.pause_s),
                "max_backoff": timedelta(seconds=10),
                "base": 2,
            },
        },
    }
    if place.scheme == "gs":
        return GCSStore(place.bucket, **given)
    if endpoint is not None:
        given["endpoint"] = endpoint.rstrip("/")
    if place.scheme == "az":
        return AzureStore(place.bucket, **given)
    # Not every server knows the deletion of many at once, and some know it with checksums of their own alone.
    return S3Store(place.bucket, disable_bulk_delete=True, **given)


def blocks(store: Bucket, path: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The bytes of an object from `start` up to `end`, each block by a request of its own.

    Raises:
        OSError: the object was written over meanwhile, or the store sent less than it said.
        BaseError: as the store's client does.
    """
    tag = None
    if end is None:
        end = obstore.head(store, path)["size"]
    while start < end:
        until = min(end, start + _BLOCK_BYTES)
        try:
            found = obstore.get(store, path, options={"range": (start, until)})
        except BaseError as error:
            # Some stores refuse a range that goes on behind the end.
            size_bytes = until if trouble(error).status not in (400, 416) else obstore.head(store, path)["size"]
            if size_bytes >= until:
                raise
            end = size_bytes
            continue
        tag = tag or found.meta["e_tag"]
        if found.meta["e_tag"] != tag:
            raise OSError("it was written over while it was read")
        until = min(until, found.meta["size"])
        block = bytes(found.bytes())
        if len(block) != until - start:
            raise OSError(f"the store sent {len(block)} of {until - start} bytes")
        yield block
        start, end = until, min(end, found.meta["size"])


def version_of(meta: ObjectMeta) -> str:
    """What changes when an object is written over."""
    return f"{meta['e_tag']} {meta['last_modified'].isoformat()} {meta['version'] or ''}".rstrip()


def trouble(error: Exception) -> Trouble:
    """What an error of the client means."""
    said = str(error).partition("\n\nDebug source")[0]
    status = _number(r"status code: (\d{3})", said)
    code = _inner("Code", said)
    if isinstance(error, ValueError) and not isinstance(error, BaseError):
        return Trouble("missing", f"it is no key that can be asked for ({said})", "Rename it.")
    if code in _ADVICE and code != "AccessDenied":
        return Trouble("refused", _why(status, code, said), _ADVICE[code], status, code)
    if "redirect without LOCATION" in said or status in (301, 307):
        why = "the store redirects elsewhere"
        return Trouble("refused", why, _ADVICE["PermanentRedirect"], status, code)
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        return Trouble("missing", "there is no such object", "It may have been deleted.", status, code)
    if status in (401, 403) or type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError"):
        # A question about an object is refused without a word.
        advice = "Check the key, its secret (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), and what it is permitted."
        return Trouble("refused", _why(status, code, said), _ADVICE.get(code, advice), status, code)
    return _unavailable(said, str(error), status, code)


def _unavailable(said: str, whole: str, status: int | None, code: str) -> Trouble:
    again = "It is tried again."
    if "builder error" in said:
        why = "the endpoint is plain HTTP, and only ANABRANCH_STORAGE_ENDPOINT may allow that"
        return Trouble("refused", why, "Set ANABRANCH_STORAGE_ENDPOINT to its address, with http://.")
    if "169.254.169.254" in said or "metadata.google" in said:
        why = "there are no credentials, and no machine gives any"
        return Trouble("unavailable", why, "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or their equals.")
    if status is not None:
        advice = f"{again} If it stays so, see what the store's own log says."
        return Trouble("unavailable", _why(status, code, said), advice, status, code)
    if "kind: Timeout" in whole:
        return Trouble("unavailable", "the store did not answer in time", f"{again} Check that the store is well.")
    if "error sending request" in said:
        advice = f"{again} Check that the store is up, the endpoint's name and port, and http or https."
        return Trouble("unavailable", "the store cannot be reached", advice)
    return Trouble("unavailable", said.rpartition(" - ")[2].strip()[:300] or "something failed", again)


def _why(status: int | None, code: str, said: str) -> str:
    words = [f"the store answered {status}" if status else "the store refused", code, _inner("Message", said)[:200]]
    return ": ".join(filter(None, words)).rstrip(".")


def _inner(name: str, said: str) -> str:
    """What is in an element of the store's answer, or empty."""
    found = re.search(rf"<{name}>([^<]*)</{name}>", said)
    return found.group(1) if found else ""


def _number(pattern: str, said: str) -> int | None:
    found = re.search(pattern, said)
    return int(found.group(1)) if found else None
