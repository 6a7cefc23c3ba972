"""Media: upload, read, change, delete, and do branches again."""

from __future__ import annotations

import asyncio
import json
import mimetypes
from typing import TYPE_CHECKING, Annotated, Any, Literal

import fastapi
import multipart
from fastapi import Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anabranch import clock, views
from anabranch.api import ingest, inputs, links
from anabranch.api import tasks as task_routes
from anabranch.api.context import Caller, Paged, Running, listed
from anabranch.api.idempotency import IdempotentRoute, id_for
from anabranch.api.problems import RESPONSES, Problem, invalid_request
from anabranch.catalog import files, media, tasks
from anabranch.catalog.branches import BRANCHES
from anabranch.engine.events import Event

if TYPE_CHECKING:
    from pathlib import Path

    from anabranch.app import App
    from anabranch.catalog.tasks import Task

Json = Any

router = fastapi.APIRouter(tags=["media"], route_class=IdempotentRoute, responses=RESPONSES)

_JSON = "application/json"
_FORM = "multipart/form-data"
_LARGEST_FIELD_BYTES = 1 << 20
_AN_HOUR_S = 3600


class MediaDetails(BaseModel):
    """What a client says of a media row."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={"examples": [{"title": "A film", "metadata": {"a": 1}, "private": True}]},
    )

    title: str | None = Field(None, max_length=1000)
    alt: str | None = Field(None, max_length=5000)
    metadata: dict[str, Any] | None = None
    private: bool | None = Field(None, description="Whether its files are served to signed addresses only.")


class MediaRequest(MediaDetails):
    """A media row. With `url` it is fetched and processed; without, `upload_url` says where to PUT it."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [{"url": "https://example.com/film.mp4", "title": "A film"}, {"title": "Later"}]
        },
    )

    url: str | None = Field(None, description="Address of the source.")


class MediaView(BaseModel):
    """A media row: how far it is, and where its parts are."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "id": "med_01m87093fvfd7azq0jwn0tk44r",
                    "object": "media",
                    "status": "processing",
                    "playable": True,
                    "percent": 81.5,
                    "files": [],
                    "urls": {},
                    "hlsUrl": "http://127.0.0.1:8000/outputs/media/med_01m8/task_01m8/master.m3u8",
                    "dashUrl": None,
                    "posterUrl": "http://127.0.0.1:8000/outputs/media/med_01m8/task_01m9/poster.1.webp",
                    "gifUrl": None,
                    "transcriptionUrl": None,
                    "storyboardUrl": None,
                    "branches": [
                        {
                            "name": "gif-preview",
                            "taskId": "task_01m87093fvfd7azq0jwn0tk44s",
                            "status": "processing",
                            "progress": 30.0,
                            "attempt": 2,
                            "maxAttempts": 4,
                            "nextRetryAt": 1795531524261,
                            "error": None,
                        }
                    ],
                    "renditions": [{"name": "720p", "width": 1280, "height": 720}],
                    "error": None,
                }
            ]
        },
    )

    id: str
    object: str
    status: str = Field(description="waiting (for its bytes), processing, ready, degraded or failed")
    playable: bool = Field(description="Whether its HLS package can be played.")
    percent: float = Field(ge=0, le=100, description="Never goes back.")
    files: list[dict[str, Any]]
    urls: dict[str, str]
    hlsUrl: str | None = Field(  # noqa: N815  (as in the record)
        description="The same from the moment it can be played; what is under it grows."
    )
    dashUrl: str | None  # noqa: N815
    posterUrl: str | None  # noqa: N815
    gifUrl: str | None  # noqa: N815
    transcriptionUrl: str | None  # noqa: N815
    storyboardUrl: str | None = Field(description="WebVTT whose cues name parts of a sheet of pictures.")  # noqa: N815
    branches: list[dict[str, Any]]
    renditions: list[dict[str, Any]]
    error: dict[str, Any] | None


class Retried(BaseModel):
    """What is done again: names of branches by media id."""

    media: dict[str, list[str]]


class Links(BaseModel):
    """Addresses that need no key and expire."""

    model_config = ConfigDict(extra="allow")
    expires_at: int


_BODIES = {
    "requestBody": {
        "required": False,
        "content": {
            _JSON: {"schema": MediaRequest.model_json_schema()},
            _FORM: {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "title": {"type": "string"},
                        "metadata": {"type": "string", "description": "A JSON object."},
                    },
                    "required": ["file"],
                }
            },
            "video/*": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post("/media", status_code=201, operation_id="createMedia", response_model=MediaView, openapi_extra=_BODIES)
async def create_media(
    request: fastapi.Request,
    app: Running,
    _: Caller,
    filename: Annotated[str, Query(max_length=255, description="Of a raw body.")] = "",
    title: Annotated[str | None, Query(max_length=1000, description="Of a raw body.")] = None,
) -> JSONResponse:
    """Upload a video, as a form's `file` or as the bare body; or name its `url`; or make a row to upload to later."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    media_id = id_for(request, "med")
    if content_type in (_JSON, ""):
        await _create_empty_or_fetched(app, media_id, await _read_json(request))
    else:
        async with ingest.arriving(app) as path:
            if content_type == _FORM:
                name, kind, said = await _receive_form(app, request, path)
            else:
                name, kind, said = filename, content_type, MediaDetails(title=title)
                await ingest.receive(app, request, path)
            details = _details(said)
            details.setdefault("title", name or None)
            await ingest.finish(app, media_id, path, name, kind, details)
    return JSONResponse(await asyncio.to_thread(show, app, media_id), 201)


@router.get("/media", operation_id="listMedia", response_model=list[MediaView])
def list_media(
    request: fastapi.Request,
    app: Running,
    _: Caller,
    page: Paged,
    status: Annotated[list[Literal["waiting", "processing", "ready", "degraded", "failed"]] | None, Query()] = None,
    created_after: Annotated[int | None, Query(ge=0, le=2**53, description="Unix milliseconds.")] = None,
    created_before: Annotated[int | None, Query(ge=0, le=2**53, description="Unix milliseconds.")] = None,
) -> JSONResponse:
    """Media rows, newest first."""
    found = media.every(
        app.database, page, statuses=status or (), created_after=created_after, created_before=created_before
    )
    rows = [shown for media_id in found.rows if (shown := show(app, media_id))]
    return listed(request, rows, page, has_more=found.has_more)


@router.get("/media/{media_id}", operation_id="getMedia", response_model=MediaView)
def get_media(media_id: str, app: Running, _: Caller) -> JSONResponse:
    """One media row, with how each of its branches fares."""
    return JSONResponse(_found(app, media_id))


@router.patch("/media/{media_id}", operation_id="updateMedia", response_model=MediaView)
def update_media(media_id: str, body: MediaDetails, app: Running, _: Caller) -> JSONResponse:
    """Change what you say of a media row."""
    _found(app, media_id)
    media.change(app.database, media_id, _details(body))
    return JSONResponse(_found(app, media_id))


@router.delete("/media/{media_id}", operation_id="deleteMedia", response_model=task_routes.Deleted)
async def delete_media(media_id: str, app: Running, _: Caller) -> JSONResponse:
    """Remove a media row and all its bytes. What is being done for it is stopped."""
    await asyncio.to_thread(_found, app, media_id)
    await app.engine.send([Event("media/deleted", {"mediaId": media_id}, id=f"{media_id}.deleted")])
    for task in await asyncio.to_thread(tasks.of_media, app.database, media_id):
        await task_routes.delete(app, task)

    def forget() -> None:
        for prefix in (f"media/{media_id}/", f"sources/{media_id}/"):
            for key in list(app.storage.keys(prefix)):
                app.storage.delete(key)
        for file in files.of_media(app.database, media_id):
            if file.key:
                app.storage.delete(file.key)
            files.delete(app.database, file.id)
        media.delete(app.database, media_id)

    await asyncio.to_thread(forget)
    await app.announce()
    return JSONResponse({"id": media_id, "deleted": True, "message": f"{media_id} and all its files are gone."})


@router.post("/media/{media_id}/links", operation_id="linkMedia", response_model=Links)
def link_media(
    media_id: str, app: Running, _: Caller, expires_in: Annotated[int, Query(ge=1, le=366 * 24 * 3600)] = _AN_HOUR_S
) -> JSONResponse:
    """Signed addresses of all that a media row has, for a number of seconds."""
    record = media.record(app.database, media_id)
    if record is None:
        raise _missing(media_id)
    signed = {}
    for name in media.ADDRESSES:
        key = links.own_key(app, record[name]) if record[name] else None
        signed[name] = links.signed_link(app, key, expires_in) if key else None
    return JSONResponse({**signed, "expires_at": clock.now_ms() // 1000 + expires_in})


@router.post("/media/{media_id}/branches/{name}/retry", operation_id="retryBranch", response_model=Retried)
async def retry_branch(media_id: str, name: str, app: Running, _: Caller) -> JSONResponse:
    """Do one branch again, also one that was done. The others stay as they are."""
    if name not in {branch.step_id for branch in BRANCHES}:
        known = ", ".join(branch.step_id for branch in BRANCHES)
        raise Problem("branch_not_found", 404, f"There is no branch {name}. There are: {known}.")
    await _retry(app, media_id, [name])
    return JSONResponse({"media": {media_id: [name]}})


@router.post("/media/{media_id}/retry", operation_id="retryMedia", response_model=Retried)
async def retry_media(media_id: str, app: Running, _: Caller) -> JSONResponse:
    """Do all branches of a media row again that have failed."""
    names = await asyncio.to_thread(_failed_branches, app, media_id)
    if names:
        await _retry(app, media_id, names)
    return JSONResponse({"media": {media_id: names} if names else {}})


@router.post("/media/retry", operation_id="retryAllMedia", response_model=Retried)
async def retry_all(
    app: Running,
    _: Caller,
    status: Annotated[list[Literal["degraded", "failed"]] | None, Query()] = None,
    branch: Annotated[str | None, Query(description="Only this branch.")] = None,
    error_code: Annotated[str | None, Query(description="Only what failed with this code.")] = None,
    created_after: Annotated[int | None, Query(ge=0, le=2**53, description="Unix milliseconds.")] = None,
    created_before: Annotated[int | None, Query(ge=0, le=2**53, description="Unix milliseconds.")] = None,
) -> JSONResponse:
    """Do all failed branches again of the media rows that match."""
    retried: dict[str, list[str]] = {}
    ids = await asyncio.to_thread(
        media.ids,
        app.database,
        statuses=status or ("degraded", "failed"),
        created_after=created_after,
        created_before=created_before,
    )
    for media_id in ids:
        names = await asyncio.to_thread(_failed_branches, app, media_id, error_code)
        names = [name for name in names if branch in (None, name)]
        if names:
            await _retry(app, media_id, names)
            retried[media_id] = names
    return JSONResponse({"media": retried})


def show(app: App, media_id: str) -> dict[str, Json] | None:
    """The media row as a client sees it, or None."""
    record = media.record(app.database, media_id)
    if record is None:
        return None
    private = record["private"]
    own = files.of_media(app.database, media_id)
    shown_files = [views.file(file, links.of_key(app, file.key, private=private) if file.key else None) for file in own]
    by_task = {task.id: task for task in tasks.of_media(app.database, media_id)}
    for name in media.ADDRESSES:
        record[name] = links.shown(app, record[name], private=private)
    for branch in record["branches"]:
        branch["url"] = links.shown(app, branch["url"], private=private)
        branch.update(retries(app, by_task[branch["taskId"]]))
    source = record.pop("sourceUrl")
    view = {
        **record,
        "sourceUrl": links.shown(app, source, private=True) if source else None,
        "progress": {"percent": record["percent"]},
        "kind": "video" if record["width"] else "audio" if record["durationS"] else None,
        "duration": record["durationS"],
        "files": shown_files,
        "urls": {file["ref"]: file["url"] for file in shown_files if file["ref"] and file["url"]},
        "created": views.iso(record["createdAt"]),
        "updated": views.iso(record["updatedAt"]),
        "created_at": record["createdAt"],
        "updated_at": record["updatedAt"],
    }
    if record["status"] == "waiting":
        expires_s = clock.now_ms() // 1000 + _AN_HOUR_S
        view["upload_url"] = links.upload_link(app, media_id, "source", expires_s)
    return view


def retries(app: App, task: Task) -> dict[str, Json]:
    """How often the branch's slowest step was tried, and when the next attempt is due."""
    failures, due_at = app.engine.journal.retries(task.run_id) if task.run_id else (0, None)
    open_ = task.status in ("queued", "processing")
    function = app.engine.functions.get("anabranch-process-task")
    most = function.max_attempts if function else None
    attempt = failures + 1 if most is None else min(most, failures + 1)
    return {
        "attempt": attempt,
        "maxAttempts": most,
        "nextRetryAt": due_at if due_at and open_ and due_at > clock.now_ms() else None,
        "lastError": task.error,
    }


def _found(app: App, media_id: str) -> dict[str, Json]:
    shown = show(app, media_id)
    if shown is None:
        raise _missing(media_id)
    return shown


def _missing(media_id: str) -> Problem:
    return Problem("media_not_found", 404, f"There is no media {media_id}.")


def _details(said: MediaDetails) -> dict[str, Json]:
    return {
        name: value
        for name, value in said.model_dump(include=set(MediaDetails.model_fields)).items()
        if value is not None
    }


def _failed_branches(app: App, media_id: str, error_code: str | None = None) -> list[str]:
    record = media.record(app.database, media_id)
    if record is None:
        raise _missing(media_id)
    if record["status"] == "failed" and not record["branches"]:
        return [branch.step_id for branch in BRANCHES]
    return [
        branch["name"]
        for branch in record["branches"]
        if branch["status"] in ("failed", "cancelled") and error_code in (None, (branch["error"] or {}).get("code"))
    ]


async def _retry(app: App, media_id: str, names: list[str]) -> None:
    row = await asyncio.to_thread(media.get, app.database, media_id)
    if row is None:
        raise _missing(media_id)
    if row.status == "waiting":
        raise Problem("media_waiting", 409, f"{media_id} waits for its bytes; there is nothing to do again yet.")
    await asyncio.to_thread(media.reopen, app.database, media_id)
    data = {"mediaId": media_id, "sourceUrl": row.source_url, "branches": names}
    await app.engine.send([Event("video/uploaded", data)])


async def _create_empty_or_fetched(app: App, media_id: str, body: MediaRequest) -> None:
    details = _details(body)
    if body.url is None:
        await asyncio.to_thread(media.create, app.database, media_id, "", status="waiting", **details)
        await app.announce()
        return
    address = await asyncio.to_thread(inputs.checked, app, body.url)
    await asyncio.to_thread(media.create, app.database, media_id, address, **details)
    await ingest.start(app, media_id, address)


async def _read_json(request: fastapi.Request) -> MediaRequest:
    body = await request.body()
    try:
        return MediaRequest.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise _wrong(error) from None


def _wrong(error: ValidationError) -> Problem:
    return invalid_request(
        [
            {"pointer": "/" + "/".join(map(str, one["loc"])), "code": one["type"], "message": one["msg"]}
            for one in error.errors()
        ]
    )


async def _receive_form(app: App, request: fastapi.Request, path: Path) -> tuple[str, str, MediaDetails]:
    """Write the form's file to `path`. Returns its name, its type, and the other fields.

    Raises:
        Problem: `invalid_form`.
    """
    _, options = multipart.parse_options_header(request.headers["content-type"])
    fields: dict[str, bytearray] = {}
    name, kind, part = "", "application/octet-stream", None
    arrival = ingest.Arrival(path, app.settings.max_upload_bytes)
    seen_file = False
    try:
        with multipart.PushMultipartParser(options.get("boundary", "")) as parser:
            async for block in request.stream():
                for event in parser.parse(block):
                    if isinstance(event, multipart.MultipartSegment):
                        part = event
                        if part.filename is not None and not seen_file:
                            seen_file = True
                            name, kind = part.filename, part.content_type or kind
                    elif event and part is not None and part.filename is not None:
                        await arrival.take(bytes(event))
                    elif event and part is not None:
                        field = fields.setdefault(part.name, bytearray())
                        field += event
                        if len(field) > _LARGEST_FIELD_BYTES:
                            raise Problem("too_large", 413, f"The field {part.name!r} has more than a mebibyte.")
    except multipart.MultipartError as error:
        raise Problem("invalid_form", 400, f"The form cannot be read: {error}. It was probably cut short.") from error
    if not seen_file:
        raise Problem("invalid_form", 422, "The form has no file. Send it as the field `file`.")
    await arrival.close()
    if kind == "application/octet-stream":
        kind = mimetypes.guess_type(name)[0] or kind
    said: dict[str, Json] = {key: value.decode("utf-8", "replace") for key, value in fields.items()}
    try:
        if "metadata" in said:
            said["metadata"] = json.loads(said["metadata"])
        return name, kind, MediaDetails.model_validate(said)
    except ValidationError as error:
        raise _wrong(error) from None
    except ValueError as error:
        raise Problem("invalid_form", 422, f"The field metadata is not JSON: {error}.") from error
