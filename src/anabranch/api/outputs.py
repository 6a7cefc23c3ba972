"""Outputs: serves what is in storage. Ranges, entity tags, types, CORS; private media to signed addresses only."""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import fastapi
from fastapi.responses import FileResponse, Response

from anabranch.api import links
from anabranch.api.context import Running
from anabranch.api.problems import RESPONSES, Problem
from anabranch.catalog import media
from anabranch.errors import FinalError

if TYPE_CHECKING:
    from anabranch.app import App

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


def _is_private(app: App, key: str) -> bool:
    where, _, rest = key.partition("/")
    if where == "tasks":
        return False
    if where != "media":
        return True
    row = media.get(app.database, rest.partition("/")[0])
    return row is None or row.private


def _serve(app: App, request: fastapi.Request, key: str, whose: str) -> Response:
    try:
        path = app.storage.path(key)
        found = path.stat()
        if not path.is_file():
            raise FileNotFoundError
    except (OSError, FinalError):
        raise Problem("output_not_found", 404, f"There is nothing at {key[:300]}. It may have been deleted.") from None
    ending = PurePosixPath(key).suffix.lower()
    version = f"{key} {found.st_size}"
    # Two versions of a playlist may be equally long.
    version += f" {found.st_mtime_ns} {found.st_ino}" if ending in _CHANGING else ""
    etag = f'"{hashlib.sha256(version.encode()).hexdigest()[:32]}"'
    kept = "no-cache" if ending in _CHANGING else _FOR_EVER
    headers = {**_HEADERS, "etag": etag, "cache-control": f"{whose}, {kept}"}
    if _matches(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    return FileResponse(
        path, headers=headers, media_type=_TYPES.get(ending, "application/octet-stream"), stat_result=found
    )


def _matches(header: str, etag: str) -> bool:
    """RFC 9110 section 13.1.2: the weak comparison."""
    tags = re.findall(r'(?:W/)?("[^"]*")', header)
    return header.strip() == "*" or etag in tags
