"""Chunks: a video cut at exact frames into pieces of encoding work. Pure: the same track, the same cuts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from fractions import Fraction

    from anabranch.media.probe import VideoTrack

# A closed group of pictures; players can begin and switch at each. Apple's authoring rule 1.10.
GOP_S = 2
# What a player fetches at once; Apple's authoring rule 7.5.
SEGMENT_S = 6
# An engine may limit the steps of a run (Inngest: 1,000), and each costs a call.
_MOST_CHUNKS = 200
# Of those, the last ones of a film of half a day, each half as long as the one before.
_SHORTER_CHUNKS = 8


@dataclass(frozen=True)
class Chunk:
    """Frames `start` up to, not including, `end` of the constant grid that begins at time 0.

    Attributes:
        start: its first frame.
        end: the frame after its last.
        keys: the frames at which every rung begins a closed group of pictures; the first is `start`.
        segments: those of `keys` at which a segment begins; the first is `start`.
    """

    start: int
    end: int
    keys: tuple[int, ...]
    segments: tuple[int, ...]

    @property
    def frames(self) -> int:
        """How many frames it has."""
        return self.end - self.start

    @property
    def longest_segment(self) -> int:
        """Frames of its longest segment."""
        ends = [*self.segments[1:], self.end]
        return max(end - start for start, end in zip(self.segments, ends, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """As kept in a plan."""
        return {"start": self.start, "end": self.end, "keys": list(self.keys), "segments": list(self.segments)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Chunk:
        """Read what `to_dict` wrote."""
        return cls(value["start"], value["end"], tuple(value["keys"]), tuple(value["segments"]))


def cut(video: VideoTrack, segment_s: float = SEGMENT_S) -> list[Chunk]:
    """Cut a track into chunks of about `segment_s` seconds, or a multiple of it for long ones.

    A cut is moved to a keyframe of the source when one is near: a chunk that begins between two keyframes has to
    decode from the earlier one, and that work is thrown away. None is moved far, and none towards the end of the film:
    an encoder begins each chunk with its full buffer, so a stump is larger than its share. The first chunk is one
    group of pictures: the sooner it is done, the sooner somebody can watch. The last ones are shorter too: workers
    that share a film end together, as in guided self-scheduling (Polychronopoulos and Kuck, 1987).
    """
    total, segment, step = _measures(video, segment_s)
    gop = gop_frames(video.frame_rate)
    least = min(gop, step)
    keys = [key for key in _keyframes(video) if key <= total - least]
    cuts = [0]
    if total > step:
        cuts.append(_nearest(keys, least, least // 2))
        cuts += [_nearest(keys, ideal, reach) for ideal, reach in _grid(cuts[-1], total, step, gop)]
    return [_chunk(tuple(range(start, end, gop)), end, segment) for start, end in _pairs(cuts, total)]


def cut_at_keyframes(video: VideoTrack, segment_s: float = SEGMENT_S) -> list[Chunk]:
    """Cut a track only where its own groups of pictures begin, so that they can be copied as they are.

    Groups that follow closer than one would be made are taken together: other rungs begin one with the first alone.
    """
    total, segment, step = _measures(video, segment_s)
    gop = gop_frames(video.frame_rate)
    least = min(gop, step)
    keys = [0]
    for key in _keyframes(video):
        if key - keys[-1] >= gop - gop // 4 and total - key >= gop // 4:
            keys.append(key)
    cuts = [0]
    for key in keys[1:]:
        wanted = _length(total - cuts[-1], step, gop) if len(cuts) > 1 else least
        if key - cuts[-1] >= wanted - gop // 2 and total - key >= least:
            cuts.append(key)
    return [
        _chunk(tuple(key for key in keys if start <= key < end), end, segment) for start, end in _pairs(cuts, total)
    ]


def longest_gop_s(video: VideoTrack) -> float:
    """Seconds of the longest stretch between two keyframes of a track."""
    marks = [*video.keyframes_s, video.end_s]
    return max((after - key for key, after in pairwise(marks)), default=video.end_s)


def gop_frames(rate: Fraction) -> int:
    """Frames from one keyframe to the next."""
    return max(1, round(GOP_S * rate))


def _measures(video: VideoTrack, segment_s: float) -> tuple[int, int, int]:
    """Frames of the whole, of a segment, and of a chunk."""
    total = max(1, round(video.end_s * video.frame_rate))
    segment = max(1, round(segment_s * video.frame_rate))
    return total, segment, segment * -(-total // (segment * (_MOST_CHUNKS - _SHORTER_CHUNKS)))


def _length(left: int, step: int, gop: int) -> int:
    """Frames of the next chunk when `left` are left: half of them, from two groups of pictures up to `step`."""
    return min(step, max(2 * gop, left // 2 // gop * gop))


def _grid(start: int, total: int, step: int, gop: int) -> Iterator[tuple[int, int]]:
    """Where chunks begin after `start`, and how far each beginning may be moved.

    What is left over is at least a group, or belongs to the last one.
    """
    length = _length(total - start, step, gop)
    while total - start - length >= min(gop, step):
        start += length
        after = _length(total - start, step, gop)
        yield start, min(length, after, total - start) // 3
        length = after


def _keyframes(video: VideoTrack) -> list[int]:
    return [round(time_s * video.frame_rate) for time_s in video.keyframes_s]


def _pairs(cuts: list[int], total: int) -> list[tuple[int, int]]:
    return list(zip(cuts, [*cuts[1:], total], strict=True))


def _chunk(keys: tuple[int, ...], end: int, segment: int) -> Chunk:
    """Segments of even length, none much longer than `segment` frames, each beginning at a key."""
    start = keys[0]
    # A tenth more, so that 6.01 s is one segment and not two.
    count = max(1, -(-(end - start) * 10 // (segment * 11)))
    begins = [start]
    for number in range(1, count):
        ideal = start + (end - start) * number / count
        key = min(keys, key=lambda key: abs(key - ideal))
        if key > begins[-1]:
            begins.append(key)
    return Chunk(start, end, keys, tuple(begins))


def _nearest(keys: list[int], ideal: int, reach: int) -> int:
    near = [key for key in keys if abs(key - ideal) < reach]
    return min(near, key=lambda key: abs(key - ideal)) if near else ideal
