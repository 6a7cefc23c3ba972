"""Passage: what every request passes through. It gets an id and a limit, and its answer the headers that all have."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import fastapi
import structlog
from fastapi.middleware.cors import CORSMiddleware
from prometheus_client import Counter, Histogram
from starlette.exceptions import HTTPException

from anabranch.api import ingest, problems
from anabranch.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import CollectorRegistry
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from anabranch.api.limits import Quota

_log = structlog.get_logger(__name__)

_LARGEST_BODY_BYTES = 4 << 20
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_EXPOSED = [
    "location", "upload-offset", "upload-length", "upload-expires", "upload-metadata", "upload-defer-length",
    "tus-resumable", "tus-version", "tus-extension", "tus-max-size", "x-request-id", "x-media-id", "link", "has-more",
    "limit", "retry-after", "ratelimit", "ratelimit-policy", "idempotent-replayed",
]  # fmt: skip
# Of every answer that does not say otherwise itself: it is data, which no page may run, frame, or take for its own.
# Pages, what they load, and outputs, which are embedded elsewhere, do say otherwise.
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
}
_BY_TLS_ALONE = "max-age=31536000"


class Passage:
    """What every request passes: it gets an id, its body has a limit, and it is logged and measured.

    Args:
        app: answers it.
        registry: takes the measures.
        by_tls: whether this server is reached by TLS alone, which browsers are then told to remember.
    """

    def __init__(self, app: ASGIApp, registry: CollectorRegistry, *, by_tls: bool) -> None:
        self._app = app
        self._headers = {**_HEADERS, "strict-transport-security": _BY_TLS_ALONE} if by_tls else _HEADERS
        labels = ["method", "route", "status"]
        self._count = Counter("anabranch_http_requests", "Requests answered.", labels, registry=registry)
        self._took = Histogram(
            "anabranch_http_seconds", "From request to the end of its answer.", ["method", "route"], registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else new_id("req")
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        status = 500
        started = time.monotonic()

        async def answering(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                said = {name.lower() for name, _ in message["headers"]}
                also = {**self._headers, "x-request-id": request_id, **_quota(state.get("quota"))}
                added = [(name.encode(), value.encode()) for name, value in also.items() if name.encode() not in said]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        with structlog.contextvars.bound_contextvars(request=request_id):
            try:
                await self._app(scope, _limited(scope, headers, receive), answering)
            finally:
                route = getattr(scope.get("route"), "path", "other")
                took_s = time.monotonic() - started
                self._count.labels(scope["method"], route, status).inc()
                self._took.labels(scope["method"], route).observe(took_s)
                _log.info(
                    "request answered",
                    method=scope["method"],
                    # Some addresses are secrets: whoever has them may read or write.
                    path=route if _is_secret(route) else scope["path"],
                    status=status,
                    took_ms=round(took_s * 1000, 1),
                )


class Origins:
    """Whose pages in a browser may read what is answered. Outputs, and the player's modules, are for pages everywhere.

    Credentials are never allowed: a session is for this server's own pages.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        def of(origins: Sequence[str]) -> CORSMiddleware:
            return CORSMiddleware(
                app, allow_origins=origins, allow_methods=["*"], allow_headers=["*"], expose_headers=_EXPOSED
            )

        self._listed, self._all = of(origins), of(["*"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        embedded = scope["type"] == "http" and scope["path"].startswith(("/outputs/", "/signed/", "/static/"))
        await (self._all if embedded else self._listed)(scope, receive, send)


class Mending:
    """Answers what nothing else has an answer to, so that this answer passes what every other does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        begun = False

        async def answering(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, answering)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            answer = problems.unexpected(fastapi.Request(scope), error)
            await answer(scope, receive, send)


def _quota(quota: Quota | None) -> dict[str, str]:
    return {} if quota is None else quota.headers()


def _is_secret(route: str) -> bool:
    return route.startswith(("/e/", "/signed/", "/uploads/", "/tasks/remote/"))


def _limited(scope: Scope, headers: dict[str, str], receive: Receive) -> Receive:
    """Receives no more of a body than is sensible, unless it goes to the disk: others are read whole into memory."""
    told = ingest.length_of(headers) or 0
    received = 0

    async def counting() -> Message:
        nonlocal received
        # Known by now: whoever asks for the body is the route.
        if ingest.is_streamed(scope.get("endpoint"), headers):
            return await receive()
        if told > _LARGEST_BODY_BYTES:
            raise _too_large()
        message = await receive()
        received += len(message.get("body", b""))
        if received > _LARGEST_BODY_BYTES:
            raise _too_large()
        return message

    return counting


def _too_large() -> HTTPException:
    # Of this kind, since it is raised where FastAPI takes any other for a body that cannot be read.
    return HTTPException(413, f"What is no upload may have {_LARGEST_BODY_BYTES >> 20} MiB at the most")
