"""Renditions: a playlist of media together with the segments that it leads to, read and measured."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from anabranch.media.conformance import boxes, webvtt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anabranch.media.conformance.boxes import Part, Track
    from anabranch.media.conformance.findings import Findings
    from anabranch.media.conformance.playlists import Entry, Playlist, Tag


@dataclass(frozen=True)
class Segment:
    """What an entry of a playlist leads to, when it is there.

    Attributes:
        entry: the entry.
        duration_s: its EXTINF.
        size_bytes: of the file, or of the range in it.
        track: what its initialisation section says; None for text, or when that cannot be read.
        parts: its fragments; none when they cannot be read.
        range: first byte and end, when it is a part of a file.
        is_joined: whether it goes on from the one before, which is there, and no discontinuity is announced.
        is_text: whether it is subtitles.
    """

    entry: Entry
    duration_s: Fraction
    size_bytes: int
    track: Track | None
    parts: tuple[Part, ...]
    range: tuple[int, int] | None
    is_joined: bool
    is_text: bool


@dataclass(frozen=True)
class Rendition:
    """A playlist of media and its segments.

    Attributes:
        playlist: as text.
        segments: those that are there.
        target_s: EXT-X-TARGETDURATION, or the longest segment where it is missing.
        has_ended: whether no more is to come.
    """

    playlist: Playlist
    segments: tuple[Segment, ...]
    target_s: int
    has_ended: bool

    @property
    def where(self) -> str:
        """What it is called in findings."""
        return self.playlist.where

    @property
    def is_whole(self) -> bool:
        """Whether all of it could be read; what could not is told already, and what it leads to need not be."""
        readable = all(segment.parts or segment.is_text for segment in self.segments)
        return readable and len(self.segments) == len(self.playlist.entries)

    @property
    def track(self) -> Track | None:
        """What its first initialisation section says."""
        return next((segment.track for segment in self.segments if segment.track), None)

    @property
    def duration_s(self) -> Fraction:
        """Length by its playlist."""
        return sum((segment.duration_s for segment in self.segments), Fraction(0))

    @property
    def average_bps(self) -> Fraction:
        """Average segment bit rate (4.4.6.2)."""
        size = sum(segment.size_bytes for segment in self.segments)
        return size * 8 / self.duration_s if self.duration_s else Fraction(0)

    @property
    def peak_bps(self) -> Fraction:
        """Largest bit rate of neighbouring segments that last half to one and a half target durations (4.1)."""
        rates = [Fraction(0)]
        for first in range(len(self.segments)):
            length_s, size = Fraction(0), 0
            for segment in self.segments[first:]:
                length_s, size = length_s + segment.duration_s, size + segment.size_bytes
                if length_s > self.target_s * Fraction(3, 2):
                    break
                if length_s >= self.target_s * Fraction(1, 2) and length_s:
                    rates.append(size * 8 / length_s)
        # Nothing lasts long enough for the rule: then it is all there is.
        return max(rates) or self.average_bps

    @property
    def starts_s(self) -> list[Fraction]:
        """When each segment's first picture is shown."""
        return [Fraction(one.parts[0].shown, one.track.timescale) for one in self.segments if one.track and one.parts]

    @property
    def syncs_s(self) -> list[Fraction]:
        """When each keyframe is shown."""
        return [Fraction(time, track.timescale) for track, part in self._parts() for time in part.syncs]

    @property
    def end_s(self) -> Fraction:
        """When its last sample ends."""
        return max(
            (Fraction(part.start + part.duration, track.timescale) for track, part in self._parts()), default=Fraction()
        )

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames a second by what most samples last."""
        return next(
            (Fraction(track.timescale, part.usual_duration) for track, part in self._parts() if part.usual_duration),
            None,
        )

    def _parts(self) -> Iterator[tuple[Track, Part]]:
        for segment in self.segments:
            if segment.track:
                for part in segment.parts:
                    yield segment.track, part


def load(playlist: Playlist, fetch: Callable[[str], bytes], found: Findings) -> Rendition:
    """Read a playlist's segments, and check them one by one."""
    target = _target(playlist, found)
    _check_sequence(playlist, found)
    is_winding = playlist.first("EXT-X-I-FRAMES-ONLY") is not None
    segments = tuple(_segments(playlist, fetch, found, is_winding=is_winding))
    _check_targets(playlist, segments, target, found)
    _check_repeats(playlist, segments, found)
    longest = max((segment.duration_s for segment in segments), default=Fraction(1))
    ended = playlist.first("EXT-X-ENDLIST") is not None
    rendition = Rendition(playlist, segments, target or max(1, round(longest)), ended)
    if is_winding:
        _check_winding(rendition, found)
    else:
        _check_joins(rendition, found)
    return rendition


def _target(playlist: Playlist, found: Findings) -> int | None:
    tag = playlist.first("EXT-X-TARGETDURATION")
    if tag is None:
        found.error("target-duration", playlist.where, "EXT-X-TARGETDURATION is missing.")
    elif not re.fullmatch(r"\d+", tag.value):
        found.error("target-duration", playlist.at(tag.line), f"{tag.value} is not a whole number of seconds.")
    else:
        return int(tag.value)
    return None


def _check_sequence(playlist: Playlist, found: Findings) -> None:
    kind, number = playlist.first("EXT-X-PLAYLIST-TYPE"), playlist.first("EXT-X-MEDIA-SEQUENCE")
    if kind and kind.value not in ("EVENT", "VOD"):
        found.error("sequence", playlist.at(kind.line), f"A playlist's type cannot be {kind.value}.")
    if number and not re.fullmatch(r"\d+", number.value):
        found.error("sequence", playlist.at(number.line), f"{number.value} is not a number of a segment.")
    elif number and kind and int(number.value) > 0:
        found.error(
            "sequence", playlist.at(number.line), f"Segments were removed from a playlist of type {kind.value}."
        )
    if number and playlist.entries and number.line > playlist.entries[0].line:
        found.error("sequence", playlist.at(number.line), "EXT-X-MEDIA-SEQUENCE stands after the first segment.")
    if kind and kind.value == "VOD" and not playlist.first("EXT-X-ENDLIST"):
        found.error("sequence", playlist.at(kind.line), "It is VOD and has no EXT-X-ENDLIST; players wait for more.")


def _segments(
    playlist: Playlist, fetch: Callable[[str], bytes], found: Findings, *, is_winding: bool
) -> Iterator[Segment]:
    tracks: dict[str, Track | None] = {}
    # The last file is kept: the ranges of a playlist of I-frames lead to the same one again and again.
    file: tuple[str, bytes | None] = ("", None)
    mapped: Tag | None = None
    after: tuple[str, int] = ("", 0)
    is_after_loss = False
    for entry in playlist.entries:
        mapped = entry.tag("EXT-X-MAP") or mapped
        if file[0] != entry.uri:
            file = (entry.uri, _fetched(playlist, entry.uri, entry.line, fetch, found))
        duration = _duration(playlist, entry, found)
        if file[1] is None or duration is None:
            is_after_loss = True
            continue
        span = _range(playlist, entry, after, found)
        after = (entry.uri, span[1]) if span else ("", 0)
        data = file[1] if span is None else file[1][span[0] : span[1]]
        if span and span[1] > len(file[1]):
            found.error("missing", playlist.at(entry.line), f"{entry.uri} has {len(file[1])} bytes, not {span[1]}.")
        track: Track | None = None
        parts: tuple[Part, ...] = ()
        is_text = data.startswith((b"WEBVTT", b"\xef\xbb\xbfWEBVTT")) or entry.uri.endswith((".vtt", ".webvtt"))
        if is_text:
            webvtt.check(data, playlist.at(entry.line), found)
        else:
            track = _track(playlist, entry, mapped, tracks, fetch, found)
            parts = _parts(playlist, entry, data, track, found, is_cut=is_winding)
        is_joined = not is_after_loss and entry.tag("EXT-X-DISCONTINUITY") is None
        is_after_loss = False
        yield Segment(entry, duration, len(data), track, parts, span, is_joined, is_text)


def _fetched(playlist: Playlist, uri: str, line: int, fetch: Callable[[str], bytes], found: Findings) -> bytes | None:
    try:
        return fetch(playlist.resolve(uri))
    except OSError as error:
        found.error("missing", playlist.at(line), f"{uri} cannot be read: {error.strerror or error}.")
        return None


def _duration(playlist: Playlist, entry: Entry, found: Findings) -> Fraction | None:
    tag = entry.tag("EXTINF")
    if tag is None:
        found.error("tags", playlist.at(entry.line), f"{entry.uri} has no EXTINF.")
    elif (match := re.fullmatch(r"(\d+(\.\d+)?),.*", tag.value)) is None:
        found.error("tags", playlist.at(tag.line), f"EXTINF:{tag.value} is not a duration and a comma.")
    else:
        return Fraction(match[1])
    return None


def _range(playlist: Playlist, entry: Entry, after: tuple[str, int], found: Findings) -> tuple[int, int] | None:
    tag = entry.tag("EXT-X-BYTERANGE")
    if tag is None:
        return None
    match = re.fullmatch(r"(\d+)(@(\d+))?", tag.value)
    if match is None or (match[3] is None and after[0] != entry.uri):
        found.error("tags", playlist.at(tag.line), f"EXT-X-BYTERANGE:{tag.value} does not say which bytes.")
        return None
    start = int(match[3]) if match[3] else after[1]
    return start, start + int(match[1])


def _track(
    playlist: Playlist,
    entry: Entry,
    mapped: Tag | None,
    tracks: dict[str, Track | None],
    fetch: Callable[[str], bytes],
    found: Findings,
) -> Track | None:
    uri = mapped.attributes.get("URI") if mapped else None
    if mapped is None or uri is None:
        if "" not in tracks:
            found.error("map", playlist.at(entry.line), "EXT-X-MAP is missing; fragments cannot be read without it.")
        return tracks.setdefault("", None)
    if uri not in tracks:
        data = _fetched(playlist, uri, mapped.line, fetch, found)
        tracks[uri] = None
        try:
            tracks[uri] = boxes.read_init(data) if data is not None else None
        except ValueError as error:
            found.error("map", playlist.at(mapped.line), f"{uri}: {error}")
    return tracks[uri]


def _parts(
    playlist: Playlist, entry: Entry, data: bytes, track: Track | None, found: Findings, *, is_cut: bool
) -> tuple[Part, ...]:
    if track is None:
        return ()
    try:
        parts = tuple(boxes.read_parts(data, track, is_cut=is_cut))
    except ValueError as error:
        found.error("segment", playlist.at(entry.line), f"{entry.uri}: {error}")
        return ()
    if not parts:
        found.error("segment", playlist.at(entry.line), f"{entry.uri} has no fragment.")
    return parts


def _check_targets(playlist: Playlist, segments: tuple[Segment, ...], target: int | None, found: Findings) -> None:
    for segment in segments:
        rounded = int(segment.duration_s + Fraction(1, 2))
        if target is not None and rounded > target:
            where = playlist.at(segment.entry.line)
            found.error(
                "target-duration", where, f"It lasts {float(segment.duration_s):g} s, and the target is {target} s."
            )


def _check_repeats(playlist: Playlist, segments: tuple[Segment, ...], found: Findings) -> None:
    seen: dict[tuple[str, tuple[int, int] | None], int] = {}
    for segment in segments:
        line = seen.setdefault((segment.entry.uri, segment.range), segment.entry.line)
        if line != segment.entry.line:
            found.error(
                "listed-twice", playlist.at(segment.entry.line), f"{segment.entry.uri} stands in line {line} too."
            )


def _check_joins(rendition: Rendition, found: Findings) -> None:
    expected: int | None = None
    for segment in rendition.segments:
        where = rendition.playlist.at(segment.entry.line)
        if not segment.is_joined or not segment.parts:
            expected = None
        if not segment.parts or segment.track is None:
            continue
        ticks = segment.track.timescale
        for part in segment.parts:
            if expected is not None and part.start != expected:
                off = float(Fraction(part.start - expected, ticks))
                kind = "A gap" if off > 0 else "An overlap"
                found.error(
                    "continuity", where, f"{kind} of {abs(off):g} s before the fragment at {part.start / ticks:g} s."
                )
            expected = part.start + part.duration
        if not segment.parts[0].begins_with_sync:
            found.error("sync", where, f"{segment.entry.uri} begins with a sample that needs others.")
        _check_extinf(segment, where, found)


def _check_extinf(segment: Segment, where: str, found: Findings) -> None:
    assert segment.track is not None
    lasts = Fraction(sum(part.duration for part in segment.parts), segment.track.timescale)
    if abs(lasts - segment.duration_s) > _tolerance(segment):
        found.error(
            "extinf", where, f"EXTINF says {float(segment.duration_s):g} s, and the samples last {float(lasts):.6f} s."
        )


def _tolerance(segment: Segment) -> Fraction:
    """A tick, and half of the last digit that is written."""
    assert segment.track is not None
    tag = segment.entry.tag("EXTINF")
    digits = len(tag.value.partition(",")[0].partition(".")[2]) if tag else 0
    return Fraction(1, segment.track.timescale) + Fraction(1, 2 * 10**digits)


def _check_winding(rendition: Rendition, found: Findings) -> None:
    """Each range of a playlist of I-frames: a header and its first sample, which is shown until the next one is."""
    for segment, after in zip(rendition.segments, [*rendition.segments[1:], None], strict=True):
        where = rendition.playlist.at(segment.entry.line)
        if segment.track is None or not segment.parts:
            continue
        first = segment.parts[0]
        if len(segment.parts) > 1 or not first.begins_with_sync or first.first_end != segment.size_bytes:
            found.error(
                "i-frame-range", where, f"The range is not one I-frame, which would end at byte {first.first_end}."
            )
        if after is not None and after.is_joined and after.parts and first.syncs and after.parts[0].syncs:
            lasts = Fraction(after.parts[0].syncs[0] - first.syncs[0], segment.track.timescale)
            if abs(lasts - segment.duration_s) > _tolerance(segment):
                said = (
                    f"EXTINF says {float(segment.duration_s):g} s, and the next I-frame is {float(lasts):.6f} s later."
                )
                found.error("i-frame-duration", where, said)
