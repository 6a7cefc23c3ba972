"""A film that is watched while it is being encoded, from the server that encodes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import clips
from tests.api.served import USUAL, Server, until
from tests.players.browser import play
from tests.players.serving import served

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

SECONDS = 16

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(240)]


def film() -> Path:
    """Sixteen seconds that take one core about as long to encode."""
    grain = ("-vf", "noise=alls=20:allf=t", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "28", "-g", "50")
    return clips.make("grain.mp4", "-i", str(clips.plain(SECONDS, "1280x720", name="hd.mp4")), *grain, "-c:a", "copy")


def test_a_player_that_begins_when_the_media_is_playable_plays_to_the_end(tmp_path: Path, page: Page) -> None:
    server = Server(tmp_path / "home", ANABRANCH_CPU_SLOTS="1", **USUAL).start()
    try:
        media_id = server.upload(film())
        early = until(lambda: (row := server.get(f"/media/{media_id}"))["playable"] and row, 60)
        assert early["status"] == "processing"
        assert early["percent"] < 60
        with served(tmp_path) as address:
            facts = play(page, early["hlsUrl"], within_s=180, page_at=address)
        ready = server.media(media_id, "ready")
        assert facts["errors"] == []
        assert facts["ended"]
        assert len(facts["played"]) == 1
        assert facts["played"][0] == pytest.approx([0, SECONDS], abs=0.1)
        assert ready["hlsUrl"] == early["hlsUrl"]
        # What was read while it grew was not kept by anybody: the same address now says that it is complete.
        playlist = server.api.get(ready["hlsUrl"].replace("master", "360p/index"))
        assert playlist.text.endswith("#EXT-X-ENDLIST\n")
        assert playlist.headers["cache-control"] == "public, no-cache"
        again = server.api.get(str(playlist.url), headers={"if-none-match": playlist.headers["etag"]})
        assert again.status_code == 304
    finally:
        server.stop()
