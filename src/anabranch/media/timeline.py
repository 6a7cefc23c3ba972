"""Time line: whether the times in a file are ones that anything can be made of. Pure.

Times are what a file says, and a few bytes can say a million years: of sound that would be all silence, and of pictures
one that stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anabranch.errors import SourceError

if TYPE_CHECKING:
    from anabranch.limits import Limits
    from anabranch.media.probe import Probe


def check(seen: Probe, limits: Limits) -> None:
    """Refuse a source that lasts for no time, or longer than is taken.

    Raises:
        SourceError: `no_tracks` or `duration_too_long`.
    """
    if seen.duration_s <= 0:
        raise SourceError(
            "no_tracks",
            "Neither pictures nor sound of the source are there at any time that is shown.",
            "Its times are damaged; export it again as MP4.",
        )
    starts_s = [track.start_s for track in (seen.video, *seen.audio) if track is not None]
    # What lies before time 0 is not shown, but has to be read.
    length_s = seen.duration_s - min(0.0, *starts_s)
    if length_s > limits.duration_s:
        raise SourceError(
            "duration_too_long",
            f"The source lasts {length_s:,.0f} s by the times in it; {limits.duration_s:,.0f} s are taken at the most.",
            "Cut it, or when it is short, re-encode it: its times are damaged. Whoever runs this server may raise "
            "ANABRANCH_MAX_DURATION_S.",
        )
