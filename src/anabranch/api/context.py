"""Context: what a route needs to know of its request: the running app, who asks, and which page of a listing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

import fastapi
from fastapi import Depends, Query
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from anabranch.api import cookies
from anabranch.api.problems import Problem
from anabranch.app import App
from anabranch.catalog import keys
from anabranch.pages import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = Any

_bearer = HTTPBearer(auto_error=False, description="A key of this server; `anabranch keys create NAME` makes one.")
_session = APIKeyCookie(name=cookies.NAME, auto_error=False, description="What `POST /session` gives to a browser.")
_SAFE = ("GET", "HEAD", "OPTIONS")
# Clients may name media themselves.
_CURSOR = re.compile(r"[a-z]+_[A-Za-z0-9_.-]{1,200}")


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


def caller_of(app: App, request: fastapi.Request) -> str | None:
    """Who asks: by the key in the header or, without one, by the session in the cookie. None when that is nobody.

    Raises:
        Problem: `cross_site`.
    """
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    cookie = request.cookies.get(cookies.NAME)
    if scheme.lower() == "bearer" or not cookie:
        return known_caller(app, text.strip() if scheme.lower() == "bearer" else None)
    holder = cookies.holder(app, cookie)
    if holder is None:
        return known_caller(app, None)
    check_site(app, request)
    return holder


def check_site(app: App, request: fastapi.Request) -> None:
    """Whether a request that a browser signs with its cookie was made by a page of this server.

    Raises:
        Problem: `cross_site`, for a request that would change something and does not say that it was.
    """
    if request.method not in _SAFE and not cookies.is_from_here(app, request):
        raise Problem("cross_site", 403, "A session changes things from this server's own pages only. Send a key.")


def authenticated(
    app: Running,
    request: fastapi.Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None,
    session: Annotated[str | None, Depends(_session)] = None,
) -> str:
    """Who asks, by the id of the key, `password`, or `anybody` where all may come in.

    Raises:
        Problem: `token_missing`, `token_invalid`, `session_ended` or `cross_site`.
    """
    caller = caller_of(app, request)
    if caller is not None:
        return caller
    headers = {"www-authenticate": "Bearer"}
    if credentials is not None:
        raise Problem(
            "token_invalid", 401, "The key is unknown or was revoked. `anabranch keys list`.", headers=headers
        )
    if session is not None:
        raise Problem("session_ended", 401, "The session has ended. Sign in again: POST /session.", headers=headers)
    raise Problem("token_missing", 401, "Send a key as `Authorization: Bearer ab_live_…`.", headers=headers)


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
    return JSONResponse(list(rows), headers=way_on(request, rows, page, has_more=has_more))


def way_on(request: fastapi.Request, rows: Sequence[dict[str, Json]], page: Page, *, has_more: bool) -> dict[str, str]:
    """The headers of a listing: whether there is more, and where."""
    headers = {"limit": str(page.limit), "has-more": "true" if has_more else "false"}
    if has_more and rows:
        following = request.url.remove_query_params(["page", "before"]).include_query_params(after=rows[-1]["id"])
        headers["link"] = f'<{following}>; rel="next"'
    return headers
