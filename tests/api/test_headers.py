"""Headers: what every answer tells browsers, and whose pages may read it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx2
import pytest

from anabranch.errors import SetupError
from anabranch.settings import read_settings
from tests.api.whole import URL, whole_app

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.served import Server

LISTED, OTHER = "https://films.example", "https://evil.example"


def check(answer: httpx2.Response) -> None:
    """What all answers have, each once."""
    for name in (
        "x-content-type-options",
        "referrer-policy",
        "content-security-policy",
        "cross-origin-resource-policy",
        "x-request-id",
    ):
        assert len(answer.headers.get_list(name)) == 1, (answer.url, name)
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    if answer.headers.get("content-type", "").startswith("text/html"):
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
    else:
        assert "default-src 'none'" in policy


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/media?limit=1", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/metrics", 200),
        ("GET", "/media/med_none", 404),
        ("GET", "/nowhere", 404),
        ("PUT", "/health", 405),
        ("POST", "/tasks", 422),
        ("GET", "/outputs/media/med_none/x", 403),
        ("GET", "/signed/1-x/media/med_none/x", 403),
        ("OPTIONS", "/uploads", 204),
        ("HEAD", "/uploads/upl_none", 412),
        ("GET", "/login", 200),
        ("GET", "/static/newest/css/base.css", 200),
        ("GET", "/static/newest/none.css", 404),
        ("GET", "/operations?view=none", 303),
        ("POST", "/fetch", 403),
        ("GET", "/api/inngest", 200),
    ],
)
def test_every_answer_has_the_headers_that_keep_browsers_from_doing_harm(
    server: Server, method: str, path: str, status: int
) -> None:
    answer = server.api.request(method, path)
    assert answer.status_code in (status, 401 if path == "/api/inngest" else status)
    check(answer)
    # There is no TLS here that a browser could be told to insist on.
    assert "strict-transport-security" not in answer.headers


def test_outputs_may_be_embedded_everywhere_and_pages_and_answers_nowhere(server: Server, plain_media: str) -> None:
    record = server.get(f"/media/{plain_media}")
    for address in (record["hlsUrl"], record["posterUrl"], record["transcriptionUrl"] or record["gifUrl"]):
        answer = httpx2.get(address, headers={"origin": OTHER})
        check(answer)
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert answer.headers["access-control-allow-origin"] == "*"
        # Of what somebody uploaded nothing runs, whatever a browser takes it for.
        assert "sandbox" in answer.headers["content-security-policy"]
    assert server.api.get("/session").headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.slow
def test_what_nobody_thought_of_is_answered_like_everything_else(tmp_path: Path) -> None:
    async def ask() -> list[httpx2.Response]:
        async with whole_app(tmp_path, cors_origins=(LISTED,)) as (api, _):

            @api.get("/broken")
            async def broken() -> None:
                raise RuntimeError("secret words")

            headers = {"origin": LISTED, "x-request-id": "mine"}
            transport = httpx2.ASGITransport(api)
            async with httpx2.AsyncClient(transport=transport, base_url=URL, headers=headers) as client:
                return [
                    await client.get("/broken"),
                    await client.get("/health"),
                    await client.get("/health", headers={"origin": OTHER}),
                    await client.options("/media", headers={"access-control-request-method": "POST"}),
                    await client.options("/media", headers={"origin": OTHER, "access-control-request-method": "POST"}),
                    await client.get("/outputs/media/x/y", headers={"origin": OTHER}),
                    await client.get("/static/newest/vendor/hls.js/hls.min.mjs", headers={"origin": OTHER}),
                ]

    answers = asyncio.run(ask())
    broken, listed, other, asked, asked_by_other, output, module = answers
    assert (broken.status_code, broken.json()["code"]) == (500, "internal_error")
    assert (broken.json()["request_id"], broken.headers["x-request-id"]) == ("mine", "mine")
    assert "secret words" not in broken.text
    for answer in answers:
        check(answer)
        # This server is reached by TLS alone.
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        # A cookie is for this server's own pages.
        assert "access-control-allow-credentials" not in answer.headers
    origins = [answer.headers.get("access-control-allow-origin") for answer in answers]
    assert origins == [LISTED, LISTED, None, LISTED, None, "*", "*"]
    assert (asked.status_code, asked_by_other.status_code) == (200, 400)
    assert "origin" in listed.headers["vary"].lower()
    assert other.status_code == output.status_code - 203 == module.status_code == 200


def test_without_a_list_pages_everywhere_may_call_the_api_and_never_with_a_cookie(server: Server) -> None:
    answer = server.api.get("/media?limit=1", headers={"origin": OTHER, "cookie": "anabranch_session=x"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    asked = httpx2.options(f"{server.url}/media", headers={"origin": OTHER, "access-control-request-method": "POST"})
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, "*")
    check(asked)


@pytest.mark.parametrize("wrong", ["films.example", "https://films.example/", "https://a.example;https://b.example/x"])
def test_an_origin_that_no_browser_would_send_is_refused_at_the_start(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANABRANCH_CORS_ORIGINS", f"https://right.example, {wrong}")
    with pytest.raises(SetupError, match="ANABRANCH_CORS_ORIGINS"):
        read_settings()
    monkeypatch.setenv("ANABRANCH_CORS_ORIGINS", "https://right.example, http://localhost:3000")
    assert read_settings().cors_origins == ("https://right.example", "http://localhost:3000")
