"""Whole: the API with the page in this process, for what no client can see from outside."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi.routing import RouteContext, iter_route_contexts

from anabranch.api.server import create_api
from anabranch.app import open_app
from anabranch.settings import Settings
from anabranch.web.pages import add_pages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fastapi import FastAPI

URL = "https://anabranch.example"


@asynccontextmanager
async def whole_app(home: Path, **given: Any) -> AsyncIterator[tuple[FastAPI, dict[str, RouteContext]]]:
    """The application, and its routes by what is asked for."""
    async with open_app(Settings(home=home, base_url=URL, **given), works=False) as app:
        api = create_api(app)
        add_pages(api)
        routes = {}
        for route in iter_route_contexts(api.routes):
            methods = route.methods or {""}
            # Starlette adds HEAD to a GET of its own.
            for method in methods - {"HEAD"} if "GET" in methods else methods:
                routes[f"{method} {route.path}".strip()] = route
        yield api, routes
