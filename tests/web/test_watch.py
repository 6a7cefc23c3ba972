"""The media page, in a browser: it plays, follows what is said, and says how to use and change a film."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from playwright.sync_api import expect

from anabranch.web.styles import HASHES
from tests import clips
from tests.api.served import anyone, elsewhere, until
from tests.web.watching import violations

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Request, Route

    from tests.api.served import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

Json = Any
PHONE: Any = {"width": 375, "height": 812}
WIDE: Any = {"width": 1366, "height": 900}
# Every style that is in a shadow root, the ones of what is in it included.
STYLES = """() => {
  const found = [];
  const look = (root) => {
    for (const one of root.querySelectorAll("*")) {
      if (!one.shadowRoot) continue;
      for (const style of one.shadowRoot.querySelectorAll("style")) found.push(style.textContent);
      look(one.shadowRoot);
    }
  };
  look(document);
  return found;
}"""


@pytest.fixture(scope="session")
def spoken(site: Server) -> str:
    """A film of ten seconds in which somebody speaks, ready."""
    media_id = site.upload(clips.spoken(), title="A street, and a voice")
    assert site.media(media_id, "ready", "degraded", "failed")["status"] == "ready"
    return media_id


def words_of(site: Server, media_id: str) -> list[Json]:
    found: list[Json] = anyone.get(site.get(f"/media/{media_id}")["transcriptionUrl"]).json()["words"]
    return found


def said_at(site: Server, media_id: str, wanted: str) -> float:
    """When a word is said for the first time."""
    return next(float(one["start"]) for one in words_of(site, media_id) if one["word"].strip(" ,.").lower() == wanted)


def open_page(page: Page, site: Server, media_id: str, query: str = "", size: dict[str, int] = WIDE) -> None:
    """Open the page and wait until there is something to play and every word can be clicked."""
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.goto(f"{site.url}/watch/{media_id}{query}")
    page.wait_for_selector("ab-transcript[data-ready]")
    page.wait_for_function("() => document.querySelector('ab-player').video?.readyState >= 2")


def video(page: Page, member: str) -> Any:
    return page.evaluate(f"() => document.querySelector('ab-player').video.{member}")


def play(page: Page) -> None:
    page.get_by_role("button", name="play", exact=True).click()


def moves_on(page: Page, by_s: float = 0.5) -> bool:
    """Whether the film goes on by so many seconds."""
    begin = video(page, "currentTime")
    until(lambda: video(page, "currentTime") > begin + by_s, 20)
    return True


def test_a_page_whose_film_stands_still_is_not_drawn_again_and_again(site: Server, spoken: str, page: Page) -> None:
    metrics = page.context.new_cdp_session(page)
    metrics.send("Performance.enable")

    def drawn() -> float:
        told = metrics.send("Performance.getMetrics")["metrics"]
        return next(float(one["value"]) for one in told if one["name"] == "RecalcStyleCount")

    def drawn_in_a_second() -> float:
        before = drawn()
        page.wait_for_timeout(1000)
        return drawn() - before

    open_page(page, site, spoken)
    until(lambda: drawn_in_a_second() < 10, 20)
    play(page)
    assert moves_on(page)
    page.keyboard.press("k")
    until(lambda: video(page, "paused"), 10)
    until(lambda: drawn_in_a_second() < 10, 20)


def has_chosen(page: Page, quality: str) -> bool:
    """Whether a quality could be chosen: a menu that is filled anew, as it is while a film begins, closes."""
    try:
        page.get_by_role("button", name="settings").click(timeout=5000)
        page.get_by_role("menuitem", name="Quality").click(timeout=5000)
        page.get_by_role("menuitemradio", name=quality, exact=True).click(timeout=5000)
    except PlaywrightTimeoutError:
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        return False
    return True


def test_a_film_plays_at_the_quality_that_is_chosen(site: Server, spoken: str, page: Page) -> None:
    open_page(page, site, spoken)
    heights = [one["height"] for one in site.get(f"/media/{spoken}")["renditions"]]
    assert len(heights) > 1
    play(page)
    assert moves_on(page)
    for height in (min(heights), max(heights)):
        until(lambda height=height: has_chosen(page, f"{height}p"), 60)  # type: ignore[misc]
        until(lambda height=height: video(page, "videoHeight") == height, 20)  # type: ignore[misc]
        page.keyboard.press("Escape")
        if video(page, "currentTime") > 6:
            page.evaluate("() => document.querySelector('ab-player').seek(1)")
        assert moves_on(page)
    assert video(page, "videoHeight") == max(heights)


def test_captions_show_what_is_said_then(site: Server, spoken: str, page: Page) -> None:
    open_page(page, site, spoken)
    page.get_by_role("switch", name="closed captions").click()
    seconds = said_at(site, spoken, "wisdom") + 0.1
    page.evaluate("seconds => document.querySelector('ab-player').seek(seconds)", seconds)
    shown = """() => [...document.querySelector("ab-player").video.textTracks]
      .filter((one) => one.mode === "showing").flatMap((one) => [...(one.activeCues ?? [])]).map((cue) => cue.text)"""
    until(lambda: any("wisdom" in text for text in page.evaluate(shown)), 20)


def test_the_speed_can_be_chosen(site: Server, spoken: str, page: Page) -> None:
    open_page(page, site, spoken)
    page.get_by_role("button", name="settings").click()
    page.get_by_role("menuitem", name="Speed").click()
    page.get_by_role("menuitemradio", name="1.5").click()
    until(lambda: video(page, "playbackRate") == 1.5, 10)


def test_the_scrub_bar_shows_what_is_there(site: Server, spoken: str, page: Page) -> None:
    open_page(page, site, spoken)
    until(
        lambda: page.evaluate("() => document.querySelector('ab-player track[label=thumbnails]')?.readyState") == 2, 20
    )
    bar = page.locator("media-time-range").bounding_box()
    assert bar is not None
    page.mouse.move(bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] / 2)
    preview = page.locator("media-preview-thumbnail").first
    until(lambda: (preview.get_attribute("mediapreviewimage") or "").startswith(f"{site.url}/outputs/"), 10)
    assert preview.get_attribute("mediapreviewcoords")


def test_keys_play_seek_and_mute(site: Server, spoken: str, page: Page) -> None:
    open_page(page, site, spoken)
    page.get_by_role("button", name="play", exact=True).focus()
    page.keyboard.press("k")
    assert moves_on(page)
    page.keyboard.press("k")
    until(lambda: video(page, "paused"), 10)
    before = video(page, "currentTime")
    page.keyboard.press("ArrowRight")
    until(lambda: video(page, "currentTime") == pytest.approx(before + 5, abs=0.3), 10)
    muted = video(page, "muted")
    page.keyboard.press("m")
    until(lambda: video(page, "muted") != muted, 10)


def test_a_spoken_word_is_found_and_a_click_seeks_to_it(site: Server, spoken: str, page: Page) -> None:
    open_page(page, site, spoken)
    wanted = said_at(site, spoken, "wisdom")
    field = page.get_by_role("searchbox", name="Find in what is said")
    field.fill("wisdom")
    found = page.locator(".lines .found")
    assert found.all_inner_texts() == ["wisdom."]
    found.click()
    until(lambda: abs(video(page, "currentTime") - wanted) < 0.5, 10)
    until(lambda: page.locator(".lines .now").all_inner_texts() == ["wisdom."], 10)
    field.fill("no such word")
    assert page.locator("[data-count]").inner_text() == "not said"


def test_a_search_goes_from_one_to_the_next_and_round(site: Server, spoken: str, page: Page) -> None:
    open_page(page, site, spoken)
    times = [one["start"] for one in words_of(site, spoken) if one["word"].strip(" ,.").lower() == "was"]
    assert len(times) > 2
    field = page.get_by_role("searchbox", name="Find in what is said")
    field.fill("it was the")
    for step, (key, at) in enumerate([("Enter", 0), ("Enter", 1), ("Shift+Enter", 0), ("Shift+Enter", len(times) - 1)]):
        field.press(key)
        until(lambda at=at: -0.6 < video(page, "currentTime") - times[at] < 0.1, 10)  # type: ignore[misc]
        assert page.locator("[data-count]").inner_text() == f"{at + 1} of {len(times)}", step
    page.get_by_role("button", name="Next").click()
    assert page.locator("[data-count]").inner_text() == f"1 of {len(times)}"


def test_a_link_leads_to_a_moment(site: Server, spoken: str, page: Page) -> None:
    wanted = said_at(site, spoken, "wisdom")
    open_page(page, site, spoken, f"?t={wanted}&q=wisdom")
    until(lambda: abs(video(page, "currentTime") - wanted) < 0.5, 10)
    assert page.locator(".lines .found").all_inner_texts() == ["wisdom."]
    page.locator("[data-moment]").first.click()
    first = words_of(site, spoken)[0]["start"]
    until(lambda: abs(video(page, "currentTime") - first) < 0.5, 10)
    assert "?t=" in page.url
    page.reload()
    page.wait_for_function("() => document.querySelector('ab-player').video?.readyState >= 2")
    until(lambda: abs(video(page, "currentTime") - first) < 0.5, 10)


def test_the_text_follows_the_film(site: Server, spoken: str, page: Page) -> None:
    open_page(page, site, spoken)
    said = words_of(site, spoken)
    play(page)
    seen: set[str] = set()

    def look() -> bool:
        seen.update(page.locator(".lines .now").all_inner_texts())
        return bool(video(page, "currentTime") > 4)

    until(look, 30)
    spoken_by_then = [one["word"].strip() for one in said if one["end"] < 3.5]
    assert len(seen & set(spoken_by_then)) > len(set(spoken_by_then)) / 2
    assert page.locator("li[aria-current]").count() == 1


def test_addresses_are_there_to_be_copied(site: Server, spoken: str, page: Page) -> None:
    open_page(page, site, spoken)
    record = site.get(f"/media/{spoken}")
    for name in ("hlsUrl", "dashUrl", "posterUrl", "gifUrl", "transcriptionUrl", "captionsUrl", "storyboardUrl"):
        assert page.locator(f'.urls ab-copy[data-text="{record[name]}"]').count() == 1, name
        assert anyone.get(record[name]).status_code == 200
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the address: HLS").click()
    until(lambda: page.evaluate("() => navigator.clipboard.readText()") == record["hlsUrl"], 10)
    assert page.locator("#said").inner_text() == "Copied."


@pytest.mark.parametrize("which", ["embed-every", "embed-plain"])
def test_the_code_for_other_pages_plays_there(
    which: str, site: Server, spoken: str, page: Page, browser: Browser, tmp_path: Path
) -> None:
    open_page(page, site, spoken)
    code = page.locator(f"#{which}").inner_text()
    (tmp_path / "index.html").write_text(f'<!doctype html><link rel="icon" href="data:,">{code}')
    with elsewhere(tmp_path) as url:
        other = browser.new_page()
        wrong: list[str] = []
        other.on("pageerror", lambda error: wrong.append(str(error)))
        other.goto(f"{url}/index.html")
        other.evaluate("() => { const video = document.querySelector('video'); video.muted = true; video.play(); }")
        until(lambda: other.evaluate("() => document.querySelector('video').currentTime") > 0.5, 30)
        other.close()
    assert wrong == []


def test_facts_are_in_words(site: Server, spoken: str, page: Page) -> None:
    open_page(page, site, spoken)
    facts = dict(
        zip(page.locator(".facts dt").all_inner_texts(), page.locator(".facts dd").all_inner_texts(), strict=True)
    )
    assert facts["Length"] == "0:10 (10.0 seconds)"
    assert facts["Picture"] == "640 × 272 pixels, 2.35:1"
    assert facts["Picture coded as"].startswith("H.264, ")
    assert facts["Sound"].startswith("AAC, mono, ")
    assert facts["File"].startswith("MP4 or QuickTime, ")


def test_a_title_is_changed_while_the_film_plays_on(site: Server, spoken: str, page: Page) -> None:
    open_page(page, site, spoken)
    page.evaluate("() => { window.stayed = true; }")
    play(page)
    page.get_by_label("Title", exact=True).fill("Another name")
    page.get_by_role("button", name="Save").click()
    until(lambda: page.get_by_role("heading", level=1).inner_text() == "Another name", 10)
    assert site.get(f"/media/{spoken}")["title"] == "Another name"
    assert page.title().startswith("Another name")
    assert page.evaluate("() => window.stayed && !document.querySelector('ab-player').video.paused")


def test_what_is_typed_stays_while_the_page_is_kept_up_to_date(site: Server, spoken: str, page: Page) -> None:
    streams: list[str] = []

    def note(request: Request) -> None:
        if request.resource_type == "eventsource":
            streams.append(request.url)

    page.on("request", note)
    open_page(page, site, spoken)
    # What is asked for while it becomes private may be refused, and is asked for again; so it has read all by then.
    whole = "() => { const { buffered, duration } = document.querySelector('ab-player').video; return buffered.length"
    whole += " && buffered.end(buffered.length - 1) > duration - 0.2; }"
    until(lambda: page.evaluate(whole), 30)
    title = page.get_by_label("Title", exact=True)
    title.fill("Half a na")
    title.press("ArrowLeft")
    page.get_by_role("searchbox", name="Find in what is said").fill("wisdom")
    title.focus()
    # By somebody else.
    for private in (True, False):
        site.api.patch(f"/media/{spoken}", json={"private": private})
        expect(page.get_by_role("button", name="Open it" if private else "Make it private")).to_be_visible()
        expect(title).to_have_value("Half a na")
        expect(title).to_be_focused()
        assert title.evaluate("field => field.selectionStart") == len("Half a n")
        expect(page.locator(".lines .found")).to_have_text("wisdom.")
    # One for all elements: a browser has few.
    assert len(streams) == 1


def test_where_the_browser_plays_by_itself_a_refused_address_is_made_anew(
    site: Server, spoken: str, page: Page
) -> None:
    page.add_init_script("""
      HTMLVideoElement.prototype.webkitSetPresentationMode = () => {};
      HTMLMediaElement.prototype.canPlayType = () => "maybe";
    """)
    asked: list[str] = []

    def play_list(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) < 3:
            route.fulfill(status=204)
        else:
            route.continue_()

    page.route("**/*.m3u8", play_list)
    page.goto(f"{site.url}/watch/{spoken}?t=4")
    page.wait_for_function("() => document.querySelector('ab-player').video?.readyState >= 2")
    assert video(page, "currentTime") == pytest.approx(4, abs=0.1)
    assert len(asked) >= 3
    expect(page.locator("ab-player track[kind=captions]")).to_have_count(1)


def test_a_private_film_is_played_by_signed_addresses(site: Server, page: Page) -> None:
    media_id = site.upload(clips.spoken(), title="Nobody else's")
    site.media(media_id, "ready", "failed")
    site.api.patch(f"/media/{media_id}", json={"private": True})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_page(page, site, media_id)
    play(page)
    assert moves_on(page)
    outputs = [url for url in asked if media_id in url and "/media/" in url and url.endswith((".m4s", ".m3u8", ".mp4"))]
    assert outputs
    assert all("/signed/" in url for url in outputs)
    assert page.locator(".about .chip").all_inner_texts() == ["Ready", "Private"]
    page.get_by_role("button", name="Open it").click()
    until(lambda: page.locator(".about .chip").all_inner_texts() == ["Ready"], 10)
    assert site.get(f"/media/{media_id}")["private"] is False


def test_a_film_that_becomes_private_plays_on(site: Server, page: Page) -> None:
    media_id = site.upload(clips.silent(75), title="Half open")
    site.media(media_id, "ready", "failed")
    page.set_viewport_size(WIDE)
    page.goto(f"{site.url}/watch/{media_id}")
    page.wait_for_function("() => document.querySelector('ab-player').video?.readyState >= 2")
    # What is asked for while it becomes private may be refused, and is asked for again; so it has read ahead by then.
    ahead = "() => document.querySelector('ab-player').video.buffered.end(0)"
    until(lambda: page.evaluate(ahead) > 25, 30)
    page.wait_for_timeout(1000)
    assert page.evaluate(ahead) < 50
    page.get_by_role("button", name="Make it private").click()
    until(lambda: site.get(f"/media/{media_id}")["private"], 10)
    until(lambda: page.locator(".urls code").first.inner_text().startswith(f"{site.url}/signed/"), 10)
    # What is further on is not buffered yet, and its open address is refused now.
    page.evaluate("() => { const player = document.querySelector('ab-player'); player.seek(74); player.video.play(); }")
    until(lambda: video(page, "ended"), 30)


def test_a_film_is_deleted_from_its_page(site: Server, page: Page) -> None:
    media_id = site.upload(clips.plain())
    site.media(media_id, "ready", "failed")
    page.set_viewport_size(WIDE)
    page.goto(f"{site.url}/watch/{media_id}")
    # What is still on its way when it is deleted is refused.
    page.wait_for_function("() => document.querySelector('ab-player').video?.readyState >= 2")
    page.get_by_text("Delete …").click()
    page.get_by_role("button", name="Delete it").click()
    page.wait_for_url(f"{site.url}/?done=deleted")
    assert site.api.get(f"/media/{media_id}").status_code == 404
    gone = anyone.get(f"{site.url}/watch/{media_id}")
    assert gone.status_code == 404
    assert "media_not_found" in gone.text


def test_all_of_it_is_there_without_scripts(site: Server, spoken: str, plain: Page) -> None:
    plain.goto(f"/watch/{spoken}")
    assert "best of times" in plain.locator(".lines").inner_text()
    film = site.get(f"/media/{spoken}")["hlsUrl"].removeprefix(site.url)
    assert plain.locator("video").get_attribute("src") == film
    plain.get_by_text("The same as a table").click()
    assert plain.locator(".attempts tbody tr").count() == len(attempts(site, spoken))
    plain.get_by_role("link", name="transcribe").click()
    assert "ffmpeg" in plain.locator(".attempt .command").inner_text()
    plain.go_back()
    plain.get_by_label("Title", exact=True).fill("Without scripts")
    plain.get_by_role("button", name="Save").click()
    assert plain.get_by_role("heading", level=1).inner_text() == "Without scripts"
    # What is still on its way when it becomes private is refused.
    plain.wait_for_load_state("networkidle")
    plain.get_by_role("button", name="Make it private").click()
    assert site.get(f"/media/{spoken}")["private"] is True
    plain.get_by_role("button", name="Open it").click()
    assert site.get(f"/media/{spoken}")["private"] is False


def attempts(site: Server, media_id: str) -> list[Json]:
    return [
        attempt
        for lane in site.get(f"/media/{media_id}/timeline")["lanes"]
        for piece in lane["pieces"]
        for attempt in piece["attempts"]
    ]


def test_a_form_from_elsewhere_does_nothing(site: Server, spoken: str) -> None:
    before = site.get(f"/media/{spoken}")["title"]
    headers = {"sec-fetch-site": "cross-site", "content-type": "application/x-www-form-urlencoded"}
    answer = anyone.post(f"{site.url}/watch/{spoken}", content="do=title&title=Stolen", headers=headers)
    assert (answer.status_code, "cross_site" in answer.text) == (403, True)
    assert site.get(f"/media/{spoken}")["title"] == before


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_everybody_can_use_it(theme: str, size: dict[str, int], site: Server, spoken: str, page: Page) -> None:
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    open_page(page, site, spoken, size=size)
    page.wait_for_selector("ab-timeline[data-drawn]")
    assert violations(page) == []
    page.locator(".bar").first.click()
    page.wait_for_selector(".attempt")
    page.get_by_role("searchbox", name="Find in what is said").fill("it was")
    page.get_by_text("The same as a table").click()
    page.get_by_text("Delete …").click()
    assert violations(page) == []
    assert page.evaluate("() => document.scrollingElement.scrollWidth") <= size["width"]


def test_nothing_moves_for_who_wants_that(site: Server, spoken: str, page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    open_page(page, site, spoken)
    page.wait_for_selector(".bar")
    moving = "() => [...document.querySelectorAll('.bar')].map((one) => getComputedStyle(one).transitionDuration)"
    assert set(page.evaluate(moving)) == {"0s"}


def test_the_policy_names_the_styles_of_media_chrome_and_no_others(site: Server, spoken: str, page: Page) -> None:
    open_page(page, site, spoken)
    page.get_by_role("button", name="play", exact=True).focus()
    page.keyboard.press("Shift+Slash")
    page.wait_for_selector("media-keyboard-shortcuts-dialog")
    written = {base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in page.evaluate(STYLES)}
    assert written == set(HASHES)
