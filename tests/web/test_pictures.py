"""Pictures of the page as it is, for the README: `make pictures` writes them into docs/pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from anabranch.media import ffmpeg
from tests import clips, samples
from tests.api.served import serving, until
from tests.web.watching import card, watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.api.served import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

WIDE: Any = {"width": 1280, "height": 820}
PHONE: Any = {"width": 375, "height": 812}
# What is shown is shown at length, and large; whether it can be shown is seen of less.
LONG_S, SIZE = (40, "1280x720") if "ANABRANCH_PICTURES" in os.environ else (10, "640x360")
# A picture of nothing, or of one colour, is smaller.
LEAST_BYTES = 8_000


# Generated, so that the pictures may be shown anywhere.
NOON = f"gradients=s={SIZE}:speed=0.03:nb_colors=4:type=spiral:seed=5:c0=#0d3b55:c1=#0b6a69:c2=#63cbc2:c3=#f5d9a0"
DAWN = f"gradients=s={SIZE}:speed=0.02:nb_colors=4:type=radial:seed=11:c0=#13293d:c1=#8a5bb5:c2=#f2a65a:c3=#ffe9c7"
LIFE = "life=s=320x180:mold=25:ratio=0.12:death_color=#0b6a69:life_color=#f5d9a0:mold_color=#06302f:seed=7"


def drawn(name: str, source: str, seconds: float) -> Path:
    """A film that ffmpeg draws, with a real voice."""
    inputs = ("-f", "lavfi", "-i", f"{source}:r=25", "-i", str(samples.speech_wav()))
    coded = (
        "-vf",
        f"scale=s={SIZE}:flags=neighbor,format=yuv420p",
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-c:a",
        "aac",
    )
    return clips.make(name, *inputs, "-map", "0:v", "-map", "1:a", "-t", f"{seconds:g}", *coded)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server with films of all sorts, and the one of them that is shown."""
    with serving(tmp_path_factory.mktemp("shown"), ANABRANCH_OPEN_ACCESS="1") as server:
        ids = [
            server.upload(clips.no_index(), title="Sent from a train"),
            server.upload(clips.said(LONG_S), title="A Tale of Two Cities"),
            server.upload(drawn("dawn.mp4", DAWN, LONG_S / 4), title="The river at dawn"),
            server.upload(drawn("life.mp4", LIFE, LONG_S), title="Life on a grid, with a voice"),
        ]
        for media_id in ids:
            server.media(media_id, "ready", "failed")
        yield server, ids[-1]


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    """Where pictures go."""
    folder = Path(os.environ.get("ANABRANCH_PICTURES") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def page(browser: Browser, shown: tuple[Server, str]) -> Iterator[Page]:
    server, _ = shown
    context = browser.new_context(base_url=server.url, viewport=WIDE, device_scale_factor=1.5)
    page = context.new_page()
    with watched(page, server.url):
        yield page
    context.close()


def take(page: Page, taken: Path, scratch: Path, name: str) -> None:
    """Take a picture of what is to be seen now."""
    page.mouse.move(0, 0)
    plain = scratch / f"{name}.png"
    page.screenshot(path=plain, animations="disabled")
    made = taken / f"{name}.webp"
    ffmpeg.run(
        ffmpeg.find(),
        ["-i", str(plain), "-c:v", "libwebp", "-quality", "82", "-y", str(made)],
        making=name,
        scratch=scratch,
    )
    assert made.stat().st_size > LEAST_BYTES


def watch(page: Page, media_id: str, at: float) -> None:
    """Open a film's page at a moment, with its picture."""
    page.goto(f"/watch/{media_id}?t={at:g}")
    page.wait_for_selector("ab-transcript[data-ready]")
    page.wait_for_selector("ab-timeline[data-drawn]")
    page.wait_for_function("() => document.querySelector('ab-player').video?.readyState >= 2")
    until(
        lambda: page.evaluate("document.querySelector('ab-player').video.currentTime") == pytest.approx(at, abs=0.1), 20
    )
    # The best rendition has come by then, and the controls have seen that it stands still.
    page.wait_for_timeout(2500)


def test_the_library_while_a_film_is_worked_on(
    page: Page, shown: tuple[Server, str], taken: Path, tmp_path: Path
) -> None:
    server, film = shown
    page.goto("/")
    expect(card(page, film).locator(".card-poster")).to_be_visible()
    media_id = server.upload(drawn("noon.mp4", NOON, LONG_S), title="The river at noon")
    percent = card(page, media_id).locator(".chip")
    until(lambda: percent.count() and 20 < int(percent.inner_text().removesuffix(" %")) < 90, 60)
    take(page, taken, tmp_path, "library")
    page.goto("/operations")
    expect(page.locator(".doing", has_text="The river at noon").first).to_be_visible()
    take(page, taken, tmp_path, "operations")
    server.api.delete(f"/media/{media_id}")


def test_a_film_with_what_is_said_and_how_it_was_made(
    page: Page, shown: tuple[Server, str], taken: Path, tmp_path: Path
) -> None:
    _, film = shown
    watch(page, film, 3.4)
    take(page, taken, tmp_path, "film")
    page.locator(".made").scroll_into_view_if_needed()
    page.locator('[data-lane="hls-package"] .bar').nth(1).click()
    page.locator("[data-panel] .attempt").wait_for()
    page.locator(".made").evaluate("section => section.scrollIntoView({ block: 'start' })")
    take(page, taken, tmp_path, "timeline")


def test_a_film_on_a_phone_in_the_dark(page: Page, shown: tuple[Server, str], taken: Path, tmp_path: Path) -> None:
    _, film = shown
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="dark")
    watch(page, film, 3.4)
    take(page, taken, tmp_path, "phone")
    page.goto("/?q=wisdom")
    expect(page.locator(".card mark").first).to_be_visible()
    take(page, taken, tmp_path, "search")
