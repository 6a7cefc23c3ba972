"""Stream: what happens, as it happens, by server-sent events. It resumes after the last one that was received.

Source: HTML Living Standard, section 9.2 (server-sent events).
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import fastapi
from fastapi import Header, Query
from fastapi.responses import StreamingResponse

from anabranch import clock
from anabranch.api.context import MayFollow, MayRead, Running, is_still_known
from anabranch.api.media import show
from anabranch.api.problems import RESPONSES, missing_media
from anabranch.catalog import changes, media

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anabranch.app import App

Json = Any

router = fastapi.APIRouter(tags=["stream"], responses=RESPONSES)

_LOOK_EVERY_S = 0.5
_SILENT_FOR_S = 15.0
_LATE_MS = 5000
# A database counts to nineteen digits.
_LONGEST_NUMBER = 18
_ASK_AGAIN_S = 15.0
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Events, for as long as the client listens.", "content": {"text/event-stream": {}}}
}
_LastEventId = Annotated[str | None, Header(description="Where to go on; a browser sends it by itself.")]
_Since = Annotated[int | None, Query(ge=0, le=2**53, description="The same, for who cannot set headers.")]


@router.get("/media/{media_id}/events", operation_id="streamMedia", response_class=StreamingResponse, responses=_STREAM)
async def stream_media(
    media_id: str,
    request: fastapi.Request,
    app: Running,
    _: MayFollow,
    last_event_id: _LastEventId = None,
    since: _Since = None,
) -> StreamingResponse:
    """What happens to one media row: its changes, and between them `progress` with the whole status."""
    if await asyncio.to_thread(show, app, media_id) is None:
        raise missing_media(media_id)
    return _respond(_follow(app, request, _start(last_event_id, since, 0), One(app, media_id), media_id))


@router.get("/events", operation_id="streamAll", response_class=StreamingResponse, responses=_STREAM)
async def stream_all(
    request: fastapi.Request,
    app: Running,
    _: MayRead,
    last_event_id: _LastEventId = None,
    since: _Since = None,
    progress: Annotated[bool, Query(description="Tell also the whole status of each row as it changes.")] = False,
) -> StreamingResponse:
    """What happens to all media and tasks, from now on or from where the client was."""
    newest = await asyncio.to_thread(changes.latest, app.database)
    number = _start(last_event_id, since, newest)
    return _respond(_follow(app, request, number, Moving(app, number) if progress else None))


def _start(last_event_id: str | None, since: int | None, otherwise: int) -> int:
    if last_event_id is not None:
        # One that is not ours is as none, so that a client with a stale one still gets on.
        is_number = last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) <= _LONGEST_NUMBER
        return int(last_event_id) if is_number else otherwise
    return otherwise if since is None else since


def _respond(events: AsyncIterator[str]) -> StreamingResponse:
    # A proxy that gathers what it passes on would hold events back.
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


class One:
    """The status of one row, whenever it is another than before."""

    def __init__(self, app: App, media_id: str) -> None:
        self._app = app
        self._media_id = media_id
        self._told: Json = None

    def look(self) -> list[dict[str, Json]] | None:
        """The status if it is news, or None when the row is gone."""
        status = show(self._app, self._media_id)
        if status is None:
            return None
        news = _essence(status) != self._told
        self._told = _essence(status)
        return [status] if news else []


class Moving:
    """The status of each row of which anything has changed since the last look.

    First, of those at work, and of those that have changed since the client was there last.
    """

    def __init__(self, app: App, number: int) -> None:
        self._app = app
        self._number = number
        self._told: dict[str, Json] = {}
        self._looked_at: int | None = None

    def look(self) -> list[dict[str, Json]]:
        """The statuses that are news."""
        now = clock.now_ms()
        statuses = {media_id: shown for media_id in self._changed() if (shown := show(self._app, media_id))}
        news = [one for media_id, one in statuses.items() if _essence(one) != self._told.get(media_id)]
        self._told = {media_id: _essence(one) for media_id, one in statuses.items()}
        self._looked_at = now
        return news

    def _changed(self) -> set[str]:
        if self._looked_at is not None:
            # A transaction that began before the last look may have ended after it.
            return set(media.moving(self._app.database, self._looked_at - _LATE_MS))
        return set(changes.media_since(self._app.database, self._number)) | set(media.moving(self._app.database, None))


async def _follow(
    app: App, request: fastapi.Request, number: int, statuses: One | Moving | None, media_id: str | None = None
) -> AsyncIterator[str]:
    # Where the stream is, before anything has happened: who loses the connection now goes on from here.
    yield f"retry: 1000\nid: {number}\n\n"
    silent_s = 0.0
    asked_at = time.monotonic()
    while True:
        if time.monotonic() - asked_at > _ASK_AGAIN_S:
            # A key that was revoked, or a session that has ended, opens nothing any more: what is open closes.
            if not await asyncio.to_thread(is_still_known, app, request):
                return
            asked_at = time.monotonic()
        # The status first: it may then be older than the changes that are told, and never tells what they have not.
        news = await asyncio.to_thread(statuses.look) if statuses is not None else []
        spoke = False
        for change in await asyncio.to_thread(changes.since, app.database, number, media_id=media_id):
            number = change.number
            body = {"id": change.id, "type": change.type, "media_id": change.media_id, "task_id": change.task_id}
            yield _event(change.type, {**body, "data": change.data, "created_at": change.created_at}, number)
            spoke = True
        if news is None:
            # It was deleted, and that was the last thing to tell.
            return
        for status in news:
            yield _event("progress", status, number)
            spoke = True
        silent_s = 0.0 if spoke else silent_s + _LOOK_EVERY_S
        if silent_s >= _SILENT_FOR_S:
            yield ": still here\n\n"
            silent_s = 0.0
        await asyncio.sleep(_LOOK_EVERY_S)


def _essence(status: dict[str, Json]) -> Json:
    """What of a status is worth telling: signed addresses differ each time that they are made."""
    branches = [(one["name"], one["status"], one["progress"], one["attempt"]) for one in status["branches"]]
    said = status["title"], status["private"]
    return status["status"], status["percent"], status["playable"], said, branches


def _event(name: str, data: Json, number: int) -> str:
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
