"""Scopes: what a key may, of every route that there is."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from anabranch.api.keys import KeyRequest
from anabranch.api.server import scopes_of
from anabranch.catalog import keys
from anabranch.cli.serve import Scope
from anabranch.web.operations import SCOPES as SCOPES_OF_THE_PAGE
from tests.api.whole import URL, whole_app

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.routing import RouteContext

    from tests.api.served import Server

# What asks for no key: it tells nothing of anybody's media, or its address is a secret or signed.
PUBLIC = {
    "GET /health",
    "GET /ready",
    "GET /metrics",
    "GET /openapi.json",
    "POST /session",
    "DELETE /session",
    "OPTIONS /uploads",
    "PUT /uploads/direct/{media_id}/{filename}",
    "HEAD /uploads/{upload_id}",
    "PATCH /uploads/{upload_id}",
    "DELETE /uploads/{upload_id}",
    "POST /tasks/remote/{token}",
    "GET /outputs/{key:path}",
    "HEAD /outputs/{key:path}",
    "OPTIONS /outputs/{key:path}",
    "GET /signed/{token}/{key:path}",
    "HEAD /signed/{token}/{key:path}",
    "OPTIONS /signed/{token}/{key:path}",
    # Signed by the engine, which the SDK checks.
    "/api/inngest",
}
# Any key will do.
FOR_ALL = {"GET /session"}
# Some of each, as they were meant.
MEANT = {
    "GET /media": "read",
    "GET /search": "read",
    "GET /events": "read",
    "GET /v1/runs": "read",
    "GET /media/{media_id}": "read upload",
    "GET /tasks/{task_id}": "read upload",
    "POST /media": "upload",
    "POST /uploads": "upload",
    "POST /tasks": "upload",
    "POST /jobs": "upload",
    "PATCH /media/{media_id}": "write",
    "DELETE /media/{media_id}": "write",
    "POST /media/delete": "write",
    "POST /media/{media_id}/links": "write",
    "POST /tasks/{task_id}/cancel": "write",
    "POST /media/retry": "write",
    "POST /e/{event_key}": "write",
    "DELETE /v1/runs/{run_id}": "write",
    "GET /keys": "admin",
    "POST /keys": "admin",
    "GET /webhooks/endpoints": "admin",
    "POST /webhooks/endpoints": "admin",
    "POST /fn/register": "admin",
    "POST /v1/apps": "admin",
    "GET /doctor": "admin",
}
# Answers for as long as somebody listens.
ENDLESS = "GET /events"


def is_page(route: RouteContext) -> bool:
    """Pages ask the API as whoever looks at them, so it is the API that says no."""
    return bool(route.endpoint and route.endpoint.__module__.startswith("anabranch.web."))


def test_every_route_says_what_it_needs_or_is_public_on_purpose(tmp_path: Path) -> None:
    async def look() -> dict[str, tuple[str, ...] | None]:
        async with whole_app(tmp_path) as (_, routes):
            return {name: scopes_of(route) for name, route in routes.items() if not is_page(route)}

    found = asyncio.run(look())
    assert len(found) > 70
    assert {name for name, scopes in found.items() if scopes is None} == PUBLIC
    assert {name for name, scopes in found.items() if scopes == ()} == FOR_ALL
    assert {name: " ".join(found[name] or ()) for name in MEANT} == MEANT


def test_every_route_refuses_a_key_without_its_scope_and_says_which_it_wants(tmp_path: Path) -> None:
    async def ask_all() -> tuple[list[str], int]:
        wrong, refused = [], 0
        async with whole_app(tmp_path) as (api, routes):
            made = {scope: keys.create(api.state.app.database, scope, [scope])[1] for scope in keys.SCOPES}
            transport = httpx2.ASGITransport(api, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url=URL) as client:
                for name, route in routes.items():
                    wanted = scopes_of(route)
                    if not wanted:
                        continue
                    method, path = name.split(" ")
                    for scope, text in made.items():
                        may = not keys.SCOPES[scope].isdisjoint(wanted)
                        if may and name == ENDLESS:
                            continue
                        address = path.replace("{event_key}", text).replace("{", "no_").replace("}", "")
                        headers = {"authorization": f"Bearer {text}"}
                        answer = await client.request(method, address, headers=headers, json=None if may else {})
                        told = answer.status_code == 403 and answer.json()["code"] == "scope_missing"
                        if told is may or (told and " or ".join(wanted) not in answer.json()["detail"]):
                            wrong.append(f"{name} by {scope}: {answer.status_code} {answer.text[:200]}")
                        refused += told
        return wrong, refused

    wrong, refused = asyncio.run(ask_all())
    assert not wrong, "\n".join(wrong)
    assert refused > 100


def test_all_that_name_scopes_name_the_same() -> None:
    schema = json.dumps(KeyRequest.model_json_schema()["properties"]["scopes"])
    assert all(f'"{scope}"' in schema for scope in keys.SCOPES)
    assert [scope.value for scope in Scope] == list(keys.SCOPES) == [scope for scope, _ in SCOPES_OF_THE_PAGE]


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def test_who_may_upload_sees_what_becomes_of_it_and_nothing_else(server: Server) -> None:
    made = server.post("/keys", {"name": "upload form", "scopes": ["upload"]})
    assert made["scopes"] == ["upload"]
    with httpx2.Client(base_url=server.url, headers=bearer(made["key"])) as form:
        media = form.post("/media", json={"title": "By a form"}).json()
        assert form.get(f"/media/{media['id']}").json()["title"] == "By a form"
        put = form.post("/signatures", json={"filename": "a.mp4", "method": "put"})
        assert put.status_code == 201
        refused = [
            form.get("/media"),
            form.patch(f"/media/{media['id']}", json={"title": "x"}),
            form.delete(f"/media/{media['id']}"),
            # For others, and for longer than the key may live.
            form.post("/signatures", json={"filename": "a.mp4", "method": "get"}),
            form.post("/keys", json={"name": "more", "scopes": ["upload"]}),
        ]
        assert {(one.status_code, one.json()["code"]) for one in refused} == {(403, "scope_missing")}
        who = form.get("/session").json()
        assert (who["name"], who["scopes"]) == ("upload form", ["upload"])
        # No answer is given twice to who may not have it: the key of another is another.
        again = form.post("/media/retry", headers={"idempotency-key": "scoped"})
        assert again.json()["code"] == "scope_missing"
    server.api.delete(f"/media/{media['id']}").raise_for_status()


def test_a_session_may_what_its_key_may(server: Server) -> None:
    made = server.post("/keys", {"name": "dashboard", "scopes": ["read"]})
    with httpx2.Client(base_url=server.url, headers={"origin": server.url}) as browser:
        assert browser.post("/session", json={"key": made["key"]}).status_code == 204
        assert browser.get("/session").json()["scopes"] == ["read"]
        assert browser.get("/media").status_code == 200
        assert browser.post("/media/retry").json()["code"] == "scope_missing"
        assert browser.get("/keys").json()["code"] == "scope_missing"


@pytest.mark.parametrize("scopes", [[], ["all"], ["read", "read", "read", "read", "read"], "read", None])
def test_a_key_of_scopes_that_there_are_not_is_not_made(server: Server, scopes: Any) -> None:
    assert server.post("/keys", {"name": "x", "scopes": scopes}, 422)["code"] == "invalid_request"


@pytest.mark.slow
def test_the_page_offers_nobody_what_the_key_may_not(server: Server, plain_media: str) -> None:
    made = server.post("/keys", {"name": "looks", "scopes": ["read"]})
    with httpx2.Client(base_url=server.url, headers={"origin": server.url}) as reader:
        reader.post("/session", json={"key": made["key"]})
        library, film, runs = (reader.get(path).text for path in ("/", f"/watch/{plain_media}", "/operations"))
        assert plain_media in library
        assert all(word not in library for word in ("Add films", 'id="bulk"', "<ab-upload", "card-pick"))
        assert all(word not in film for word in ("Make it private", "Delete …", "Save</button>"))
        assert all(f"view={view}" not in runs for view in ("webhooks", "keys", "doctor"))
        for refused in (
            reader.get("/operations?view=keys"),
            reader.post(f"/watch/{plain_media}", data={"do": "delete"}),
            reader.post("/bulk", data={"do": "retry", "ids": plain_media}),
            reader.post("/fetch", data={"url": "http://127.0.0.1/x"}),
        ):
            assert refused.status_code == 403
            assert "scope_missing" in refused.text
    with httpx2.Client(base_url=server.url, headers={"origin": server.url}) as all_of_it:
        all_of_it.post("/session", json={"key": server.key})
        library, film = (all_of_it.get(path).text for path in ("/", f"/watch/{plain_media}"))
        assert all(word in library for word in ("Add films", 'id="bulk"', "<ab-upload", "card-pick"))
        assert all(word in film for word in ("Make it private", "Delete …", "Save</button>"))
        form = {"name": "by the page", "scopes": ["read", "upload"], "most": "90"}
        page = all_of_it.post("/operations/keys", data=form)
        assert page.status_code == 200
        (row,) = [one for one in server.get("/keys") if one["name"] == "by the page"]
        assert (row["scopes"], row["requestsPerMinute"]) == (["read", "upload"], 90)
        assert "read, upload" in page.text
        unwilling = all_of_it.post("/operations/keys", data={"name": "none"})
        assert unwilling.status_code == 422
        assert "scopes" in unwilling.text
