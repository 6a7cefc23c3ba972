"""Idempotency: a request that carries an `Idempotency-Key` and comes again is told what it was told the first time.

Source: IETF draft "The Idempotency-Key HTTP Header Field"; a key is kept for a day.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from sqlalchemy.exc import SQLAlchemyError

from anabranch import clock
from anabranch.api import ingest
from anabranch.api.context import caller_of
from anabranch.api.problems import Problem
from anabranch.catalog import answers
from anabranch.database import is_out_of_order, is_transient, words
from anabranch.ids import new_id, seeded_id

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import fastapi

    from anabranch.app import App

Json = Any
_LONGEST_KEY = 255

_log = structlog.get_logger(__name__)


class Untold:
    """What requests have come to while the database could not be told; it is told before anybody asks for more.

    Many a request comes to nothing because the database is away. Its key must be free when it is made again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notes: deque[Callable[[], None]] = deque()

    def tell(self, note: Callable[[], None]) -> None:
        """Tell it, now or as soon as that is possible."""
        self._notes.append(note)
        try:
            self.tell_all()
        except SQLAlchemyError as error:
            _log.warning("a request's end cannot be noted yet", error=words(error)[:200])

    def tell_all(self) -> None:
        """Tell whatever is left.

        Raises:
            SQLAlchemyError: the database is still away.
        """
        with self._lock:
            while self._notes:
                try:
                    self._notes[0]()
                except SQLAlchemyError as error:
                    if is_transient(error) or is_out_of_order(error):
                        raise
                    # Nobody else waits for what cannot be noted at all.
                    _log.exception("a request's end cannot be noted")
                self._notes.popleft()


class IdempotentRoute(APIRoute):
    """A route whose POST requests may carry an `Idempotency-Key`."""

    def get_route_handler(self) -> Callable[[fastapi.Request], Coroutine[Any, Any, fastapi.Response]]:
        """The route's handler, behind the memory of what was answered."""
        handle = super().get_route_handler()

        async def remembering(request: fastapi.Request) -> fastapi.Response:
            key = request.headers.get("idempotency-key")
            if request.method != "POST" or not key:
                return await handle(request)
            return await _once(request, key, handle)

        return remembering


async def _once(
    request: fastapi.Request, key: str, handle: Callable[[fastapi.Request], Coroutine[Any, Any, fastapi.Response]]
) -> fastapi.Response:
    app: App = request.app.state.app
    if len(key) > _LONGEST_KEY:
        raise Problem("invalid_request", 422, f"Idempotency-Key has more than {_LONGEST_KEY} characters.")
    caller = await asyncio.to_thread(caller_of, app, request)
    if caller is None:
        # The route itself says what is wrong with who asks.
        return await handle(request)
    owner = caller.id
    fingerprint = await _fingerprint(request)
    untold: Untold = request.app.state.untold
    worker_id = app.membership.id
    earlier, claimed_at = await asyncio.to_thread(_claim, app, untold, owner, key, fingerprint, worker_id)
    if earlier is not None:
        return _replay(earlier, fingerprint)
    # What the request creates gets the same id when it is repeated after a crash, and so is created once.
    request.state.seed = (claimed_at, f"{owner} {key}")
    try:
        response = await handle(request)
    except BaseException:
        release = partial(answers.release, app.database, owner, key, worker_id=worker_id, claimed_at=claimed_at)
        await asyncio.shield(asyncio.to_thread(untold.tell, release))
        raise
    told = json.loads(bytes(response.body))
    # Done is done: whoever asked is told so, also when nobody could be told again.
    await asyncio.to_thread(untold.tell, partial(answers.keep, app.database, owner, key, response.status_code, told))
    return response


def _claim(
    app: App, untold: Untold, owner: str, key: str, fingerprint: str, worker_id: str
) -> tuple[answers.Answer | None, int]:
    """As of `answers.claim`."""
    untold.tell_all()
    now = clock.now_ms()
    try:
        return answers.claim(app.database, owner, key, fingerprint, worker_id=worker_id, now=now)
    except SQLAlchemyError:
        # It may have been lost in the moment of its commit: then the key is taken, and nobody has it.
        untold.tell(partial(answers.release, app.database, owner, key, worker_id=worker_id, claimed_at=now))
        raise


async def _fingerprint(request: fastapi.Request) -> str:
    asked = f"{request.method} {request.url.path}?{request.url.query}\n"
    if ingest.is_streamed(request.scope.get("endpoint"), request.headers):
        # A film may be large, and is told before it comes: whoever repeats it is answered without sending it again.
        said = f"{ingest.type_of(request.headers)} of {ingest.length_of(request.headers)} bytes".encode()
    else:
        said = await request.body()
    return hashlib.sha256(asked.encode() + said).hexdigest()


def id_for(request: fastapi.Request, prefix: str) -> str:
    """An id for what the request creates."""
    seed = getattr(request.state, "seed", None)
    return seeded_id(prefix, *seed) if seed else new_id(prefix)


def _replay(earlier: answers.Answer, fingerprint: str) -> fastapi.Response:
    if earlier.fingerprint != fingerprint:
        raise Problem(
            "idempotency_key_reused", 422, "This Idempotency-Key came with another request before. Make a new one."
        )
    if earlier.status_code is None:
        raise Problem(
            "request_in_progress",
            409,
            "The first request with this Idempotency-Key is being worked on.",
            headers={"retry-after": "1"},
            retryable=True,
        )
    return JSONResponse(earlier.body, earlier.status_code, {"idempotent-replayed": "true"})
