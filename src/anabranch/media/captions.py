"""Captions: words with times as cues that can be read: two lines at most, 42 characters each. Pure.

The limits are those of broadcasters. Source of the formats: W3C WebVTT, and SubRip as players read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anabranch.media.speech import Word

LINE_LENGTH = 42
_MOST_LINES = 2
_LONGEST_S = 7.0
_SHORTEST_S = 0.8
# A silence this long ends a cue: what comes after is another thought.
_PAUSE_S = 1.0
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")


@dataclass(frozen=True)
class Cue:
    """What is shown from one time to another.

    Attributes:
        start_s: when it appears, in seconds.
        end_s: when it goes.
        lines: one or two lines of at most 42 characters.
    """

    start_s: float
    end_s: float
    lines: tuple[str, ...]


def cues(words: Sequence[Word]) -> list[Cue]:
    """Words in order as cues that do not overlap."""
    shown: list[Cue] = []
    for number, group in enumerate(groups := _groups(_fitting(words))):
        after_s = groups[number + 1][0].start_s if number + 1 < len(groups) else float("inf")
        start_s = max(group[0].start_s, shown[-1].end_s if shown else 0.0)
        # A short one stays until it can be read, but never into the next.
        end_s = max(start_s, min(max(group[-1].end_s, start_s + _SHORTEST_S), after_s))
        if end_s > start_s:
            shown.append(Cue(start_s, end_s, _lines([word.text for word in group])))
    return shown


def _fitting(words: Sequence[Word]) -> list[Word]:
    """Words that fit a line; one that does not is cut where it must be."""
    from anabranch.media.speech import Word

    fitting = []
    for word in words:
        parts = [word.text[at : at + LINE_LENGTH] for at in range(0, len(word.text), LINE_LENGTH)]
        length_s = (word.end_s - word.start_s) / max(1, len(parts))
        for number, part in enumerate(parts):
            start_s = word.start_s + number * length_s
            fitting.append(Word(part, start_s, start_s + length_s, word.probability))
    return fitting


def _groups(words: Sequence[Word]) -> list[list[Word]]:
    """Words that are shown together."""
    groups: list[list[Word]] = []
    for word in words:
        if groups and not _begins_another(groups[-1], word):
            groups[-1].append(word)
        else:
            groups.append([word])
    return groups


def _begins_another(group: Sequence[Word], word: Word) -> bool:
    return (
        len(_wrapped([*(one.text for one in group), word.text])) > _MOST_LINES
        or word.end_s - group[0].start_s > _LONGEST_S
        or word.start_s - group[-1].end_s > _PAUSE_S
        or (group[-1].text.endswith(_SENTENCE_ENDS) and word.start_s - group[0].start_s > 2 * _SHORTEST_S)
    )


def _wrapped(texts: Sequence[str]) -> list[str]:
    """Lines filled from the top."""
    lines: list[str] = []
    for text in texts:
        if lines and len(lines[-1]) + 1 + len(text) <= LINE_LENGTH:
            lines[-1] += f" {text}"
        else:
            lines.append(text)
    return lines


def _lines(texts: Sequence[str]) -> tuple[str, ...]:
    """One line, or two of about the same length, broken after punctuation where there is a choice."""
    whole = " ".join(texts)
    if len(whole) <= LINE_LENGTH:
        return (whole,)
    pairs = [(" ".join(texts[:at]), " ".join(texts[at:])) for at in range(1, len(texts))]
    fitting = [pair for pair in pairs if max(map(len, pair)) <= LINE_LENGTH]
    return min(fitting, key=lambda pair: abs(len(pair[0]) - len(pair[1])) - 8 * pair[0].endswith((",", ";", ".")))


def webvtt(shown: Sequence[Cue]) -> str:
    """Cues as a WebVTT file."""
    blocks = ["WEBVTT"]
    for cue in shown:
        times = f"{moment(cue.start_s)} --> {moment(cue.end_s)}"
        blocks.append("\n".join([times, *(_escaped(line) for line in cue.lines)]))
    return "\n\n".join(blocks) + "\n"


def as_segment(vtt: str) -> str:
    """A WebVTT file as a segment of a playlist: it says where it lies on the media's clock.

    Source: RFC 8216bis section 3.1.4.
    """
    return vtt.replace("WEBVTT", "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0", 1)


def subrip(shown: Sequence[Cue]) -> str:
    """Cues as an SRT file."""
    blocks = []
    for number, cue in enumerate(shown, 1):
        times = f"{moment(cue.start_s, ',')} --> {moment(cue.end_s, ',')}"
        blocks.append("\n".join([str(number), times, *cue.lines]) + "\n")
    return "\n".join(blocks)


def _escaped(line: str) -> str:
    # WebVTT section 4.2.2: these begin tags and character references.
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def moment(time_s: float, point: str = ".") -> str:
    """A moment as WebVTT has it, `00:00:02.500`; with a comma for SubRip."""
    milliseconds = round(time_s * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds, rest = divmod(rest, 1000)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{rest:03}"
