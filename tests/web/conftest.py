"""What the tests of the page share: a server that everybody may use, and a browser that tells what goes wrong in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.served import serving
from tests.players.browser import open_browser
from tests.web.watching import watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Page

    from tests.api.served import Server


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that all tests of the page share, without keys."""
    with serving(tmp_path_factory.mktemp("site"), ANABRANCH_OPEN_ACCESS="1") as running:
        yield running


# Not for longer than a module: while it is open, this thread has a running event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    """A browser."""
    with open_browser() as context:
        yield context


@pytest.fixture
def page(browser: BrowserContext, site: Server) -> Iterator[Page]:
    """A page of its own. What it complains of, and whom it asks beside the server, fails the test."""
    page = browser.new_page()
    with watched(page, site.url):
        yield page
    page.close()
