from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from anabranch.media import chunks
from tests.media.test_ladder import TRACK


def test_cuts_are_every_six_seconds_without_keyframes_near() -> None:
    track = replace(TRACK, end_s=20.0, keyframes_s=(0.0,))
    assert [(chunk.start, chunk.end) for chunk in chunks.cut(track)] == [(0, 150), (150, 300), (300, 500)]


def test_a_cut_moves_to_a_keyframe_that_is_near() -> None:
    track = replace(TRACK, end_s=12.0, keyframes_s=(0.0, 5.0))
    assert chunks.cut(track)[0].end == 125


def test_a_film_of_three_hours_has_two_hundred_chunks_at_most() -> None:
    track = replace(TRACK, end_s=10800.0, keyframes_s=(0.0,))
    assert 150 < len(chunks.cut(track)) <= 200


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
