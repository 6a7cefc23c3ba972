"""Uploads: those that come in parts. How much has come is the size of the partial file, never a number here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from anabranch import clock
from anabranch.catalog.tables import uploads
from anabranch.ids import new_id

Json = Any


@dataclass(frozen=True)
class Upload:
    """An upload in parts.

    Attributes:
        media_id: the media row that it will become.
        size_bytes: of the whole; None until the client says.
        metadata: what the client said of it: filename, filetype, title.
        expires_at: when it is given up unless it has been finished; Unix milliseconds.
    """

    id: str
    media_id: str
    size_bytes: int | None
    metadata: dict[str, Json]
    created_at: int
    expires_at: int
    finished_at: int | None


def create(database: sa.Engine, size_bytes: int | None, metadata: dict[str, Json], *, kept_ms: int) -> Upload:
    """A new upload, for a media row of its own."""
    now = clock.now_ms()
    upload = Upload(new_id("upl"), new_id("med"), size_bytes, metadata, now, now + kept_ms, None)
    with database.begin() as connection:
        connection.execute(uploads.insert().values(vars(upload)))
    return upload


def get(database: sa.Engine, upload_id: str) -> Upload | None:
    """The upload, or None."""
    with database.connect() as connection:
        row = connection.execute(sa.select(uploads).where(uploads.c.id == upload_id)).one_or_none()
    return Upload(**row._mapping) if row else None


def unfinished(database: sa.Engine) -> list[Upload]:
    """The uploads that have not been finished, oldest first."""
    with database.connect() as connection:
        rows = connection.execute(sa.select(uploads).where(uploads.c.finished_at.is_(None)).order_by(uploads.c.id))
        return [Upload(**row._mapping) for row in rows]


def set_size(database: sa.Engine, upload_id: str, size_bytes: int) -> None:
    """Note how large the whole is."""
    with database.begin() as connection:
        connection.execute(uploads.update().where(uploads.c.id == upload_id).values(size_bytes=size_bytes))


def finish(database: sa.Engine, upload_id: str) -> None:
    """Note that all of it has come and has been stored."""
    with database.begin() as connection:
        connection.execute(uploads.update().where(uploads.c.id == upload_id).values(finished_at=clock.now_ms()))


def delete(database: sa.Engine, upload_id: str) -> None:
    """Forget an upload."""
    with database.begin() as connection:
        connection.execute(uploads.delete().where(uploads.c.id == upload_id))
