"""Files: sources and outputs that clients may list, read, and use as input. Compatible with the Ittybit API."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import fastapi
from fastapi import Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from anabranch import views
from anabranch.api import links
from anabranch.api import tasks as task_routes
from anabranch.api.context import MayFollow, MayRead, MayUpload, MayWrite, Paged, Running, listed
from anabranch.api.idempotency import IdempotentRoute, id_for
from anabranch.api.problems import RESPONSES, Problem
from anabranch.api.uploads import FileView
from anabranch.catalog import files, media

if TYPE_CHECKING:
    from anabranch.app import App

Json = Any

router = fastapi.APIRouter(prefix="/files", tags=["files"], route_class=IdempotentRoute, responses=RESPONSES)


class FileChange(BaseModel):
    """What a client says of a file."""

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"examples": [{"folder": "films", "filename": "a.mp4"}]}
    )

    folder: str | None = Field(None, max_length=1000)
    filename: str | None = Field(None, max_length=255)
    ref: str | None = Field(None, max_length=200)
    metadata: dict[str, Any] | None = None


class FileRequest(FileChange):
    """A file to fetch and keep."""

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"examples": [{"url": "https://example.com/film.mp4", "folder": "films"}]}
    )

    url: str = Field(description="Where it is now.")
    media_id: str | None = Field(None, description="A media row that it belongs to.")


@router.post("", status_code=201, operation_id="createFile", response_model=FileView)
async def create_file(body: FileRequest, request: fastapi.Request, app: Running, _: MayUpload) -> JSONResponse:
    """Fetch a file and keep it. Its status is `ready` when its bytes are here."""
    task_id = id_for(request, "task")
    order = {"kind": "import", "input": body.url, "media_id": body.media_id, "ref": body.ref}
    # The row first: the task fills it in, however soon it is done.
    values = body.model_dump(include=set(FileChange.model_fields), exclude_none=True)
    entry = {**values, "media_id": body.media_id, "task_id": task_id, "original": body.url}
    file_id = files.id_of(task_id)
    unknown = {"kind": "video", "type": "application/octet-stream"}
    file = await asyncio.to_thread(files.create, app.database, file_id, {**unknown, **entry})
    try:
        await task_routes.create(app, order, task_id)
    except BaseException:
        await asyncio.to_thread(files.delete, app.database, file_id)
        raise
    return JSONResponse(_show(app, file), 201)


@router.get("", operation_id="listFiles", response_model=list[FileView])
def list_files(
    request: fastapi.Request,
    app: Running,
    _: MayRead,
    page: Paged,
    media_id: str | None = None,
    kind: Annotated[str | None, Query(description="video, image, audio or text")] = None,
) -> JSONResponse:
    """Files, newest first."""
    found = files.every(app.database, page, media_id=media_id, kind=kind)
    return listed(request, [_show(app, file) for file in found.rows], page, has_more=found.has_more)


@router.get("/{file_id}", operation_id="getFile", response_model=FileView)
def get_file(file_id: str, app: Running, _: MayFollow) -> JSONResponse:
    """One file."""
    return JSONResponse(_show(app, _find(app, file_id)))


@router.patch("/{file_id}", operation_id="updateFile", response_model=FileView)
def update_file(file_id: str, body: FileChange, app: Running, _: MayWrite) -> JSONResponse:
    """Change what you say of a file."""
    _find(app, file_id)
    files.change(app.database, file_id, body.model_dump(exclude_none=True))
    return JSONResponse(_show(app, _find(app, file_id)))


@router.delete("/{file_id}", operation_id="deleteFile", response_model=task_routes.Deleted)
def delete_file(file_id: str, app: Running, _: MayWrite) -> JSONResponse:
    """Remove a file and its bytes."""
    file = _find(app, file_id)
    files.delete(app.database, file_id)
    if file.key is not None:
        app.storage.delete(file.key)
    return JSONResponse({"id": file_id, "deleted": True, "message": f"{file_id} is gone."})


def _find(app: App, file_id: str) -> files.File:
    file = files.get(app.database, file_id)
    if file is None:
        raise Problem("file_not_found", 404, f"There is no file {file_id}.")
    return file


def _show(app: App, file: files.File) -> dict[str, Json]:
    row = media.get(app.database, file.media_id) if file.media_id else None
    url = links.of_key(app, file.key, private=bool(row and row.private)) if file.key else None
    return views.file(file, url)
