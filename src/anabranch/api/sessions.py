"""Sessions: a person signs in to the page, by a key or by the password, and the browser keeps a cookie."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import fastapi
from fastapi import Depends
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from anabranch.api import cookies
from anabranch.api.context import Known, Running, address_of, check_site, key_of
from anabranch.api.limits import Guesses
from anabranch.api.problems import RESPONSES, Problem
from anabranch.catalog import keys

if TYPE_CHECKING:
    from anabranch.app import App

Json = Any

router = fastapi.APIRouter(tags=["sessions"], responses=RESPONSES)


class SessionRequest(BaseModel):
    """A key of the API, or the password."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"key": "ab_live_0123456789abcdef0123456789abcdef"}]}
    )

    key: str | None = Field(None, max_length=200)
    password: str | None = Field(None, max_length=1000)


class SessionView(BaseModel):
    """Who is signed in."""

    caller: str = Field(description="The id of the key, `password`, or `anybody` where all may come in.")
    name: str | None = Field(description="Of the key.")
    scopes: list[str] = Field(description="What is allowed: read, upload, write, admin.")
    expiresAt: int | None = Field(description="Unix milliseconds; null for who sends a key.")  # noqa: N815


def _own_page(app: Running, request: fastapi.Request) -> None:
    """Nobody else's page signs a person in or out."""
    if cookies.is_from_here(app, request) is False:
        raise Problem("cross_site", 403, "A session begins and ends on this server's own pages only.")


@router.post("/session", status_code=204, operation_id="signIn", dependencies=[Depends(_own_page)])
def begin_session(body: SessionRequest, request: fastapi.Request, app: Running) -> Response:
    """Sign in. The cookie lasts 30 days, and ends with the key that it was given for."""
    response = Response(status_code=204)
    cookies.give(app, request, response, sign_in(app, request, key=body.key, password=body.password))
    return response


@router.get("/session", operation_id="getSession", response_model=SessionView)
def get_session(request: fastapi.Request, app: Running, caller: Known) -> JSONResponse:
    """Who is signed in, or 401."""
    key = keys.get(app.database, caller.id)
    cookie = request.cookies.get(cookies.NAME)
    by_cookie = cookie is not None and cookies.holder(app, cookie) == caller.id
    scopes = [scope for scope in keys.SCOPES if scope in caller.may]
    shown: dict[str, Json] = {"caller": caller.id, "name": key.name if key else None, "scopes": scopes}
    return JSONResponse({**shown, "expiresAt": cookies.ends_at(cookie) if cookie and by_cookie else None})


@router.delete("/session", status_code=204, operation_id="signOut")
def end_session(request: fastapi.Request, app: Running) -> Response:
    """Sign out. Doing it twice is fine."""
    if cookies.NAME in request.cookies:
        check_site(app, request)
    response = Response(status_code=204)
    cookies.take_away(app, request, response)
    return response


def sign_in(app: App, request: fastapi.Request, *, key: str | None, password: str | None) -> str:
    """Whose session it will be: the id of the key, or `password`.

    Raises:
        Problem: `invalid_request`, `token_invalid`, `password_wrong` or `too_many_attempts`.
    """
    if (key is None) == (password is None):
        raise Problem("invalid_request", 422, "Sign in with `key` or with `password`, one of them.")
    if key is not None:
        found = key_of(app, request, key.strip())
        if found is None:
            raise Problem("token_invalid", 401, "The key is unknown or was revoked. `anabranch keys list`.")
        return found.id
    guesses: Guesses = request.app.state.password_guesses
    # Every one is a guess, the right one too: whoever knows it can wait, and nothing is told of it meanwhile.
    guesses.check(address_of(request))
    if app.settings.password is None or not _same(password or "", app.settings.password.get_secret_value()):
        guesses.was_wrong(address_of(request))
        raise Problem("password_wrong", 401, "It is not the password, or none is set (ANABRANCH_PASSWORD).")
    return cookies.PASSWORD


def _same(one: str, other: str) -> bool:
    # Digests are equally long, so that nothing is told of how much was right.
    return hmac.compare_digest(hashlib.sha256(one.encode()).digest(), hashlib.sha256(other.encode()).digest())
