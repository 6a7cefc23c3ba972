"""Pages: put beside the API. A form is answered with a redirect to a page, so that reloading does no harm."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import fastapi
from fastapi import Depends
from fastapi.responses import RedirectResponse, Response

from anabranch.api.outputs import players_origin
from anabranch.web import library, login, operations, watch
from anabranch.web.client import RefusedError
from anabranch.web.context import Rendered, look_who
from anabranch.web.rendering import Renderer

if TYPE_CHECKING:
    from anabranch.app import App

router = fastapi.APIRouter(include_in_schema=False)


def add_pages(api: fastapi.FastAPI) -> None:
    """Serve the page beside the API."""
    app: App = api.state.app
    api.state.page = Renderer(app.settings.base_url or "", players_origin(app), _elsewhere(app))
    api.add_exception_handler(RefusedError, _refused)
    for one in (router, login.router):
        api.include_router(one)
    for one in (library.router, operations.router, watch.router):
        # What a person may not do is not offered.
        api.include_router(one, dependencies=[Depends(look_who)])


def _elsewhere(app: App) -> str:
    """Where outputs may be that another Task API makes: wherever it keeps them, which it says when they are made."""
    if app.settings.tasks_url is None:
        return ""
    there = urlsplit(app.settings.tasks_url)
    return f"https: {there.scheme}://{there.netloc}"


@router.get("/static/{asked_hash}/{name:path}")
def read_static(asked_hash: str, name: str, request: fastapi.Request, page: Rendered) -> Response:
    """A style, a module or a picture of the page."""
    return page.assets.respond(asked_hash, name, request.headers.get("accept-encoding", ""))


async def _refused(request: fastapi.Request, error: Exception) -> Response:
    """What the API refused: to the login where it asks for one, else as a page that says what and why."""
    assert isinstance(error, RefusedError)
    page: Renderer = request.app.state.page
    if error.status == 401:
        there = str(request.url.replace(scheme="", netloc="")) if request.method == "GET" else "/"
        return RedirectResponse(page.here(f"/login?next={quote(there, safe='')}"), 303)
    return page.page(request, "refused.html", http_status=error.status, error=error)
