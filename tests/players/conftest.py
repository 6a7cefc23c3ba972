"""What the tests with players share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import clips, samples
from tests.packages import package
from tests.players.browser import open_browser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page


# Not for longer than a module: while it is open, this thread has a running event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    """A browser."""
    with open_browser() as context:
        yield context


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    """A page of its own for each test."""
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture(scope="session")
def short_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds in segments of one, two rungs and sound."""
    return package(clips.plain(8, name="eight.mp4"), tmp_path_factory.mktemp("short"), chunk_s=1)


@pytest.fixture(scope="session")
def film_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real film of five seconds, three rungs and sound."""
    return package(samples.animation_mp4(), tmp_path_factory.mktemp("film"))
