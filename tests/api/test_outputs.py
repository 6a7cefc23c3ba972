"""Serving: what players, browsers and caches ask of a file server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.served import anyone

if TYPE_CHECKING:
    from tests.api.served import Server


@pytest.fixture
def gif(server: Server, plain_media: str) -> str:
    return str(server.get(f"/media/{plain_media}")["gifUrl"])


def test_parts_of_a_file_are_read_by_ranges(gif: str) -> None:
    whole = anyone.get(gif)
    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    size = len(whole.content)
    for given, part in (("bytes=0-9", slice(0, 10)), ("bytes=10-", slice(10, None)), ("bytes=-7", slice(-7, None))):
        answer = anyone.get(gif, headers={"range": given})
        assert (answer.status_code, answer.content) == (206, whole.content[part])
        assert answer.headers["content-range"].endswith(f"/{size}")
    assert anyone.get(gif, headers={"range": f"bytes={size}-"}).status_code == 416
    head = anyone.head(gif)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")


def test_caches_keep_it_for_ever_and_are_told_when_it_has_not_changed(gif: str) -> None:
    first = anyone.get(gif)
    assert "immutable" in first.headers["cache-control"]
    etag = first.headers["etag"]
    for given in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = anyone.get(gif, headers={"if-none-match": given})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert anyone.get(gif, headers={"if-none-match": '"other"'}).status_code == 200
    assert anyone.get(gif, headers={"range": "bytes=0-9", "if-range": '"other"'}).status_code == 200
    assert anyone.get(gif, headers={"range": "bytes=0-9", "if-range": etag}).status_code == 206


def test_pages_of_other_sites_may_read_it_and_run_nothing(gif: str) -> None:
    answer = anyone.get(gif, headers={"origin": "https://player.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    asked = anyone.options(
        gif,
        headers={
            "origin": "https://player.example",
            "access-control-request-method": "GET",
            "access-control-request-headers": "range",
        },
    )
    assert asked.status_code in (200, 204)
    assert "range" in asked.headers["access-control-allow-headers"].lower()


@pytest.mark.parametrize(
    "path", ["media/x/y", "../anabranch.db", "%2e%2e/anabranch.db", "media/../../anabranch.db", "media", "", ".hidden"]
)
def test_nothing_but_outputs_is_served(server: Server, path: str) -> None:
    answer = anyone.get(f"{server.url}/outputs/{path}")
    assert answer.status_code in (403, 404)
    assert answer.json()["code"] in ("output_not_found", "signature_required", "not_found")
