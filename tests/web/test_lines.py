"""Transcripts as lines to be read."""

from __future__ import annotations

from typing import Any

from anabranch.web import lines

Json = Any


def transcript(*texts: str, every_s: float = 0.5, pauses: dict[int, float] | None = None) -> Json:
    """Segments whose words are said one after the other, each half as long as it takes to the next."""
    segments, words, at, number = [], [], 1.0, 0
    for text in texts:
        start = at
        for word in text.split():
            at += (pauses or {}).get(number, 0)
            words.append({"word": word, "start": round(at, 3), "end": round(at + every_s / 2, 3)})
            at, number = at + every_s, number + 1
        segments.append({"start": start, "end": round(at, 3), "text": f" {text}"})
    return {"segments": segments, "words": words}


def texts(found: list[lines.Line]) -> list[str]:
    return [line.text for line in found]


def test_a_line_is_a_sentence_and_begins_when_its_first_word_does() -> None:
    found = lines.cut(transcript("It was dark. Nobody came to them. Then the bell rang."))
    assert texts(found) == ["It was dark.", "Nobody came to them.", "Then the bell rang."]
    assert [line.start for line in found] == [1.0, 2.5, 4.5]


def test_a_short_answer_goes_with_what_follows() -> None:
    assert texts(lines.cut(transcript("No. He did not."))) == ["No. He did not."]


def test_a_long_sentence_is_cut_where_it_takes_breath() -> None:
    long = "it was the best of times, it was the worst of times, it was the age of wisdom, it was all"
    assert texts(lines.cut(transcript(long))) == [
        "it was the best of times, it was the worst of times,", "it was the age of wisdom, it was all",
    ]  # fmt: skip
    without = " ".join(["word"] * 30)
    assert [len(one.split()) for one in texts(lines.cut(transcript(without)))] == [24, 6]
    paused = lines.cut(transcript(without, pauses={12: 2.0}))
    assert [len(one.split()) for one in texts(paused)] == [12, 18]


def test_no_letter_is_lost_or_doubled() -> None:
    given = transcript("One two, three. Four five six seven!", "Eight? Nine ten eleven.", "twelve")
    # A word that the text has in other letters, as normalisation makes them.
    given["words"][1]["word"] = "2"
    joined = " ".join(texts(lines.cut(given)))
    assert joined == " ".join(segment["text"].strip() for segment in given["segments"])


def test_languages_without_spaces_keep_theirs() -> None:
    words = [{"word": one, "start": number, "end": number + 0.9} for number, one in enumerate("今日は晴れ。明日は雨。")]
    found = lines.cut({"segments": [{"start": 0, "end": 11, "text": "今日は晴れ。明日は雨。"}], "words": words})
    assert texts(found) == ["今日は晴れ。", "明日は雨。"]
    assert found[1].start == 6


def test_segments_without_words_are_lines() -> None:
    found = lines.cut({"segments": [{"start": 1, "end": 2, "text": " Hello there. You."}], "words": []})
    assert found == [lines.Line(1, "Hello there. You.")]
