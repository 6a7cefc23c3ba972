"""Operations in a real browser: what the server does, what failed, and putting it right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests import clips
from tests.api.served import until
from tests.web.watching import violations

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from pytest_httpserver import HTTPServer

    from tests.api.served import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

VIEWS = ("now", "runs", "events", "webhooks", "keys", "doctor")


def test_what_is_being_done_is_shown_while_it_is_done(page: Page, site: Server) -> None:
    page.goto("/operations")
    media_id = site.upload(clips.silent(24, size="640x360"), title="At work")
    mine = page.locator(".doing", has_text="At work").first
    expect(mine).to_be_visible(timeout=30_000)
    expect(mine.get_by_role("link").first).to_have_attribute("href", f"/watch/{media_id}")
    site.media(media_id, "ready")
    expect(page.locator(".doing", has_text="At work")).to_have_count(0, timeout=10_000)
    expect(page.locator(".worker-idle").first).to_be_visible()


def test_failures_are_told_by_code_with_advice_and_done_again(page: Page, site: Server, broken: str) -> None:
    page.goto("/operations")
    mine = page.locator(".failure", has_text="truncated")
    expect(mine).to_be_visible()
    expect(mine.get_by_role("link", name=broken)).to_have_attribute("href", f"/watch/{broken}")
    mine.get_by_role("button", name="Do again").click()
    expect(page.get_by_text("being done again")).to_be_visible()
    site.media(broken, "failed")


def test_runs_and_events_are_listed_and_opened(page: Page, site: Server, film: str) -> None:
    page.goto("/operations?view=runs&status=completed")
    # What is done when it fails has its name in its own.
    uploads = page.get_by_role("cell", name="anabranch-fanout-adaptive-streaming", exact=True)
    row = page.locator("tbody tr", has=uploads).first
    expect(row.locator(".chip")).to_have_text("Done")
    row.get_by_role("link").click()
    expect(page.get_by_role("cell", name="poster-image", exact=True)).to_be_visible()
    page.goto("/operations?view=runs&status=cancelled")
    expect(page.get_by_text("No runs like these.")).to_be_visible()
    page.goto("/operations?view=events")
    page.get_by_label("Name of the event").fill("video/uploaded")
    page.get_by_role("button", name="Show", exact=True).click()
    names = page.locator("tbody tr td:first-child")
    expect(names.first).to_have_text("video/uploaded")
    assert set(names.all_inner_texts()) == {"video/uploaded"}


def test_a_delivery_is_told_again(page: Page, site: Server, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("thanks")
    endpoint = site.post("/webhooks/endpoints", {"url": httpserver.url_for("/hook"), "topics": ["media.ready"]})
    media_id = site.upload(clips.plain(2, name="two.mp4"))
    site.media(media_id, "ready")
    until(lambda: len(httpserver.log) == 1, 30)
    page.goto("/operations?view=webhooks")
    row = page.locator("tbody tr", has=page.get_by_role("button")).filter(has_text="media.ready").first
    expect(row).to_contain_text(httpserver.url_for("/hook"))
    row.get_by_role("button", name="Tell again").click()
    expect(page.get_by_text("It is being told again.")).to_be_visible()
    until(lambda: len(httpserver.log) == 2, 30)
    site.api.delete(f"/webhooks/endpoints/{endpoint['id']}").raise_for_status()


def test_a_key_is_made_shown_once_and_revoked(page: Page, site: Server) -> None:
    page.goto("/operations?view=keys")
    page.get_by_label("A new key for").fill("the upload form")
    page.get_by_role("button", name="Make it").click()
    text = page.locator(".command code").inner_text()
    assert site.api.get("/session", headers={"authorization": f"Bearer {text}"}).json()["name"] == "the upload form"
    page.goto("/operations?view=keys")
    assert text not in page.content()
    page.get_by_role("button", name="Revoke the upload form").click()
    expect(page.get_by_text("opens nothing any more")).to_be_visible()
    row = next(one for one in site.get("/keys") if one["name"] == "the upload form")
    assert row["revokedAt"]


def test_operations_work_without_javascript(plain: Page, site: Server, film: str) -> None:
    for view in VIEWS:
        plain.goto(f"/operations?view={view}")
        expect(plain.get_by_role("heading", name="Operations")).to_be_visible()
    expect(plain.get_by_text("ffmpeg", exact=True)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_wrong_with_operations(
    page: Page, scheme: Any, view: str, site: Server, film: str, broken: str
) -> None:
    page.emulate_media(color_scheme=scheme)
    for width in (1280, 375):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"/operations?view={view}")
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
