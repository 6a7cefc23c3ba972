"""HLS: playlists as text. Pure. Source: RFC 8216bis (draft-pantos-hls-rfc8216bis) and Apple's authoring rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Fragmented MP4 needs 6, EXT-X-INDEPENDENT-SEGMENTS too; 7 is what Apple's own tools write for them.
_VERSION = 7

Json = Any


@dataclass(frozen=True)
class Segment:
    """What a player fetches at once.

    Attributes:
        uri: where it is, relative to its playlist.
        duration: in ticks of the rendition's time scale.
        size_bytes: its size.
        iframes: for each group of pictures the offset and size in bytes of its first picture with what is needed to
            show it, and the group's duration in ticks.
    """

    uri: str
    duration: int
    size_bytes: int
    iframes: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True)
class Rendition:
    """One playlist of media: a rung of the video, or a track of sound.

    Attributes:
        uri: its playlist, relative to the multivariant playlist.
        init_uri: its initialisation section, relative to its playlist.
        init_bytes: size of that section.
        timescale: ticks a second.
        segments: in order.
        codecs: RFC 6381 names, such as `avc1.64001f`.
        target_s: the longest that a segment is planned to be, in seconds; what comes may not be longer.
        width: in pixels; 0 for sound.
        height: in pixels; 0 for sound.
        frame_rate: frames a second; None for sound.
        growing_bps: bits a second that it will not exceed, while it grows; 0 when it is complete and can be measured.
    """

    uri: str
    init_uri: str
    init_bytes: int
    timescale: int
    segments: tuple[Segment, ...]
    codecs: str
    target_s: float = 0.0
    width: int = 0
    height: int = 0
    frame_rate: Fraction | None = None
    growing_bps: int = 0

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
        parts = [(one.duration, one.size_bytes) for one in self.segments]
        return max(_peak_bps(parts, self.timescale, target_duration(self)), self.growing_bps)

    @property
    def iframes_uri(self) -> str:
        """Its playlist of I-frames, beside its playlist."""
        return f"{self.uri.rpartition('/')[0]}/iframes.m3u8"

    @property
    def iframes_peak_bps(self) -> int:
        """Largest bit rate of any stretch of its I-frames, each of which lasts as long as its group."""
        parts = [(ticks, size) for _, size, ticks in self._iframes()]
        return _peak_bps(parts, self.timescale, self.iframes_target)

    @property
    def iframes_average_bps(self) -> int:
        """Average bit rate of its I-frames."""
        return _round_up(sum(size for _, size, _ in self._iframes()) * 8 / self.duration_s)

    @property
    def iframes_target(self) -> int:
        """The longest group of pictures, in whole seconds."""
        return _whole_seconds(max(Fraction(ticks, self.timescale) for _, _, ticks in self._iframes()))

    def _iframes(self) -> list[tuple[int, int, int]]:
        return [frame for segment in self.segments for frame in segment.iframes]

    def to_dict(self) -> dict[str, Json]:
        """As kept beside the package, to write its playlists again."""
        rate = None if self.frame_rate is None else str(self.frame_rate)
        segments = [[one.uri, one.duration, one.size_bytes, one.iframes] for one in self.segments]
        return {**vars(self), "frame_rate": rate, "segments": segments}

    @classmethod
    def from_dict(cls, value: Mapping[str, Json]) -> Rendition:
        """Read what `to_dict` wrote."""
        rate = value["frame_rate"]
        segments = tuple(
            Segment(uri, duration, size, tuple((frame[0], frame[1], frame[2]) for frame in iframes))
            for uri, duration, size, iframes in value["segments"]
        )
        return cls(**{**value, "frame_rate": rate and Fraction(rate), "segments": segments})


@dataclass(frozen=True)
class Sound:
    """How a track of sound is offered: its rendition, and what a person choosing it wants to know.

    Attributes:
        language: RFC 5646 tag, or empty when unknown.
        name: for people; no two tracks have the same.
        channels: how many.
        default: whether it is heard when nobody chooses.
    """

    rendition: Rendition
    language: str
    name: str
    channels: int
    default: bool = True


@dataclass(frozen=True)
class Captions:
    """How captions are offered.

    Attributes:
        uri: their playlist, relative to the multivariant playlist.
        vtt_uri: the WebVTT file, relative to that playlist.
        language: RFC 5646 tag, or empty when unknown.
        name: for people.
        size_bytes: of the WebVTT file.
        duration_s: of the whole, in seconds.
    """

    uri: str
    vtt_uri: str
    language: str
    name: str
    size_bytes: int
    duration_s: float

    @property
    def bps(self) -> int:
        """Bit rate of what a player fetches of them."""
        return _round_up(self.size_bytes * 8 / self.duration_s)


@dataclass(frozen=True)
class Presentation:
    """All that a player may choose from.

    Attributes:
        videos: the rungs of each codec, best first; none for sound alone.
        sounds: the tracks of sound, the default one first.
        captions: what is said, to read; None until there is a transcript.
    """

    videos: tuple[Rendition, ...]
    sounds: tuple[Sound, ...]
    captions: Captions | None = None

    @property
    def renditions(self) -> list[Rendition]:
        """Every rendition of media, the sounds last."""
        return [*self.videos, *(sound.rendition for sound in self.sounds)]

    def with_captions(self, captions: Captions | None) -> Presentation:
        """The same with these captions."""
        return replace(self, captions=captions)

    def to_dict(self) -> dict[str, Json]:
        """As kept beside the package; captions are of another task and stay out."""
        sounds = [{**vars(sound), "rendition": sound.rendition.to_dict()} for sound in self.sounds]
        return {"videos": [video.to_dict() for video in self.videos], "sounds": sounds}

    @classmethod
    def from_dict(cls, value: Mapping[str, Json]) -> Presentation:
        """Read what `to_dict` wrote."""
        sounds = [Sound(**{**one, "rendition": Rendition.from_dict(one["rendition"])}) for one in value["sounds"]]
        return cls(tuple(Rendition.from_dict(video) for video in value["videos"]), tuple(sounds))


def target_duration(rendition: Rendition) -> int:
    """The longest segment, planned or there, rounded to whole seconds as section 4.4.3.1 asks."""
    longest = max(Fraction(segment.duration, rendition.timescale) for segment in rendition.segments)
    return _whole_seconds(max(longest, Fraction(rendition.target_s)))


def _whole_seconds(longest_s: Fraction | float) -> int:
    return max(1, int(longest_s + Fraction(1, 2)))


def _peak_bps(parts: Sequence[tuple[int, int]], timescale: int, target_s: int) -> int:
    """Largest bit rate of any run of parts (ticks, bytes) that lasts 0.5 to 1.5 target durations."""
    # Whole numbers, compared crosswise: it is asked after every chunk of a film that grows.
    best_ticks, best_bytes = 0, 0
    for first in range(len(parts)):
        ticks = size_bytes = 0
        for position in range(first, len(parts)):
            ticks, size_bytes = ticks + parts[position][0], size_bytes + parts[position][1]
            if 2 * ticks > 3 * target_s * timescale:
                break
            is_long_enough = 2 * ticks >= target_s * timescale
            if is_long_enough and size_bytes * best_ticks >= best_bytes * ticks:
                best_ticks, best_bytes = ticks, size_bytes
    if not best_ticks:
        # Too short for the rule: then it is all there is.
        best_ticks, best_bytes = sum(length for length, _ in parts), sum(size for _, size in parts)
    return -(-best_bytes * 8 * timescale // best_ticks)


def media_playlist(rendition: Rendition, *, complete: bool = True) -> str:
    """The playlist of one rendition: complete (VOD), or with more to come at its end (EVENT).

    A player begins an EVENT playlist near its end, as it would a live broadcast, unless told to start at 0.
    """
    kind = ["#EXT-X-PLAYLIST-TYPE:VOD"] if complete else ["#EXT-X-PLAYLIST-TYPE:EVENT", "#EXT-X-START:TIME-OFFSET=0"]
    lines = _head(target_duration(rendition), kind)
    lines.append(f'#EXT-X-MAP:URI="{rendition.init_uri}"')
    for segment in rendition.segments:
        lines += [f"#EXTINF:{segment.duration / rendition.timescale:.6f},", segment.uri]
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if complete else []), ""])


def iframe_playlist(rendition: Rendition) -> str:
    """The playlist of a rung's keyframes, for fast winding. Section 4.4.3.6."""
    lines = _head(rendition.iframes_target, ["#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-I-FRAMES-ONLY"])
    lines.append(f'#EXT-X-MAP:URI="{rendition.init_uri}"')
    for segment in rendition.segments:
        for offset, size, ticks in segment.iframes:
            lines += [f"#EXTINF:{ticks / rendition.timescale:.6f},", f"#EXT-X-BYTERANGE:{size}@{offset}", segment.uri]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def captions_playlist(captions: Captions) -> str:
    """The playlist of a WebVTT file, which is one segment: an hour of speech is some 60 kB."""
    lines = _head(_whole_seconds(captions.duration_s), ["#EXT-X-PLAYLIST-TYPE:VOD"])
    return "\n".join([*lines, f"#EXTINF:{captions.duration_s:.6f},", captions.vtt_uri, "#EXT-X-ENDLIST", ""])


def _head(target: int, kind: Sequence[str]) -> list[str]:
    return [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{target}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        *kind,
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]


def multivariant_playlist(shown: Presentation) -> str:
    """The playlist that a player is given: every rung, the lowest first, with the sounds and captions beside them.

    Players begin with the first, and the lowest is the soonest there. Without video the default sound is the only
    variant.
    """
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    if shown.videos:
        lines += [_sound_line(sound) for sound in shown.sounds]
    if shown.captions:
        lines.append(_captions_line(shown.captions))
    groups = ['AUDIO="sound"'] if shown.videos and shown.sounds else []
    groups += ['SUBTITLES="captions"'] if shown.captions else []
    for rendition in _lowest_first(shown.videos) or [sound.rendition for sound in shown.sounds[:1]]:
        lines += [_stream_line(rendition, shown, groups), rendition.uri]
    lines += [_iframes_line(rendition) for rendition in _lowest_first(shown.videos) if not rendition.growing_bps]
    return "\n".join([*lines, ""])


def _lowest_first(videos: Sequence[Rendition]) -> list[Rendition]:
    """The rungs of each codec from the lowest; the codec that everything plays stays first."""
    codecs = list(dict.fromkeys(video.codecs.partition(".")[0] for video in videos))
    return sorted(videos, key=lambda video: (codecs.index(video.codecs.partition(".")[0]), video.width * video.height))


def _sound_line(sound: Sound) -> str:
    language = f'LANGUAGE="{sound.language}",' if sound.language else ""
    default = "YES" if sound.default else "NO"
    return (
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",{language}NAME="{sound.name}",DEFAULT={default},AUTOSELECT=YES,'
        f'CHANNELS="{sound.channels}",URI="{sound.rendition.uri}"'
    )


def _captions_line(captions: Captions) -> str:
    language = f'LANGUAGE="{captions.language}",' if captions.language else ""
    return (
        f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="captions",{language}NAME="{captions.name}",DEFAULT=NO,AUTOSELECT=YES,'
        f'FORCED=NO,CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog",URI="{captions.uri}"'
    )


def _stream_line(rendition: Rendition, shown: Presentation, groups: Sequence[str]) -> str:
    # What a player needs to fetch at once is the rung, a track of sound, at the most the largest, and the captions.
    peak, average, codecs = rendition.peak_bps, rendition.average_bps, rendition.codecs
    if shown.videos and shown.sounds:
        peak += max(sound.rendition.peak_bps for sound in shown.sounds)
        average += max(sound.rendition.average_bps for sound in shown.sounds)
        codecs = ",".join([codecs, *dict.fromkeys(sound.rendition.codecs for sound in shown.sounds)])
    if shown.captions:
        peak, average = peak + shown.captions.bps, average + shown.captions.bps
    attributes = [f"BANDWIDTH={peak}", f"AVERAGE-BANDWIDTH={average}", f'CODECS="{codecs}"']
    if rendition.frame_rate is not None:
        attributes.append(f"RESOLUTION={rendition.width}x{rendition.height}")
        attributes.append(f"FRAME-RATE={float(rendition.frame_rate):.3f}")
    return "#EXT-X-STREAM-INF:" + ",".join([*attributes, *groups])


def _iframes_line(rendition: Rendition) -> str:
    return (
        f"#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={rendition.iframes_peak_bps},"
        f'AVERAGE-BANDWIDTH={rendition.iframes_average_bps},CODECS="{rendition.codecs}",'
        f'RESOLUTION={rendition.width}x{rendition.height},URI="{rendition.iframes_uri}"'
    )


def _round_up(rate: Fraction | float) -> int:
    return -int(-rate // 1)
