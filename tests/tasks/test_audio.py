from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from anabranch.errors import OptionError, SetupError
from anabranch.media.probe import probe
from anabranch.tasks.audio import Audio
from tests import clips, samples
from tests.tasks.runner import do

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anabranch.storage.files import FileStorage
    from anabranch.tasks.desk import Desk


@pytest.mark.slow
def test_what_is_said_is_written_down_with_times(make_desk: Callable[..., Desk], storage: FileStorage) -> None:
    source = clips.make("tale.wav", "-i", str(samples.speech_wav()), "-t", "12")
    output = do(Audio(), {"format": "json", "language": "en"}, source, make_desk)
    assert [file.name for file in output.files] == ["transcript.json", "captions.vtt"]
    told = json.loads(storage.path(output.files[0].key).read_text())
    assert set(told) == {"task", "language", "duration", "text", "segments", "words"}
    said = re.sub(r"[^a-z ]", "", told["text"].lower())
    assert "best of times it was the worst of times it was the age of wisdom" in said
    times = [(word["start"], word["end"]) for word in told["words"]]
    assert times == sorted(times)
    assert all(0 <= start <= end <= told["duration"] for start, end in times)
    for segment in told["segments"]:
        assert {"id", "start", "end", "text", "tokens", "avg_logprob", "no_speech_prob"} <= set(segment)
    cues = storage.path(output.files[1].key).read_text().split("\n\n")[1:]
    assert cues
    for cue in cues:
        lines = cue.strip().splitlines()[1:]
        assert 1 <= len(lines) <= 2
        assert all(len(line) <= 42 for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("clip", [clips.silence, clips.noise, clips.music, samples.animation_mp4])
def test_where_nobody_speaks_no_words_are_invented(
    clip: Callable[[], Path], make_desk: Callable[..., Desk], storage: FileStorage
) -> None:
    output = do(Audio(), {"format": "json"}, clip(), make_desk)
    told = json.loads(storage.path(output.files[0].key).read_text())
    assert (told["text"], told["segments"], told["words"]) == ("", [], [])
    assert storage.path(output.files[1].key).read_text() == "WEBVTT\n"


@pytest.mark.parametrize(
    ("format_", "codec"), [("mp3", "mp3"), ("m4a", "aac"), ("opus", "opus"), ("wav", "pcm_s16le"), ("flac", "flac")]
)
def test_sound_comes_in_the_format_that_was_asked_for(
    format_: str, codec: str, make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    output = do(Audio(), {"format": format_, "start": 0.5}, clips.plain(), make_desk)
    assert output.main is not None
    seen = probe(storage.path(output.main.key), tmp_path)
    assert seen.audio[0].codec.startswith(codec)
    assert seen.duration_s == pytest.approx(1.5, abs=0.1)


def test_sound_that_begins_late_keeps_its_place(
    make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    output = do(Audio(), {"format": "wav"}, clips.late_audio(), make_desk)
    assert output.main is not None
    data = memoryview(storage.path(output.main.key).read_bytes()[100:96_000]).cast("B")
    samples_ = memoryview(bytes(data[: len(data) // 2 * 2])).cast("h")
    first = next((at for at, value in enumerate(samples_) if abs(value) > 500), len(samples_))
    assert first / 48000 == pytest.approx(1, abs=0.03)


def test_the_default_language_is_heard(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(clips.two_languages())
    assert desk.probe.audio[0].language == "eng"


def test_pictures_alone_have_no_transcript(make_desk: Callable[..., Desk]) -> None:
    output = do(Audio(), {"format": "json", "language": "en"}, clips.no_audio(), make_desk)
    assert (output.main, output.reason) == (None, "no_audio_stream")


def test_a_language_that_the_model_does_not_know_is_a_clear_error(make_desk: Callable[..., Desk]) -> None:
    with pytest.raises(SetupError) as raised:
        do(Audio(), {"format": "json", "language": "ja"}, clips.silence(), make_desk)
    assert raised.value.code == "language_unsupported"
    assert "ANABRANCH_SPEECH_MODEL" in raised.value.hint


def test_a_language_that_does_not_exist_is_named(make_desk: Callable[..., Desk]) -> None:
    with pytest.raises(OptionError) as raised:
        do(Audio(), {"format": "json", "language": "qq"}, clips.silence(), make_desk)
    assert raised.value.code == "unknown_language"


def test_a_model_that_is_not_there_is_a_clear_error(make_desk: Callable[..., Desk]) -> None:
    with pytest.raises(SetupError) as raised:
        do(Audio(), {"format": "txt"}, clips.silence(), make_desk, speech_model="/nowhere/model")
    assert raised.value.code == "speech_model_missing"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"format": "mp3", "language": "en"}, "language goes with json, vtt, srt, txt, not with mp3"),
        ({"format": "wav", "bitrate": 64000}, "bitrate goes with mp3, m4a and opus, not with wav"),
        ({"format": "json", "quality": "low"}, "quality goes with mp3, m4a and opus, not with json"),
        ({"format": "mp3", "quality": "low", "bitrate": 64000}, "exclude each other"),
        ({"format": "midi"}, "'midi'"),
    ],
)
def test_an_impossible_option_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError) as raised:
        Audio().read_options(given)
    assert said in str(raised.value)
