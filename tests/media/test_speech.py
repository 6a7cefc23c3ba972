from __future__ import annotations

import wave
from array import array
from typing import TYPE_CHECKING

import pytest

from anabranch.errors import EncodeError
from anabranch.media import speech
from anabranch.media.process import Cancelled, CancelToken
from anabranch.media.sandbox import Sandbox
from anabranch.media.speech import Segment, Transcript, Word
from tests import clips, samples

if TYPE_CHECKING:
    from pathlib import Path

RATE = 16_000


def voice(start_s: float, seconds: float) -> Path:
    """A part of a reading voice."""
    cut = ("-ss", f"{start_s}", "-t", f"{seconds}", "-i", str(samples.speech_wav()))
    return clips.make("voice.wav", *cut, "-ac", "1", "-ar", f"{RATE}", "-c:a", "pcm_s16le")


def power(wav: Path, start_s: float = 0.0, end_s: float | None = None) -> float:
    with wave.open(str(wav)) as opened:
        sound = array("h", opened.readframes(opened.getnframes()))
    part = sound[round(RATE * start_s) : None if end_s is None else round(RATE * end_s)]
    return float(sum(value * value for value in part) / len(part))


def length_s(wav: Path) -> float:
    with wave.open(str(wav)) as opened:
        return float(opened.getnframes() / opened.getframerate())


def cuts(wavs: list[Path]) -> list[float]:
    return speech.cuts(wavs, sandbox=Sandbox(), cancel=CancelToken())


def part(language: str, *texts: str, duration_s: float = 10.0) -> Transcript:
    """A segment a second, of one word each."""
    segments = tuple(
        Segment(at, at + 0.5, text, (Word(text, at, at + 0.5, 0.9),), {"seek": 100 * at})
        for at, text in enumerate(texts)
    )
    return Transcript(language, duration_s, segments)


def test_a_recording_is_cut_where_nobody_speaks(tmp_path: Path) -> None:
    wav = voice(1, 14)
    (at_s,) = cuts([wav])
    assert power(wav, at_s - 0.1, at_s + 0.1) < power(wav) / 30


def test_where_nobody_pauses_it_is_cut_at_the_quietest_moment(tmp_path: Path) -> None:
    wav = voice(2.1, 1.5)
    (at_s,) = cuts([wav])
    moments = [power(wav, at / 100, at / 100 + 0.1) for at in range(140)]
    assert power(wav, at_s - 0.05, at_s + 0.05) <= min(moments) * 1.01


def test_where_nobody_speaks_at_all_it_is_cut_in_the_middle(tmp_path: Path) -> None:
    assert cuts([clips.music()]) == [pytest.approx(length_s(clips.music()) / 2, abs=0.01)]


def test_a_window_past_the_end_of_the_sound_is_cut_at_its_beginning(tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    with wave.open(str(empty), "wb") as opened:
        opened.setparams((1, 2, RATE, 0, "NONE", ""))
    assert cuts([empty]) == [0.0]


def test_a_file_that_is_no_sound_breaks_the_step(tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_text("no sound")
    with pytest.raises(EncodeError) as raised:
        cuts([broken])
    assert raised.value.code == "speech_failed"


def test_looking_for_a_cut_stops_when_nobody_wants_it(tmp_path: Path) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        speech.cuts([voice(1, 14)], sandbox=Sandbox(), cancel=cancel)


def test_a_joined_transcript_has_the_times_of_the_whole() -> None:
    joined = speech.join([(0.0, part("en", "one", "two")), (60.25, part("en", "three", duration_s=4.5))])
    assert joined.text == "one two three"
    assert [(word.start_s, word.end_s) for word in joined.words] == [(0, 0.5), (1, 1.5), (60.25, 60.75)]
    assert [segment.start_s for segment in joined.segments] == [0, 1, 60.25]
    assert [segment.scores["seek"] for segment in joined.segments] == [0, 100, 6025]
    assert joined.duration_s == 64.75


def test_a_joined_transcript_is_in_the_language_of_most_of_its_words() -> None:
    silence = part("cy")
    assert (
        speech.join([(0, silence), (9, part("de", "ja")), (20, part("en", "yes", "well")), (30, silence)]).language
        == "en"
    )


def test_a_transcript_is_read_back_as_it_was_kept() -> None:
    kept = part("en", "one", "two")
    assert Transcript.from_dict(kept.to_dict()) == kept
