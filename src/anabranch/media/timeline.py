"""Time line: whether the times in a file are ones that anything can be made of. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anabranch.errors import SourceError

if TYPE_CHECKING:
    from anabranch.media.probe import Probe

# Times are what a file says, and a few bytes can say a million years: of sound that would be all silence, and of
# pictures one that stays. Nothing that people film or record as one file is longer than this.
_LONGEST_S = 48 * 3600


def check(seen: Probe) -> None:
    """Refuse a source that lasts for no time, or longer than anything that is meant to be played.

    Raises:
        SourceError: `no_tracks` or `too_long`.
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
    if length_s > _LONGEST_S:
        raise SourceError(
            "too_long",
            f"The source lasts {length_s / 3600:.1f} h by the times in it; {_LONGEST_S // 3600} h is the most.",
            "Cut it into shorter ones; when it is short, its times are damaged: re-encode it and upload again.",
        )
