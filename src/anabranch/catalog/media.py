"""Media: the row that users hold. Created with an upload, assembled when its branches have ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch import clock
from anabranch.catalog import tasks
from anabranch.catalog.tables import media
from anabranch.database import insert_once

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = Any


@dataclass(frozen=True)
class Media:
    """An uploaded video or sound, and what became of it.

    Attributes:
        status: `processing`, `ready`, `degraded` (an optional branch failed for good) or `failed`.
        duration_s: length in seconds; None until known.
        width: as shown, in pixels; None until known or without a picture.
        height: as shown, in pixels.
        size_bytes: of the source.
        renditions: each one's name, size, codecs and bit rates.
        error: code, message and whether it may be tried again, when `failed`.
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
    created_at: int
    updated_at: int


def create(database: sa.Engine, media_id: str, source_url: str) -> None:
    """Insert a row that is `processing`, unless there is one."""
    now = clock.now_ms()
    with database.begin() as connection:
        connection.execute(
            insert_once(database, media).values(
                id=media_id,
                status="processing",
                source_url=source_url,
                renditions=[],
                created_at=now,
                updated_at=now,
            )
        )


def get(database: sa.Engine, media_id: str) -> Media | None:
    """The media row, or None."""
    with database.connect() as connection:
        row = connection.execute(sa.select(media).where(media.c.id == media_id)).one_or_none()
    return Media(**row._mapping) if row else None


def describe(database: sa.Engine, media_id: str, facts: Mapping[str, Json]) -> None:
    """Note what the probe saw: `duration_s`, `width`, `height`, `size_bytes`."""
    _change(database, media_id, **facts)


def assemble(database: sa.Engine, media_id: str, values: Mapping[str, Json]) -> None:
    """Note what the branches came to: status, addresses, renditions, error."""
    _change(database, media_id, **values)


def _change(database: sa.Engine, media_id: str, **values: Any) -> None:
    with database.begin() as connection:
        connection.execute(media.update().where(media.c.id == media_id).values(updated_at=clock.now_ms(), **values))


def record(database: sa.Engine, media_id: str) -> dict[str, Json] | None:
    """The media record as users see it, with how each branch fared; None when there is no such row."""
    row = get(database, media_id)
    if row is None:
        return None
    return {
        "id": row.id,
        "status": row.status,
        "hlsUrl": row.hls_url,
        "posterUrl": row.poster_url,
        "gifUrl": row.gif_url,
        "transcriptionUrl": row.transcription_url,
        "sourceUrl": row.source_url,
        "durationS": row.duration_s,
        "width": row.width,
        "height": row.height,
        "sizeBytes": row.size_bytes,
        "renditions": row.renditions,
        "branches": [_branch(task) for task in tasks.of_media(database, media_id)],
        "error": row.error,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
    }


def _branch(task: tasks.Task) -> dict[str, Json]:
    took_ms = task.finished_at - task.started_at if task.finished_at and task.started_at else None
    return {
        "name": task.ref or task.kind,
        "taskId": task.id,
        "kind": task.kind,
        "status": task.status,
        "progress": task.progress,
        "url": (task.output or {}).get("url"),
        "reason": (task.output or {}).get("reason"),
        "error": task.error,
        "tookS": None if took_ms is None else took_ms / 1000,
    }
