"""Who may see the page, and who may send its forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from playwright.sync_api import expect

from tests import clips
from tests.api.served import serving
from tests.web.watching import violations, watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.api.served import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

# It may begin as keys do, and end with a blank.
PASSWORD = "ab_initio battery "


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that wants to know who comes."""
    with serving(tmp_path_factory.mktemp("closed"), ANABRANCH_PASSWORD=PASSWORD) as running:
        yield running


def window(browser: Browser, closed: Server, **options: Any) -> Page:
    return browser.new_context(base_url=closed.url, **options).new_page()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_person_logs_in_by_key_or_password_gets_on_and_logs_out(
    browser: Browser, closed: Server, scripts: bool
) -> None:
    for secret in (closed.key, PASSWORD):
        page = window(browser, closed, java_script_enabled=scripts)
        with watched(page, closed.url):
            page.goto("/?show=ready")
            expect(page).to_have_url(f"{closed.url}/login?next=%2F%3Fshow%3Dready")
            page.get_by_label("API key or password").fill(secret)
            page.get_by_role("button", name="Log in").click()
            expect(page).to_have_url(f"{closed.url}/?show=ready")
            expect(page.get_by_role("heading", name="Library")).to_be_visible()
            cookie = next(one for one in page.context.cookies() if one["name"] == "anabranch_session")
            assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
            page.get_by_role("button", name="Log out").click()
            expect(page).to_have_url(f"{closed.url}/login")
            page.goto("/operations")
            expect(page).to_have_url(f"{closed.url}/login?next=%2Foperations")
        page.context.close()


def test_whoever_has_logged_in_uploads_by_drop_and_sees_progress(browser: Browser, closed: Server) -> None:
    page = window(browser, closed)
    with watched(page, closed.url):
        page.goto("/login")
        page.get_by_label("API key or password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_text("Add films").click()
        page.get_by_label("From this device").set_input_files(clips.plain(4))
        expect(page.locator(".card .chip")).to_have_text("Ready", timeout=60_000)
    page.context.close()


def test_a_wrong_secret_is_refused_with_words(browser: Browser, closed: Server) -> None:
    page = window(browser, closed)
    with watched(page, closed.url) as wrong:
        for secret, code in (
            ("ab_live_00000000000000000000000000000000", "token_invalid"),
            ("guess", "password_wrong"),
        ):
            page.goto("/login")
            page.get_by_label("API key or password").fill(secret)
            page.get_by_role("button", name="Log in").click()
            expect(page.get_by_role("alert")).to_contain_text(code)
            assert violations(page) == []
        assert page.context.cookies() == []
        # The browser itself notes an answer with 401.
        assert all("401" in one for one in wrong)
        wrong.clear()
    page.context.close()


def test_a_revoked_key_ends_its_session_wherever_the_page_is(browser: Browser, closed: Server) -> None:
    made = closed.post("/keys", {"name": "for a while"})
    page = window(browser, closed)
    with watched(page, closed.url) as wrong:
        page.goto("/login")
        page.get_by_label("API key or password").fill(made["key"])
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Library")).to_be_visible()
        closed.api.delete(f"/keys/{made['id']}").raise_for_status()
        page.get_by_role("searchbox").fill("anything")
        expect(page).to_have_url(f"{closed.url}/login?next=%2F")
        wrong.clear()
    page.context.close()


def test_the_login_leads_to_no_other_site(closed: Server) -> None:
    with httpx2.Client(base_url=closed.url, headers={"origin": closed.url}) as browser:
        for there in (
            "//elsewhere.example",
            "https://elsewhere.example",
            "/\\elsewhere.example",
            "/\t/elsewhere.example",
        ):
            answer = browser.post("/login", data={"secret": PASSWORD, "next": there})
            assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "origin": "https://elsewhere.example"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        {},
    ],
)
def test_no_form_of_another_site_does_anything(site: Server, film: str, headers: dict[str, str]) -> None:
    """Not even where everybody may come in: the browser of somebody inside would do it for one outside."""
    with httpx2.Client(base_url=site.url, headers=headers) as browser:
        for path, form in (
            ("/bulk", {"do": "delete", "sure": "yes", "ids": film}),
            ("/fetch", {"url": "http://127.0.0.1/film.mp4"}),
            ("/upload", {}),
            ("/theme", {"theme": "dark"}),
            ("/login", {"secret": "x"}),
            ("/operations/keys", {"name": "mine"}),
        ):
            answer = browser.post(path, data=form)
            assert answer.status_code == 403, path
            assert "cross_site" in answer.text
            assert "set-cookie" not in answer.headers
    assert site.get(f"/media/{film}")["status"] == "ready"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_axe_finds_nothing_wrong_with_the_login(browser: Browser, closed: Server, scheme: Any, width: int) -> None:
    page = window(browser, closed, color_scheme=scheme, viewport={"width": width, "height": 800})
    with watched(page, closed.url):
        page.goto("/login")
        assert violations(page) == []
    page.context.close()
