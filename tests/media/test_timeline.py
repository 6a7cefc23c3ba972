from __future__ import annotations

from dataclasses import replace

import pytest

from anabranch.errors import SourceError
from anabranch.limits import Limits
from anabranch.media import sound, timeline
from anabranch.media.probe import AudioTrack, Probe

TRACK = AudioTrack(
    index=0, codec="aac", channels=2, sample_rate=48000, language="und", title="", default=True, start_s=0.0, end_s=9.0
)


def seen(*tracks: AudioTrack) -> Probe:
    ends = max(track.end_s for track in tracks)
    return Probe("mov", 0.0, ends, 1000, video=None, audio=tracks, damaged=False)


@pytest.mark.parametrize(("start_s", "end_s"), [(0.0, 9.0), (-0.02, 47 * 3600.0)])
def test_times_that_players_can_follow_are_taken(start_s: float, end_s: float) -> None:
    timeline.check(seen(replace(TRACK, start_s=start_s, end_s=end_s)), Limits(duration_s=48 * 3600.0))


@pytest.mark.parametrize(
    ("start_s", "end_s", "code"),
    [
        (-1.0, 0.0, "no_tracks"),
        (-9.0, -1.0, "no_tracks"),
        (0.0, 49 * 3600.0, "duration_too_long"),
        (-49 * 3600.0, 1.0, "duration_too_long"),
        (0.0, 1.4e16, "duration_too_long"),
    ],
)
def test_a_source_that_lasts_for_no_time_or_for_days_is_refused(start_s: float, end_s: float, code: str) -> None:
    with pytest.raises(SourceError) as raised:
        timeline.check(seen(replace(TRACK, start_s=start_s, end_s=end_s)), Limits(duration_s=48 * 3600.0))
    assert raised.value.code == code


def test_a_track_of_which_nothing_is_known_or_that_ends_before_the_beginning_is_not_heard() -> None:
    mute = (replace(TRACK, channels=0), replace(TRACK, sample_rate=0), replace(TRACK, start_s=-1.0, end_s=0.0))
    assert sound.heard(seen(*mute, TRACK)) == (TRACK,)
    assert sound.main_track(seen(*mute)) is None
