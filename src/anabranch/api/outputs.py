"""Outputs: serves what is in storage. Ranges, entity tags, types, CORS; private media to signed addresses only."""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import fastapi
from fastapi.responses import FileResponse, Response, StreamingResponse

from anabranch.api import links
from anabranch.api.context import Running
from anabranch.api.problems import RESPONSES, Problem
from anabranch.catalog import media, published
from anabranch.errors import FinalError
from anabranch.storage import Stored
from anabranch.storage.files import FileStorage

if TYPE_CHECKING:
    from anabranch.app import App
    from anabranch.storage import Storage

router = fastapi.APIRouter(tags=["outputs"], responses=RESPONSES)

_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".m4s": "video/iso.segment",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".avif": "image/avif",
    ".json": "application/json",
    ".vtt": "text/vtt; charset=utf-8",
    ".srt": "application/x-subrip; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".opus": "audio/ogg",
    ".ogg": "audio/ogg",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
}
# A key is written once and carries the attempt that wrote it, so what is under it never changes. Playlists and
# manifests do: they grow, and are written again when there are captions.
_FOR_EVER = "max-age=31536000, immutable"
_CHANGING = (".m3u8", ".mpd")
# How long an address of the store's own can be read.
_LENT_FOR_S = 3600
_HEADERS = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "content-length, content-range, etag, accept-ranges",
    "x-content-type-options": "nosniff",
    # Whatever somebody uploaded, it is no page of this server.
    "content-security-policy": "sandbox; default-src 'none'",
    "cross-origin-resource-policy": "cross-origin",
}


@router.head("/outputs/{key:path}", include_in_schema=False)
@router.get("/outputs/{key:path}", operation_id="readOutput", response_class=Response)
async def read_output(key: str, request: fastapi.Request, app: Running) -> Response:
    """An output that everybody may read."""
    if await asyncio.to_thread(_is_private, app, key):
        raise Problem("signature_required", 403, "This is private. Ask for a signed address: POST /media/{id}/links.")
    return await asyncio.to_thread(_serve, app, request, key, "public")


@router.head("/signed/{token}/{key:path}", include_in_schema=False)
@router.get("/signed/{token}/{key:path}", operation_id="readSigned", response_class=Response)
async def read_signed(token: str, key: str, request: fastapi.Request, app: Running) -> Response:
    """An output or a source, to whoever holds a signed address of it."""
    await asyncio.to_thread(links.check_signature, app, token, key)
    return await asyncio.to_thread(_serve, app, request, key, "private")


@router.options("/outputs/{key:path}", include_in_schema=False)
@router.options("/signed/{token}/{key:path}", include_in_schema=False)
def allow_reading(key: str) -> Response:  # noqa: ARG001  (part of the path)
    """A browser's question whether another site may read."""
    allowed = {
        "access-control-allow-methods": "GET, HEAD, OPTIONS",
        "access-control-allow-headers": "Range, If-None-Match",
    }
    return Response(status_code=204, headers={**_HEADERS, **allowed, "access-control-max-age": "86400"})


def players_origin(app: App) -> str | None:
    """The server that players are sent to for what they play; None when that is this one.

    Raises:
        AnabranchError: there are no credentials that an address could be signed with.
    """
    if app.settings.playback != "redirect":
        return None
    address = app.storage.signed_url("origin", 60)
    return None if address is None else "{0.scheme}://{0.netloc}".format(urlsplit(address))


def _is_private(app: App, key: str) -> bool:
    where, _, rest = key.partition("/")
    if where == "tasks":
        return False
    if where != "media":
        return True
    row = media.get(app.database, rest.partition("/")[0])
    return row is None or row.private


def _serve(app: App, request: fastapi.Request, key: str, whose: str) -> Response:
    ending = PurePosixPath(key).suffix.lower()
    changing = ending in _CHANGING
    if app.settings.playback == "redirect" and not changing and request.method == "GET":
        elsewhere = _redirect(app, key)
        if elsewhere is not None:
            return elsewhere
    text = published.get(app.database, key) if changing or ending == ".vtt" else None
    found = _find(app, key) if text is None else Stored(len(text.text.encode()), str(text.edition))
    version = f"{key} {found.size_bytes}"
    # Two versions of a playlist may be equally long.
    version += f" {found.version}" if changing else ""
    etag = f'"{hashlib.sha256(version.encode()).hexdigest()[:32]}"'
    headers = {**_HEADERS, "etag": etag, "cache-control": f"{whose}, {'no-cache' if changing else _FOR_EVER}"}
    if _matches(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    media_type = _TYPES.get(ending, "application/octet-stream")
    if text is not None:
        # As it is now; the copy in storage may be an edition behind.
        body = text.text.encode()
        headers["content-length"] = str(len(body))
        return Response(b"" if request.method == "HEAD" else body, headers=headers, media_type=media_type)
    if isinstance(app.storage, FileStorage):
        return FileResponse(app.storage.path(key), headers=headers, media_type=media_type)
    return _pass_on(app.storage, request, key, found.size_bytes, {**headers, "content-type": media_type})


def _find(app: App, key: str) -> Stored:
    try:
        found = app.storage.stat(key)
    except FinalError as error:
        if error.code != "invalid_key":
            raise
        found = None
    if found is None:
        raise Problem("output_not_found", 404, f"There is nothing at {key[:300]}. It may have been deleted.")
    return found


def _redirect(app: App, key: str) -> Response | None:
    """Send the reader to the store; what is there or is not, it says itself. None when it cannot be read there."""
    try:
        address = app.storage.signed_url(key, _LENT_FOR_S)
    except FinalError as error:
        if error.code != "invalid_key":
            raise
        return None
    if address is None:
        return None
    # Whoever keeps this answer must not keep it for longer than what it leads to.
    kept = f"private, max-age={_LENT_FOR_S // 2}"
    return Response(status_code=302, headers={**_HEADERS, "location": address, "cache-control": kept})


def _pass_on(
    storage: Storage, request: fastapi.Request, key: str, size_bytes: int, headers: dict[str, str]
) -> Response:
    """Read an object for whoever asked, block by block."""
    headers = {**headers, "accept-ranges": "bytes"}
    given = request.headers.get("range", "")
    if request.headers.get("if-range", headers["etag"]) != headers["etag"]:
        given = ""
    start, end, status = 0, size_bytes, 200
    asked = range_of(given, size_bytes)
    if asked is not None:
        start, end = asked
        if start >= end:
            headers["content-range"] = f"bytes */{size_bytes}"
            return Response(status_code=416, headers=headers)
        status = 206
        headers["content-range"] = f"bytes {start}-{end - 1}/{size_bytes}"
    headers["content-length"] = str(end - start)
    if request.method == "HEAD" or start == end:
        return Response(status_code=status, headers=headers)
    return StreamingResponse(storage.open(key, start, end), status_code=status, headers=headers)


def range_of(header: str, size_bytes: int) -> tuple[int, int] | None:
    """Where the bytes that a `Range` header asks for begin and end; nothing between the two when there are none.

    None when it asks for all: it is missing, is no single range of bytes, or cannot be read (RFC 9110 section 14.2).
    """
    found = re.fullmatch(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", header, re.ASCII)
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        return max(0, size_bytes - int(last)), size_bytes
    if last and int(last) < int(first):
        return None
    return int(first), min(size_bytes, int(last) + 1) if last else size_bytes


def _matches(header: str, etag: str) -> bool:
    """RFC 9110 section 13.1.2: the weak comparison."""
    tags = re.findall(r'(?:W/)?("[^"]*")', header)
    return header.strip() == "*" or etag in tags
