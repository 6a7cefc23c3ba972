"""Written: a transcript that another Task API made, read in the shapes that there are. Pure.

This server's own shape is OpenAI's `verbose_json`, with `segments` and `words`. Ittybit's has a `timeline` whose
entries have `start`, `end` and `text`, and `language` or `languages`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

from anabranch.media.speech import Segment, Transcript, Word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = Any

_LATEST_S = 1e6


def read(told: Json, language: str | None) -> Transcript | None:
    """What was said; None when it is in no shape that is known.

    Args:
        told: the JSON.
        language: what was asked for, where the transcript does not say.
    """
    if not isinstance(told, dict):
        return None
    stretches = told.get("segments", told.get("timeline"))
    words = told.get("words", [])
    if not isinstance(stretches, list) or not isinstance(words, list):
        return None
    if not all(_is_timed(one, "text") for one in stretches) or not all(_is_timed(one, "word") for one in words):
        return None
    languages = told.get("languages")
    named = (told.get("language"), languages[0] if isinstance(languages, list) and languages else None, language)
    spoken = next((one for one in named if isinstance(one, str) and one), "")
    duration = told.get("duration")
    ends_s = duration if _is_time(duration) else max((one["end"] for one in stretches), default=0.0)
    return Transcript(spoken, float(ends_s), _segments(stretches, [_word(one) for one in words]))


def words_of(transcript: Transcript) -> list[Word]:
    """The words; where none are told, those of each segment as if they were all spoken at the same pace."""
    return [word for segment in transcript.segments for word in segment.words or _paced(segment)]


def _segments(stretches: Sequence[Mapping[str, Json]], words: Sequence[Word]) -> tuple[Segment, ...]:
    found = []
    first = 0
    for number, one in enumerate(stretches):
        last = first
        is_last = number + 1 == len(stretches)
        while last < len(words) and (is_last or words[last].start_s < one["end"]):
            last += 1
        text = one["text"].strip()
        found.append(Segment(float(one["start"]), float(one["end"]), text, tuple(words[first:last]), {}))
        first = last
    return tuple(found)


def _word(told: Mapping[str, Json]) -> Word:
    sure = told.get("probability")
    probability = min(1.0, float(sure)) if _is_time(sure) else 1.0
    return Word(told["word"].strip(), float(told["start"]), float(told["end"]), probability)


def _paced(segment: Segment) -> list[Word]:
    texts = segment.text.split()
    letters = sum(map(len, texts))
    words, spoken = [], 0
    for text in texts:
        start_s = segment.start_s + (segment.end_s - segment.start_s) * spoken / letters
        spoken += len(text)
        words.append(Word(text, start_s, segment.start_s + (segment.end_s - segment.start_s) * spoken / letters, 1.0))
    return words


def _is_timed(one: Json, text: str) -> bool:
    return (
        isinstance(one, dict)
        and isinstance(one.get(text), str)
        and _is_time(one.get("start"))
        and _is_time(one.get("end"))
        and one["start"] <= one["end"]
    )


def _is_time(value: Json) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _LATEST_S
