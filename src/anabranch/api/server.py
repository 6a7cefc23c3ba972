"""Server: all routes together, and what every request passes through."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import fastapi
from fastapi.routing import RouteContext, iter_route_contexts
from prometheus_client import CollectorRegistry
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
from anabranch.api.idempotency import Untold
from anabranch.api.limits import Guesses, Requests
from anabranch.api.passage import Mending, Origins, Passage

if TYPE_CHECKING:
    from anabranch.app import App

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
    api.state.password_guesses = Guesses("passwords", ", or sign in with a key")
    api.state.key_guesses = Guesses("keys")
    api.state.key_requests = Requests(app.settings.requests_per_minute)
    api.state.untold = Untold()
    api.state.stored = overview.Stored(app)
    problems.register(api)
    for module in _ROUTES:
        api.include_router(module.router)
    # The SDK's own handler, where an engine elsewhere calls it.
    api.router.routes.append(Route("/api/inngest", app.functions, include_in_schema=False))
    _describe(api)
    # The last one is the first that a request passes.
    api.add_middleware(Mending)
    api.add_middleware(Origins, origins=app.settings.cors_origins)
    by_tls = (app.settings.base_url or "").startswith("https:")
    api.add_middleware(Passage, registry=api.state.requests, by_tls=by_tls)
    return api


def _describe(api: fastapi.FastAPI) -> None:
    """Make the OpenAPI document, with what the routes cannot say themselves."""
    made = api.openapi

    @functools.cache
    def described() -> dict[str, Any]:
        document = made()
        schemas = document["components"]["schemas"]
        schemas["ProblemDocument"] = problems.ProblemDocument.model_json_schema()
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        for route in iter_route_contexts(api.routes):
            scopes = scopes_of(route)
            if scopes and route.include_in_schema:
                for method in route.methods or ():
                    _say_scopes(document["paths"][route.path_format][method.lower()], scopes)
        following.link(document)
        return document

    api.openapi = described  # type: ignore[method-assign]


def scopes_of(route: RouteContext) -> tuple[str, ...] | None:
    """One of which scopes a route wants; none when any key will do; None when it asks for no key."""
    dependant = getattr(route, "dependant", None)
    found = [getattr(one.call, "scopes", None) for one in dependant.dependencies] if dependant else []
    return next((scopes for scopes in found if scopes is not None), None)


def _say_scopes(operation: dict[str, Any], scopes: tuple[str, ...]) -> None:
    """Any of the ways to say who one is will do, with any of the scopes; OpenAPI calls them roles."""
    ways = [name for way in operation.get("security", []) for name in way]
    if ways:
        operation["security"] = [{way: [scope]} for scope in scopes for way in ways]
    wanted = " or ".join(f"`{scope}`" for scope in scopes)
    operation["description"] = f"{operation['description']}\n\nWants a key with the scope {wanted}."
