"""Chunks: a video cut at exact frames into pieces of encoding work. Pure: the same track, the same cuts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

    from anabranch.media.probe import VideoTrack

# A closed group of pictures; players can begin and switch at each. Apple's authoring rule 1.10.
GOP_S = 2
# What a player fetches at once; Apple's authoring rule 7.5.
SEGMENT_S = 6
# An engine may limit the steps of a run (Inngest: 1,000), and each costs a call.
_MOST_CHUNKS = 200


@dataclass(frozen=True)
class Chunk:
    """Frames `start` up to, not including, `end` of the constant grid that begins at time 0."""

    start: int
    end: int

    @property
    def frames(self) -> int:
        """How many frames it has."""
        return self.end - self.start


def cut(video: VideoTrack, segment_s: float = SEGMENT_S) -> list[Chunk]:
    """Cut a track into chunks of about `segment_s` seconds, or a multiple of it for long ones.

    A cut is moved to a keyframe of the source when one is near: a chunk that begins between two keyframes has to
    decode from the earlier one, and that work is thrown away.
    """
    total = max(1, round(video.end_s * video.frame_rate))
    segment = max(1, round(segment_s * video.frame_rate))
    step = segment * -(-total // (segment * _MOST_CHUNKS))
    keys = [round(time_s * video.frame_rate) for time_s in video.keyframes_s]
    cuts = [0]
    # What is left over is at least half a chunk, or belongs to the last one.
    while total - cuts[-1] > step + step // 2:
        cuts.append(_nearest(keys, cuts[-1] + step, step // 2))
    return [Chunk(start, end) for start, end in zip(cuts, [*cuts[1:], total], strict=True)]


def gop_frames(rate: Fraction) -> int:
    """Frames from one keyframe to the next."""
    return max(1, round(GOP_S * rate))


def _nearest(keys: list[int], ideal: int, reach: int) -> int:
    near = [key for key in keys if abs(key - ideal) < reach]
    return min(near, key=lambda key: abs(key - ideal)) if near else ideal
