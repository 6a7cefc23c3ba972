"""Operations: what the server is doing, what has failed and what to do about it, and who may call it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import fastapi
from fastapi import Query
from fastapi.responses import RedirectResponse, Response

from anabranch.web.client import Client, RefusedError, at
from anabranch.web.context import Asked, Fields, Posted, Rendered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Json = Any

router = fastapi.APIRouter(include_in_schema=False)

PAGE = 25
RUN_STATUSES = ("running", "completed", "failed", "cancelled")
# What a key may, and in a few words what that is.
SCOPES = (
    ("read", "see everything that is made"),
    ("upload", "add films and tasks, and see how they fare"),
    ("write", "both of these, change and delete"),
    ("admin", "everything, also keys and webhooks"),
)
DELIVERY_STATUSES = ("pending", "delivered", "failed", "dropped")
_DONE = {
    "retried": "What had failed is being done again.",
    "replayed": "It is being told again.",
    "revoked": "The key opens nothing any more.",
    "again": "The run was begun again.",
    "cancelled": "The run was cancelled.",
}


@router.get("/operations")
async def show_operations(
    request: fastapi.Request,
    api: Asked,
    page: Rendered,
    view: str = "now",
    status: str = "",
    name: Annotated[str, Query(max_length=300)] = "",
    run: Annotated[str, Query(max_length=100)] = "",
    after: str | None = None,
    done: str = "",
) -> Response:
    """One view of it: now, runs, events, webhooks, keys or doctor."""
    read = _VIEWS.get(view, _now)
    found = await read(api, {"status": status, "name": name, "run": run, "after": after or ""})
    return page.page(
        request,
        f"operations/{read.__name__.removeprefix('_')}.html",
        view=view if view in _VIEWS else "now",
        done=_DONE.get(done),
        **found,
    )


@router.post("/operations/retry")
async def retry(api: Asked, page: Rendered, form: Posted) -> Response:
    """Do again what has failed with one code."""
    await api.answer("POST", "/media/retry", query={"error_code": form.one("code")}, json={"ids": form.every("ids")})
    return RedirectResponse(page.here("/operations?done=retried"), 303)


@router.post("/operations/replay")
async def replay(api: Asked, page: Rendered, form: Posted) -> Response:
    """Tell an address again what it was told."""
    await api.answer("POST", at("webhooks", "deliveries", form.one("id"), "replay"))
    return RedirectResponse(page.here("/operations?view=webhooks&done=replayed"), 303)


@router.post("/operations/rerun")
async def rerun(api: Asked, page: Rendered, form: Posted) -> Response:
    """Do a run again, from its beginning."""
    answer = await api.answer("POST", at("v1", "runs", form.one("id"), "rerun"))
    query = urlencode({"view": "runs", "run": answer.json()["data"]["id"], "done": "again"})
    return RedirectResponse(page.here(f"/operations?{query}"), 303)


@router.post("/operations/cancel")
async def cancel(api: Asked, page: Rendered, form: Posted) -> Response:
    """Cancel a run."""
    await api.answer("DELETE", at("v1", "runs", form.one("id")))
    query = urlencode({"view": "runs", "run": form.one("id"), "done": "cancelled"})
    return RedirectResponse(page.here(f"/operations?{query}"), 303)


@router.post("/operations/keys")
async def create_key(request: fastapi.Request, api: Asked, page: Rendered, form: Posted) -> Response:
    """Make a key. Its text is shown in the answer to this form, and never again."""
    try:
        made = (await api.answer("POST", "/keys", json=_wanted(form))).json()
    except RefusedError as error:
        if error.status != 422:
            raise
        found = await _keys(api, {}) | {"wrong": error, "chosen": form.every("scopes")}
        return page.page(request, "operations/keys.html", http_status=422, view="keys", done=None, **found)
    answer = page.page(request, "operations/keys.html", view="keys", done=None, **await _keys(api, {}) | {"made": made})
    # Going back must not show it again.
    answer.headers["cache-control"] = "no-store"
    return answer


@router.post("/operations/keys/revoke")
async def revoke_key(api: Asked, page: Rendered, form: Posted) -> Response:
    """End a key."""
    await api.answer("DELETE", at("keys", form.one("id")))
    return RedirectResponse(page.here("/operations?view=keys&done=revoked"), 303)


async def _now(api: Client, _: dict[str, str]) -> dict[str, Json]:
    return {"overview": await api.get("/overview")}


async def _runs(api: Client, asked: dict[str, str]) -> dict[str, Json]:
    if asked["run"]:
        return {"run": (await api.get(at("v1", "runs", asked["run"])))["data"], "rows": [], "older": None, "status": ""}
    status = asked["status"] if asked["status"] in RUN_STATUSES else ""
    rows, more = await api.page("/v1/runs", status=status, after=asked["after"], limit=PAGE)
    older = _older("runs", rows, more=more, status=status)
    return {"run": None, "rows": rows, "older": older, "status": status, "statuses": RUN_STATUSES}


async def _events(api: Client, asked: dict[str, str]) -> dict[str, Json]:
    rows, more = await api.page("/v1/events", name=asked["name"], after=asked["after"], limit=PAGE)
    return {"rows": rows, "older": _older("events", rows, more=more, name=asked["name"]), "name": asked["name"]}


async def _webhooks(api: Client, asked: dict[str, str]) -> dict[str, Json]:
    status = asked["status"] if asked["status"] in DELIVERY_STATUSES else ""
    rows, more = await api.page("/webhooks/deliveries", status=status, after=asked["after"], limit=PAGE)
    endpoints, _ = await api.page("/webhooks/endpoints", limit=100)
    older = _older("webhooks", rows, more=more, status=status)
    return {"rows": rows, "older": older, "status": status, "statuses": DELIVERY_STATUSES, "endpoints": endpoints}


async def _keys(api: Client, _: dict[str, str]) -> dict[str, Json]:
    rows = await api.get("/keys")
    return {"rows": rows, "made": None, "wrong": None, "scopes": SCOPES, "chosen": [SCOPES[0][0]]}


def _wanted(form: Fields) -> dict[str, Json]:
    """The key that a form asks for."""
    most = form.one("most").strip()
    return {
        "name": form.one("name").strip(),
        "scopes": form.every("scopes"),
        # What is no number the API says in its own words.
        "requestsPerMinute": (int(most) if most.isdecimal() else most) or None,
    }


async def _doctor(api: Client, _: dict[str, str]) -> dict[str, Json]:
    return {"findings": await api.get("/doctor")}


_VIEWS: dict[str, Callable[[Client, dict[str, str]], Awaitable[dict[str, Json]]]] = {
    "now": _now,
    "runs": _runs,
    "events": _events,
    "webhooks": _webhooks,
    "keys": _keys,
    "doctor": _doctor,
}


def _older(view: str, rows: list[Json], *, more: bool, **query: str) -> str | None:
    if not more or not rows:
        return None
    said = {name: one for name, one in query.items() if one}
    return f"/operations?{urlencode({'view': view, **said, 'after': rows[-1]['id']})}"
