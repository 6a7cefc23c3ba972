"""Cookies: what a browser shows in place of a key. Signed, so that nothing is kept for a session but its key's row.

A cookie is `<expires>.<who>.<proof>`; `who` is the id of a key, or `password`. It ends with the key that it was given
for, and when the password is changed. A browser sends it by itself, so whoever made it send the request has to be
asked: a request that would change something says, by headers that no page can forge, that a page of this server made
it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from anabranch import clock
from anabranch.catalog import keys

if TYPE_CHECKING:
    import fastapi

    from anabranch.app import App

NAME = "anabranch_session"
PASSWORD = "password"  # noqa: S105  (who signed in by it is called so)
LASTS_S = 30 * 24 * 3600


def give(app: App, request: fastapi.Request, response: fastapi.Response, who: str) -> None:
    """Have the browser keep a session of `who`: the id of a key, or `PASSWORD`."""
    expires_s = clock.now_ms() // 1000 + LASTS_S
    response.set_cookie(
        NAME,
        f"{expires_s}.{who}.{_proof(app, who, expires_s)}",
        max_age=LASTS_S,
        path="/",
        secure=_is_secure(app, request),
        httponly=True,
        samesite="strict",
    )


def take_away(app: App, request: fastapi.Request, response: fastapi.Response) -> None:
    """Have the browser forget its session."""
    response.delete_cookie(NAME, path="/", secure=_is_secure(app, request), httponly=True, samesite="strict")


def holder(app: App, cookie: str) -> str | None:
    """Whose session this is, or None when it has ended or was never given. The key may have been revoked."""
    who, expires_s, proof = _read(cookie)
    if not who or not hmac.compare_digest(proof.encode(), _proof(app, who, expires_s).encode()):
        return None
    if expires_s < clock.now_ms() // 1000:
        return None
    if who == PASSWORD:
        return who if app.settings.password is not None else None
    return who


def ends_at(cookie: str) -> int:
    """When a session ends by itself, Unix milliseconds."""
    return _read(cookie)[1] * 1000


def is_from_here(app: App, request: fastapi.Request) -> bool | None:
    """Whether a page of this server made a browser send the request; None when nobody says.

    Source: Fetch Metadata Request Headers, section 2.3; browsers leave `Sec-Fetch-Site` out where there is no TLS.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site == "same-origin"
    if origin is None:
        return None
    known = urlsplit(app.settings.base_url or "")
    return origin in (f"{request.url.scheme}://{request.headers.get('host')}", f"{known.scheme}://{known.netloc}")


def _is_secure(app: App, request: fastapi.Request) -> bool:
    # The proxy in front of it may be all that knows of TLS.
    return request.url.scheme == "https" or (app.settings.base_url or "").startswith("https:")


def _read(cookie: str) -> tuple[str, int, str]:
    expires, _, rest = cookie.partition(".")
    who, _, proof = rest.partition(".")
    usable = expires.isascii() and expires.isdigit() and len(expires) <= 12
    return (who, int(expires), proof) if usable else ("", 0, "")


def _proof(app: App, who: str, expires_s: int) -> str:
    secret = keys.secret(app.database, "session_secret", lambda: secrets.token_hex(32))
    # Another password is another proof: whoever knew the old one is out.
    known = app.settings.password.get_secret_value() if who == PASSWORD and app.settings.password else ""
    digest = hmac.new(secret.encode(), f"{who}\n{expires_s}\n{known}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:24]).decode()
