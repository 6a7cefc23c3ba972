from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from anabranch.media import ladder
from anabranch.media.probe import VideoTrack

TRACK = VideoTrack(
    index=0,
    codec="h264",
    width=1920,
    height=1080,
    sample_aspect_ratio=Fraction(1),
    rotation=0,
    mirrored=False,
    display_width=1920,
    display_height=1080,
    frame_rate=Fraction(25),
    variable_rate=False,
    frames=100,
    start_s=0.0,
    end_s=4.0,
    keyframes_s=(0.0,),
    pixel_format="yuv420p",
    bit_depth=8,
    color_transfer="bt709",
    color_primaries="bt709",
    color_space="bt709",
    color_range="tv",
    interlaced=False,
    bitrate_kbps=1000.0,
)


def shown(width: int, height: int, rate: Fraction = Fraction(25)) -> VideoTrack:
    return replace(TRACK, display_width=width, display_height=height, frame_rate=rate)


def sizes(track: VideoTrack) -> list[tuple[str, int, int]]:
    return [(rung.name, rung.width, rung.height) for rung in ladder.rungs(track)]


def test_full_hd_gets_four_rungs() -> None:
    assert sizes(shown(1920, 1080)) == [
        ("1080p", 1920, 1080),
        ("720p", 1280, 720),
        ("480p", 854, 480),
        ("360p", 640, 360),
    ]


def test_a_phone_held_upright_gets_upright_rungs() -> None:
    assert sizes(shown(1080, 1920))[0] == ("1080p", 1080, 1920)
    assert sizes(shown(1080, 1920))[-1] == ("360p", 360, 640)


def test_cinema_pictures_keep_their_width() -> None:
    assert sizes(shown(1920, 800))[0] == ("1080p", 1920, 800)


def test_a_size_between_two_standards_is_kept() -> None:
    assert sizes(shown(1600, 900))[0] == ("900p", 1600, 900)


def test_a_small_source_still_gets_a_second_rung() -> None:
    assert sizes(shown(640, 360)) == [("360p", 640, 360), ("240p", 426, 240)]


def test_fast_motion_may_cost_more() -> None:
    calm, fast = shown(1280, 720), shown(1280, 720, Fraction(60))
    assert ladder.rungs(fast)[0].maxrate_kbps > ladder.rungs(calm)[0].maxrate_kbps
    assert [ladder.rungs(track)[0].level for track in (calm, fast)] == ["3.1", "3.2"]


@given(
    width=st.integers(1, 4000).map(lambda half: 2 * half),
    height=st.integers(1, 4000).map(lambda half: 2 * half),
    rate=st.sampled_from([Fraction(24000, 1001), Fraction(25), Fraction(60)]),
)
def test_no_rung_is_larger_than_its_source_or_than_the_one_above_it(width: int, height: int, rate: Fraction) -> None:
    rungs = ladder.rungs(shown(width, height, rate))
    assert rungs
    for rung in rungs:
        assert rung.width <= width
        assert rung.height <= height
        assert rung.width % 2 == rung.height % 2 == 0
    pixels = [rung.width * rung.height for rung in rungs]
    assert pixels == sorted(pixels, reverse=True)
    assert len({rung.name for rung in rungs}) == len(rungs)
