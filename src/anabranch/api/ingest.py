"""Ingest: bytes that clients send, on their way to being a source. On disk at every moment, never in memory."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import secrets
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from anabranch.api.problems import Problem
from anabranch.app import UPLOADED, begin_upload, upload_event
from anabranch.catalog import files, media
from anabranch.database import persist
from anabranch.errors import ResourceError
from anabranch.room import said
from anabranch.tasks.sources import STORED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Hashable, Mapping
    from pathlib import Path

    import fastapi

    from anabranch.app import App

Json = Any
F = TypeVar("F", bound="Callable[..., Any]")

_log = structlog.get_logger(__name__)

_BLOCK_BYTES = 1 << 20


def streams(*, but: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Marks a route whose bodies go to the disk as they come, so that they may be larger than others.

    Args:
        but: content types that it reads whole.
    """

    def mark(route: F) -> F:
        route.reads_whole = but  # type: ignore[attr-defined]
        return route

    return mark


def type_of(headers: Mapping[str, str]) -> str:
    """The type of a body, without parameters; empty when it is not told."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def length_of(headers: Mapping[str, str]) -> int | None:
    """How many bytes a body is said to have; None when it is not told."""
    told = headers.get("content-length", "")
    # Twenty digits are more than any disk has bytes.
    return int(told[:20]) if told.isascii() and told.isdigit() else None


def is_streamed(route: object, headers: Mapping[str, str]) -> bool:
    """Whether a route takes this body to the disk as it comes; else it is read whole."""
    reads_whole = getattr(route, "reads_whole", None)
    return reads_whole is not None and type_of(headers) not in reads_whole


def folder(app: App) -> Path:
    """Where uploads stand until they are whole."""
    place = app.settings.home / "uploads"
    place.mkdir(parents=True, exist_ok=True)
    return place


@contextlib.asynccontextmanager
async def arriving(app: App, request: fastapi.Request, media_id: str) -> AsyncIterator[Path]:
    """A file for an upload that comes in one go; removed at the end, whatever happens.

    Raises:
        ResourceError: `disk_full`, the request says how long it is and there is no room for that.
    """
    path = folder(app) / f"once-{media_id}.{secrets.token_hex(8)}"
    told = length_of(request.headers)
    try:
        if told is not None:
            await asyncio.to_thread(reserve, app, path, path, told)
        yield path
    finally:
        app.room.withdraw(path)
        path.unlink(missing_ok=True)


def reserve(app: App, whom: Hashable, path: Path, size_bytes: int) -> None:
    """Promise an upload the room that it takes, before any of it is taken; less what has come already.

    Raises:
        ResourceError: `disk_full`.
    """
    # More is not taken, and told of otherwise.
    size_bytes = min(size_bytes, app.settings.max_upload_bytes)

    def open_bytes() -> int:
        try:
            return max(0, size_bytes - path.stat().st_size)
        except FileNotFoundError:
            return size_bytes

    left = app.room.take(whom, open_bytes)
    if left is not None:
        raise ResourceError(
            "disk_full",
            f"The upload needs {said(open_bytes())}, and there is room for {said(left)}.",
            "Nothing was taken. Free some space on the server, or send it later.",
        )


async def take_up(app: App) -> None:
    """Put right what the process before this one was killed at: its uploads in one go, and fan-outs not yet asked for.

    Nobody was told that an upload without a row has come, so nothing is left of it. A row has its source, and the event
    that starts its fan-out counts once.
    """
    await asyncio.to_thread(_forget_unentered, app)
    begun = await asyncio.to_thread(media.unbegun, app.database)
    events = {upload_event(one): {"mediaId": one, "sourceUrl": address} for one, address in begun}
    if not events:
        return
    try:
        await app.send(UPLOADED, events)
    except ResourceError as error:
        _log.warning("uploads cannot be begun", uploads=len(events), error=str(error))


def _forget_unentered(app: App) -> None:
    for left in folder(app).glob("once-*"):
        media_id = left.name.removeprefix("once-").partition(".")[0]
        if media.get(app.database, media_id) is None:
            app.storage.delete_all(list(app.storage.keys(f"sources/{media_id}/")))
        left.unlink(missing_ok=True)


class Arrival:
    """Appends to a file what a client sends, in large writes off the event loop, up to a limit.

    Args:
        path: the file.
        limit_bytes: how large it may become.
    """

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self.size_bytes = path.stat().st_size if path.exists() else 0

    async def take(self, block: bytes) -> None:
        """Take the next bytes.

        Raises:
            Problem: `too_large`.
            ResourceError: `disk_full`.
        """
        self.size_bytes += len(block)
        if self.size_bytes > self._limit_bytes:
            self._waiting.clear()
            raise Problem("too_large", 413, f"More than the {self._limit_bytes:,} bytes that are taken here.")
        self._waiting.append(block)
        self._waiting_bytes += len(block)
        if self._waiting_bytes >= _BLOCK_BYTES:
            await self._write(sync=False)

    async def close(self) -> None:
        """Return once all that was taken is on the disk."""
        await self._write(sync=True)

    async def _write(self, *, sync: bool) -> None:
        blocks, self._waiting, self._waiting_bytes = self._waiting, [], 0
        await asyncio.to_thread(_append, self._path, blocks, sync)


def _append(path: Path, blocks: list[bytes], sync: bool) -> None:
    try:
        with path.open("ab") as file:
            file.writelines(blocks)
            file.flush()
            if sync:
                os.fsync(file.fileno())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise ResourceError(
                "disk_full", "There is no room for the upload.", "Free some space, and go on with it."
            ) from error
        raise


async def receive(app: App, request: fastapi.Request, path: Path) -> None:
    """Write the whole body of a request to a file.

    Raises:
        Problem: `too_large`.
        ResourceError: `disk_full`.
    """
    arrival = Arrival(path, app.settings.max_upload_bytes)
    async for block in request.stream():
        await arrival.take(block)
    await arrival.close()


async def finish(
    app: App, media_id: str, path: Path, filename: str, content_type: str, details: dict[str, Json]
) -> None:
    """Make a source of a whole upload: store it, enter it, and start the fan-out. Doing it again changes nothing.

    Raises:
        Problem: `empty_file`.
        ResourceError: `disk_full` or `storage_unavailable`.
    """
    size_bytes = (await asyncio.to_thread(path.stat)).st_size
    if size_bytes == 0:
        raise Problem("empty_file", 422, "The upload has no bytes. It was probably cut short; repeat it.")
    key = f"sources/{media_id}/source{_ending(filename)}"
    await asyncio.to_thread(app.storage.put, key, path, content_type)

    def enter() -> None:
        values = {
            "media_id": media_id,
            "kind": content_type.partition("/")[0] if content_type.startswith(("video/", "audio/")) else "video",
            "type": content_type,
            "status": "ready",
            "key": key,
            "filesize": size_bytes,
            "ref": "source",
            "filename": filename or None,
        }
        files.create(app.database, files.id_of(media_id), values)
        media.create(app.database, media_id, STORED + key, size_bytes=size_bytes, **details)
        media.begin(app.database, media_id, STORED + key, size_bytes)

    await asyncio.to_thread(persist, enter)
    await start(app, media_id, STORED + key)


async def start(app: App, media_id: str, address: str) -> None:
    """Start the fan-out of a media row whose source is there.

    Raises:
        ResourceError: `engine_unavailable`; the row has failed so, and can be done again.
    """
    try:
        await begin_upload(app, media_id, address)
    except ResourceError as error:
        await asyncio.to_thread(media.fail, app.database, media_id, error.to_dict())
        raise
    await app.announce()


def _ending(filename: str) -> str:
    """The ending of a file's name, for people who look into the folder; nothing relies on it."""
    found = re.search(r"\.[A-Za-z0-9]{1,8}$", filename)
    return found.group().lower() if found else ""
