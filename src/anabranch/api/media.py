"""Media: upload, find, read, change and delete."""

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

from anabranch import clock, engines, views
from anabranch.api import ingest, inputs, links
from anabranch.api import tasks as task_routes
from anabranch.api.context import MayFollow, MayRead, MayUpload, MayWrite, Paged, Running, listed
from anabranch.api.idempotency import IdempotentRoute, id_for
from anabranch.api.problems import RESPONSES, Problem, invalid_request, missing_media
from anabranch.catalog import files, finding, media, plans, tasks
from anabranch.engine.events import Event

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from anabranch.app import App
    from anabranch.catalog.tasks import Task

Json = Any

router = fastapi.APIRouter(tags=["media"], route_class=IdempotentRoute, responses=RESPONSES)

_JSON = "application/json"
_FORM = "multipart/form-data"
# Of a form, beside its file.
_MOST_PARTS = 100
_LARGEST_FIELDS_BYTES = 1 << 20
_AN_HOUR_S = 3600
# As many as a listing shows at once.
_MOST_IDS = 100


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
                    "captionsUrl": None,
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
                            "waitingFor": None,
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
    captionsUrl: str | None = Field(description="What is said, as WebVTT.")  # noqa: N815
    storyboardUrl: str | None = Field(description="WebVTT whose cues name parts of a sheet of pictures.")  # noqa: N815
    branches: list[dict[str, Any]]
    renditions: list[dict[str, Any]]
    error: dict[str, Any] | None
    snippet: str | None = Field(
        None, description="Of a search: HTML, the words found are in <mark>, all else is escaped."
    )
    at: float | None = Field(None, description="Of a search: when it is said, in seconds; null for a title.")


class ProbeView(BaseModel):
    """What is in a source. Times are seconds from the earliest start of any track."""

    model_config = ConfigDict(extra="allow")

    format: str = Field(description="Name of the demuxer that reads it.")
    duration_s: float
    size_bytes: int
    video: dict[str, Any] | None = Field(description="The main track of moving pictures.")
    audio: list[dict[str, Any]] = Field(description="All tracks of sound, the default one first.")
    damaged: bool


class MediaIds(BaseModel):
    """Several media rows."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"ids": ["med_01m87093fvfd7azq0jwn0tk44r"]}]}
    )

    ids: list[Annotated[str, Field(max_length=200)]] = Field(max_length=_MOST_IDS)


class AllDeleted(BaseModel):
    """What was deleted, and what was not there."""

    deleted: list[str]
    missing: list[str]


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
@ingest.streams(but=(_JSON, ""))
async def create_media(
    request: fastapi.Request,
    app: Running,
    _: MayUpload,
    filename: Annotated[str, Query(max_length=255, description="Of a raw body.")] = "",
    title: Annotated[str | None, Query(max_length=1000, description="Of a raw body.")] = None,
) -> JSONResponse:
    """Upload a video, as a form's `file` or as the bare body; or name its `url`; or make a row to upload to later."""
    content_type = ingest.type_of(request.headers)
    media_id = id_for(request, "med")
    if content_type in (_JSON, ""):
        await _create_empty_or_fetched(app, media_id, await _read_json(request))
    else:
        async with ingest.arriving(app, request, media_id) as path:
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
    _: MayRead,
    page: Paged,
    status: Annotated[list[Literal["waiting", "processing", "ready", "degraded", "failed"]] | None, Query()] = None,
    created_after: Annotated[int | None, Query(ge=0, le=2**53, description="Unix milliseconds.")] = None,
    created_before: Annotated[int | None, Query(ge=0, le=2**53, description="Unix milliseconds.")] = None,
    q: Annotated[
        str | None,
        Query(max_length=1000, description="Only rows whose title has all of it, or in which all of it is said."),
    ] = None,
) -> JSONResponse:
    """Media rows, newest first. With `q` each has a `snippet` and, where it is said, the time to seek to as `at`."""
    # An empty box asks for everything.
    q = q if q and q.strip() else None
    found = media.every(
        app.database,
        page,
        statuses=status or (),
        created_after=created_after,
        created_before=created_before,
        about=finding.about(app.database, q) if q else None,
    )
    hits = finding.hits(app.database, q, found.rows) if q else {}
    rows = [shown for media_id in found.rows if (shown := show(app, media_id))]
    for row in rows:
        if row["id"] in hits:
            row |= {"snippet": hits[row["id"]].snippet, "at": hits[row["id"]].at_s}
    return listed(request, rows, page, has_more=found.has_more)


@router.get("/media/{media_id}", operation_id="getMedia", response_model=MediaView)
def get_media(media_id: str, app: Running, _: MayFollow) -> JSONResponse:
    """One media row, with how each of its branches fares."""
    return JSONResponse(_found(app, media_id))


@router.get("/media/{media_id}/probe", operation_id="probeMedia", response_model=ProbeView)
def probe_media(media_id: str, app: Running, _: MayRead) -> JSONResponse:
    """What is in the source, once somebody has looked."""
    if media.get(app.database, media_id) is None:
        raise missing_media(media_id)
    for task in tasks.of_media(app.database, media_id):
        planned = plans.get(app.database, task.id)
        if planned is not None:
            seen = planned[1]
            video = seen["video"] and {name: value for name, value in seen["video"].items() if name != "keyframes_s"}
            return JSONResponse({**seen, "video": video})
    raise Problem("probe_not_found", 404, f"Nobody has looked into {media_id} yet, or it could not be read.")


@router.patch("/media/{media_id}", operation_id="updateMedia", response_model=MediaView)
def update_media(media_id: str, body: MediaDetails, app: Running, _: MayWrite) -> JSONResponse:
    """Change what you say of a media row."""
    _found(app, media_id)
    media.change(app.database, media_id, _details(body))
    return JSONResponse(_found(app, media_id))


@router.delete("/media/{media_id}", operation_id="deleteMedia", response_model=task_routes.Deleted)
async def delete_media(media_id: str, app: Running, _: MayWrite) -> JSONResponse:
    """Remove a media row and all its bytes. What is being done for it is stopped."""
    if not await _remove(app, media_id):
        raise missing_media(media_id)
    return JSONResponse({"id": media_id, "deleted": True, "message": f"{media_id} and all its files are gone."})


@router.post("/media/delete", operation_id="deleteAllMedia", response_model=AllDeleted)
async def delete_all(body: MediaIds, app: Running, _: MayWrite) -> JSONResponse:
    """Remove several media rows and all their bytes. Doing it twice is fine."""
    told: dict[str, list[str]] = {"deleted": [], "missing": []}
    for media_id in dict.fromkeys(body.ids):
        told["deleted" if await _remove(app, media_id) else "missing"].append(media_id)
    return JSONResponse(told)


@router.post("/media/{media_id}/links", operation_id="linkMedia", response_model=Links)
def link_media(
    media_id: str, app: Running, _: MayWrite, expires_in: Annotated[int, Query(ge=1, le=366 * 24 * 3600)] = _AN_HOUR_S
) -> JSONResponse:
    """Signed addresses of all that a media row has, for a number of seconds."""
    record = media.record(app.database, media_id)
    if record is None:
        raise missing_media(media_id)
    signed = {}
    for name in media.ADDRESSES:
        key = links.own_key(app, record[name]) if record[name] else None
        signed[name] = links.signed_link(app, key, expires_in) if key else None
    return JSONResponse({**signed, "expires_at": clock.now_ms() // 1000 + expires_in})


def show(app: App, media_id: str) -> dict[str, Json] | None:
    """The media row as a client sees it, or None."""
    found = media.record_and_tasks(app.database, media_id)
    if found is None:
        return None
    record, branches = found
    private = record["private"]
    own = files.of_media(app.database, media_id)
    shown_files = [views.file(file, links.of_key(app, file.key, private=private) if file.key else None) for file in own]
    tried, waits = retries(app, branches), task_routes.waits(app, branches)
    for name in media.ADDRESSES:
        record[name] = links.shown(app, record[name], private=private)
    for branch in record["branches"]:
        branch["url"] = links.shown(app, branch["url"], private=private)
        branch.update(tried[branch["taskId"]])
        branch["waitingFor"] = waits.get(branch["taskId"])
    source = record.pop("sourceUrl")
    if any(file.status == "gone" and file.ref == "source" for file in own):
        source = None
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


def retries(app: App, branches: Collection[Task]) -> dict[str, dict[str, Json]]:
    """By task, how often the branch's slowest step was tried, and when the next attempt is due."""
    known = engines.retries(app.engine, [task.run_id for task in branches if task.run_id])
    function = app.engine.functions.get("anabranch-process-task")
    most = function.max_attempts if function else None
    return {task.id: _retries(task, *known.get(task.run_id or "", (0, None)), most) for task in branches}


def _retries(task: Task, failures: int, due_at: int | None, most: int | None) -> dict[str, Json]:
    attempt = failures + 1 if most is None else min(most, failures + 1)
    return {
        "attempt": attempt,
        "maxAttempts": most,
        "nextRetryAt": due_at if due_at and task.is_open and due_at > clock.now_ms() else None,
        "lastError": task.error,
    }


def _found(app: App, media_id: str) -> dict[str, Json]:
    shown = show(app, media_id)
    if shown is None:
        raise missing_media(media_id)
    return shown


def _details(said: MediaDetails) -> dict[str, Json]:
    return {
        name: value
        for name, value in said.model_dump(include=set(MediaDetails.model_fields)).items()
        if value is not None
    }


async def _remove(app: App, media_id: str) -> bool:
    """Remove a media row and all its bytes. False when there is none."""
    if await asyncio.to_thread(media.get, app.database, media_id) is None:
        return False
    await app.engine.send([Event("media/deleted", {"mediaId": media_id}, id=f"{media_id}.deleted")])
    await _delete_tasks(app, media_id)
    await asyncio.to_thread(app.orders.forget_media, media_id)
    # Those that a step made while the others were deleted; from the row's end on there are no more.
    await _delete_tasks(app, media_id)
    await app.announce()
    return True


async def _delete_tasks(app: App, media_id: str) -> None:
    for task in await asyncio.to_thread(tasks.of_media, app.database, media_id):
        await task_routes.delete(app, task)


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
    seen_file, said_bytes = False, 0
    try:
        with multipart.PushMultipartParser(options.get("boundary", ""), max_segment_count=_MOST_PARTS) as parser:
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
                        said_bytes += len(event)
                        if said_bytes > _LARGEST_FIELDS_BYTES:
                            raise Problem("too_large", 413, "The fields beside the file have more than a mebibyte.")
                        fields.setdefault(part.name, bytearray()).extend(event)
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
