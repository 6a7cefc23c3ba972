"""Behind a proxy that cuts a path off, the page finds all that is its own: library, film, events, transcript."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import threading
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests import clips
from tests.api.served import serving, until
from tests.web.test_watch import moves_on, play, video
from tests.web.watching import card, watched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PREFIX = "/films"
# What is between two neighbours only.
_HOPS = ("connection", "transfer-encoding", "keep-alive")


class Proxy(http.server.BaseHTTPRequestHandler):
    """Passes on what is below the prefix, and each answer as it comes, so that events do not wait."""

    behind = 0

    def _pass_on(self) -> None:
        if not self.path.startswith(f"{PREFIX}/"):
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        there = http.client.HTTPConnection("127.0.0.1", self.behind, timeout=120)
        # Whoever looks may go away at any time.
        with contextlib.closing(there), contextlib.suppress(OSError, http.client.HTTPException):
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOPS}
            there.request(self.command, self.path.removeprefix(PREFIX), body, headers)
            answer = there.getresponse()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOPS:
                    self.send_header(name, value)
            self.end_headers()
            while block := answer.read1(1 << 16):
                self.wfile.write(block)
                self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = _pass_on  # noqa: N815  (the names that the server looks for)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[int]:
    """A proxy; its port. What is behind it is said later."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_all_of_it_is_found_behind_a_path(
    proxy: int, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = f"http://127.0.0.1:{proxy}{PREFIX}"
    with serving(tmp_path / "home", ANABRANCH_OPEN_ACCESS="1", ANABRANCH_BASE_URL=base) as server:
        monkeypatch.setattr(Proxy, "behind", server.port)
        context = browser.new_context()
        page = context.new_page()
        with watched(page, base):
            page.goto(f"{base}/")
            page.wait_for_function("() => document.querySelector('ab-library').matches(':defined')")
            # By the stream, and not by a reload.
            media_id = server.upload(clips.spoken(), title="Behind a path")
            expect(card(page, media_id).locator(".chip")).to_have_text("Ready", timeout=120_000)
            expect(card(page, media_id).locator(".card-poster")).to_be_visible()
            card(page, media_id).get_by_role("link").click()
            page.wait_for_url(f"{base}/watch/{media_id}")
            page.wait_for_selector("ab-transcript[data-ready]")
            page.wait_for_selector("ab-timeline[data-drawn]")
            page.wait_for_function("() => document.querySelector('ab-player').video?.readyState >= 2")
            play(page)
            assert moves_on(page)
            said = page.locator(".lines [data-word]").last
            before = video(page, "currentTime")
            said.click()
            until(lambda: video(page, "currentTime") > before + 2, 20)
        context.close()
