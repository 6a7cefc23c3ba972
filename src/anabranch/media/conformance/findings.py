"""Findings: what a check saw, each under the stable name of its rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]
_LONGEST = 300

# Every rule by its name. Numbers are sections of RFC 8216bis; the rest are Apple's authoring rules or plain sense.
RULES = {
    "missing": "What a playlist names is there and can be read.",
    "text": "UTF-8 without a byte order mark or control characters, #EXTM3U first (4.1, 4.4.1.1).",
    "tags": "Tags are known, stand once where once is the most, and where they belong (4.1, 4.4).",
    "attributes": "Attribute lists are well formed, and values of the type that their names ask for (4.2).",
    "version": "EXT-X-VERSION is at least what the tags need (8).",
    "target-duration": "No segment, rounded to whole seconds, is longer than EXT-X-TARGETDURATION (4.4.3.1).",
    "sequence": "EXT-X-MEDIA-SEQUENCE, EXT-X-PLAYLIST-TYPE and EXT-X-ENDLIST agree (4.4.3.2, 4.4.3.4, 4.4.3.5).",
    "independent": "EXT-X-INDEPENDENT-SEGMENTS is said (4.4.2.1).",
    "map": "EXT-X-MAP leads to an initialisation section of one track (4.4.4.5).",
    "segment": "Each segment is movie fragments that can be read to their ends (3.1.2).",
    "extinf": "EXTINF is what the samples last, to a tick and the digits that are written (4.4.4.1).",
    "continuity": "The times of samples go on over every join, without a gap or an overlap.",
    "sync": "Each segment begins with a sample that a decoder can begin with (4.4.2.1).",
    "alignment": "Segments begin at the same times in every rung, and keyframes in every rung of a codec.",
    "bandwidth": "BANDWIDTH is the measured peak or up to 10 % more (4.4.6.2).",
    "average-bandwidth": "AVERAGE-BANDWIDTH is within 10 % of what was measured (4.4.6.2).",
    "peak-ratio": "The peak is at most twice the average.",
    "codecs": "CODECS names what is in the initialisation sections, and nothing else (4.4.6.2).",
    "resolution": "RESOLUTION is the size at which the pictures are shown (4.4.6.2).",
    "frame-rate": "FRAME-RATE is that of the samples, to three digits (4.4.6.2).",
    "channels": "CHANNELS is what the sound has (4.4.6.1).",
    "groups": "Groups that are named exist, those that exist are named, and those of a type have the same names.",
    "language": "LANGUAGE is a tag of RFC 5646 (4.4.6.1).",
    "name": "NAME is unique in its group (4.4.6.1.1).",
    "default": "One rendition of sound in a group is DEFAULT, and of others one at the most (4.4.6.1.1).",
    "webvtt": "Subtitles are WebVTT whose cues can be read (3.1.4).",
    "timestamp-map": "Subtitles say by X-TIMESTAMP-MAP how their times meet those of the media (3.1.4).",
    "i-frame-range": "Each range of an I-frame playlist is a fragment's header and one sync sample (4.4.3.6).",
    "i-frame-duration": "An I-frame lasts until the next, and all together as long as the video (4.4.3.6).",
    "i-frames": "There are I-frame playlists, for winding.",
    "uri": "Addresses are relative, so that a package can be moved.",
    "listed-twice": "No segment and no rendition is listed twice.",
    "durations": "Renditions last equally long, to half a second.",
    "rungs": "A codec has three rungs or more.",
    "segment-length": "The target duration is six seconds.",
    "keyframe-interval": "There is a keyframe every two seconds.",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        rule: one of `RULES`.
        severity: `error` when a player may stumble, `warning` when a recommendation is not met.
        where: the playlist, and the line in it or the segment.
        what: what was found.
    """

    rule: str
    severity: Severity
    where: str
    what: str


class Findings:
    """Collects findings, in the order in which they are made."""

    def __init__(self) -> None:
        self.all: list[Finding] = []

    def error(self, rule: str, where: str, what: str) -> None:
        """A player may stumble."""
        self._add(rule, "error", where, what)

    def warning(self, rule: str, where: str, what: str) -> None:
        """A recommendation is not met."""
        self._add(rule, "warning", where, what)

    def _add(self, rule: str, severity: Severity, where: str, what: str) -> None:
        assert rule in RULES, rule
        # A stranger's playlist is quoted, and must not write to the terminal what it likes.
        said = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in what)
        self.all.append(Finding(rule, severity, where, said[:_LONGEST]))
