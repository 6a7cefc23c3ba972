"""WebVTT: subtitles as a segment. Source: W3C WebVTT, and RFC 8216bis section 3.1.4."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anabranch.media.conformance.findings import Findings

_TIME = r"(?:(\d{2,}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
_TIMES = re.compile(rf"{_TIME}[ \t]+-->[ \t]+{_TIME}(?:[ \t]+\S+)*")
_MAP = re.compile(r"X-TIMESTAMP-MAP=(?=.*MPEGTS:\d+)(?=.*LOCAL:(?:\d{2,}:)?[0-5]\d:[0-5]\d\.\d{3})[^ ]+")


def check(data: bytes, where: str, found: Findings) -> None:
    """Read a segment of subtitles."""
    try:
        text = data.decode().removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError:
        found.error("webvtt", where, "It is not UTF-8.")
        return
    head, *blocks = re.split(r"\n{2,}", text.rstrip("\n"))
    lines = head.split("\n")
    if not re.fullmatch(r"WEBVTT([ \t].*)?", lines[0]):
        found.error("webvtt", where, "The first line is not WEBVTT.")
        return
    _check_map(lines[1:], where, found)
    last = 0
    for block in blocks:
        if not re.match(r"(NOTE|STYLE|REGION)\b", block):
            last = _check_cue(block.split("\n"), last, where, found)


def _check_map(lines: list[str], where: str, found: Findings) -> None:
    told = next((line for line in lines if line.startswith("X-TIMESTAMP-MAP")), None)
    if told is None:
        found.warning("timestamp-map", where, "X-TIMESTAMP-MAP is missing; players take its times to be the media's.")
    elif not _MAP.fullmatch(told):
        found.error("timestamp-map", where, f"{told} has no LOCAL and MPEGTS.")


def _check_cue(lines: list[str], after: int, where: str, found: Findings) -> int:
    """Check a cue that should begin no earlier than the one before; returns when it begins."""
    at = 0 if "-->" in lines[0] else 1
    match = _TIMES.fullmatch(lines[at]) if at < len(lines) else None
    if match is None:
        found.error("webvtt", where, f"This is no cue: {' / '.join(lines)[:60]!r}.")
        return after
    start, end = _milliseconds(*match.groups()[:4]), _milliseconds(*match.groups()[4:])
    if end <= start or start < after:
        found.error("webvtt", where, f"The cue {lines[at]} ends before it begins, or begins before the one before.")
    return start


def _milliseconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> int:
    return ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(fraction)
