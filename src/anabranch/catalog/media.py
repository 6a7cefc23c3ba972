"""Media: the row that users hold. Created with an upload, assembled when its branches have ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch import clock, pages
from anabranch.catalog import changes, tasks
from anabranch.catalog.branches import BRANCHES
from anabranch.catalog.tables import media
from anabranch.catalog.tables import tasks as task_rows
from anabranch.database import insert_once

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from anabranch.catalog.tasks import Task
    from anabranch.pages import Page

Json = Any

# What of a record is the address of something stored.
ADDRESSES = ("hlsUrl", "dashUrl", "posterUrl", "gifUrl", "transcriptionUrl", "captionsUrl", "storyboardUrl")


@dataclass(frozen=True)
class Media:
    """An uploaded video or sound, and what became of it.

    Attributes:
        status: `waiting` (for an upload), `processing`, `ready`, `degraded` (an optional branch failed for good)
            or `failed`.
        duration_s: length in seconds; None until known.
        width: as shown, in pixels; None until known or without a picture.
        height: as shown, in pixels.
        size_bytes: of the source.
        renditions: each one's name, size, codecs and bit rates.
        error: code, message and whether it may be tried again, when `failed`.
        private: whether its files are served to signed addresses only.
        progress: percent, 0 to 100.
    """

    id: str
    status: str
    source_url: str
    duration_s: float | None
    width: int | None
    height: int | None
    size_bytes: int | None
    hls_url: str | None
    poster_url: str | None
    gif_url: str | None
    transcription_url: str | None
    renditions: list[dict[str, Json]]
    error: dict[str, Json] | None
    title: str | None
    alt: str | None
    metadata: dict[str, Json]
    private: bool
    progress: float
    created_at: int
    updated_at: int


def create(database: sa.Engine, media_id: str, source_url: str, *, status: str = "processing", **details: Any) -> None:
    """Insert a row, unless there is one. `details` are title, alt, metadata, private and size_bytes."""
    with changes.telling(database) as connection:
        _insert(connection, media_id, source_url, status, **details)


def open_for(database: sa.Engine, task: Task) -> bool:
    """Insert a task and the row that it is for, unless they are there.

    False, and nothing is there, when the row was deleted since the task was asked for: who asked did not know yet.
    """
    with changes.telling(database) as connection:
        # Nobody can delete the row between the look and the writing, for who deletes one tells of it.
        if task.media_id is not None:
            if changes.deleted_since(connection, task.media_id, task.created_at):
                return False
            _insert(connection, task.media_id, task.input, "processing")
        tasks.insert(connection, task)
    return True


def _insert(connection: sa.Connection, media_id: str, source_url: str, status: str, **details: Any) -> None:
    now = clock.now_ms()
    values = {"metadata": {}, "private": False, "progress": 0.0, "renditions": []} | details
    added = connection.execute(
        insert_once(connection.engine, media).values(
            id=media_id, status=status, source_url=source_url, created_at=now, updated_at=now, **values
        )
    )
    if added.rowcount:
        changes.record(connection, "media.created", _record(connection, media_id), media_id=media_id)


def begin(database: sa.Engine, media_id: str, source_url: str, size_bytes: int | None = None) -> None:
    """Note that the source of a row that waited for it has come."""
    with database.begin() as connection:
        connection.execute(
            media.update()
            .where(media.c.id == media_id, media.c.status == "waiting")
            .values(status="processing", source_url=source_url, size_bytes=size_bytes, updated_at=clock.now_ms())
        )


def unbegun(database: sa.Engine) -> list[tuple[str, str]]:
    """Rows that have a source and no task yet, as id and address: their fan-out may never have been asked for."""
    waits = (media.c.status == "processing") & (media.c.source_url != "")
    begun = sa.exists().where(task_rows.c.media_id == media.c.id)
    with database.connect() as connection:
        found = connection.execute(sa.select(media.c.id, media.c.source_url).where(waits, ~begun))
        return [(row.id, row.source_url) for row in found]


def get(database: sa.Engine, media_id: str) -> Media | None:
    """The media row, or None."""
    with database.connect() as connection:
        return _read(connection, media_id)


def _read(connection: sa.Connection, media_id: str) -> Media | None:
    row = connection.execute(sa.select(media).where(media.c.id == media_id)).one_or_none()
    return Media(**row._mapping) if row else None


def private_among(database: sa.Engine, media_ids: Collection[str]) -> set[str]:
    """Those of the media rows that only signed addresses open."""
    if not media_ids:
        return set()
    asked = sa.select(media.c.id).where(media.c.id.in_(media_ids), media.c.private)
    with database.connect() as connection:
        return set(connection.scalars(asked))


def describe(database: sa.Engine, media_id: str, facts: Mapping[str, Json]) -> None:
    """Note what the probe saw: `duration_s`, `width`, `height`, `size_bytes`."""
    _change(database, media_id, **facts)


def change(database: sa.Engine, media_id: str, values: Mapping[str, Json]) -> None:
    """Change title, alt, metadata or private."""
    _change(database, media_id, **values)


def _change(database: sa.Engine, media_id: str, **values: Any) -> None:
    with database.begin() as connection:
        connection.execute(media.update().where(media.c.id == media_id).values(updated_at=clock.now_ms(), **values))


def reopen(database: sa.Engine, media_id: str) -> None:
    """Note that a branch of a row that had ended is done again."""
    _change(database, media_id, status="processing", error=None)


def assemble(database: sa.Engine, media_id: str) -> dict[str, Json]:
    """Write what the branches came to into the row, tell of it, and return the record.

    The latest task of each branch counts. While one of them is still at work the row stays `processing`: whoever
    ends last assembles it.
    """
    with changes.telling(database) as connection:
        found = _latest(connection, media_id)
        values: dict[str, Json] = {"renditions": []}
        errors: dict[str, Json] = {}
        for branch in BRANCHES:
            task = found.get(branch.step_id)
            if task is None:
                continue
            output = task.output or {}
            values[branch.column] = output.get("url")
            values["renditions"] += output.get("renditions") or []
            if task.status in ("failed", "cancelled"):
                errors[branch.step_id] = task.error
        if any(task.is_open for task in found.values()):
            status, error = "processing", None
        else:
            status, error = _status(errors)
            values["progress"] = media.c.progress if status == "failed" else 100.0
        # One that had ended is told of when it ended otherwise now: its run was done again.
        ended_otherwise = media.c.status.in_(("degraded", "failed")) & (media.c.status != status)
        changed = connection.execute(
            media.update()
            .where(media.c.id == media_id, (media.c.status == "processing") | ended_otherwise)
            .values(status=status, error=error, updated_at=clock.now_ms(), **values)
        )
        seen = _record(connection, media_id)
        if changed.rowcount and status != "processing":
            changes.record(connection, f"media.{status}", seen, media_id=media_id)
    return seen


def fail(database: sa.Engine, media_id: str, error: Mapping[str, Json]) -> None:
    """End a row that is still open with an error."""
    with changes.telling(database) as connection:
        changed = connection.execute(
            media.update()
            .where(media.c.id == media_id, media.c.status == "processing")
            .values(status="failed", error=dict(error), updated_at=clock.now_ms())
        )
        if changed.rowcount:
            changes.record(connection, "media.failed", _record(connection, media_id), media_id=media_id)


def _status(errors: Mapping[str, Json]) -> tuple[str, Json]:
    for branch in BRANCHES:
        if branch.required and branch.step_id in errors:
            return "failed", errors[branch.step_id]
    return ("degraded" if errors else "ready"), None


def every(
    database: sa.Engine,
    page: Page,
    *,
    statuses: Sequence[str] = (),
    created_after: int | None = None,
    created_before: int | None = None,
    about: sa.ColumnElement[bool] | None = None,
) -> pages.Found[str]:
    """A page of the ids of media rows; of those `about` something if given."""
    found = _matching(statuses, created_after, created_before)
    if about is not None:
        found = found.where(about)
    return pages.read(database, found, media.c.id, page, lambda row: str(row.id))


def ids(
    database: sa.Engine,
    *,
    statuses: Sequence[str] = (),
    created_after: int | None = None,
    created_before: int | None = None,
    among: Sequence[str] | None = None,
) -> list[str]:
    """The ids of media rows, oldest first: of these statuses, between two times (Unix milliseconds), among some."""
    found = _matching(statuses, created_after, created_before).order_by(media.c.id)
    if among is not None:
        found = found.where(media.c.id.in_(among))
    with database.connect() as connection:
        return list(connection.scalars(found))


def moving(database: sa.Engine, since_ms: int | None) -> list[str]:
    """The ids of the rows at work, or of those of which anything has changed since a time (Unix milliseconds)."""
    if since_ms is None:
        found = sa.select(media.c.id).where(media.c.status == "processing")
    else:
        found = sa.select(media.c.id).where(
            (media.c.updated_at >= since_ms)
            | media.c.id.in_(sa.select(task_rows.c.media_id).where(task_rows.c.updated_at >= since_ms))
        )
    with database.connect() as connection:
        return list(connection.scalars(found.order_by(media.c.id)))


def _matching(statuses: Sequence[str], created_after: int | None, created_before: int | None) -> sa.Select[tuple[str]]:
    found = sa.select(media.c.id)
    if statuses:
        found = found.where(media.c.status.in_(statuses))
    if created_after is not None:
        found = found.where(media.c.created_at > created_after)
    if created_before is not None:
        found = found.where(media.c.created_at < created_before)
    return found


def delete(database: sa.Engine, media_id: str) -> bool:
    """Forget a row, and tell of it. Its tasks, files and bytes are the caller's business. False when there is none."""
    with changes.telling(database) as connection:
        if connection.scalar(sa.select(media.c.id).where(media.c.id == media_id)) is None:
            return False
        changes.record(connection, "media.deleted", _record(connection, media_id), media_id=media_id)
        connection.execute(media.delete().where(media.c.id == media_id))
    return True


def record(database: sa.Engine, media_id: str) -> dict[str, Json] | None:
    """The media record as users see it, with how each branch fared; None when there is no such row."""
    found = record_and_tasks(database, media_id)
    return None if found is None else found[0]


def record_and_tasks(database: sa.Engine, media_id: str) -> tuple[dict[str, Json], list[Task]] | None:
    """The same, and the tasks of its branches: more of them than users see, from the same look."""
    with database.connect() as connection:
        row = _read(connection, media_id)
        if row is None:
            return None
        found = _latest(connection, media_id)
    record = _told(row, found)
    branches = {branch["taskId"] for branch in record["branches"]}
    return record, [task for task in found.values() if task.id in branches]


def _record(connection: sa.Connection, media_id: str) -> dict[str, Json]:
    row = _read(connection, media_id)
    assert row is not None
    return _told(row, _latest(connection, media_id))


def _told(row: Media, found: Mapping[str, Task]) -> dict[str, Json]:
    urls = {
        branch.column: (found[branch.step_id].output or {}).get("url") if branch.step_id in found else None
        for branch in BRANCHES
    }
    package = (found["hls-package"].output or {}) if "hls-package" in found else {}
    written = (found["audio-transcription"].output or {}) if "audio-transcription" in found else {}
    return {
        "id": row.id,
        "object": "media",
        "status": row.status,
        "playable": urls["hls_url"] is not None,
        "percent": round(row.progress, 1),
        "title": row.title,
        "alt": row.alt,
        "metadata": row.metadata,
        "private": row.private,
        "hlsUrl": urls["hls_url"],
        "dashUrl": package.get("dashUrl"),
        "posterUrl": urls["poster_url"],
        "gifUrl": urls["gif_url"],
        "transcriptionUrl": urls["transcription_url"],
        "captionsUrl": written.get("captionsUrl"),
        "storyboardUrl": package.get("storyboardUrl"),
        "sourceUrl": row.source_url,
        "durationS": row.duration_s,
        "width": row.width,
        "height": row.height,
        "sizeBytes": row.size_bytes,
        "renditions": row.renditions or package.get("renditions", []),
        "branches": [_branch(found[branch.step_id]) for branch in BRANCHES if branch.step_id in found],
        "error": row.error,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
    }


def _latest(connection: sa.Connection, media_id: str) -> dict[str, Task]:
    """The newest task of each branch."""
    found = sa.select(task_rows).where(task_rows.c.media_id == media_id, task_rows.c.ref.is_not(None))
    return {str(row.ref): tasks.read(row) for row in connection.execute(found.order_by(task_rows.c.id))}


def _branch(task: Task) -> dict[str, Json]:
    took_ms = task.finished_at - task.started_at if task.finished_at and task.started_at else None
    return {
        "name": task.ref or task.kind,
        "taskId": task.id,
        "kind": task.kind,
        "status": task.status,
        "progress": round(task.progress, 1),
        "url": (task.output or {}).get("url"),
        "reason": (task.output or {}).get("reason"),
        "error": task.error,
        "tookS": None if took_ms is None else took_ms / 1000,
    }
