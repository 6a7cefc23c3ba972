"""Repairs: branches that are done again, from their beginning or from a piece, and branches that are cancelled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

import fastapi
from fastapi import Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from anabranch.api import tasks as task_routes
from anabranch.api.context import MayWrite, Running
from anabranch.api.idempotency import IdempotentRoute
from anabranch.api.media import MediaIds, MediaView, show
from anabranch.api.problems import RESPONSES, Problem, missing_media
from anabranch.catalog import media, tasks
from anabranch.catalog.branches import BRANCHES, named
from anabranch.engine.events import Event
from anabranch.tasks.sources import STORED, gone

if TYPE_CHECKING:
    from anabranch.app import App
    from anabranch.catalog.tasks import Task

Json = Any

router = fastapi.APIRouter(tags=["repairs"], route_class=IdempotentRoute, responses=RESPONSES)


class Retried(BaseModel):
    """What is done again: names of branches by media id."""

    media: dict[str, list[str]]


class AllRetried(Retried):
    """What is done again, and which of the rows that were named are not there."""

    missing: list[str] = Field(description="Of the ids of the request.")


@router.post("/media/{media_id}/branches/{name}/retry", operation_id="retryBranch", response_model=Retried)
async def retry_branch(
    media_id: str,
    name: str,
    app: Running,
    _: MayWrite,
    piece: Annotated[
        str | None,
        Query(
            alias="from", max_length=200, description="A piece: it and those after it are done; the others are kept."
        ),
    ] = None,
) -> JSONResponse:
    """Do one branch again, also one that was done. The others stay as they are."""
    _check_branch(name)
    again = None
    if piece is not None:
        task = await asyncio.to_thread(_newest, app, media_id, name)
        again = {"taskId": task.id, "from": _check_piece(task, piece), "options": task.options}
    await _retry(app, media_id, [name], again)
    return JSONResponse({"media": {media_id: [name]}})


@router.post("/media/{media_id}/branches/{name}/cancel", operation_id="cancelBranch", response_model=MediaView)
async def cancel_branch(media_id: str, name: str, app: Running, _: MayWrite) -> JSONResponse:
    """End a branch that is not wanted: its encode is stopped and what it wrote is removed. The others go on."""
    _check_branch(name)
    task = await asyncio.to_thread(_newest, app, media_id, name)
    await task_routes.end(app, task)
    return JSONResponse(await asyncio.to_thread(show, app, media_id))


@router.post("/media/{media_id}/retry", operation_id="retryMedia", response_model=Retried)
async def retry_media(media_id: str, app: Running, _: MayWrite) -> JSONResponse:
    """Do all branches of a media row again that have failed."""
    names = await asyncio.to_thread(_failed_branches, app, media_id)
    if names:
        await _retry(app, media_id, names)
    return JSONResponse({"media": {media_id: names} if names else {}})


@router.post("/media/retry", operation_id="retryAllMedia", response_model=AllRetried)
async def retry_all(
    app: Running,
    _: MayWrite,
    body: MediaIds | None = None,
    status: Annotated[list[Literal["degraded", "failed"]] | None, Query()] = None,
    branch: Annotated[str | None, Query(description="Only this branch.")] = None,
    error_code: Annotated[str | None, Query(description="Only what failed with this code.")] = None,
    created_after: Annotated[int | None, Query(ge=0, le=2**53, description="Unix milliseconds.")] = None,
    created_before: Annotated[int | None, Query(ge=0, le=2**53, description="Unix milliseconds.")] = None,
) -> JSONResponse:
    """Do all failed branches again of the media rows that match; with ids in the body, of those of them."""
    if branch is not None:
        _check_branch(branch)
    named = None if body is None else list(dict.fromkeys(body.ids))
    ids = await asyncio.to_thread(
        media.ids,
        app.database,
        statuses=status or ("degraded", "failed"),
        created_after=created_after,
        created_before=created_before,
        among=named,
    )
    retried: dict[str, list[str]] = {}
    for media_id in ids:
        try:
            names = await asyncio.to_thread(_failed_branches, app, media_id, error_code)
            names = [name for name in names if branch in (None, name)]
            if names:
                await _retry(app, media_id, names)
                retried[media_id] = names
        except Problem as problem:
            # It was deleted meanwhile.
            if problem.status != 404:
                raise
    there = await asyncio.to_thread(media.ids, app.database, among=named) if named else []
    return JSONResponse({"media": retried, "missing": [one for one in named or () if one not in there]})


def _check_branch(name: str) -> None:
    if named(name) is None:
        known = ", ".join(branch.step_id for branch in BRANCHES)
        raise Problem("branch_not_found", 404, f"There is no branch {name[:100]}. There are: {known}.")


def _newest(app: App, media_id: str, name: str) -> Task:
    """The task of a branch that counts."""
    if media.get(app.database, media_id) is None:
        raise missing_media(media_id)
    found = [task for task in tasks.of_media(app.database, media_id) if task.ref == name]
    if not found:
        raise Problem("branch_not_begun", 409, f"{name} of {media_id} has not begun yet.", retryable=True)
    return max(found, key=lambda task: task.id)


def _check_piece(task: Task, piece: str) -> str:
    """The piece, if the task can be done from there."""
    if task.is_open:
        raise Problem("branch_running", 409, f"{task.ref} of {task.media_id} is being done. Cancel it first, or wait.")
    names = [one["name"] for one in task.pieces or ()]
    if piece not in (*names, "join"):
        known = ", ".join([*names, "join"] if names else ["none, since it was never planned"])
        raise Problem("piece_not_found", 404, f"{task.ref} has no piece {piece!r}. There are: {known}.")
    return piece


def _failed_branches(app: App, media_id: str, error_code: str | None = None) -> list[str]:
    record = media.record(app.database, media_id)
    if record is None:
        raise missing_media(media_id)
    if record["status"] == "failed" and not record["branches"]:
        return [branch.step_id for branch in BRANCHES]
    return [
        branch["name"]
        for branch in record["branches"]
        if branch["status"] in ("failed", "cancelled") and error_code in (None, (branch["error"] or {}).get("code"))
    ]


def _check_source(app: App, address: str) -> None:
    """Leave a row as it is that cannot be done again: what it has would be lost for nothing.

    Raises:
        SourceError: `source_gone`.
    """
    key = address.removeprefix(STORED)
    if key != address and not app.storage.exists(key):
        raise gone(key)


async def _retry(app: App, media_id: str, names: list[str], again: dict[str, Json] | None = None) -> None:
    row = await asyncio.to_thread(media.get, app.database, media_id)
    if row is None:
        raise missing_media(media_id)
    if row.status == "waiting":
        raise Problem("media_waiting", 409, f"{media_id} waits for its bytes; there is nothing to do again yet.")
    # To join what is there nothing of the source is needed.
    if again is None or again["from"] != "join":
        await asyncio.to_thread(_check_source, app, row.source_url)
    await asyncio.to_thread(media.reopen, app.database, media_id)
    data = {"mediaId": media_id, "sourceUrl": row.source_url, "branches": names}
    await app.engine.send([Event("video/uploaded", data if again is None else {**data, "again": again})])
