"""Lines: a transcript cut where one reads it: at the end of a sentence, or where a long one takes breath. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = Any

_ENDS = tuple(".?!…。？！")
_BREATHS = tuple(",;:—–、，；")
# Words after which a comma or a pause ends a line, and after which anything does.
_LONG = 10
_LONGEST = 24
_PAUSE_S = 0.6
# A sentence of one word, such as "No.", goes with the next one.
_SHORTEST = 3


@dataclass(frozen=True)
class Line:
    """A line of text, and the second at which it begins to be said."""

    start: float
    text: str


def cut(transcript: dict[str, Json]) -> list[Line]:
    """The lines of a transcript. Together they have every letter of its segments."""
    words: list[dict[str, Json]] = transcript.get("words") or []
    lines: list[Line] = []
    first = 0
    for segment in transcript["segments"]:
        last = first
        while last < len(words) and words[last]["start"] < segment["end"]:
            last += 1
        lines += _of_segment(segment, words[first:last])
        first = last
    return lines


def _of_segment(segment: dict[str, Json], words: list[dict[str, Json]]) -> list[Line]:
    text = segment["text"].strip()
    lines: list[Line] = []
    begin, cursor, count, start = 0, 0, 0, segment["start"]
    for number, word in enumerate(words):
        said = word["word"].strip()
        at = text.find(said, cursor)
        if at < 0:
            # The text has it in other letters.
            continue
        cursor = at + len(said)
        count += 1
        following = words[number + 1] if number + 1 < len(words) else None
        if following is not None and _ends_line(said, count, following["start"] - word["end"]):
            lines.append(Line(start, text[begin:cursor].strip()))
            begin, count, start = cursor, 0, following["start"]
    rest = text[begin:].strip()
    return [*lines, Line(start, rest)] if rest else lines


def _ends_line(said: str, count: int, pause_s: float) -> bool:
    if said.endswith(_ENDS):
        return count >= _SHORTEST
    return count >= _LONGEST or (count >= _LONG and (said.endswith(_BREATHS) or pause_s > _PAUSE_S))
