"""Files: what clients may read and use as input. Sources that came in, and the outputs of tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch import clock, pages
from anabranch.catalog.tables import files
from anabranch.database import insert_once

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anabranch.pages import Page

Json = Any


@dataclass(frozen=True)
class File:
    """A file, there or on its way.

    Attributes:
        task_id: the task that made or fetches it, or None.
        object: `source`, `track` (captions) or `intelligence` (a transcript).
        kind: `video`, `image`, `audio` or `text`.
        type: MIME type.
        status: `waiting`, `ready`, `failed`, or `gone`: a source that is not kept any more.
        key: where its bytes are in storage; None unless ready.
        facts: width, height, duration and the like, as far as known.
        original: the address that it was fetched from, or None.
    """

    id: str
    media_id: str | None
    task_id: str | None
    object: str
    kind: str
    type: str
    status: str
    key: str | None
    filesize: int | None
    facts: dict[str, Json]
    ref: str | None
    folder: str | None
    filename: str | None
    metadata: dict[str, Json]
    original: str | None
    created_at: int
    updated_at: int


def id_of(owner_id: str) -> str:
    """The id of the file that a task makes, or that a media row was made of."""
    return f"file_{owner_id.removeprefix('task_').removeprefix('med_')}"


def create(database: sa.Engine, file_id: str, values: Mapping[str, Json]) -> File:
    """Insert a file, unless there is one of this id. Returns the one that is there."""
    with database.begin() as connection:
        _insert(connection, file_id, values)
    found = get(database, file_id)
    assert found is not None
    return found


def enter(connection: sa.Connection, file_id: str, entry: Mapping[str, Json], made: Mapping[str, Json]) -> None:
    """Insert a file that was made, or change the one of this id to what was. Part of the caller's transaction."""
    _insert(connection, file_id, {**entry, **made})
    connection.execute(files.update().where(files.c.id == file_id).values(updated_at=clock.now_ms(), **made))


def _insert(connection: sa.Connection, file_id: str, values: Mapping[str, Json]) -> None:
    now = clock.now_ms()
    defaults = {
        "object": "source",
        "status": "waiting",
        "facts": {},
        "metadata": {},
        "created_at": now,
        "updated_at": now,
    }
    connection.execute(insert_once(connection.engine, files).values({**defaults, **values, "id": file_id}))


def get(database: sa.Engine, file_id: str) -> File | None:
    """The file, or None."""
    with database.connect() as connection:
        row = connection.execute(sa.select(files).where(files.c.id == file_id)).one_or_none()
    return File(**row._mapping) if row else None


def of_task(database: sa.Engine, task_id: str) -> File | None:
    """The file that a task made, or None."""
    with database.connect() as connection:
        row = connection.execute(sa.select(files).where(files.c.task_id == task_id)).first()
    return File(**row._mapping) if row else None


def of_media(database: sa.Engine, media_id: str) -> list[File]:
    """The files of a media row, oldest first."""
    with database.connect() as connection:
        rows = connection.execute(sa.select(files).where(files.c.media_id == media_id).order_by(files.c.id))
        return [File(**row._mapping) for row in rows]


def every(
    database: sa.Engine, page: Page, *, media_id: str | None = None, kind: str | None = None
) -> pages.Found[File]:
    """A page of files."""
    found = sa.select(files)
    if media_id is not None:
        found = found.where(files.c.media_id == media_id)
    if kind is not None:
        found = found.where(files.c.kind == kind)
    return pages.read(database, found, files.c.id, page, lambda row: File(**row._mapping))


def change(database: sa.Engine, file_id: str, values: Mapping[str, Json]) -> bool:
    """Change some of it. False when there is no such file."""
    with database.begin() as connection:
        changed = connection.execute(
            files.update().where(files.c.id == file_id).values(updated_at=clock.now_ms(), **values)
        )
    return bool(changed.rowcount)


def delete(database: sa.Engine, file_id: str) -> None:
    """Forget a file; its bytes are the caller's business."""
    with database.begin() as connection:
        connection.execute(files.delete().where(files.c.id == file_id))


def named(database: sa.Engine, folder: str | None, filename: str) -> File | None:
    """The newest file of this name in this folder, or None."""
    found = sa.select(files).where(files.c.filename == filename, files.c.folder.is_not_distinct_from(folder))
    with database.connect() as connection:
        row = connection.execute(found.order_by(files.c.id.desc())).first()
    return File(**row._mapping) if row else None
