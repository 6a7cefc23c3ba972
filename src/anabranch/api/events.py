"""Events: takes events from the Inngest SDKs, registers their apps, and shows runs. Compatible with Inngest's API."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

import fastapi
from fastapi import Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from anabranch import clock, outbound, views
from anabranch.api import inputs
from anabranch.api.context import Caller, Paged, Running, caller_of, check_scope, declared, holder_of, way_on
from anabranch.api.problems import RESPONSES, Problem
from anabranch.app import APP_ID, signing_key
from anabranch.catalog import keys, media
from anabranch.engine import signing
from anabranch.engine.events import Event
from anabranch.engine.expressions import holds
from anabranch.errors import AnabranchError, FinalError
from anabranch.ids import new_id
from anabranch.pages import Page
from anabranch.storage.names import check_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from anabranch.app import App
    from anabranch.engine.journal import Run

Json = Any

router = fastapi.APIRouter(tags=["events"], responses=RESPONSES)

_MOST_EVENTS = 5000
_FAR = 2**53
_STATUSES = ("queued", "running", "completed", "failed", "cancelled")
# Which member of an event's data names a source, for the events that have one.
_SOURCES = {"video/uploaded": "sourceUrl", "task/created": "input"}
_IDS = {"video/uploaded": ("mediaId",), "task/created": ("id", "media_id")}


class EventBody(BaseModel):
    """An event, as the SDKs send it."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {
                    "name": "video/uploaded",
                    "data": {"mediaId": "med_1", "sourceUrl": "https://example.com/film.mp4"},
                    "id": "upload-1",
                }
            ]
        },
    )

    name: str = Field(min_length=1, max_length=256)
    data: dict[str, Any] | None = None
    id: str | None = Field(None, max_length=512, description="Its identity: it counts once, however often it comes.")
    ts: int | None = Field(None, ge=0, le=_FAR, description="Unix milliseconds; what it starts waits until then.")
    user: dict[str, Any] | None = None
    v: str | None = None


class Accepted(BaseModel):
    """Ids of the events that are now kept."""

    ids: list[str]
    status: int


class Found(BaseModel):
    """What was asked for, in the envelope of Inngest's API."""

    model_config = ConfigDict(extra="allow")
    data: Any


class AppUrl(BaseModel):
    """Where an app serves its functions."""

    url: str = Field(examples=["http://127.0.0.1:3000/api/inngest"])


class Rerun(BaseModel):
    """What to do again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"from_step": "gif-preview"}]})

    from_step: str | None = Field(None, description="Name or hashed id of a step; what was done before it is kept.")


class Cancellation(BaseModel):
    """Which runs to cancel."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"app_id": "video-app", "function_id": "send-mail", "if": "event.data.user == '42'"}]
        }
    )

    app_id: str | None = None
    function_id: str
    started_after: str | None = None
    started_before: str | None = None
    condition: str | None = Field(None, alias="if", description="CEL over `event`.")


def operator(*scopes: str) -> Callable[..., Caller]:
    """What a route for SDKs depends on: who has the signing key (as they show it), or one of these scopes."""

    def allowed(request: fastapi.Request, app: Running) -> Caller:
        shown = request.headers.get("authorization", "")
        if signing.knows_key(shown, signing_key(app.settings, app.database)):
            return Caller("signing key", keys.SCOPES["admin"])
        caller = caller_of(app, request)
        if caller is None:
            raise Problem("token_invalid", 401, "Show the signing key (INNGEST_SIGNING_KEY) or a key of the API.")
        check_scope(caller, *scopes)
        return caller

    return declared(allowed, scopes)


SdkMayRead = Annotated[Caller, Depends(operator("read"))]
SdkMayWrite = Annotated[Caller, Depends(operator("write"))]
SdkMayAdminister = Annotated[Caller, Depends(operator("admin"))]


def sender(event_key: str, request: fastapi.Request, app: Running) -> Caller:
    """Who sends events: the holder of the key in the address, which SDKs call the event key."""
    caller = holder_of(app, request, event_key)
    if caller is None:
        raise Problem("token_invalid", 401, "The event key is not a key of the API. Set INNGEST_EVENT_KEY to one.")
    check_scope(caller, "write")
    return caller


MaySend = Annotated[Caller, Depends(declared(sender, ("write",)))]


@router.post("/e/{event_key}", operation_id="sendEvents", response_model=Accepted)
async def send_events(
    body: EventBody | Annotated[list[EventBody], Field(max_length=_MOST_EVENTS)], app: Running, _: MaySend
) -> JSONResponse:
    """Send one event or many. When this answers they are on the disk, and so are the runs that they start."""
    given = body if isinstance(body, list) else [body]
    events = [await asyncio.to_thread(_read_event, app, one) for one in given]
    ids = await app.engine.send(events)
    for event in events:
        if event.name == "video/uploaded" and isinstance(event.data.get("mediaId"), str):
            # Whoever sent it may ask for the media at once, before its first task has begun.
            await asyncio.to_thread(media.create, app.database, event.data["mediaId"], event.data["sourceUrl"])
    return JSONResponse({"ids": ids, "status": 200})


@router.get("/v1/events", operation_id="listEvents", response_model=Found)
def list_events(
    request: fastapi.Request,
    app: Running,
    _: SdkMayRead,
    name: Annotated[str | None, Query(max_length=256, description="Only events of this name.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(max_length=512, description="The id behind which the page begins.")] = None,
    before: Annotated[str | None, Query(max_length=512, description="The id in front of which the page ends.")] = None,
    order: Annotated[Literal["asc", "desc"], Query(description="desc is newest first.")] = "desc",
) -> JSONResponse:
    """Events, those first that came last."""
    # Senders make ids of their own, so that one cannot be told by its looks.
    for cursor in (after, before):
        if cursor is not None and app.engine.journal.event(cursor) is None:
            raise Problem("invalid_cursor", 400, f"{cursor[:100]!r} is not the id of an event.")
    page = Page(limit, after, before, order)
    found = app.engine.journal.events(page, name=name)
    rows = [{**event.to_dict(), "internal_id": event.id, "received_at": views.iso(at)} for event, at in found.rows]
    return _enveloped(rows, headers=way_on(request, rows, page, has_more=found.has_more))


@router.get("/v1/events/{event_id}", operation_id="getEvent", response_model=Found)
def get_event(event_id: str, app: Running, _: SdkMayRead) -> JSONResponse:
    """One event."""
    event = app.engine.journal.event(event_id)
    if event is None:
        raise Problem("event_not_found", 404, f"There is no event {event_id[:100]}.")
    return _enveloped({**event.to_dict(), "internal_id": event.id})


@router.get("/v1/events/{event_id}/runs", operation_id="getEventRuns", response_model=Found)
def get_event_runs(event_id: str, app: Running, _: SdkMayRead) -> JSONResponse:
    """The runs that an event has started."""
    return _enveloped([_show(run) for run in app.engine.journal.runs_of_event(event_id)])


@router.get("/v1/runs", operation_id="listRuns", response_model=Found)
def list_runs(
    request: fastapi.Request,
    app: Running,
    _: SdkMayRead,
    page: Paged,
    status: Annotated[list[str] | None, Query(description="Such as Running; in small letters too.")] = None,
    function: Annotated[
        str | None,
        Query(max_length=300, description="Of this function; of this server's own without the app's name too."),
    ] = None,
) -> JSONResponse:
    """Runs, newest first, without what they returned."""
    statuses = [word.lower() for word in status or ()]
    for word in statuses:
        if word not in _STATUSES:
            raise Problem("invalid_request", 422, f"status={word[:40]!r}: there is none. Give one of {_STATUSES}.")
    functions = [function, f"{APP_ID}-{function}"] if function else []
    found = app.engine.journal.runs(page, statuses=statuses, function_ids=functions)
    # What one returned may be large, and one run tells it.
    rows = [{name: value for name, value in _show(run).items() if name != "output"} for run in found.rows]
    return _enveloped(rows, headers=way_on(request, rows, page, has_more=found.has_more))


@router.get("/v1/runs/{run_id}", operation_id="getRun", response_model=Found)
def get_run(run_id: str, app: Running, _: SdkMayRead) -> JSONResponse:
    """One run, with its steps."""
    run = _find(app, run_id)
    steps = [
        {
            "id": step.id,
            "name": step.name,
            "op": step.op,
            "status": step.status,
            "failures": step.failures,
            "due_at": step.due_at,
            "result": step.result,
        }
        for step in app.engine.journal.steps(run_id).values()
    ]
    return _enveloped({**_show(run), "steps": steps})


@router.delete("/v1/runs/{run_id}", operation_id="cancelRun", response_model=Found)
async def cancel_run(run_id: str, app: Running, _: SdkMayWrite) -> JSONResponse:
    """Cancel a run."""
    run = await asyncio.to_thread(_find, app, run_id)
    if not await app.engine.cancel(run_id):
        raise Problem("run_ended", 409, f"{run.id} is {run.status}; there is nothing to cancel.")
    return _enveloped(_show(await asyncio.to_thread(_find, app, run_id)))


@router.post("/v1/runs/{run_id}/rerun", status_code=201, operation_id="rerun", response_model=Found)
async def rerun(run_id: str, app: Running, _: SdkMayWrite, body: Rerun | None = None) -> JSONResponse:
    """Do a run again for the same event, from its beginning or from a step."""
    await asyncio.to_thread(_find, app, run_id)
    new = await app.engine.rerun(run_id, body.from_step if body else None)
    if new is None:
        raise Problem("step_not_found", 404, f"{run_id} has no step {body.from_step if body else None!r}.")
    return _enveloped(_show(await asyncio.to_thread(_find, app, new)), 201)


@router.post("/v1/cancellations", status_code=201, operation_id="cancelRuns", response_model=Found)
async def cancel_runs(body: Cancellation, app: Running, _: SdkMayWrite) -> JSONResponse:
    """Cancel the runs of a function that match."""
    after, before = _moment(body.started_after, 0), _moment(body.started_before, _FAR)
    names = {body.function_id, f"{body.app_id}-{body.function_id}"}
    cancelled = []
    for run_id in await asyncio.to_thread(app.engine.journal.unfinished):
        run = await asyncio.to_thread(app.engine.journal.run, run_id)
        if run is None or run.function_id not in names or not after <= run.created_at <= before:
            continue
        if holds(body.condition, {"event": run.event.to_dict()}) and await app.engine.cancel(run_id):
            cancelled.append(run_id)
    return _enveloped({"id": new_id("cxl"), "cancelled": cancelled}, 201)


@router.get("/v0/runs/{run_id}/batch", include_in_schema=False)
def get_batch(run_id: str, app: Running, _: SdkMayRead) -> JSONResponse:
    """The events of a run, for an SDK that was told to ask for them."""
    return JSONResponse([event.to_dict() for event in app.engine.journal.events_of(_find(app, run_id))])


@router.get("/v0/runs/{run_id}/actions", include_in_schema=False)
def get_actions(run_id: str, app: Running, _: SdkMayRead) -> JSONResponse:
    """The results of a run's steps, for an SDK that was told to ask for them."""
    _find(app, run_id)
    steps = app.engine.journal.steps(run_id).values()
    return JSONResponse({step.id: step.result for step in steps if step.status != "pending"})


@router.post("/fn/register", operation_id="registerApp")
async def register_app(request: fastapi.Request, app: Running, _: SdkMayAdminister) -> JSONResponse:
    """Register the functions of an app that an Inngest SDK serves elsewhere. The SDK calls this."""
    try:
        body = await request.json()
        url, configs = body["url"], body["functions"]
        name = body.get("appName") or body.get("appname") or url
        if not isinstance(url, str) or not isinstance(configs, list):
            raise TypeError("url and functions")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Problem("invalid_registration", 422, f"This is not what an SDK sends: {error}.") from None
    await app.engine.register_app(
        str(name), url, configs, sdk=str(body.get("sdk") or ""), framework=str(body.get("framework") or "")
    )
    return JSONResponse({"ok": True, "modified": True, "error": None})


@router.get("/v1/apps", operation_id="listApps", response_model=Found)
def list_apps(app: Running, _: SdkMayRead) -> JSONResponse:
    """The apps that have registered, and their functions."""
    return _enveloped(
        [
            {
                "id": row.id,
                "url": row.url,
                "sdk": row.sdk,
                "framework": row.framework,
                "functions": [{"id": one["id"], "name": one.get("name")} for one in row.functions],
                "updated_at": row.updated_at,
            }
            for row in app.engine.journal.apps()
        ]
    )


@router.post("/v1/apps", status_code=201, operation_id="syncApp", response_model=Found)
async def sync_app(body: AppUrl, app: Running, _: SdkMayAdminister) -> JSONResponse:
    """Ask an app at an address what functions it has, and register them."""
    inputs.check_web_address(body.url)
    return _enveloped(await app.engine.sync(body.url), 201)


def _read_event(app: App, given: EventBody) -> Event:
    if given.name.startswith("inngest/"):
        raise Problem("invalid_event", 400, f"{given.name}: names that begin with inngest/ are the engine's own.")
    data = given.data or {}
    _check_ids(given.name, data)
    source = _SOURCES.get(given.name)
    if source is not None:
        member = source
        try:
            data = {**data, source: inputs.checked(app, str(data.get(source)))}
            if data.get("webhook_url"):
                member = "webhook_url"
                outbound.check(str(data["webhook_url"]), app.settings.private_networks)
        except AnabranchError as error:
            raise Problem("invalid_event", 400, f"{given.name}: {member}: {error}") from None
    known: dict[str, Json] = {name: value for name, value in (("id", given.id), ("ts", given.ts)) if value}
    return Event(given.name, data, user=given.user, v=given.v, **known)


def _check_ids(name: str, data: dict[str, Json]) -> None:
    """Those that an event of this server's own functions chooses: they become parts of paths."""
    for member in _IDS.get(name, ()):
        try:
            if data.get(member) is not None:
                check_id(data[member])
        except FinalError as error:
            raise Problem("invalid_event", 400, f"{name}: {member}: {error}") from None


def _find(app: App, run_id: str) -> Run:
    run = app.engine.journal.run(run_id)
    if run is None:
        raise Problem("run_not_found", 404, f"There is no run {run_id[:100]}.")
    return run


def _show(run: Run) -> dict[str, Json]:
    return {
        "run_id": run.id,
        "id": run.id,
        "function_id": run.function_id,
        "event_id": run.event.id,
        "event_name": run.event.name,
        "status": run.status.capitalize(),
        "run_started_at": views.iso(run.started_at),
        "ended_at": views.iso(run.ended_at),
        "output": run.output if run.error is None else run.error,
        "error": run.error,
        "parent_run_id": run.parent[0] if run.parent else None,
        "original_run_id": run.original,
        "due_at": views.iso(run.due_at),
        "created_at": views.iso(run.created_at),
    }


def _enveloped(data: Json, status: int = 200, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(
        {"data": data, "metadata": {"fetched_at": views.iso(clock.now_ms()), "cached_until": None}}, status, headers
    )


def _moment(text: str | None, otherwise: int) -> int:
    if text is None:
        return otherwise
    try:
        return views.moment_ms(text)
    except ValueError:
        raise Problem("invalid_request", 422, f"{text[:40]!r} is no ISO 8601 time.") from None
