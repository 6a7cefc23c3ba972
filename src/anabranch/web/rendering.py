"""Rendering: a template with what every page needs, under headers that let nothing in from elsewhere."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jinja2
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from anabranch import clock
from anabranch.api import cookies
from anabranch.web import words
from anabranch.web.assets import Assets

if TYPE_CHECKING:
    import fastapi

Json = Any

THEMES = ("light", "dark")
THEME_COOKIE = "anabranch_theme"

# Nothing but this server's own files, and none of it inline. Players hand the browser blobs of film, and hls.js may
# start its worker from one.
_POLICY = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "media-src": "'self' blob:",
    "worker-src": "'self' blob:",
    "connect-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
# What the browser follows to where outputs are read.
_PLAYED = ("img-src", "media-src", "connect-src")
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    # Kept for going back, and asked for anew otherwise.
    "cache-control": "private, no-cache",
    "vary": "cookie",
}


class Blank(dict[str, Json]):
    """Has every member, and each is none."""

    def __missing__(self, name: str) -> None:
        """Nothing."""


# What shows the outputs of tasks, and so what lets them in from elsewhere when they are made there.
_SHOWS = ("img-src", "media-src", "connect-src")


class Renderer:
    """Templates and assets, read once.

    Args:
        base_url: of this server.
        players_origin: another server that players are sent to for what they play.
        elsewhere: origins, as a content security policy names them, at which outputs may be; empty mostly.
    """

    def __init__(self, base_url: str, players_origin: str | None = None, elsewhere: str = "") -> None:
        self.assets = Assets()
        also = f" {players_origin}" if players_origin else ""
        self._policy = {name: f"{value}{also if name in _PLAYED else ''}" for name, value in _POLICY.items()}
        self._base = base_url
        self._elsewhere = elsewhere
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("anabranch.web"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
            finalize=lambda value: "" if value is None else value,
        )
        self._templates.filters |= {
            "duration": words.duration,
            "size": words.size,
            "percent": words.percent,
            "span": words.span,
            "ago": words.ago,
            "iso": words.iso,
            "number": words.number,
            "rounded": words.rounded,
            "share": words.share,
            "times": words.times,
            "seconds": words.seconds,
            "used": words.used,
            "counted": words.counted,
            "moment": words.moment,
            "json": words.pretty,
            "branch": words.branch,
            "clock": words.clock,
            "piece": words.piece,
            "status": words.status,
            "named": words.named,
            "title_of": words.title,
            "here": self.here,
            "marked": marked,
        }
        # A row of which nothing is known: what `<template>` elements are written from.
        self._templates.globals |= {"asset": lambda name: self.here(self.assets.url(name)), "blank": Blank()}

    @property
    def prefix(self) -> str:
        """The path below which a proxy shows this server; empty mostly."""
        return urlsplit(self._base).path.rstrip("/")

    def here(self, address: str | None) -> str:
        """An address of this server as the page writes it: a path, whatever host name the page was opened by."""
        if not address:
            return ""
        if address.startswith("/"):
            return self.prefix + address
        if address.startswith(f"{self._base}/"):
            return self.prefix + address.removeprefix(self._base)
        return address

    def own_path(self, address: str) -> str:
        """An address of this server as the API is asked for it in this process."""
        return address.removeprefix(self._base)

    def lasting(self, name: str) -> str:
        """The whole address of an asset, for pages elsewhere: it stays the same from build to build."""
        self.assets.url(name)
        return f"{self._base}/static/newest/{name}"

    def page(
        self,
        request: fastapi.Request,
        template: str,
        /,
        *,
        http_status: int = 200,
        policy: dict[str, str] | None = None,
        **values: Any,
    ) -> HTMLResponse:
        """A page.

        Args:
            request: what asked for it.
            template: its file in `templates`.
            http_status: of the answer.
            policy: directives of the content security policy that this page has otherwise.
            values: what the template names.
        """
        theme = request.cookies.get(THEME_COOKIE)
        body = self._templates.get_template(template).render(
            base_url=self._base,
            prefix=self.prefix,
            path=request.url.path,
            # What was posted cannot be opened again.
            again=str(request.url.replace(scheme="", netloc="")) if request.method == "GET" else "/",
            theme=theme if theme in THEMES else "",
            session=cookies.NAME in request.cookies,
            may=getattr(request.state, "may", frozenset()),
            now=clock.now_ms(),
            **values,
        )
        allowed = {**self._policy, **(policy or {})}
        if self._elsewhere:
            allowed |= {name: f"{allowed[name]} {self._elsewhere}" for name in _SHOWS}
        said = "; ".join(f"{name} {value}" for name, value in allowed.items())
        return HTMLResponse(body, http_status, {**_HEADERS, "content-security-policy": said})


def marked(snippet: str) -> Markup:
    """A snippet of a transcript, in which `<mark>` is all the HTML that there is, whoever wrote the rest."""
    plain = html.unescape(snippet.replace("<mark>", "\0").replace("</mark>", "\1"))
    text = html.escape(plain).replace("\0", "<mark>").replace("\1", "</mark>")
    return Markup(text)  # noqa: S704  (escaped the line before)
