from __future__ import annotations

from itertools import pairwise

import pytest

from anabranch.media.speech import stretches

HOUR_S = 3600.0


@pytest.mark.parametrize("length_s", [0.0, 3.0, 300.0, 480.0])
def test_a_short_recording_is_written_down_in_one_go(length_s: float) -> None:
    (only,) = stretches.cut(20.0, 20.0 + length_s)
    assert (only.after, only.until) == (None, None)


@pytest.mark.parametrize("length_s", [480.1, 601.0, HOUR_S, 5 * HOUR_S, 48 * HOUR_S])
def test_stretches_cover_the_recording_and_neighbours_look_in_the_same_window(length_s: float) -> None:
    found = stretches.cut(20.0, 20.0 + length_s)
    assert found[0].after is None
    assert found[-1].until is None
    windows = [one.until for one in found[:-1]]
    assert windows == [one.after for one in found[1:]]
    ends_s = [20.0, *(at for window in windows if window for at in (window.start_s, window.end_s)), 20.0 + length_s]
    assert ends_s == sorted(ends_s)
    assert all(window is not None for window in windows)
    assert sum(one.length_s for one in found) == pytest.approx(length_s)


def test_a_stretch_lasts_about_five_minutes() -> None:
    assert len(stretches.cut(0.0, HOUR_S)) == 12
    lengths_s = [stretches.cut(0.0, length_s)[0].length_s for length_s in range(481, 8 * 3600, 60)]
    assert min(lengths_s) >= 200
    assert max(lengths_s) <= 300


def test_a_day_has_no_more_stretches_than_a_run_may_have_steps() -> None:
    assert len(stretches.cut(0.0, 24 * HOUR_S)) == 100


def test_two_cuts_never_meet_however_short_the_stretches_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "WHOLE_S", 5.0)
    monkeypatch.setattr(stretches, "STRETCH_S", 5.0)
    windows = [one.until for one in stretches.cut(0.0, 60.0) if one.until]
    assert len(windows) == 11
    assert all(before.end_s < after.start_s for before, after in pairwise(windows))
