"""HLS: playlists as text. Pure. Source: RFC 8216bis (draft-pantos-hls-rfc8216bis) and Apple's authoring rules."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from anabranch.media.chunks import GOP_S, SEGMENT_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anabranch.media.fmp4 import Fragment

# Fragmented MP4 needs 6, EXT-X-INDEPENDENT-SEGMENTS too; 7 is what Apple's own tools write for them.
_VERSION = 7


@dataclass(frozen=True)
class Segment:
    """What a player fetches at once.

    Attributes:
        uri: where it is, relative to its playlist.
        duration: in ticks of the rendition's time scale.
        size_bytes: its size.
    """

    uri: str
    duration: int
    size_bytes: int


@dataclass(frozen=True)
class Rendition:
    """One playlist of media: a rung of the video, or the sound.

    Attributes:
        uri: its playlist, relative to the multivariant playlist.
        init_uri: its initialisation section, relative to its playlist.
        init_bytes: size of that section.
        timescale: ticks a second.
        segments: in order.
        codecs: RFC 6381 names, such as `avc1.64001f`.
        width: in pixels; 0 for sound.
        height: in pixels; 0 for sound.
        frame_rate: frames a second; None for sound.
    """

    uri: str
    init_uri: str
    init_bytes: int
    timescale: int
    segments: tuple[Segment, ...]
    codecs: str
    width: int = 0
    height: int = 0
    frame_rate: Fraction | None = None

    @property
    def duration_s(self) -> Fraction:
        """Length in seconds."""
        return Fraction(sum(segment.duration for segment in self.segments), self.timescale)

    @property
    def size_bytes(self) -> int:
        """Size of everything that a player fetches of it."""
        return self.init_bytes + sum(segment.size_bytes for segment in self.segments)

    @property
    def average_bps(self) -> int:
        """Average bit rate, section 4.4.6.2 (AVERAGE-BANDWIDTH)."""
        return _round_up(sum(segment.size_bytes for segment in self.segments) * 8 / self.duration_s)

    @property
    def peak_bps(self) -> int:
        """Largest bit rate of any stretch of segments that lasts 0.5 to 1.5 target durations, section 4.1."""
        target = target_duration(self)
        rates = []
        for first in range(len(self.segments)):
            ticks, size = 0, 0
            for segment in self.segments[first:]:
                ticks, size = ticks + segment.duration, size + segment.size_bytes
                length_s = Fraction(ticks, self.timescale)
                if length_s > target * Fraction(3, 2):
                    break
                if length_s >= target * Fraction(1, 2):
                    rates.append(size * 8 / length_s)
        # Too short for the rule: then it is all there is.
        return _round_up(max(rates)) if rates else self.average_bps


@dataclass(frozen=True)
class Sound:
    """How the sound is offered: its rendition, and what a person choosing it wants to know."""

    rendition: Rendition
    language: str
    name: str
    channels: int


def group(fragments: Sequence[Fragment], timescale: int, longest_s: float = SEGMENT_S) -> list[list[Fragment]]:
    """Fragments in runs that last at most `longest_s` seconds (or one fragment), of even length."""
    whole = Fraction(sum(fragment.duration for fragment in fragments), timescale)
    # Half a group of pictures of tolerance, so that 6.01 s is one segment and not two.
    count = max(1, -(-whole // (Fraction(longest_s) + Fraction(GOP_S, 2))))
    share = whole / count
    groups: list[list[Fragment]] = [[]]
    reached = Fraction(0)
    for fragment in fragments:
        if groups[-1] and reached >= share * len(groups):
            groups.append([])
        groups[-1].append(fragment)
        reached += Fraction(fragment.duration, timescale)
    return groups


def target_duration(rendition: Rendition) -> int:
    """The longest segment, rounded to whole seconds as section 4.4.3.1 asks."""
    longest = max(Fraction(segment.duration, rendition.timescale) for segment in rendition.segments)
    return max(1, int(longest + Fraction(1, 2)))


def media_playlist(rendition: Rendition) -> str:
    """The playlist of one rendition, complete (VOD)."""
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{target_duration(rendition)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="{rendition.init_uri}"',
    ]
    for segment in rendition.segments:
        lines += [f"#EXTINF:{segment.duration / rendition.timescale:.6f},", segment.uri]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def multivariant_playlist(videos: Sequence[Rendition], sound: Sound | None) -> str:
    """The playlist that a player is given: every rung, best first, with the sound beside it.

    Without video the sound itself is the only variant.
    """
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    if sound is not None and videos:
        lines.append(_sound_line(sound))
    for rendition in videos or ([sound.rendition] if sound else []):
        beside = sound if videos else None
        lines += [_stream_line(rendition, beside), rendition.uri]
    return "\n".join([*lines, ""])


def _sound_line(sound: Sound) -> str:
    language = f'LANGUAGE="{sound.language}",' if sound.language != "und" else ""
    return (
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",{language}NAME="{sound.name}",DEFAULT=YES,AUTOSELECT=YES,'
        f'CHANNELS="{sound.channels}",URI="{sound.rendition.uri}"'
    )


def _stream_line(rendition: Rendition, beside: Sound | None) -> str:
    # What a player needs to fetch at once is the rung and the sound together.
    peak, average, codecs = rendition.peak_bps, rendition.average_bps, rendition.codecs
    if beside is not None:
        peak, average = peak + beside.rendition.peak_bps, average + beside.rendition.average_bps
        codecs = f"{codecs},{beside.rendition.codecs}"
    attributes = [f"BANDWIDTH={peak}", f"AVERAGE-BANDWIDTH={average}", f'CODECS="{codecs}"']
    if rendition.frame_rate is not None:
        attributes.append(f"RESOLUTION={rendition.width}x{rendition.height}")
        attributes.append(f"FRAME-RATE={float(rendition.frame_rate):.3f}")
    if beside is not None:
        attributes.append('AUDIO="sound"')
    return "#EXT-X-STREAM-INF:" + ",".join(attributes)


def _round_up(rate: Fraction | float) -> int:
    return -int(-rate // 1)
