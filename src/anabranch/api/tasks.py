"""Tasks: create, read, list, cancel and delete; and the same as jobs. Compatible with the Ittybit API."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import fastapi
from fastapi import Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from anabranch import outbound, views
from anabranch.api import inputs, links
from anabranch.api.context import MayFollow, MayRead, MayUpload, MayWrite, Paged, Running, listed
from anabranch.api.idempotency import IdempotentRoute, id_for
from anabranch.api.problems import RESPONSES, Problem, missing_media
from anabranch.catalog import media, tasks, waiting
from anabranch.engine.events import Event
from anabranch.errors import OptionError
from anabranch.functions.process_task import read_order
from anabranch.tasks.kinds import KINDS, kind_named
from anabranch.tasks.sources import STORED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from anabranch.app import App
    from anabranch.catalog.tasks import Task
    from anabranch.views import Generation

Json = Any

router = fastapi.APIRouter(tags=["tasks"], route_class=IdempotentRoute, responses=RESPONSES)

# Members of a request that are not options, so that options may also stand beside them.
_NOT_OPTIONS = {
    "id", "input", "url", "file_id", "kind", "options", "output", "metadata", "webhook_url", "connection_id", "ref",
    "folder", "filename", "description", "idempotency_key", "media_id", "parent_id", "workflow", "next", "label",
}  # fmt: skip

# What clients of every generation call a status, by what it is here.
_STATUS_WORDS = {
    "queued": ("queued", "waiting", "pending"),
    "processing": ("processing", "validating", "finishing"),
    "completed": ("completed", "succeeded", "ready"),
    "failed": ("failed", "error"),
    "cancelled": ("cancelled", "canceled"),
}
_WORDS = {word: status for status, words in _STATUS_WORDS.items() for word in words}


class TaskRequest(BaseModel):
    """A task to be done. Options stand in `options`, or beside it; those in `options` win."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "input": "https://example.com/film.mp4",
                    "kind": "image",
                    "options": {"start": 2, "width": 1280, "format": "webp"},
                    "metadata": {"mediaId": "42"},
                }
            ]
        },
    )

    kind: str = Field(description="What to make: " + ", ".join(sorted(KINDS)) + ".")
    input: str | dict[str, Any] | None = Field(None, description="Address of the source, or an object with its `url`.")
    url: str | None = Field(None, description="Another name for `input`.")
    file_id: str | None = Field(None, description="A file of this server as the source.")
    options: dict[str, Any] | None = Field(None, description="See docs/tasks.md.")
    metadata: dict[str, Any] | None = Field(None, description="Kept and given back as it is.")
    ref: str | None = Field(None, max_length=200, description="What you call it.")
    media_id: str | None = Field(None, description="A media row that the output belongs to.")
    webhook_url: str | None = Field(None, description="Told when the task ends.")


class TaskView(BaseModel):
    """A task, for both generations of clients."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "id": "task_01m87093fvfd7azq0jwn0tk44r",
                    "object": "task",
                    "kind": "image",
                    "status": "completed",
                    "progress": 100,
                    "output": {
                        "id": "file_01m87093fvfd7azq0jwn0tk44r",
                        "object": "file",
                        "kind": "image",
                        "type": "image/webp",
                        "url": "http://127.0.0.1:8000/outputs/tasks/task_01m87093fvfd7azq0jwn0tk44r/poster.1.webp",
                        "width": 1280,
                        "height": 720,
                        "filesize": 51234,
                    },
                    "outputs": [],
                    "options": {"start": 2, "width": 1280, "format": "webp"},
                    "metadata": {"mediaId": "42"},
                    "error": None,
                }
            ]
        },
    )

    id: str
    object: str
    kind: str
    status: str = Field(description="waiting, processing, completed (or succeeded), failed, cancelled")
    progress: int = Field(ge=0, le=100)
    output: dict[str, Any] | str | None
    outputs: list[dict[str, Any]]
    options: dict[str, Any]
    metadata: dict[str, Any]
    error: str | dict[str, Any] | None
    waiting_for: dict[str, Any] | None = Field(
        None, description="What it waits for, in `message`: room on a disk. It goes on by itself when there is some."
    )


class Deleted(BaseModel):
    """What was deleted."""

    id: str
    deleted: bool
    message: str


@router.post("/tasks", status_code=201, operation_id="createTask", response_model=TaskView)
async def create_task(body: TaskRequest, request: fastapi.Request, app: Running, _: MayUpload) -> JSONResponse:
    """Have a task done. It answers at once; ask for the task until its status is `completed` or `failed`."""
    task = await create(app, body.model_dump(exclude_none=True), id_for(request, "task"))
    return JSONResponse(_shown(app, task, _as_asked(request)), 201)


@router.post("/jobs", status_code=201, operation_id="createJob", response_model=TaskView, tags=["jobs"])
async def create_job(body: TaskRequest, request: fastapi.Request, app: Running, _: MayUpload) -> JSONResponse:
    """The same as a task, in the words of the newer API."""
    task = await create(app, body.model_dump(exclude_none=True), id_for(request, "task"))
    return JSONResponse(_shown(app, task, views.job), 201)


@router.get("/tasks", operation_id="listTasks", response_model=list[TaskView])
def list_tasks(
    request: fastapi.Request,
    app: Running,
    _: MayRead,
    page: Paged,
    kind: Annotated[list[str] | None, Query()] = None,
    status: Annotated[list[str] | None, Query(description="In the words of any generation.")] = None,
    media_id: Annotated[str | None, Query()] = None,
    input: Annotated[str | None, Query(description="Exactly this source.")] = None,  # noqa: A002  (its public name)
) -> JSONResponse:
    """Tasks, newest first."""
    found = tasks.every(
        app.database, page, kinds=kind or (), statuses=_read_statuses(status), media_id=media_id, address=input
    )
    rows = _all_shown(app, found.rows, _as_asked(request))
    return listed(request, rows, page, has_more=found.has_more)


@router.get("/jobs", operation_id="listJobs", response_model=list[TaskView], tags=["jobs"])
def list_jobs(
    request: fastapi.Request,
    app: Running,
    _: MayRead,
    page: Paged,
    kind: Annotated[list[str] | None, Query()] = None,
    status: Annotated[list[str] | None, Query()] = None,
    input: Annotated[str | None, Query()] = None,  # noqa: A002  (its public name)
) -> JSONResponse:
    """Jobs, newest first."""
    found = tasks.every(app.database, page, kinds=kind or (), statuses=_read_statuses(status), address=input)
    rows = _all_shown(app, found.rows, views.job)
    return listed(request, rows, page, has_more=found.has_more)


@router.get("/tasks/{task_id}", operation_id="getTask", response_model=TaskView)
def get_task(task_id: str, request: fastapi.Request, app: Running, _: MayFollow) -> JSONResponse:
    """One task."""
    task = find(app, task_id)
    return JSONResponse(_shown(app, task, _as_asked(request)))


@router.get("/jobs/{job_id}", operation_id="getJob", response_model=TaskView, tags=["jobs"])
def get_job(job_id: str, app: Running, _: MayFollow) -> JSONResponse:
    """One job."""
    task = find(app, job_id)
    return JSONResponse(_shown(app, task, views.job))


@router.post("/tasks/{task_id}/cancel", operation_id="cancelTask", response_model=TaskView)
async def cancel_task(task_id: str, request: fastapi.Request, app: Running, _: MayWrite) -> JSONResponse:
    """End a task that is not wanted any more: its encode is stopped and what it wrote is removed."""
    task = await end(app, await asyncio.to_thread(find, app, task_id))
    return JSONResponse(_shown(app, task, _as_asked(request)))


@router.delete("/tasks/{task_id}", operation_id="deleteTask", response_model=Deleted)
async def delete_task(task_id: str, app: Running, _: MayWrite) -> JSONResponse:
    """Forget a task and remove its output. One that has not ended is cancelled first."""
    task = await asyncio.to_thread(find, app, task_id)
    await delete(app, task)
    return JSONResponse({"id": task.id, "deleted": True, "message": f"{task.id} and its output are gone."})


async def create(app: App, body: dict[str, Json], task_id: str) -> Task:
    """Check a task request, hand it to the engine, and return the task.

    Raises:
        OptionError, SourceError, Problem: it cannot be done as asked.
    """
    options = {name: value for name, value in body.items() if name not in _NOT_OPTIONS} | (body.get("options") or {})
    kind = kind_named(body["kind"])
    kind.read_options(options)
    webhook_url = body.get("webhook_url")
    if webhook_url is not None:
        if not webhook_url.lower().startswith(("http://", "https://")):
            said = f"webhook_url {webhook_url[:200]!r} is no address."
            raise OptionError("invalid_option", said, "Give http or https.")
        outbound.check(webhook_url, app.settings.private_networks)
    media_id = body.get("media_id")
    address = await asyncio.to_thread(inputs.address_of, app, body)
    if media_id is not None and await asyncio.to_thread(media.get, app.database, media_id) is None:
        raise missing_media(media_id)
    order: dict[str, Json] = {
        "id": task_id,
        "input": address,
        "kind": kind.name,
        "options": options,
        "metadata": body.get("metadata") or {},
        "media_id": media_id,
        "ref": body.get("ref"),
        "webhook_url": webhook_url,
    }
    # The event first: a task without a run would wait for ever, a run without a row makes it.
    await app.engine.send([Event("task/created", order, id=f"{task_id}.created")])
    task = read_order(order, "")
    await asyncio.to_thread(tasks.create, app.database, task)
    return await asyncio.to_thread(find, app, task_id)


async def cancel(app: App, task: Task) -> Task:
    """Cancel a task unless it has ended. Returns it as it then is."""
    if task.is_open:
        # The event first: what it starts cancels the row too, whatever becomes of this process.
        await app.engine.send([Event("task/cancelled", {"id": task.id}, id=f"{task.id}.cancelled")])
        await asyncio.to_thread(tasks.cancel, app.database, task.id)
        await app.announce()
    return await asyncio.to_thread(find, app, task.id)


async def end(app: App, task: Task) -> Task:
    """Cancel a task that has not ended. Returns it as it then is.

    Raises:
        Problem: `task_ended`.
    """
    task = await cancel(app, task)
    if task.status != "cancelled":
        raise Problem("task_ended", 409, f"{task.id} is {task.status}; there is nothing to cancel.")
    return task


async def delete(app: App, task: Task) -> None:
    """Cancel a task unless it has ended, and forget it with all that it stored."""
    await cancel(app, task)
    if app.elsewhere is not None and task.is_open:
        # While its rows still say what it is called there.
        await app.elsewhere.abandon(task.id)
    await app.orders.discard(task.id)
    await asyncio.to_thread(app.orders.forget, task)


def generation(request: fastapi.Request) -> Generation:
    """In which words the client wants tasks told, by the version that it asks for."""
    version = request.headers.get("accept-version") or request.headers.get("accept_version") or ""
    if (version >= "2026-02" and version[:2] == "20") or version in ("latest", "jobs"):
        return "jobs"
    if (version >= "2025-09-15" and version[:2] == "20") or version == "runs":
        return "runs"
    return "media"


def find(app: App, task_id: str) -> Task:
    """The task, also by the id of its job.

    Raises:
        Problem: `task_not_found`.
    """
    task = tasks.get(app.database, f"task_{task_id.removeprefix('job_').removeprefix('task_')}")
    if task is None:
        raise Problem("task_not_found", 404, f"There is no task {task_id}.")
    return task


def waits(app: App, shown: Collection[Task]) -> dict[str, dict[str, Json]]:
    """By task what it waits for that goes on by itself when it is there; nothing of those that wait for nothing."""
    parked = waiting.by_task(app.database, [task.id for task in shown if task.is_open])
    return {task_id: one.to_dict() for task_id, one in parked.items()}


def _read_statuses(given: list[str] | None) -> list[str]:
    statuses = []
    for word in given or []:
        if word not in _WORDS:
            raise Problem("invalid_request", 422, f"status={word!r}: there is none. Give one of {', '.join(_WORDS)}.")
        statuses.append(_WORDS[word])
    return statuses


def _as_asked(request: fastapi.Request) -> Callable[[Task], dict[str, Json]]:
    return partial(views.task, generation=generation(request))


def _shown(app: App, task: Task, view: Callable[[Task], dict[str, Json]]) -> dict[str, Json]:
    return _all_shown(app, [task], view)[0]


def _all_shown(app: App, found: Sequence[Task], view: Callable[[Task], dict[str, Json]]) -> list[dict[str, Json]]:
    """The views, with addresses that the client can read."""
    private = media.private_among(app.database, {task.media_id for task in found if task.media_id})
    waiting_for = waits(app, found)
    return [
        _with_addresses(app, task, view(task), private=task.media_id in private)
        | {"waiting_for": waiting_for.get(task.id)}
        for task in found
    ]


def _with_addresses(app: App, task: Task, view: dict[str, Json], *, private: bool) -> dict[str, Json]:
    source = links.shown(app, task.input, private=private) if task.input.startswith(STORED) else task.input
    given: dict[str, Json] = {"url": source, "input": {"object": "external_file", "url": source}}
    given["inputs"] = [given["input"]]
    if view["object"] == "job":
        given["input"] = source
    if task.output and private:
        url = links.shown(app, task.output.get("url"), private=True)
        output = {**(view["outputs"][0]), "url": url}
        given |= {"output": url if view["object"] == "job" else output, "output_url": url, "outputs": [output]}
    return {**view, **given}
