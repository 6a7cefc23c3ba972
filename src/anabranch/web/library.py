"""Library: all media as cards, what is said in them, and what can be done to many of them at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import fastapi
from fastapi import Depends, Query
from fastapi.responses import RedirectResponse, Response

from anabranch import clock
from anabranch.api import ingest
from anabranch.web import cards
from anabranch.web.client import RefusedError, at
from anabranch.web.context import Asked, Posted, Rendered, own_form

if TYPE_CHECKING:
    from anabranch.web.client import Client

Json = Any

router = fastapi.APIRouter(include_in_schema=False)

PAGE = 24
# What a person looks for, in the words of the API.
FILTERS: dict[str, tuple[str, ...]] = {
    "": (),
    "working": ("waiting", "processing"),
    "ready": ("ready",),
    "broken": ("degraded", "failed"),
}


@router.get("/")
async def show_library(
    request: fastapi.Request,
    api: Asked,
    page: Rendered,
    q: Annotated[str, Query(max_length=1000)] = "",
    show: str = "",
    after: str | None = None,
    done: str = "",
) -> Response:
    """The newest media, or those in which the words are."""
    show = show if show in FILTERS else ""
    refused = None
    try:
        rows, more = await api.page("/media", q=q.strip(), status=list(FILTERS[show]) or None, after=after, limit=PAGE)
    except RefusedError as error:
        if not q.strip() or error.status == 401:
            raise
        rows, more, refused = [], False, error
    return page.page(
        request,
        "library.html",
        http_status=refused.status if refused else 200,
        rows=[cards.view(row, clock.now_ms()) for row in rows],
        q=q.strip(),
        show=show,
        after=after,
        older=_address(q=q.strip(), show=show, after=rows[-1]["id"]) if more and rows else None,
        done=_DONE.get(done),
        refused=refused,
    )


_DONE = {
    "retried": "What had failed is being done again.",
    "deleted": "Deleted, with all files.",
    "uploaded": "Uploaded. It is being worked on.",
    "fetching": "It is being fetched.",
    "nothing": "Nothing was selected.",
}


@router.post("/upload", dependencies=[Depends(own_form)])
@ingest.streams()
async def upload(request: fastapi.Request, api: Asked, page: Rendered) -> Response:
    """Pass a form's file on to the API, as it comes."""
    headers = {"content-type": request.headers.get("content-type", "")}
    await api.answer("POST", "/media", content=request.stream(), headers=headers)
    return RedirectResponse(page.here("/?done=uploaded"), 303)


@router.post("/fetch")
async def fetch(api: Asked, page: Rendered, form: Posted) -> Response:
    """Have a film fetched from an address."""
    await api.answer("POST", "/media", json={"url": form.one("url").strip()})
    return RedirectResponse(page.here("/?done=fetching"), 303)


@router.post("/bulk")
async def act_on_many(request: fastapi.Request, api: Asked, page: Rendered, form: Posted) -> Response:
    """Do the selected ones again, or delete them: that only after asking."""
    ids = form.every("ids")
    if not ids:
        return RedirectResponse(page.here("/?done=nothing"), 303)
    if form.one("do") == "retry":
        await api.answer("POST", "/media/retry", json={"ids": ids})
        return RedirectResponse(page.here("/?done=retried"), 303)
    if not form.one("sure"):
        return page.page(request, "sure.html", rows=await _still_there(api, ids))
    await api.answer("POST", "/media/delete", json={"ids": ids})
    return RedirectResponse(page.here("/?done=deleted"), 303)


async def _still_there(api: Client, ids: list[str]) -> list[Json]:
    async def one(media_id: str) -> Json:
        try:
            return await api.get(at("media", media_id))
        except RefusedError as error:
            if error.status == 404:
                return None
            raise

    return [row for row in await asyncio.gather(*map(one, ids)) if row]


def _address(**query: str | None) -> str:
    said = {name: value for name, value in query.items() if value}
    return f"/?{urlencode(said)}" if said else "/"
