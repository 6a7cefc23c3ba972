from __future__ import annotations

import json
import re
import wave
from array import array
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from anabranch.errors import FinalError, OptionError, SetupError
from anabranch.media.probe import probe
from anabranch.media.speech import stretches
from anabranch.tasks.audio import Audio
from anabranch.tasks.kinds import KINDS
from tests import clips, samples
from tests.tasks.runner import do

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anabranch.media.probe import Probe
    from anabranch.storage.files import FileStorage
    from anabranch.tasks import Output
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
    seen = probe(storage.path(output.main.key))
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


@pytest.mark.slow
def test_a_language_that_the_model_does_not_know_is_a_clear_error(make_desk: Callable[..., Desk]) -> None:
    with pytest.raises(SetupError) as raised:
        do(Audio(), {"format": "json", "language": "ja"}, clips.silence(), make_desk)
    assert raised.value.code == "language_unsupported"
    assert "ANABRANCH_SPEECH_MODEL" in raised.value.hint


def test_a_language_that_does_not_exist_is_named(make_desk: Callable[..., Desk]) -> None:
    with pytest.raises(OptionError) as raised:
        do(Audio(), {"format": "json", "language": "qq"}, clips.silence(), make_desk)
    assert raised.value.code == "unknown_language"


@pytest.mark.slow
def test_the_model_is_loaded_when_somebody_speaks_and_not_before(
    make_desk: Callable[..., Desk], storage: FileStorage
) -> None:
    given = {"format": "json", "language": "en"}
    output = do(Audio(), given, clips.silence(), make_desk, speech_model="/nowhere/model")
    told = json.loads(storage.path(output.files[0].key).read_text())
    assert (told["language"], told["duration"], told["words"]) == ("en", 3.0, [])
    # Also when it is long before anybody does.
    cut = ("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono:d=31", "-i", str(samples.speech_wav()))
    late = clips.make("late.wav", *cut, "-filter_complex", "[1:a]atrim=0:4[words];[0:a][words]concat=v=0:a=1")
    with pytest.raises(SetupError) as raised:
        do(Audio(), given, late, make_desk, speech_model="/nowhere/model")
    assert raised.value.code == "speech_model_missing"


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


def lasting(probe: Probe, seconds: float) -> Probe:
    """The same sound, as if it lasted so long."""
    return replace(probe, duration_s=seconds, audio=(replace(probe.audio[0], end_s=seconds),))


@pytest.mark.parametrize(
    ("seconds", "given", "count"),
    [
        (480, {}, 1),
        (3600, {}, 12),
        (3600, {"start": 1800}, 6),
        (3600, {"start": 1800, "end": 2000}, 1),
        (3600, {"end": 99999}, 12),
        (3600, {"start": 5000}, 1),
        (24 * 3600, {}, 100),
    ],
)
def test_a_long_recording_is_written_down_in_stretches(
    seconds: float, given: dict[str, Any], count: int, make_desk: Callable[..., Desk]
) -> None:
    seen = lasting(make_desk(clips.audio_only()).probe, seconds)
    for kind, options in ((Audio(), {"format": "txt"}), (KINDS["speech"], {}), (KINDS["subtitles"], {})):
        pieces = kind.plan(kind.read_options({**options, **given}), seen)
        alone = ["transcribe"]
        assert [piece.name for piece in pieces] == (
            alone if count == 1 else [f"transcribe-{number:04}" for number in range(count)]
        )
        assert {piece.slot for piece in pieces} == {"speech"}


def test_sound_as_a_file_is_made_in_one_go_however_long_it_is(make_desk: Callable[..., Desk]) -> None:
    seen = lasting(make_desk(clips.audio_only()).probe, 24 * 3600)
    assert [piece.name for piece in Audio().plan(Audio().read_options({"format": "mp3"}), seen)] == ["encode"]


def in_stretches(
    given: dict[str, Any], source: Path, make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[dict[str, Any]], Output]:
    """The results of the pieces and the output, as if eleven seconds were long."""
    monkeypatch.setattr(stretches, "WHOLE_S", 11.0)
    monkeypatch.setattr(stretches, "STRETCH_S", 11.0)
    kind, options = Audio(), Audio().read_options(given)
    pieces = kind.plan(options, make_desk(source).probe)
    results = [json.loads(json.dumps(kind.perform(piece, options, make_desk(source)))) for piece in pieces]
    return results, kind.join(results, options, make_desk(source))


@pytest.mark.slow
def test_a_word_at_a_cut_is_neither_lost_nor_doubled(
    make_desk: Callable[..., Desk], storage: FileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_s = 1.5
    given = {"format": "json", "start": start_s}
    source = clips.make("tale.mp3", "-i", str(samples.speech_wav()), "-c:a", "libmp3lame", "-q:a", "4")
    whole = read(do(Audio(), given, source, make_desk), storage)
    results, output = in_stretches(given, source, lambda *at: make_desk(*at, attempt=2), monkeypatch)
    cut = read(output, storage)

    cuts_s = [result["end_s"] - start_s for result in results[:-1]]
    assert len(cuts_s) >= 3
    assert [result["start_s"] - start_s for result in results[1:]] == cuts_s
    for cut_s in cuts_s:
        before = [word for word in cut["words"] if word["start"] < cut_s][-4:]
        after = [word for word in cut["words"] if word["start"] >= cut_s][:4]
        assert spelled([*before, *after]) in spelled(whole["words"])
        assert before[-1]["end"] <= cut_s + 0.1
    assert len(cut["words"]) == pytest.approx(len(whole["words"]), abs=3)
    for one, next_ in pairwise(cut["segments"]):
        assert (one["id"] + 1, one["end"]) <= (next_["id"], next_["start"])
    assert cut["duration"] == pytest.approx(whole["duration"], abs=0.05)


def read(output: Output, storage: FileStorage) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(storage.path(output.files[0].key).read_text())
    return told


def spelled(words: list[dict[str, Any]]) -> str:
    return " ".join(re.sub("[^a-z]", "", word["word"].lower()) for word in words)


@pytest.mark.slow
def test_a_silence_is_joined_to_an_empty_text(
    make_desk: Callable[..., Desk], storage: FileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, output = in_stretches({"format": "json"}, clips.silence(23), make_desk, monkeypatch)
    assert len(results) == 3
    told = read(output, storage)
    assert (told["text"], told["segments"], told["words"], told["duration"]) == ("", [], [], 23)
    assert [file.name for file in output.files] == ["transcript.json", "captions.vtt"]
    # A step's result stays in the database for ever; the words do not belong there.
    assert all(set(result) == {"part", "start_s", "end_s"} for result in results)


def test_stretches_that_do_not_meet_are_no_transcript(make_desk: Callable[..., Desk]) -> None:
    results = [{"part": {}, "start_s": 0.0, "end_s": 301.2}, {"part": {}, "start_s": 309.7, "end_s": None}]
    with pytest.raises(FinalError) as raised:
        Audio().join(results, Audio().read_options({"format": "txt"}), make_desk(clips.silence()))
    assert raised.value.code == "stretches_disagree"
    assert "301.2" in raised.value.message
    assert "309.7" in raised.value.message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "coded"),
    [
        ("tone.mp3", ("-c:a", "libmp3lame", "-q:a", "6")),
        ("tone.mkv", ("-c:a", "aac")),
        ("tone.ts", ("-c:a", "aac")),
        ("tone.ogg", ("-c:a", "libopus")),
    ],
)
def test_a_part_of_the_sound_begins_at_the_moment_that_was_asked_for(
    name: str, coded: tuple[str, ...], make_desk: Callable[..., Desk], storage: FileStorage
) -> None:
    beginning = ("-f", "lavfi", "-i", "aevalsrc='gte(t,22)*0.3*sin(440*2*PI*t)':s=48000:d=30")
    output = do(Audio(), {"format": "wav", "start": 21.3, "end": 25.3}, clips.make(name, *beginning, *coded), make_desk)
    assert output.main is not None
    with wave.open(str(storage.path(output.main.key))) as opened:
        heard = array("h", opened.readframes(opened.getnframes()))
    first = next(at for at, value in enumerate(heard) if value > 5000)
    # Of a transport stream the run-in of the encoder is a part: 21 ms.
    assert first / 48000 == pytest.approx(0.7, abs=0.03)


def test_sound_from_where_nothing_is_left_is_refused(make_desk: Callable[..., Desk]) -> None:
    with pytest.raises(OptionError) as raised:
        do(Audio(), {"start": 5}, clips.plain(), make_desk)
    assert raised.value.code == "invalid_option"
    assert '"start": 5 s is past the end of the sound, at 2 s' in raised.value.message
