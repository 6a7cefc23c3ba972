"""The media page while a film is being made, and when a part of it fails: bars, logs, commands, retries."""

from __future__ import annotations

import subprocess
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests import clips
from tests.api.served import USUAL, serving, until
from tests.api.troubled import in_trouble
from tests.players.test_early import film
from tests.web.test_watch import PHONE, WIDE, moves_on
from tests.web.watching import violations, watched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.api.served import Server
    from tests.api.troubled import Troubled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Json = Any
# What moved without anybody having done anything, as browsers count it.
SHIFTS = """() => {
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) {
      if (one.hadRecentInput) continue;
      const names = one.sources.map((source) => source.node?.id || source.node?.className || source.node?.nodeName);
      window.shifts.push([one.value, names]);
    }
  }).observe({ type: "layout-shift", buffered: true });
}"""
BARS = """() => [...document.querySelectorAll(".bar")].map((one) => {
  const box = one.getBoundingClientRect();
  return [one.getAttribute("aria-label").split(",")[0], box.left, box.width, one.dataset.status];
})"""


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troubled]:
    """A server without keys, whose ffmpeg can be made to fail."""
    with in_trouble(tmp_path_factory.mktemp("troubled"), ANABRANCH_OPEN_ACCESS="1") as running:
        yield running


@pytest.fixture(scope="module")
def broken(troubled: Troubled) -> str:
    """A film whose preview failed for good."""
    troubled.fails_at("palettegen")
    media_id = troubled.server.upload(clips.spoken(), title="Half a film")
    assert troubled.server.media(media_id, "degraded", "ready", "failed")["status"] == "degraded"
    troubled.is_mended()
    return media_id


@pytest.fixture
def here(browser: Browser, troubled: Troubled) -> Iterator[Page]:
    """A page of the troubled server, under the same watch as `page`."""
    page = browser.new_page()
    page.set_viewport_size(WIDE)
    with watched(page, troubled.server.url):
        yield page
    page.close()


def visit(page: Page, server: Server, media_id: str) -> None:
    page.goto(f"{server.url}/watch/{media_id}")
    page.wait_for_selector("ab-timeline[data-drawn]")


def bars(page: Page) -> list[tuple[str, str]]:
    """Which attempts there are, and how each of them is."""
    return sorted((name, status) for name, _, _, status in page.evaluate(BARS))


def percent(page: Page) -> int:
    """What the page says of the whole; 100 when it says that it is done."""
    said = page.locator("[data-percent-of=media]").all_inner_texts()
    return int(said[0].removesuffix(" %")) if said else 100


@contextmanager
def looking(browser: Browser, server: Server) -> Iterator[Page]:
    """A window of somebody who has nothing in common with the others, under the same watch as `page`."""
    context = browser.new_context(viewport=WIDE)
    page = context.new_page()
    with watched(page, server.url):
        yield page
    context.close()


@pytest.mark.alone
def test_a_film_plays_on_its_page_while_it_is_made_and_bars_move(tmp_path: Path, browser: Browser) -> None:
    with (
        serving(tmp_path / "home", ANABRANCH_OPEN_ACCESS="1", ANABRANCH_CPU_SLOTS="1", **USUAL) as server,
        looking(browser, server) as page,
        looking(browser, server) as other,
    ):
        media_id = server.upload(film(), title="While it is made")
        visit(page, server, media_id)
        page.evaluate("() => { window.stayed = true; }")
        page.evaluate(SHIFTS)
        page.get_by_role("button", name="Play when ready").click()
        frame = page.locator("ab-player").bounding_box()
        until(lambda: len(page.evaluate(BARS)) > 1, 60)
        # Without a click, without a reload, and long before it is done.
        until(lambda: page.evaluate("() => document.querySelector('ab-player').video?.currentTime > 0.2"), 120)
        assert server.get(f"/media/{media_id}")["status"] == "processing"
        # The button that was pressed is gone; the player's own is in its place.
        assert page.evaluate("() => document.activeElement.localName") == "media-play-button"
        assert moves_on(page)
        assert [one for one in page.evaluate(BARS) if one[3] == "running"]
        before = page.evaluate(BARS)
        until(lambda: page.evaluate(BARS) != before, 20)
        # Somebody else who looks sees the same.
        visit(other, server, media_id)
        until(lambda: 0 < percent(page) < 100 and percent(page) == percent(other), 30)
        until(lambda: bars(page) == bars(other), 30)
        server.media(media_id, "ready", "failed")
        lanes = server.get(f"/media/{media_id}/timeline")["lanes"]
        pieces = sum(len(lane["pieces"]) for lane in lanes)
        for view in (page, other):
            expect(view.locator(".about .chip").first).to_have_text("Ready", timeout=20_000)
            until(lambda view=view: len(bars(view)) >= pieces, 20)  # type: ignore[misc]
        assert {status for _, status in bars(page)} == {"completed"}
        until(lambda: page.evaluate("() => document.querySelector('ab-player').video.ended"), 90)
        assert page.evaluate("() => window.stayed")
        assert page.locator("ab-player").bounding_box() == frame
        shifts = page.evaluate("() => window.shifts")
        assert sum(value for value, _ in shifts) < 0.02, shifts


def test_a_branch_that_failed_says_why_and_what_to_do_above_the_fold(
    troubled: Troubled, broken: str, here: Page
) -> None:
    for size in (WIDE, PHONE):
        here.set_viewport_size(size)
        visit(here, troubled.server, broken)
        notice = here.get_by_role("region", name="Preview: failed")
        box = notice.bounding_box()
        assert box is not None
        assert box["y"] + min(box["height"], 160) < size["height"]
        text = notice.inner_text()
        assert "no luck with palettegen" in text
        assert "What to do:" in text
        assert "encode_failed" in text
        assert violations(here) == []
        assert here.evaluate("() => document.scrollingElement.scrollWidth") <= size["width"]


def test_a_bar_opens_its_log_and_a_command_that_can_be_pasted(troubled: Troubled, broken: str, here: Page) -> None:
    visit(here, troubled.server, broken)
    bars = here.locator('[data-lane="gif-preview"] .bar')
    assert bars.count() == 4
    assert set(bars.evaluate_all("all => all.map((one) => one.dataset.status)")) == {"failed"}
    bars.last.click()
    panel = here.locator("[data-panel] .attempt")
    panel.wait_for()
    assert panel.locator("h3").inner_text() == "Preview, render, attempt 4"
    assert "no luck with palettegen" in panel.locator("[data-log]").inner_text()
    assert here.url == f"{troubled.server.url}/watch/{broken}"
    command = panel.locator(".command code").inner_text()
    done = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    here.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel.get_by_role("button", name="Copy the command").click()
    until(lambda: here.evaluate("() => navigator.clipboard.readText()") == command, 10)
    panel.get_by_role("button", name="Close").click()
    assert here.locator("[data-panel]").is_hidden()
    here.get_by_role("link", name="What was run").click()
    assert panel.locator("h3").inner_text() == "Preview, render, attempt 4"


def test_the_timeline_is_walked_by_keys(troubled: Troubled, broken: str, here: Page) -> None:
    visit(here, troubled.server, broken)
    assert here.locator('[data-lane="gif-preview"] .bar[tabindex="0"]').count() == 1
    here.locator('[data-lane="hls-package"] .bar[tabindex="0"]').focus()
    focused = "() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    first = here.evaluate(focused)
    here.keyboard.press("ArrowRight")
    assert here.evaluate(focused) != first
    here.keyboard.press("Home")
    assert here.evaluate(focused) == first
    here.keyboard.press("ArrowDown")
    here.keyboard.press("ArrowDown")
    here.keyboard.press("End")
    label = here.evaluate(focused)
    assert label.startswith("render, attempt 4: failed")
    here.keyboard.press("Enter")
    here.locator("[data-panel] .attempt").wait_for()
    until(lambda: here.evaluate(focused) == "Preview, render, attempt 4", 10)
    here.keyboard.press("Escape")
    assert here.evaluate(focused) == label
    assert here.locator("[data-panel]").is_hidden()


def test_a_failed_branch_is_done_again_from_the_page(troubled: Troubled, here: Page) -> None:
    server = troubled.server
    troubled.fails_at("palettegen")
    media_id = server.upload(clips.plain(4, name="again.mp4"))
    assert server.media(media_id, "degraded", "ready", "failed")["status"] == "degraded"
    troubled.is_mended()
    visit(here, server, media_id)
    here.evaluate("() => { window.stayed = true; }")
    here.get_by_role("region", name="Preview: failed").get_by_role("button", name="Try again").click()
    until(lambda: here.locator(".about .chip").first.inner_text() == "Ready", 60)
    assert here.locator(".notices section").count() == 0
    assert server.get(f"/media/{media_id}")["status"] == "ready"
    assert here.evaluate("() => window.stayed")
    until(
        lambda: (
            "completed"
            in here.locator('[data-lane="gif-preview"] .bar').evaluate_all(
                "all => all.map((one) => one.dataset.status)"
            )
        ),
        20,
    )
    assert here.locator('[data-lane="gif-preview"] .bar.is-earlier[data-status="failed"]').count() == 4
    assert here.locator(".urls h3").all_inner_texts().count("Preview") == 1


def test_a_piece_and_what_comes_after_it_is_done_again_from_the_page(troubled: Troubled, here: Page) -> None:
    server = troubled.server
    media_id = server.upload(clips.plain(14, name="pieces.mp4"))
    server.media(media_id, "ready", "failed")

    def made() -> Counter[str]:
        lane = next(one for one in server.get(f"/media/{media_id}/timeline")["lanes"] if one["branch"] == "hls-package")
        tasks = [*lane["earlier"], lane]
        # What was taken over is in both.
        return Counter(
            name
            for name, _ in {
                (piece["name"], attempt["startedAt"])
                for task in tasks
                for piece in task["pieces"]
                for attempt in piece["attempts"]
            }
        )

    before = made()
    assert {"chunk-0000", "chunk-0001"} <= set(before)
    visit(here, server, media_id)
    here.locator('[data-lane="hls-package"] .bar[aria-label^="chunk 2,"]').click()
    here.get_by_role("button", name="Retry from here").click()
    until(lambda: made()["chunk-0001"] > before["chunk-0001"], 60)
    server.media(media_id, "ready", "failed")
    after = made()
    assert after["chunk-0000"] == before["chunk-0000"]
    until(lambda: here.locator(".about .chip").first.inner_text() == "Ready", 30)


def test_a_running_branch_is_cancelled_from_the_page(troubled: Troubled, here: Page) -> None:
    server = troubled.server
    media_id = server.upload(clips.plain(30, "1280x720", "30", "long.mp4"))
    visit(here, server, media_id)
    here.locator('[data-lane="hls-package"] .bar[data-status="running"]').first.wait_for(timeout=60_000)
    here.get_by_role("button", name="Cancel Video").click()
    until(lambda: here.locator("#lane-hls-package .chip").inner_text() == "Cancelled", 30)
    until(lambda: not any("libx264" in line for line in server.children()), 30)
    states = {one["name"]: one["status"] for one in server.get(f"/media/{media_id}")["branches"]}
    assert states["hls-package"] == "cancelled"
    assert here.get_by_role("button", name="Try again Video").count() == 1


def test_what_is_no_film_is_said_once(troubled: Troubled, here: Page) -> None:
    server = troubled.server
    answer = server.api.post("/media?filename=a.mp4", content=b"not a film", headers={"content-type": "video/mp4"})
    media_id = answer.json()["id"]
    server.media(media_id, "failed")
    visit(here, server, media_id)
    assert here.locator(".notices section").count() == 1
    assert "not_media" in here.locator(".notices").inner_text()
    assert here.locator(".player-waiting").inner_text() == "There is nothing to play."
    assert violations(here) == []
