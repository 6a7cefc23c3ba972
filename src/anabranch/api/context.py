"""Context: what a route needs to know of its request: the running app, who asks, and which page of a listing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

import fastapi
from fastapi import Depends, Query
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from anabranch.api.problems import Problem
from anabranch.app import App
from anabranch.catalog import keys
from anabranch.catalog.pages import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = Any

_bearer = HTTPBearer(auto_error=False, description="A key of this server; `anabranch keys create NAME` makes one.")
_CURSOR = re.compile(r"[a-z]+_[0-9a-z]{10,40}")


def _app(request: fastapi.Request) -> App:
    app: App = request.app.state.app
    return app


Running = Annotated[App, Depends(_app)]


def known_caller(app: App, text: str | None) -> str | None:
    """Who holds a key of the API with this text, by the key's id; `anybody` where all may come in; else None."""
    key = keys.find(app.database, text) if text else None
    if key is not None:
        return key.id
    return "anybody" if app.settings.open_access else None


def authenticated(
    app: Running, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None
) -> str:
    """Who asks, by the id of the key.

    Raises:
        Problem: `token_missing` or `token_invalid`.
    """
    caller = known_caller(app, credentials.credentials if credentials else None)
    if caller is not None:
        return caller
    headers = {"www-authenticate": "Bearer"}
    if credentials is None:
        raise Problem("token_missing", 401, "Send a key as `Authorization: Bearer ab_live_…`.", headers=headers)
    raise Problem("token_invalid", 401, "The key is unknown or was revoked. `anabranch keys list`.", headers=headers)


Caller = Annotated[str, Depends(authenticated)]


def listing(
    limit: Annotated[int, Query(ge=1, le=100, description="How many at the most.")] = 20,
    after: Annotated[str | None, Query(description="The id behind which the page begins.")] = None,
    before: Annotated[str | None, Query(description="The id in front of which the page ends.")] = None,
    order: Annotated[Literal["asc", "desc"], Query(description="desc is newest first.")] = "desc",
    page: Annotated[int, Query(ge=1, le=100_000, description="For clients that count pages.")] = 1,
) -> Page:
    """The page that is asked for.

    Raises:
        Problem: `invalid_cursor`.
    """
    for cursor in (after, before):
        if cursor is not None and not _CURSOR.fullmatch(cursor):
            raise Problem("invalid_cursor", 400, f"{cursor!r} is not an id of a listing. Give one that it answered.")
    return Page(limit, after, before, order, (page - 1) * limit)


Paged = Annotated[Page, Depends(listing)]


def listed(request: fastapi.Request, rows: Sequence[dict[str, Json]], page: Page, *, has_more: bool) -> JSONResponse:
    """A listing as a bare array, with the way to the next page in its headers (RFC 8288)."""
    headers = {"limit": str(page.limit), "has-more": "true" if has_more else "false"}
    if has_more and rows:
        following = request.url.remove_query_params(["page", "before"]).include_query_params(after=rows[-1]["id"])
        headers["link"] = f'<{following}>; rel="next"'
    return JSONResponse(list(rows), headers=headers)
