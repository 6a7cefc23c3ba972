"""What the tests of the page share: a server that everybody may use, a film on it, and a browser that is watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from tests import clips, samples
from tests.api.served import serving
from tests.players.browser import FLAGS, binary
from tests.web.watching import watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.api.served import Server


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that the tests of the page share, without keys."""
    with serving(tmp_path_factory.mktemp("site"), ANABRANCH_OPEN_ACCESS="1") as running:
        yield running


@pytest.fixture(scope="session")
def film(site: Server) -> str:
    """A real film that is ready."""
    media_id = site.upload(samples.animation_mp4(), title="The rabbit")
    assert site.media(media_id, "ready", "degraded", "failed")["status"] == "ready"
    return media_id


@pytest.fixture(scope="session")
def speech(site: Server) -> str:
    """A real voice that is written down."""
    media_id = site.upload(clips.said(), title="Two cities")
    assert site.media(media_id, "ready", "degraded", "failed")["status"] == "ready"
    return media_id


@pytest.fixture(scope="session")
def broken(site: Server) -> str:
    """A film that was cut short and has failed."""
    media_id = site.upload(clips.no_index(), title="Cut short")
    assert site.media(media_id, "ready", "degraded", "failed")["status"] == "failed"
    return media_id


# Not for longer than a module: while it is open, this thread has a running event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=binary(), headless=True, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser, site: Server) -> Iterator[Page]:
    """A window of its own. What the page in it complains of, and whom it asks beside the server, fails the test."""
    context = browser.new_context(base_url=site.url)
    page = context.new_page()
    with watched(page, site.url):
        yield page
    context.close()


@pytest.fixture
def plain(browser: Browser, site: Server) -> Iterator[Page]:
    """The same without JavaScript."""
    context = browser.new_context(base_url=site.url, java_script_enabled=False)
    page = context.new_page()
    with watched(page, site.url):
        yield page
    context.close()
