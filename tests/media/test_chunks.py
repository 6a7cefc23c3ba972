from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anabranch.media import chunks
from tests.media.test_ladder import TRACK

if TYPE_CHECKING:
    from anabranch.media.probe import VideoTrack


def seconds(track: VideoTrack) -> list[float]:
    """How long each chunk is."""
    return [chunk.frames / 25 for chunk in chunks.cut(track)]


def test_chunks_are_six_seconds_long_but_the_first_and_the_last_ones() -> None:
    assert seconds(replace(TRACK, end_s=60.0, keyframes_s=(0.0,))) == [2, 6, 6, 6, 6, 6, 6, 6, 6, 4, 4, 2]
    assert seconds(replace(TRACK, end_s=20.0, keyframes_s=(0.0,))) == [2, 6, 6, 4, 2]


def test_what_is_left_over_is_no_chunk_of_its_own_when_it_is_less_than_a_group() -> None:
    assert seconds(replace(TRACK, end_s=13.0, keyframes_s=(0.0,))) == [2, 4, 4, 3]
    assert seconds(replace(TRACK, end_s=7.0, keyframes_s=(0.0,))) == [2, 5]


def test_a_cut_moves_to_a_keyframe_that_is_near() -> None:
    track = replace(TRACK, end_s=30.0, keyframes_s=(0.0, 1.5, 8.0, 15.0))
    assert [chunk.end for chunk in chunks.cut(track)] == [38, 200, 375, 488, 588, 688, 750]


def test_keyframes_that_are_all_late_leave_no_stump_at_the_end() -> None:
    # An encoder's buffer is full at the start of each chunk: one that is short is nothing but that.
    track = replace(TRACK, end_s=24.0, keyframes_s=(0.0, 2.0, 9.2, 15.0, 19.1, 23.2))
    assert [chunk.end for chunk in chunks.cut(track)] == [50, 230, 375, 478, 550, 600]


def test_chunks_of_a_long_film_become_shorter_by_half_at_its_end() -> None:
    assert seconds(replace(TRACK, end_s=3600.0, keyframes_s=(0.0,)))[-6:] == [24, 22, 12, 6, 4, 2]


@pytest.mark.parametrize("hours", [1, 3, 12])
def test_a_film_of_hours_has_two_hundred_chunks_at_most(hours: int) -> None:
    track = replace(TRACK, end_s=3600.0 * hours, keyframes_s=(0.0,))
    assert 140 < len(chunks.cut(track)) <= 200


def test_a_film_of_a_few_seconds_is_one_chunk() -> None:
    assert len(chunks.cut(replace(TRACK, end_s=6.0))) == 1


def test_where_groups_are_copied_every_cut_is_at_one_of_the_sources_keyframes() -> None:
    keyframes_s = (0.0, 1.0, 2.0, 3.0, 5.5, 7.0, 9.5, 12.0, 14.0, 16.5, 19.0, 19.9)
    cut = chunks.cut_at_keyframes(replace(TRACK, end_s=20.0, keyframes_s=keyframes_s))
    keys = [key for chunk in cut for key in chunk.keys]
    assert set(keys) <= {round(time_s * 25) for time_s in keyframes_s}
    assert min(later - earlier for earlier, later in pairwise(keys)) >= 1.5 * 25
    assert cut[0].end == 50
    assert all(chunk.frames >= 75 for chunk in cut[1:])


@settings(deadline=None)
@given(
    end_s=st.floats(0.01, 4000),
    rate=st.sampled_from([Fraction(24000, 1001), Fraction(25), Fraction(60)]),
    keys=st.lists(st.floats(0, 4000), max_size=50),
)
def test_chunks_cover_every_frame_once(end_s: float, rate: Fraction, keys: list[float]) -> None:
    track = replace(TRACK, end_s=end_s, frame_rate=rate, keyframes_s=tuple(sorted(keys)))
    cut = chunks.cut(track)
    assert cut[0].start == 0
    assert cut[-1].end == max(1, round(end_s * rate))
    assert all(chunk.frames > 0 for chunk in cut)
    assert all(earlier.end == later.start for earlier, later in pairwise(cut))
    assert all(chunk.keys[0] == chunk.segments[0] == chunk.start for chunk in cut)
    assert all(set(chunk.segments) <= set(chunk.keys) for chunk in cut)
    # A segment is never more than a group longer than what it should be.
    assert all(chunk.longest_segment <= round(6 * rate) + chunks.gop_frames(rate) for chunk in cut)
