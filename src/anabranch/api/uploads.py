"""Uploads: in parts that can be resumed (tus 1.0), and whole by PUT to a signed address.

How much of an upload has come is the size of its file. So a server that was killed in the middle knows as much as
before, and the client goes on from there. Source: tus.io resumable upload protocol 1.0.0, with the extensions
creation, creation-with-upload, creation-defer-length, expiration and termination.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Annotated, Any

import fastapi
import sqlalchemy as sa
import structlog
from fastapi import Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from anabranch import clock, views
from anabranch.api import ingest, links
from anabranch.api.context import MayUpload, Running, check_scope
from anabranch.api.problems import RESPONSES, Problem, missing_media
from anabranch.catalog import files, media, uploads
from anabranch.errors import AnabranchError
from anabranch.ids import new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from anabranch.app import App
    from anabranch.catalog.uploads import Upload

Json = Any

router = fastapi.APIRouter(tags=["uploads"], responses=RESPONSES)
_log = structlog.get_logger(__name__)

_VERSION = "1.0.0"
_EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,termination"
_PART = "application/offset+octet-stream"
_KEPT_MS = 7 * 24 * 3600 * 1000
_LARGEST_INTEGER = 2**53

# For how long nothing may come of an upload before the room that it was promised is given to others. It is asked for
# again with the next part.
_PROMISED_S = 3600.0
_EXPIRY_LOOKED_AT_EVERY_S = 3600.0

# One request at a time may write to an upload.
_writing: set[str] = set()
_PATIENCE_S = 3.0
_LOOK_EVERY_S = 0.02


class SignatureRequest(BaseModel):
    """A wish for an address that needs no key."""

    model_config = ConfigDict(
        extra="allow", json_schema_extra={"examples": [{"filename": "film.mp4", "method": "put"}]}
    )

    filename: str = Field(min_length=1, max_length=255, pattern=r"^[^/\x00-\x1f]+$")
    folder: str | None = Field(None, max_length=1000)
    expiry: int | None = Field(None, description="Unix seconds, in the future; an hour from now by default.")
    method: str = Field("get", pattern="^(get|put)$", description="`put` to upload, `get` to read a file.")


class SignatureView(BaseModel):
    """An address that needs no key, until it expires."""

    domain: str
    filename: str
    folder: str | None
    expiry: int
    method: str
    signature: str
    url: str


class FileView(BaseModel):
    """A file."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: str
    kind: str
    type: str
    status: str
    url: str | None
    filesize: int | None
    media_id: str | None


@router.post("/signatures", status_code=201, operation_id="createSignature", response_model=SignatureView)
def create_signature(body: SignatureRequest, app: Running, caller: MayUpload) -> JSONResponse:
    """An address to PUT a new upload to, or (scope `write`) to read a file at, for whoever holds it."""
    expiry = body.expiry if body.expiry is not None else clock.now_ms() // 1000 + 3600
    if not clock.now_ms() // 1000 < expiry < _LARGEST_INTEGER:
        raise Problem("invalid_request", 422, "expiry: give Unix seconds in the future.")
    if body.method == "put":
        media_id = new_id("med")
        media.create(app.database, media_id, "", status="waiting", title=body.filename)
        url = links.upload_link(app, media_id, body.filename, expiry)
        signature = url.rpartition("signature=")[2]
    else:
        # It opens for others what this caller may see, for longer than the caller's key may live.
        check_scope(caller, "write")
        file = files.named(app.database, body.folder, body.filename)
        if file is None or file.key is None:
            raise Problem("file_not_found", 404, f"There is no file {body.filename!r} in folder {body.folder!r}.")
        url = links.signed_link(app, file.key, expiry - clock.now_ms() // 1000)
        signature = url.partition("/signed/")[2].partition("/")[0]
    domain = (app.settings.base_url or "").partition("://")[2]
    shown = {"domain": domain, "filename": body.filename, "folder": body.folder, "expiry": expiry}
    return JSONResponse({**shown, "method": body.method, "signature": signature, "url": url}, 201)


@router.put("/uploads/direct/{media_id}/{filename}", operation_id="putUpload", response_model=FileView)
@ingest.streams()
async def put_upload(
    media_id: str,
    filename: str,
    request: fastapi.Request,
    app: Running,
    expiry: Annotated[int, Query(ge=0, le=_LARGEST_INTEGER)],
    signature: str,
) -> JSONResponse:
    """Upload a whole file to an address that `POST /signatures` or `POST /media` gave. It is processed at once."""
    links.check_upload(app, media_id, expiry, signature)
    row = await asyncio.to_thread(media.get, app.database, media_id)
    if row is None:
        raise missing_media(media_id)
    if row.status != "waiting":
        raise Problem("already_uploaded", 409, f"{media_id} has its source. Ask for another address.")
    async with ingest.arriving(app, request, media_id) as path:
        await ingest.receive(app, request, path)
        await ingest.finish(app, media_id, path, filename, _content_type(request), {})
    file = await asyncio.to_thread(files.get, app.database, files.id_of(media_id))
    assert file is not None
    assert file.key is not None
    return JSONResponse(views.file(file, links.of_key(app, file.key, private=row.private)))


def _content_type(request: fastapi.Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip() or "application/octet-stream"


@router.options("/uploads", operation_id="describeUploads", status_code=204, response_class=Response)
def describe_uploads(app: Running) -> Response:
    """What of the tus protocol is spoken here."""
    return _tus(
        204, {"tus-version": _VERSION, "tus-extension": _EXTENSIONS, "tus-max-size": str(app.settings.max_upload_bytes)}
    )


@router.post("/uploads", operation_id="createUpload", status_code=201, response_class=Response)
@ingest.streams()
async def create_upload(request: fastapi.Request, app: Running, _: MayUpload) -> Response:
    """Begin an upload in parts. Its address, in `Location`, is a secret: whoever has it may go on with the upload."""
    _check_version(request)
    size = _integer(request, "upload-length")
    if size is None and request.headers.get("upload-defer-length") != "1":
        raise Problem("invalid_request", 400, "Send Upload-Length, or Upload-Defer-Length: 1.")
    _check_size(app, size)
    upload = await asyncio.to_thread(
        uploads.create, app.database, size, _read_metadata(request.headers.get("upload-metadata", "")), kept_ms=_KEPT_MS
    )
    try:
        await _reserve(app, request, upload, 0)
    except AnabranchError:
        await asyncio.to_thread(_forget, app, upload)
        raise
    app.room.let_lapse(upload.id, _PROMISED_S)
    await asyncio.to_thread(_path(app, upload).touch)
    # Relative to nothing: a proxy may show the server under another name, which base_url says.
    headers = {"location": f"{app.settings.base_url}/uploads/{upload.id}", "upload-expires": _date(upload.expires_at)}
    headers["x-media-id"] = upload.media_id
    offset = 0
    if request.headers.get("content-type") == _PART:
        offset = await _receive(app, request, upload, 0)
    elif size == 0:
        raise Problem("empty_file", 422, "The upload has no bytes.")
    return _tus(201, {**headers, "upload-offset": str(offset)})


@router.head("/uploads/{upload_id}", operation_id="headUpload", response_class=Response)
async def head_upload(upload_id: str, request: fastapi.Request, app: Running) -> Response:
    """How much of an upload has come."""
    _check_version(request)
    upload = await asyncio.to_thread(_find, app, upload_id)
    offset = await asyncio.to_thread(_offset, app, upload)
    headers = {"upload-offset": str(offset), "cache-control": "no-store", "x-media-id": upload.media_id}
    if upload.size_bytes is None:
        headers["upload-defer-length"] = "1"
    else:
        headers["upload-length"] = str(upload.size_bytes)
    if upload.finished_at is None:
        headers["upload-expires"] = _date(upload.expires_at)
    if upload.metadata:
        headers["upload-metadata"] = _write_metadata(upload.metadata)
    return _tus(200, headers)


@router.patch("/uploads/{upload_id}", operation_id="patchUpload", status_code=204, response_class=Response)
@ingest.streams()
async def patch_upload(upload_id: str, request: fastapi.Request, app: Running) -> Response:
    """The next part of an upload. The last one starts the processing."""
    _check_version(request)
    if request.headers.get("content-type") != _PART:
        raise Problem("unsupported_type", 415, f"Send the part as {_PART}.")
    upload = await asyncio.to_thread(_find, app, upload_id)
    size = _integer(request, "upload-length")
    if size is not None and upload.size_bytes is None:
        _check_size(app, size)
        await asyncio.to_thread(uploads.set_size, app.database, upload.id, size)
        upload = await asyncio.to_thread(_find, app, upload_id)
    offset = _integer(request, "upload-offset")
    if offset is None:
        raise Problem("invalid_request", 400, "Send Upload-Offset.")
    offset = await _receive(app, request, upload, offset)
    headers = {"upload-offset": str(offset), "x-media-id": upload.media_id, "upload-expires": _date(upload.expires_at)}
    return _tus(204, headers)


@router.delete("/uploads/{upload_id}", operation_id="deleteUpload", status_code=204, response_class=Response)
async def delete_upload(upload_id: str, request: fastapi.Request, app: Running) -> Response:
    """Give an upload up. One that is finished is media, and deleted as such."""
    _check_version(request)
    async with _alone(upload_id):
        upload = await asyncio.to_thread(_find, app, upload_id)
        if upload.finished_at is not None:
            raise Problem("upload_finished", 403, f"{upload.id} is finished. Delete {upload.media_id} instead.")
        await asyncio.to_thread(_forget, app, upload)
    return _tus(204, {})


async def resume(app: App) -> None:
    """Finish what had come whole when the process before this one ended, and give up what has expired."""
    await ingest.take_up(app)
    for upload in await asyncio.to_thread(uploads.unfinished, app.database):
        if upload.size_bytes is not None and _offset(app, upload) == upload.size_bytes > 0:
            try:
                await _finish(app, upload)
            except (AnabranchError, Problem) as error:
                _log.warning("upload cannot be finished", upload=upload.id, error=str(error))
    await give_up_expired(app)


async def keep_giving_up(app: App) -> None:
    """Give up what has expired, every hour, for as long as it is served."""
    while True:
        await asyncio.sleep(_EXPIRY_LOOKED_AT_EVERY_S)
        try:
            await give_up_expired(app)
        except (OSError, sa.exc.SQLAlchemyError) as error:
            _log.warning("expired uploads are not given up yet", error=str(error)[:300])


async def give_up_expired(app: App) -> None:
    """Remove what has come of uploads that nobody has ended in time."""
    for upload in await asyncio.to_thread(uploads.unfinished, app.database):
        if upload.expires_at < clock.now_ms() and upload.id not in _writing:
            await asyncio.to_thread(_forget, app, upload)


async def _reserve(app: App, request: fastapi.Request, upload: Upload, offset: int) -> None:
    """Promise an upload the room for all of it, or, while nobody knows how much that is, for this part.

    Raises:
        ResourceError: `disk_full`.
    """
    size = upload.size_bytes
    if size is None:
        size = offset + (_integer(request, "content-length") or 0)
    await asyncio.to_thread(ingest.reserve, app, upload.id, _path(app, upload), size)


async def _receive(app: App, request: fastapi.Request, upload: Upload, offset: int) -> int:
    """Append what the request carries. Returns how much there then is."""
    async with _alone(upload.id):
        # It may have been finished, or given up, by whom this waited for.
        upload = await asyncio.to_thread(_find, app, upload.id)
        present = await asyncio.to_thread(_offset, app, upload)
        if offset != present:
            raise Problem("offset_mismatch", 409, f"{upload.id} has {present} bytes; the part begins at {offset}.")
        limit = upload.size_bytes if upload.size_bytes is not None else app.settings.max_upload_bytes
        arrival = ingest.Arrival(_path(app, upload), limit)
        if upload.finished_at is None:
            await _reserve(app, request, upload, offset)
        try:
            async for block in request.stream():
                await arrival.take(block)
        except ClientDisconnect:
            # What has come is kept; the client asks how much, and goes on.
            await arrival.close()
            raise
        finally:
            app.room.let_lapse(upload.id, _PROMISED_S)
        await arrival.close()
        if arrival.size_bytes == upload.size_bytes and upload.finished_at is None:
            await _finish(app, upload)
        return arrival.size_bytes


@asynccontextmanager
async def _alone(upload_id: str) -> AsyncIterator[None]:
    """Let nobody else write to an upload. Whoever comes second waits a moment, and is then told.

    Mostly it is the same client, whose connection before has ended without that being known here yet.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while upload_id in _writing and time.monotonic() < deadline:
        await asyncio.sleep(_LOOK_EVERY_S)
    if upload_id in _writing:
        raise Problem("upload_locked", 423, f"Another request is writing to {upload_id}. Wait, and ask how far it is.")
    _writing.add(upload_id)
    try:
        yield
    finally:
        _writing.discard(upload_id)


async def _finish(app: App, upload: Upload) -> None:
    said = upload.metadata
    filename = str(said.get("filename") or said.get("name") or "")
    content_type = str(said.get("filetype") or said.get("type") or "application/octet-stream")
    details = {"title": said.get("title") or filename or None, "metadata": said}
    await ingest.finish(app, upload.media_id, _path(app, upload), filename, content_type, details)
    await asyncio.to_thread(uploads.finish, app.database, upload.id)
    app.room.withdraw(upload.id)
    await asyncio.to_thread(_path(app, upload).unlink, missing_ok=True)


def _forget(app: App, upload: Upload) -> None:
    app.room.withdraw(upload.id)
    _path(app, upload).unlink(missing_ok=True)
    uploads.delete(app.database, upload.id)


def _path(app: App, upload: Upload) -> Path:
    return ingest.folder(app) / upload.id


def _offset(app: App, upload: Upload) -> int:
    if upload.finished_at is not None:
        return upload.size_bytes or 0
    path = _path(app, upload)
    return path.stat().st_size if path.exists() else 0


def _find(app: App, upload_id: str) -> Upload:
    upload = uploads.get(app.database, upload_id)
    if upload is None:
        raise Problem("upload_not_found", 404, f"There is no upload {upload_id}. It may have expired.")
    return upload


def _check_version(request: fastapi.Request) -> None:
    if request.headers.get("tus-resumable") != _VERSION:
        raise Problem("tus_version", 412, f"Send Tus-Resumable: {_VERSION}.", headers={"tus-version": _VERSION})


def _check_size(app: App, size: int | None) -> None:
    if size is not None and size > app.settings.max_upload_bytes:
        raise Problem("too_large", 413, f"Uploads may have {app.settings.max_upload_bytes:,} bytes at the most.")


def _integer(request: fastapi.Request, header: str) -> int | None:
    text = request.headers.get(header)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or int(text) > _LARGEST_INTEGER:
        raise Problem("invalid_request", 400, f"{header}: {text[:40]!r} is not a number of bytes.")
    return int(text)


def _read_metadata(text: str) -> dict[str, str]:
    """`Upload-Metadata`: pairs of a name and a value in base 64, separated by commas."""
    found = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = pair.partition(" ")
        try:
            found[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise Problem("invalid_request", 400, f"Upload-Metadata: {name[:40]!r} is not base 64.") from error
    return found


def _write_metadata(metadata: dict[str, Json]) -> str:
    return ",".join(f"{name} {base64.b64encode(str(value).encode()).decode()}" for name, value in metadata.items())


def _date(moment_ms: int) -> str:
    return format_datetime(datetime.fromtimestamp(moment_ms // 1000, UTC), usegmt=True)


def _tus(status: int, headers: dict[str, str]) -> Response:
    return Response(status_code=status, headers={"tus-resumable": _VERSION, **headers})
