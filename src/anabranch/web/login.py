"""Login: by a key of the API or the password, and out again. Light or dark, for those without JavaScript."""

from __future__ import annotations

import re
from typing import Annotated

import fastapi
from fastapi import Depends, Query
from fastapi.responses import RedirectResponse, Response

from anabranch.web.client import RefusedError
from anabranch.web.context import Asked, Posted, Rendered, own_form
from anabranch.web.rendering import THEME_COOKIE, THEMES

router = fastapi.APIRouter(include_in_schema=False)

_KEY = re.compile(r"ab_live_\w+")
_A_YEAR_S = 365 * 24 * 3600


@router.get("/login")
async def show_login(
    request: fastapi.Request, page: Rendered, next_: Annotated[str, Query(alias="next")] = "/"
) -> Response:
    """Ask for a key or the password."""
    return page.page(request, "login.html", next=_own_path(next_), error=None)


@router.post("/login")
async def log_in(request: fastapi.Request, api: Asked, page: Rendered, form: Posted) -> Response:
    """Begin a session, and go on to where the person wanted to be."""
    secret = form.one("secret")
    there = _own_path(form.one("next"))
    body = {"key": secret.strip()} if _KEY.fullmatch(secret.strip()) else {"password": secret}
    try:
        answer = await api.answer("POST", "/session", json=body)
    except RefusedError as error:
        return page.page(request, "login.html", http_status=error.status, next=there, error=error)
    return _with_cookies(RedirectResponse(page.here(there), 303), answer.headers.get_list("set-cookie"))


@router.post("/logout", dependencies=[Depends(own_form)])
async def log_out(api: Asked, page: Rendered) -> Response:
    """End the session."""
    answer = await api.answer("DELETE", "/session")
    return _with_cookies(RedirectResponse(page.here("/login"), 303), answer.headers.get_list("set-cookie"))


@router.post("/theme")
async def choose_theme(page: Rendered, form: Posted) -> Response:
    """Remember light, dark, or neither: then it is as the system has it."""
    theme = form.one("theme")
    answer = RedirectResponse(page.here(_own_path(form.one("next"))), 303)
    if theme in THEMES:
        answer.set_cookie(THEME_COOKIE, theme, max_age=_A_YEAR_S, samesite="lax")
    else:
        answer.delete_cookie(THEME_COOKIE, samesite="lax")
    return answer


def _own_path(path: str) -> str:
    """Where to go on: only to a path of this server, so that no link to the login can lead elsewhere."""
    # A browser reads a backslash as a slash, and drops tabs and line ends.
    plain = path.startswith("/") and not path.startswith("//") and not any(one in path for one in "\\\t\r\n")
    return path if plain else "/"


def _with_cookies(answer: Response, cookies: list[str]) -> Response:
    for cookie in cookies:
        answer.headers.append("set-cookie", cookie)
    return answer
