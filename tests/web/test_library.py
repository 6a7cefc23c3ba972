"""The library in a real browser: upload, watch it happen, find, repair, delete."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests import clips
from tests.api.served import serving, until
from tests.web.watching import card, drop, violations, watched

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Request, Route

    from tests.api.served import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

LONG_MS = 90_000
# A folder is dropped, of which one file cannot be read. Browsers let no script make one.
FOLDER = """() => {
  const file = (name, give) => ({ name, isFile: true, file: give });
  const entries = [
    file("locked.mp4", (_, refuse) => refuse(new DOMException("no", "NotReadableError"))),
    file("fine.mp4", (give) => give(new File([new Uint8Array(9)], "fine.mp4", { type: "video/mp4" }))),
  ];
  const readEntries = (give) => give(entries.splice(0));
  const folder = { name: "films", isDirectory: true, createReader: () => ({ readEntries }) };
  const event = new Event("drop", { bubbles: true, cancelable: true });
  event.dataTransfer = { types: ["Files"], items: [{ webkitGetAsEntry: () => folder }], files: [] };
  document.querySelector("main").dispatchEvent(event);
}"""


def newest(site: Server) -> str:
    return str(site.get("/media?limit=1")[0]["id"])


class Line:
    """The page's line to the server, which can be a slow one."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("Network.enable")

    def limit(self, bytes_per_s: int) -> None:
        """Let the page send so much a second; -1 for as much as can be."""
        limits = {"offline": False, "latency": 5, "downloadThroughput": -1, "uploadThroughput": bytes_per_s}
        self._session.send("Network.emulateNetworkConditions", limits)


def slow_line(page: Page, film: Path) -> Line:
    """Eight seconds of film, and a line so slow that they can be caught on their way."""
    film.write_bytes(clips.plain(8, name="eight.mp4").read_bytes())
    line = Line(page)
    line.limit(40_000)
    return line


def test_films_that_are_dropped_on_the_page_end_as_ready_cards(page: Page, site: Server, tmp_path: Path) -> None:
    page.goto("/")
    copies = [tmp_path / f"dropped-{number}.mp4" for number in range(4)]
    for copy in copies:
        copy.write_bytes(clips.plain(4).read_bytes())
    drop(page, *copies)
    expect(page.locator(".job")).to_have_count(4)
    for copy in copies:
        mine = page.locator(".card", has_text=copy.name)
        expect(mine.locator(".chip")).to_have_text("Ready", timeout=LONG_MS)
        expect(mine.locator(".card-poster")).to_be_visible()
        expect(mine.locator(".card-length")).to_have_text("0:04")
        expect(mine.locator(".card-facts")).to_have_text("240p · 144p")
    expect(page.locator(".tray-sum")).to_have_text("4 uploaded")
    expect(page.locator(".job-said").first).to_have_text("Ready")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("ab-upload")).to_be_hidden()
    # What the browser has filled in is what the server says.
    live = [one.inner_text() for one in page.locator(".card-in").all()]
    page.reload()
    shown = [one.inner_text() for one in page.locator(".card-in").all()]
    aged = re.compile(r"just now|\d+ min ago")
    assert [aged.sub("", text) for text in live] == [aged.sub("", text) for text in shown]


def test_a_reload_in_the_middle_of_an_upload_goes_on_where_it_was(page: Page, site: Server, tmp_path: Path) -> None:
    page.goto("/")
    film = tmp_path / "goes-on.mp4"
    line = slow_line(page, film)
    whole = film.stat().st_size
    sent: list[int] = []

    def note(request: Request) -> None:
        if request.method == "PATCH" and "upload-offset" in request.headers:
            sent.append(int(request.headers["upload-offset"]))

    drop(page, film)
    expect(page.locator(".job-said")).to_contain_text("left", timeout=LONG_MS)
    page.on("request", note)
    page.reload()
    expect(page.locator(".job .job-name")).to_contain_text("goes-on.mp4")
    line.limit(-1)
    mine = page.locator(".card", has_text="goes-on.mp4")
    expect(mine.locator(".chip")).to_have_text("Ready", timeout=LONG_MS)
    assert 0 < sent[0] < whole
    found = [row for row in site.get("/media?limit=100") if row["title"] == "goes-on.mp4"]
    assert [row["sizeBytes"] for row in found] == [whole]
    # It is over: another reload begins nothing.
    page.reload()
    expect(mine).to_be_visible()
    expect(page.locator(".job")).to_have_count(0)


def test_an_upload_can_be_paused_gone_on_with_and_given_up(page: Page, site: Server, tmp_path: Path) -> None:
    page.goto("/")
    film = tmp_path / "paused.mp4"
    slow_line(page, film)
    drop(page, film)
    page.get_by_role("button", name="Pause paused.mp4").click()
    said = page.locator(".job-said")
    expect(said).to_contain_text("Paused")
    # What was pressed is gone, and the focus is at what has come in its place.
    expect(page.get_by_role("button", name="Go on with paused.mp4")).to_be_focused()
    paused = said.inner_text()
    page.wait_for_timeout(1000)
    assert said.inner_text() == paused
    page.reload()
    expect(said).to_contain_text("Paused")
    page.get_by_role("button", name="Go on with paused.mp4").click()
    expect(said).to_contain_text("left", timeout=LONG_MS)
    page.get_by_role("button", name="Cancel paused.mp4").click()
    expect(page.locator("ab-upload")).to_be_hidden()
    expect(page.locator("#main")).to_be_focused()
    page.reload()
    expect(page.locator(".job")).to_have_count(0)
    assert [row for row in site.get("/media?limit=100") if row["title"] == "paused.mp4"] == []


def test_an_upload_goes_on_where_it_was_when_the_server_cannot_say_for_a_while(
    browser: Browser, site: Server, tmp_path: Path
) -> None:
    context = browser.new_context(base_url=site.url)
    page = context.new_page()
    begun: list[str] = []
    with watched(page, site.url) as wrong:
        page.goto("/")
        film = tmp_path / "asked-twice.mp4"
        line = slow_line(page, film)
        drop(page, film)
        expect(page.locator(".job-said")).to_contain_text("left", timeout=LONG_MS)
        page.get_by_role("button", name="Pause asked-twice.mp4").click()
        expect(page.locator(".job-said")).to_contain_text("Paused")

        def note(request: Request) -> None:
            if request.method == "POST":
                begun.append(request.url)

        page.on("request", note)
        refusals = iter([503, 502])

        def ask(route: Route) -> None:
            status = next(refusals, None) if route.request.method == "HEAD" else None
            if status is None:
                route.continue_()
            else:
                route.fulfill(status=status)

        page.route("**/uploads/*", ask)
        line.limit(-1)
        page.get_by_role("button", name="Go on with asked-twice.mp4").click()
        mine = page.locator(".card", has_text="asked-twice.mp4")
        expect(mine.locator(".chip")).to_have_text("Ready", timeout=LONG_MS)
        assert next(refusals, None) is None
        assert all("50" in one for one in wrong), wrong
        wrong.clear()
    context.close()
    assert begun == []


def test_an_upload_that_the_server_has_forgotten_goes_up_anew(browser: Browser, site: Server, tmp_path: Path) -> None:
    context = browser.new_context(base_url=site.url)
    page = context.new_page()
    with watched(page, site.url) as wrong:
        page.goto("/")
        film = tmp_path / "forgotten.mp4"
        line = slow_line(page, film)
        with page.expect_response(lambda answer: answer.request.method == "POST") as created:
            drop(page, film)
        page.get_by_role("button", name="Pause forgotten.mp4").click()
        expect(page.locator(".job-said")).to_contain_text("Paused")
        gone = site.api.delete(created.value.headers["location"], headers={"tus-resumable": "1.0.0"})
        assert gone.status_code == 204
        line.limit(-1)
        page.get_by_role("button", name="Go on with forgotten.mp4").click()
        mine = page.locator(".card", has_text="forgotten.mp4")
        expect(mine.locator(".chip")).to_have_text("Ready", timeout=LONG_MS)
        assert all("404" in one or "410" in one for one in wrong), wrong
        wrong.clear()
    context.close()


def test_without_locks_a_second_window_leaves_an_upload_to_the_first(
    browser: Browser, site: Server, tmp_path: Path
) -> None:
    context = browser.new_context(base_url=site.url)
    context.add_init_script("Object.defineProperty(Navigator.prototype, 'locks', { get: () => undefined })")
    first, second = context.new_page(), context.new_page()
    with watched(first, site.url), watched(second, site.url):
        first.goto("/")
        film = tmp_path / "without-locks.mp4"
        line = slow_line(first, film)
        drop(first, film)
        expect(first.locator(".job-said")).to_contain_text("left", timeout=LONG_MS)
        second.goto("/")
        expect(second.locator(".job-said")).to_contain_text("Paused")
        second.wait_for_timeout(500)
        expect(second.locator(".job-said")).to_contain_text("Paused")
        # It is the first one's, which has lost nothing of it.
        line.limit(-1)
        expect(first.locator(".job-said")).to_have_text("Ready", timeout=LONG_MS)
        second.get_by_role("button", name="Go on with without-locks.mp4").click()
        expect(second.locator("#said")).to_contain_text("in another window")
        expect(second.locator("ab-upload")).to_be_hidden()
    context.close()
    assert len([row for row in site.get("/media?limit=100") if row["title"] == "without-locks.mp4"]) == 1


def test_films_that_come_leave_a_page_of_cards_and_a_way_to_the_others(page: Page, site: Server, film: str) -> None:
    record = site.get(f"/media/{film}")
    # Newer than all that there are.
    ids = [f"med_7{number:025d}" for number in range(30)]
    told = "".join(f"event: progress\ndata: {json.dumps({**record, 'id': one, 'title': one})}\n\n" for one in ids)
    page.route("**/events?progress=true**", lambda route: route.fulfill(content_type="text/event-stream", body=told))
    page.goto("/")
    expect(card(page, ids[-1])).to_be_visible()
    expect(page.locator(".card")).to_have_count(24)
    expect(page.locator(".card").last).to_have_attribute("data-id", ids[6])
    older = page.get_by_role("link", name="Older")
    expect(older).to_have_attribute("href", f"/?after={ids[6]}")
    expect(page.get_by_role("link", name="Newest")).to_have_count(0)
    # A search begins at its own newest, and clearing it comes back to what was shown.
    page.goto("/?show=ready")
    page.get_by_role("searchbox").fill("zyzzyva")
    expect(page.get_by_text("Nothing has these words")).to_be_visible()
    expect(older).to_be_hidden()
    page.get_by_role("searchbox").fill("")
    expect(card(page, film)).to_be_visible()
    assert page.url == f"{site.url}/?show=ready"


def test_one_file_that_cannot_be_read_leaves_the_others_of_its_folder(page: Page, site: Server) -> None:
    page.goto("/")
    page.wait_for_function("() => document.querySelector('ab-upload').matches(':defined')")
    page.evaluate(FOLDER)
    expect(page.locator("#said")).to_contain_text("locked.mp4 cannot be read.")
    expect(page.locator(".job .job-name").filter(has_text="fine.mp4")).to_have_count(1)
    expect(page.locator(".job-said")).to_have_text("Failed", timeout=LONG_MS)
    for row in site.get("/media?limit=100"):
        if row["title"] == "fine.mp4":
            assert site.api.delete(f"/media/{row['id']}").status_code == 200


def test_two_browsers_see_the_same_progress(browser: Browser, page: Page, site: Server) -> None:
    other = browser.new_context(base_url=site.url).new_page()
    with watched(other, site.url):
        for one in (page, other):
            one.goto("/")
            one.wait_for_function("() => document.querySelector('ab-library').matches(':defined')")
        media_id = site.upload(clips.silent(24, size="640x360"), title="Seen twice")
        chips = [card(one, media_id).locator(".chip") for one in (page, other)]
        seen: list[tuple[str, ...]] = []

        def ready() -> bool:
            if all(chip.count() for chip in chips):
                seen.append(tuple(chip.inner_text() for chip in chips))
            return bool(seen) and set(seen[-1]) == {"Ready"}

        until(ready, 120)
    for labels in zip(*seen, strict=True):
        percents = [int(label.removesuffix(" %")) for label in labels if label.endswith("%")]
        assert len(set(percents)) > 2
        assert percents == sorted(percents)
    # Each hears of it at a moment of its own, and from the same row.
    assert any(one == another and one.endswith("%") for one, another in seen)
    other.context.close()


def test_the_preview_moves_under_the_mouse_and_for_the_keyboard(page: Page, film: str) -> None:
    page.goto("/")
    mine = card(page, film)
    gif = mine.locator(".card-gif")
    expect(mine.locator(".card-poster")).to_be_visible()
    expect(gif).to_be_hidden()
    assert gif.evaluate("image => image.complete && image.naturalWidth") in (0, False)
    mine.hover()
    expect(gif).to_be_visible()
    page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=gif.element_handle())
    page.mouse.move(0, 0)
    expect(gif).to_be_hidden()
    mine.get_by_role("link").focus()
    expect(gif).to_be_visible()
    page.emulate_media(reduced_motion="reduce")
    expect(gif).to_be_hidden()


def test_a_spoken_word_is_found_and_leads_to_its_second(page: Page, site: Server, speech: str) -> None:
    page.goto("/")
    page.get_by_role("searchbox").fill("wisdom")
    mine = card(page, speech)
    expect(page.get_by_role("heading", level=1)).to_have_text("Found for “wisdom”")
    expect(mine.locator("mark")).to_have_text("wisdom")
    # Other tests may have uploaded films in which it is said too.
    expect(page.locator(".card:not(:has(mark))")).to_have_count(0)
    (hit,) = [one for one in site.get("/search?q=wisdom")["hits"] if one["media_id"] == speech]
    said_at = hit["matches"][0]["start_s"]
    link = mine.get_by_role("link").get_attribute("href")
    assert link is not None
    assert float(link.partition("?t=")[2]) == pytest.approx(said_at, abs=0.5)
    # The same by the address, and by Enter.
    page.goto("/?q=wisdom")
    expect(mine.locator("mark")).to_have_text("wisdom")
    assert mine.get_by_role("link").get_attribute("href") == link
    page.get_by_role("searchbox").fill("two cit")
    expect(card(page, speech).locator(".card-title")).to_have_text("Two cities")
    page.get_by_role("searchbox").fill("zyzzyva")
    expect(page.get_by_text("Nothing has these words")).to_be_visible()


def test_several_are_deleted_at_once_after_asking(page: Page, site: Server) -> None:
    ids = [site.upload(clips.plain(2, name="two.mp4"), title=f"Goes {number}") for number in range(3)]
    for media_id in ids:
        site.media(media_id, "ready")
    page.goto("/")
    for media_id in ids[:2]:
        card(page, media_id).get_by_role("checkbox").check()
    expect(page.locator(".bulk")).to_contain_text("2 selected")
    page.locator(".bulk").get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete 2 films?")
    page.keyboard.press("Escape")
    assert {row["id"] for row in site.get("/media?limit=100")} >= set(ids)
    page.locator(".bulk").get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    for media_id in ids[:2]:
        expect(card(page, media_id)).to_have_count(0)
        assert site.api.get(f"/media/{media_id}").status_code == 404
    expect(card(page, ids[2])).to_be_visible()
    expect(page.locator(".bulk")).to_be_hidden()


def test_what_failed_says_why_and_is_done_again(page: Page, site: Server, broken: str) -> None:
    page.goto("/?show=broken")
    mine = card(page, broken)
    expect(mine.locator(".chip")).to_have_text("Failed")
    expect(mine.locator(".card-facts")).to_contain_text("its end is missing")
    before = len(site.get("/tasks?limit=100"))
    mine.get_by_role("checkbox").check()
    page.get_by_role("button", name="Do again what failed").click()
    expect(page.locator("#said")).to_contain_text("being done again")
    until(
        lambda: len(site.get("/tasks?limit=100")) > before or site.get(f"/media/{broken}")["status"] == "processing", 30
    )
    site.media(broken, "failed")
    expect(mine.locator(".chip")).to_have_text("Failed", timeout=LONG_MS)


def test_without_javascript_the_library_uploads_finds_repairs_and_deletes(
    plain: Page, site: Server, film: str, speech: str, broken: str, tmp_path: Path
) -> None:
    plain.goto("/")
    expect(card(plain, film).locator(".chip")).to_have_text("Ready")
    plain.get_by_text("Add films").click()
    upload = tmp_path / "by-form.mp4"
    upload.write_bytes(clips.plain(2, name="two.mp4").read_bytes())
    plain.get_by_label("From this device").set_input_files(upload)
    plain.get_by_role("button", name="Upload").click()
    expect(plain.get_by_text("Uploaded.")).to_be_visible()
    media_id = newest(site)
    assert site.media(media_id, "ready")["title"] == "by-form.mp4"
    plain.get_by_role("searchbox").fill("wisdom")
    plain.keyboard.press("Enter")
    expect(card(plain, speech).locator("mark")).to_have_text("wisdom")
    plain.get_by_role("navigation", name="Pages").get_by_role("link", name="Library").click()
    card(plain, broken).get_by_role("checkbox").check()
    plain.get_by_role("button", name="Do again what failed").click()
    expect(plain.get_by_text("being done again")).to_be_visible()
    card(plain, media_id).get_by_role("checkbox").check()
    plain.get_by_role("button", name="Delete").click()
    expect(plain.get_by_role("heading", name="Delete 1 film?")).to_be_visible()
    plain.get_by_role("button", name="Delete").click()
    expect(plain.get_by_text("Deleted, with all files.")).to_be_visible()
    assert site.api.get(f"/media/{media_id}").status_code == 404
    # Dark, and remembered.
    plain.get_by_role("button", name="Switch between light and dark").click()
    expect(plain.locator("html")).to_have_attribute("data-theme", "dark")
    plain.goto("/operations")
    expect(plain.locator("html")).to_have_attribute("data-theme", "dark")
    site.media(broken, "failed")


def test_the_page_of_a_server_without_films_teaches_how_to_begin(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path / "home", ANABRANCH_OPEN_ACCESS="1") as empty:
        context = browser.new_context(base_url=empty.url)
        page = context.new_page()
        with watched(page, empty.url):
            page.goto("/")
            expect(page.get_by_role("heading", name="Drop a film anywhere on this page")).to_be_visible()
            expect(page.locator(".command code")).to_contain_text(f"curl {empty.url}/media")
            assert violations(page) == []
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/?q=wisdom", "/?show=broken", "/?q=zyzzyva"])
def test_axe_finds_nothing_wrong_with_the_library(
    page: Page, scheme: Any, path: str, film: str, speech: str, broken: str, tmp_path: Path
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(path)
    page.wait_for_load_state("load")
    assert violations(page) == []
    if path == "/":
        film_file = tmp_path / "seen-by-axe.mp4"
        slow_line(page, film_file)
        drop(page, film_file)
        expect(page.locator(".job")).to_have_count(1)
        card(page, broken).get_by_role("checkbox").check()
        page.get_by_text("Add films").click()
        assert violations(page) == []
        page.get_by_role("button", name="Cancel seen-by-axe.mp4").click()
        page.locator(".bulk").get_by_role("button", name="Delete").click()
        assert violations(page) == []


@pytest.mark.parametrize("width", [320, 375, 768, 1280, 2560])
def test_no_width_scrolls_sideways(page: Page, width: int, film: str, broken: str, speech: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/", "/?q=wisdom", "/?show=broken", "/login", "/operations"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_nothing_moves_while_the_page_comes_up(page: Page, film: str, speech: str, broken: str) -> None:
    page.add_init_script(
        "window.moved = 0; new PerformanceObserver(list => {"
        " for (const one of list.getEntries()) if (!one.hadRecentInput) window.moved += one.value;"
        "}).observe({type: 'layout-shift', buffered: true});"
    )
    page.goto("/")
    # Pictures and elements have come by then.
    page.wait_for_timeout(1500)
    assert page.evaluate("window.moved") < 0.01


def test_everything_is_reached_by_the_keyboard(page: Page, film: str) -> None:
    page.goto("/")
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.getAttribute('href') ?? document.activeElement.textContent.trim()")
        )
        shown = page.evaluate(
            "(() => { const one = document.activeElement;"
            " const seen = (element, pseudo) => getComputedStyle(element, pseudo).outlineStyle !== 'none';"
            " return one === document.body || seen(one) || seen(one, '::after'); })()"
        )
        assert shown, reached[-1]
    assert "#main" in reached
    assert f"/watch/{film}" in reached
    assert "Add films" in reached
    page.get_by_text("Add films").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("From an address")).to_be_visible()
