from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from anabranch.media import chunks
from tests.media.test_ladder import TRACK


def test_cuts_are_every_six_seconds_after_a_short_first_one() -> None:
    track = replace(TRACK, end_s=20.0, keyframes_s=(0.0,))
    assert [(chunk.start, chunk.end) for chunk in chunks.cut(track)] == [(0, 50), (50, 200), (200, 350), (350, 500)]


def test_a_cut_moves_to_a_keyframe_that_is_near() -> None:
    track = replace(TRACK, end_s=14.0, keyframes_s=(0.0, 1.5, 8.0))
    assert [chunk.end for chunk in chunks.cut(track)] == [38, 200, 350]


def test_keyframes_that_are_all_late_leave_no_stump_at_the_end() -> None:
    # An encoder's buffer is full at the start of each chunk: one that is short is nothing but that.
    track = replace(TRACK, end_s=24.0, keyframes_s=(0.0, 2.0, 9.2, 15.4, 21.2))
    assert [chunk.end for chunk in chunks.cut(track)] == [50, 230, 385, 500, 600]


def test_a_film_of_three_hours_has_two_hundred_chunks_at_most() -> None:
    track = replace(TRACK, end_s=10800.0, keyframes_s=(0.0,))
    assert 150 < len(chunks.cut(track)) <= 200


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
