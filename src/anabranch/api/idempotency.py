"""Idempotency: a request that carries an `Idempotency-Key` and comes again is told what it was told the first time.

Source: IETF draft "The Idempotency-Key HTTP Header Field"; a key is kept for a day.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any

from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from anabranch.api import ingest
from anabranch.api.context import caller_of
from anabranch.api.problems import Problem
from anabranch.catalog import answers
from anabranch.ids import new_id, seeded_id

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import fastapi

    from anabranch.app import App

Json = Any
_LONGEST_KEY = 255


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
    earlier, claimed_at = await asyncio.to_thread(
        answers.claim, app.database, owner, key, fingerprint, alive_since=app.opened_at
    )
    if earlier is not None:
        return _replay(earlier, fingerprint)
    # What the request creates gets the same id when it is repeated after a crash, and so is created once.
    request.state.seed = (claimed_at, f"{owner} {key}")
    try:
        response = await handle(request)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(answers.release, app.database, owner, key))
        raise
    await asyncio.to_thread(
        answers.keep, app.database, owner, key, response.status_code, json.loads(bytes(response.body))
    )
    return response


async def _fingerprint(request: fastapi.Request) -> str:
    asked = f"{request.method} {request.url.path}?{request.url.query}\n"
    if ingest.is_streamed(request.scope.get("endpoint"), request.headers):
        # A film may be large, and is told before it comes: whoever repeats it is answered without sending it again.
        said = f"{ingest.type_of(request.headers)} of {request.headers.get('content-length')} bytes".encode()
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
