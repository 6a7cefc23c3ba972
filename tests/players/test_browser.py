"""Players that others wrote, in a real browser."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import m3u8
import pytest

from tests.players.browser import PLAYERS, play
from tests.players.growing import Growing
from tests.players.serving import served

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def promised(master: Path) -> list[dict[str, Any]]:
    """The levels of a multivariant playlist, in the words of `play`, by bandwidth."""
    levels = [
        {
            "width": info.resolution[0],
            "height": info.resolution[1],
            "bandwidth": info.bandwidth,
            "codecs": info.codecs,
            "frameRate": info.frame_rate,
        }
        for info in (variant.stream_info for variant in m3u8.load(str(master)).playlists)
    ]
    return sorted(levels, key=lambda level: level["bandwidth"])


def assert_played_whole(facts: dict[str, Any], duration_s: float) -> None:
    assert facts["errors"] == []
    assert facts["ended"]
    assert facts["duration"] == pytest.approx(duration_s, abs=0.1)
    # One range from the beginning to the end: nothing was jumped over.
    assert len(facts["played"]) == 1
    assert facts["played"][0] == pytest.approx([0, duration_s], abs=0.1)
    assert facts["backwards"] == 0
    assert facts["broken"] == 0
    assert facts["mostRanges"] == 1


@pytest.mark.parametrize("player", PLAYERS)
def test_a_player_shows_every_level_and_plays_to_the_end(player: str, film_package: Path, page: Page) -> None:
    with served(film_package.parent) as address:
        facts = play(page, f"{address}/{film_package.name}", player, switching=True)
    assert_played_whole(facts, 5.3)
    levels = sorted(facts["levels"], key=lambda level: level["bandwidth"])
    assert levels == promised(film_package)
    assert facts["shown"] == [0, 1, 2]


@pytest.mark.parametrize("player", PLAYERS)
def test_a_player_crosses_every_join(player: str, short_package: Path, page: Page) -> None:
    with served(short_package.parent) as address:
        facts = play(page, f"{address}/{short_package.name}", player)
    assert_played_whole(facts, 8)


@pytest.mark.parametrize("player", PLAYERS)
def test_a_player_that_begins_while_a_package_grows_plays_from_its_beginning_to_its_end(
    player: str, short_package: Path, page: Page
) -> None:
    folder = short_package.parent
    with served(folder, Growing(folder, every_s=0.9).texts()) as address:
        facts = play(page, f"{address}/{short_package.name}", player)
    assert_played_whole(facts, 8)


def test_a_dash_manifest_plays_as_the_playlists_do(short_package: Path, page: Page) -> None:
    with served(short_package.parent) as address:
        facts = play(page, f"{address}/manifest.mpd", "shaka", switching=True)
    assert_played_whole(facts, 8)
    assert facts["shown"] == [0, 1]


@pytest.mark.parametrize("player", PLAYERS)
def test_a_player_tells_of_a_segment_that_is_missing(
    player: str, short_package: Path, page: Page, tmp_path: Path
) -> None:
    """What is asserted above can fail."""
    copy = shutil.copytree(short_package.parent, tmp_path / "copy")
    for segment in copy.glob("*p/0003-*.m4s"):
        segment.unlink()
    with served(copy) as address:
        facts = play(page, f"{address}/{short_package.name}", player, within_s=20)
    assert facts["errors"]
    assert not facts["ended"]
