"""Context: what a page needs to know of its request: the API as its sender, and the templates."""

from __future__ import annotations

import contextlib
from typing import Annotated
from urllib.parse import parse_qs

import fastapi
from fastapi import Depends

from anabranch.api import cookies
from anabranch.web.client import Client, RefusedError
from anabranch.web.rendering import Renderer

_LARGEST_FORM_BYTES = 1 << 20

Asked = Annotated[Client, Depends(Client)]


def _renderer(request: fastapi.Request) -> Renderer:
    renderer: Renderer = request.app.state.page
    return renderer


Rendered = Annotated[Renderer, Depends(_renderer)]


async def look_who(request: fastapi.Request, api: Asked) -> None:
    """Ask what whoever looks may do, for the templates. What is refused here is refused again where it matters."""
    with contextlib.suppress(RefusedError):
        request.state.may = frozenset((await api.get("/session"))["scopes"])


def own_form(request: fastapi.Request) -> None:
    """Let no other site send a form in the name of whoever looks at it.

    Raises:
        RefusedError: `cross_site`.
    """
    if not cookies.is_from_here(request.app.state.app, request):
        said = "The form came from another site, so nothing was done. Open the page itself and try again."
        raise RefusedError(403, {"code": "cross_site", "detail": said})


class Fields:
    """What a form without files says."""

    def __init__(self, given: dict[str, list[str]]) -> None:
        self._given = given

    def one(self, name: str, otherwise: str = "") -> str:
        """The field's only value."""
        return self._given.get(name, [otherwise])[0]

    def every(self, name: str) -> list[str]:
        """All values of the fields of a name."""
        return self._given.get(name, [])


async def _posted(request: fastapi.Request) -> Fields:
    """The form, if it comes from a page of this server.

    Raises:
        RefusedError: `cross_site` or `too_large`.
    """
    own_form(request)
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > _LARGEST_FORM_BYTES:
            raise RefusedError(413, {"code": "too_large", "detail": "The form says more than a page can ask."})
    return Fields(parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True))


Posted = Annotated[Fields, Depends(_posted)]
