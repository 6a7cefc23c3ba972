"""Sessions: a person signs in to the page, by a key or by the password, and the browser keeps a cookie."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

import fastapi
from fastapi import Depends
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from anabranch.api import cookies
from anabranch.api.context import Caller, Running, check_site
from anabranch.api.problems import RESPONSES, Problem
from anabranch.catalog import keys

if TYPE_CHECKING:
    from anabranch.app import App

Json = Any

router = fastapi.APIRouter(tags=["sessions"], responses=RESPONSES)

# Wrong passwords from one address before it has to wait, and for how long they count. A person who errs does not
# notice; whoever tries a list gets through twenty a minute.
_MOST_WRONG = 10
_COUNTED_S = 30.0
_MOST_ADDRESSES = 10_000


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
    expiresAt: int | None = Field(description="Unix milliseconds; null for who sends a key.")  # noqa: N815


class Guesses:
    """Counts wrong passwords by the address that they come from."""

    def __init__(self) -> None:
        self._wrong: dict[str, deque[float]] = defaultdict(deque)

    def check(self, address: str) -> None:
        """Whether an address may guess.

        Raises:
            Problem: `too_many_attempts`.
        """
        wrong = self._wrong.get(address)
        while wrong and wrong[0] < time.monotonic() - _COUNTED_S:
            wrong.popleft()
        if wrong and len(wrong) >= _MOST_WRONG:
            wait_s = max(1, round(wrong[0] + _COUNTED_S - time.monotonic()))
            message = f"Too many wrong passwords came from this address. Wait {wait_s} s, or sign in with a key."
            raise Problem("too_many_attempts", 429, message, headers={"retry-after": str(wait_s)}, retryable=True)

    def note(self, address: str) -> None:
        """Count a wrong one."""
        if len(self._wrong) >= _MOST_ADDRESSES:
            self._wrong.clear()
        self._wrong[address].append(time.monotonic())


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
def get_session(request: fastapi.Request, app: Running, caller: Caller) -> JSONResponse:
    """Who is signed in, or 401."""
    key = keys.get(app.database, caller)
    cookie = request.cookies.get(cookies.NAME)
    by_cookie = cookie is not None and cookies.holder(app, cookie) == caller
    shown: dict[str, Json] = {"caller": caller, "name": key.name if key else None}
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
        found = keys.find(app.database, key.strip())
        if found is None:
            raise Problem("token_invalid", 401, "The key is unknown or was revoked. `anabranch keys list`.")
        return found.id
    guesses: Guesses = request.app.state.guesses
    address = request.client.host if request.client else ""
    guesses.check(address)
    if app.settings.password is None or not _same(password or "", app.settings.password.get_secret_value()):
        guesses.note(address)
        raise Problem("password_wrong", 401, "It is not the password, or none is set (ANABRANCH_PASSWORD).")
    return cookies.PASSWORD


def _same(one: str, other: str) -> bool:
    # Digests are equally long, so that nothing is told of how much was right.
    return hmac.compare_digest(hashlib.sha256(one.encode()).digest(), hashlib.sha256(other.encode()).digest())
