"""Browser: Debian's Chromium without a window, and players in it."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Page

FLAGS = [
    # Root has no sandbox, and this machine no GPU.
    *("--no-sandbox", "--disable-gpu"),
    # Nothing but what the tests ask for: no updates, no experiments, no synchronisation.
    *("--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"),
    "--disable-sync",
    # Films begin without a click, and in silence.
    *("--autoplay-policy=no-user-gesture-required", "--mute-audio"),
]
PLAYERS = ("hls.js", "shaka")


def binary() -> str:
    """The browser of this machine."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "chromium is missing; run make setup"
    return found


@contextmanager
def open_browser() -> Iterator[BrowserContext]:
    """A browser with an empty profile."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(prefix="anabranch-browser-") as profile:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=binary(), headless=True, args=FLAGS
        )
        try:
            yield context
        finally:
            context.close()


def play(
    page: Page,
    url: str,
    player: str = "hls.js",
    *,
    rate: float = 1,
    switching: bool = False,
    within_s: float = 60,
    page_at: str | None = None,
) -> dict[str, Any]:
    """Play an address of `serving.served` from where the player begins to its end, and tell what was seen.

    Args:
        page: a page of `open_browser`.
        url: a multivariant playlist, or a DASH manifest for Shaka Player.
        player: one of `PLAYERS`.
        rate: how many times faster than life, once every level was shown.
        switching: show each level in turn first.
        within_s: how long it may take.
        page_at: address of `serving.served` that has the page, when the package is served by somebody else.

    Returns:
        `ended`, `errors` (the player's words), `levels` (what it read), `shown` (indices of the levels whose
        pictures came up), `audio`, `text`, `time`, `duration`, `played` (ranges of seconds), `frames`, `broken`
        (frames), `stalls`, `repeats` (of a segment), `backwards`, `mostRanges` (parts that the buffer had at most),
        `sizes`.
    """
    address = urlsplit(page_at or url)
    page.goto(f"{address.scheme}://{address.netloc}/players/page.html")
    given = {"url": url, "player": player, "rate": rate, "switching": switching, "withinS": within_s}
    facts: dict[str, Any] = page.evaluate("given => play(given)", given)
    return facts
