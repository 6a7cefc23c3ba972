"""Server: all routes together, and what every request passes through."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import fastapi
import structlog
from fastapi.middleware.cors import CORSMiddleware
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.routing import Route

from anabranch.api import (
    events,
    files,
    following,
    keys,
    media,
    operations,
    outputs,
    overview,
    problems,
    repairs,
    search,
    sessions,
    stream,
    tasks,
    timeline,
    uploads,
    wakes,
    webhooks,
)
from anabranch.ids import new_id

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from anabranch.app import App

_log = structlog.get_logger(__name__)

# What streams all media is asked for before what reads one.
_ROUTES = (
    operations,
    sessions,
    stream,
    timeline,
    search,
    wakes,
    tasks,
    files,
    uploads,
    media,
    repairs,
    outputs,
    events,
    webhooks,
    keys,
    overview,
)
_LARGEST_JSON_BYTES = 4 << 20
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_EXPOSED = [
    "location", "upload-offset", "upload-length", "upload-expires", "upload-metadata", "upload-defer-length",
    "tus-resumable", "tus-version", "tus-extension", "tus-max-size", "x-request-id", "x-media-id", "link", "has-more",
    "limit", "retry-after", "idempotent-replayed",
]  # fmt: skip


def create_api(app: App) -> fastapi.FastAPI:
    """The HTTP application of a running app."""
    api = fastapi.FastAPI(
        title="Anabranch",
        version="1",
        summary="One upload fans out into HLS, poster, GIF and transcript, and rejoins in one media record.",
        # The documents are data; a page that shows them would load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    api.state.app = app
    api.state.requests = CollectorRegistry()
    api.state.guesses = sessions.Guesses()
    api.state.stored = overview.Stored(app)
    problems.register(api)
    for module in _ROUTES:
        api.include_router(module.router)
    # The SDK's own handler, where an engine elsewhere calls it.
    api.router.routes.append(Route("/api/inngest", app.functions, include_in_schema=False))
    _describe(api)
    api.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], expose_headers=_EXPOSED
    )
    api.add_middleware(Passage, registry=api.state.requests)
    return api


class Passage:
    """What every request passes: it gets an id, JSON bodies have a limit, and it is logged and measured."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
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
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500
        started = time.monotonic()

        async def answering(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(request=request_id):
            try:
                await self._app(scope, _limited(headers, receive), answering)
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


def _is_secret(route: str) -> bool:
    return route.startswith(("/e/", "/signed/", "/uploads/", "/tasks/remote/"))


def _limited(headers: dict[str, str], receive: Receive) -> Receive:
    """Receives no more of a JSON body than is sensible: it is read whole into memory."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() not in ("application/json", ""):
        return receive
    received = 0

    async def counting() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > _LARGEST_JSON_BYTES:
            raise problems.Problem("too_large", 413, f"JSON may have {_LARGEST_JSON_BYTES >> 20} MiB at the most.")
        return message

    return counting


def _describe(api: fastapi.FastAPI) -> None:
    """Make the OpenAPI document, with what the routes cannot say themselves."""
    made = api.openapi

    def described() -> dict[str, Any]:
        document = made()
        schemas = document["components"]["schemas"]
        schemas["ProblemDocument"] = problems.ProblemDocument.model_json_schema()
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        following.link(document)
        return document

    api.openapi = described  # type: ignore[method-assign]
