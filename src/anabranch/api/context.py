"""Context: what a route needs to know of its request: the running app, who asks, and which page of a listing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import fastapi
from fastapi import Depends, Query
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from anabranch.api import cookies
from anabranch.api.limits import Guesses, Requests
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


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        id: of the key; `password`, or `anybody` where all may come in.
        may: all that is allowed.
        requests_per_minute: how many requests the key may make, when it has a limit of its own.
    """

    id: str
    may: frozenset[str]
    requests_per_minute: int | None = None


def _app(request: fastapi.Request) -> App:
    app: App = request.app.state.app
    return app


Running = Annotated[App, Depends(_app)]


def address_of(request: fastapi.Request) -> str:
    """Where a request comes from, as far as proxies are believed."""
    return request.client.host if request.client else ""


def key_of(app: App, request: fastapi.Request, text: str) -> keys.Key | None:
    """The key with this text, or None.

    Raises:
        Problem: `too_many_attempts`.
    """
    guesses: Guesses = request.app.state.key_guesses
    if app.settings.open_access:
        # There is nothing to guess.
        return keys.find(app.database, text)
    guesses.check(address_of(request), text)
    key = keys.find(app.database, text)
    if key is None:
        guesses.was_wrong(address_of(request))
    else:
        guesses.was_right(text)
    return key


def holder_of(app: App, request: fastapi.Request, text: str) -> Caller | None:
    """Who holds a key of the API with this text; anybody where all may come in; else None. It counts as a request.

    Raises:
        Problem: `too_many_attempts` or `too_many_requests`.
    """
    return _counted(request, _caller(app, key_of(app, request, text)) if text else _anybody(app))


def caller_of(app: App, request: fastapi.Request) -> Caller | None:
    """Who asks: by the key in the header or, without one, by the session in the cookie. None when that is nobody.

    Raises:
        Problem: `cross_site`, `too_many_attempts` or `too_many_requests`.
    """
    known: Caller | None = getattr(request.state, "caller", None)
    if known is None:
        known = request.state.caller = _counted(request, _who(app, request))
    return known


def is_still_known(app: App, request: fastapi.Request) -> bool:
    """Whether who asked is still let in, long after having asked. It counts as no request."""
    return _who(app, request) is not None


def _who(app: App, request: fastapi.Request) -> Caller | None:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    cookie = request.cookies.get(cookies.NAME)
    if scheme.lower() == "bearer" and text.strip():
        return _caller(app, key_of(app, request, text.strip()))
    who = cookies.holder(app, cookie) if cookie else None
    if who == cookies.PASSWORD:
        caller: Caller | None = Caller(who, keys.SCOPES["admin"])
    else:
        caller = _caller(app, keys.get(app.database, who) if who else None)
    if caller is not None and caller.id == who:
        check_site(app, request)
    return caller


def _caller(app: App, key: keys.Key | None) -> Caller | None:
    if key is None:
        return _anybody(app)
    return Caller(key.id, keys.all_of(key.scopes), key.requests_per_minute)


def _anybody(app: App) -> Caller | None:
    return Caller("anybody", keys.SCOPES["admin"]) if app.settings.open_access else None


def _counted(request: fastapi.Request, caller: Caller | None) -> Caller | None:
    if caller is not None and caller.id.startswith("key_"):
        requests: Requests = request.app.state.key_requests
        request.state.quota = requests.count(caller.id, caller.requests_per_minute)
    return caller


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
) -> Caller:
    """Who asks.

    Raises:
        Problem: `token_missing`, `token_invalid`, `session_ended`, `cross_site`, `too_many_attempts` or
            `too_many_requests`.
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


def check_scope(caller: Caller, *scopes: str) -> None:
    """Whether somebody may do what wants one of these scopes.

    Raises:
        Problem: `scope_missing`.
    """
    if caller.may.isdisjoint(scopes):
        wanted = " or ".join(scopes)
        message = f"This wants a key with the scope {wanted}. `anabranch keys create NAME --scope {scopes[0]}`."
        raise Problem("scope_missing", 403, message)


def needs(*scopes: str) -> Callable[..., Caller]:
    """What a route depends on: somebody who has one of these scopes; without any, who is known at all."""

    def allowed(caller: Annotated[Caller, Depends(authenticated)]) -> Caller:
        if scopes:
            check_scope(caller, *scopes)
        return caller

    return declared(allowed, scopes)


def declared(dependency: Callable[..., Caller], scopes: tuple[str, ...]) -> Callable[..., Caller]:
    """The dependency, with what it asks for on it: the OpenAPI document says it too."""
    dependency.scopes = scopes  # type: ignore[attr-defined]
    return dependency


Known = Annotated[Caller, Depends(needs())]
MayRead = Annotated[Caller, Depends(needs("read"))]
# Of one thing, whose id is known: whoever has uploaded wants to know what becomes of it.
MayFollow = Annotated[Caller, Depends(needs("read", "upload"))]
MayUpload = Annotated[Caller, Depends(needs("upload"))]
MayWrite = Annotated[Caller, Depends(needs("write"))]
MayAdminister = Annotated[Caller, Depends(needs("admin"))]


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
