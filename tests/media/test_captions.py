from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from anabranch.media import captions
from anabranch.media.speech import Word


def said(*texts: str, pace_s: float = 0.4) -> list[Word]:
    return [Word(text, number * pace_s, number * pace_s + 0.3, 1.0) for number, text in enumerate(texts)]


def test_a_sentence_is_broken_in_two_lines_of_like_length() -> None:
    text = "the quick brown fox jumps over the lazy dog and then sleeps"
    words = said(*text.split(), pace_s=0.3)
    (cue,) = captions.cues(words)
    assert cue.lines == ("the quick brown fox jumps over", "the lazy dog and then sleeps")


def test_a_long_silence_begins_another_cue() -> None:
    words = [Word("one", 0, 0.5, 1), Word("two", 5, 5.5, 1)]
    assert [cue.lines for cue in captions.cues(words)] == [("one",), ("two",)]


def test_webvtt_is_written_as_the_standard_says() -> None:
    text = captions.webvtt([captions.Cue(3661.5, 3663.25, ("a < b & c",))])
    assert text == "WEBVTT\n\n01:01:01.500 --> 01:01:03.250\na &lt; b &amp; c\n"
    assert captions.webvtt([]) == "WEBVTT\n"


def test_subrip_numbers_its_cues() -> None:
    assert captions.subrip([captions.Cue(0, 1, ("hi",))]) == "1\n00:00:00,000 --> 00:00:01,000\nhi\n"


@given(
    st.lists(st.tuples(st.text("abcdefg.,", min_size=1, max_size=60), st.floats(0, 3), st.floats(0.01, 2)), max_size=80)
)
def test_any_words_become_cues_that_can_be_read(parts: list[tuple[str, float, float]]) -> None:
    words, at = [], 0.0
    for text, gap, length in parts:
        words.append(Word(text, at + gap, at + gap + length, 1.0))
        at += gap + length
    shown = captions.cues(words)
    assert "".join("".join(cue.lines) for cue in shown).replace(" ", "") == "".join(word.text for word in words)
    for cue in shown:
        assert 1 <= len(cue.lines) <= 2
        assert all(0 < len(line) <= captions.LINE_LENGTH for line in cue.lines)
        assert cue.start_s < cue.end_s
    assert all(earlier.end_s <= later.start_s + 1e-9 for earlier, later in pairwise(shown))
