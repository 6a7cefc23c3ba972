"""The smaller kinds: animation, thumbnails, probe, import, speech, subtitles; and the other formats of video."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from anabranch.errors import OptionError
from anabranch.media import ffmpeg
from anabranch.media.probe import probe
from anabranch.tasks.kinds import kind_named
from tests import clips, samples
from tests.tasks.runner import do

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anabranch.storage.files import FileStorage
    from anabranch.tasks import Output
    from anabranch.tasks.desk import Desk


def bytes_of(storage: FileStorage, output: Output, number: int = 0) -> bytes:
    return b"".join(storage.open(output.files[number].key))


def test_an_animation_is_a_gif_of_three_seconds_unless_told_otherwise(
    make_desk: Callable[..., Desk], storage: FileStorage
) -> None:
    made = do(kind_named("animation"), {"width": 96}, clips.plain(5), make_desk)
    assert (made.type, made.facts["width"], made.facts["duration"]) == ("image/gif", 96, pytest.approx(3, abs=0.15))
    assert bytes_of(storage, made).startswith(b"GIF89a")


def test_an_animation_as_webp_moves_at_the_rate_that_was_asked_for(
    make_desk: Callable[..., Desk], storage: FileStorage
) -> None:
    options = {"format": "webp", "start": 1, "end": 2, "width": 96, "fps": 5}
    made = do(kind_named("animation"), options, clips.plain(5), make_desk)
    data = bytes_of(storage, made)
    assert made.type == "image/webp"
    assert data.count(b"ANMF") == 5


@pytest.mark.slow
def test_an_animation_as_mp4_is_tiny_silent_and_plays_before_it_is_loaded(
    make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    made = do(kind_named("animation"), {"format": "mp4", "start": 1}, samples.animation_mp4(), make_desk)
    assert made.main is not None
    assert (made.kind, made.type, made.main.name) == ("video", "video/mp4", "preview.mp4")
    seen = probe(storage.path(made.main.key))
    assert seen.video is not None
    assert (seen.video.codec, seen.video.pixel_format, seen.audio) == ("h264", "yuv420p", ())
    assert (seen.video.width, seen.video.height, seen.video.frames) == (480, 270, 75)
    data = bytes_of(storage, made)
    assert data.index(b"moov") < data.index(b"mdat")
    assert len(data) < 100_000


@pytest.mark.slow
def test_an_animation_as_mp4_is_encoded_to_weigh_what_it_may(make_desk: Callable[..., Desk]) -> None:
    options = {"format": "mp4", "end": 2, "max_bytes": 60_000}
    made = do(kind_named("animation"), options, clips.static(2, "480x270"), make_desk)
    assert made.main is not None
    assert made.main.size_bytes <= 60_000
    assert made.facts["within_max_bytes"] is True


@pytest.mark.parametrize(("rate", "fps"), [("25", 25), ("60", 30)])
def test_an_animation_as_mp4_has_thirty_frames_a_second_at_most(
    rate: str, fps: int, make_desk: Callable[..., Desk]
) -> None:
    source = clips.plain(1, rate=rate, name=f"rate{rate}.mp4")
    assert do(kind_named("animation"), {"format": "mp4", "height": 96}, source, make_desk).facts["fps"] == fps


def test_an_animation_weighs_what_it_may(make_desk: Callable[..., Desk]) -> None:
    options = {"format": "gif", "end": 0.24, "max_bytes": 100_000}
    made = do(kind_named("animation"), options, clips.static(1, "480x270"), make_desk)
    assert made.main is not None
    assert made.main.size_bytes <= 100_000


@pytest.mark.parametrize("format_", ["gif", "mp4"])
def test_an_animation_of_more_than_a_minute_is_refused(format_: str, make_desk: Callable[..., Desk]) -> None:
    kind = kind_named("animation")
    with pytest.raises(OptionError) as told:
        kind.plan(
            kind.read_options({"format": format_, "end": 100}),
            make_desk(clips.long_audio()).probe.__class__(
                **{**vars(make_desk(clips.plain()).probe), "duration_s": 100.0, "video": _longer(make_desk)}
            ),
        )
    assert told.value.code == "gif_too_long"


def _longer(make_desk: Callable[..., Desk]) -> Any:
    video = make_desk(clips.plain()).probe.video
    assert video is not None
    return type(video)(**{**vars(video), "end_s": 100.0})


def test_webm_holds_vp9_and_opus(make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path) -> None:
    made = do(kind_named("video"), {"format": "webm", "width": 160, "end": 1}, clips.plain(), make_desk)
    file = tmp_path / "a.webm"
    file.write_bytes(bytes_of(storage, made))
    seen = probe(file)
    assert seen.video is not None
    assert (seen.video.codec, seen.video.width, seen.audio[0].codec) == ("vp9", 160, "opus")
    assert made.type == "video/webm"
    with pytest.raises(OptionError):
        kind_named("video").read_options({"format": "webm", "codec": "h264"})


def test_thumbnails_are_a_sheet_and_an_index_of_it(make_desk: Callable[..., Desk], storage: FileStorage) -> None:
    source = clips.numbered(4)
    made = do(kind_named("thumbnails"), {"interval": 1, "columns": 3, "width": 320, "format": "png"}, source, make_desk)
    assert (made.facts["count"], made.facts["columns"], made.type) == (4, 3, "text/vtt")
    index = bytes_of(storage, made).decode()
    cues = re.findall(r"(\S+) --> (\S+)\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)", index)
    assert index.startswith("WEBVTT\n\n")
    assert [cue[0] for cue in cues] == ["00:00:00.000", "00:00:01.000", "00:00:02.000", "00:00:03.000"]
    assert [tuple(map(int, cue[3:])) for cue in cues] == [
        (0, 0, 320, 96), (320, 0, 320, 96), (640, 0, 320, 96), (0, 96, 320, 96),
    ]  # fmt: skip
    sheet = storage.path(made.files[1].key)
    assert {cue[2] for cue in cues} == {sheet.name}
    raw = sheet.with_name("sheet.gray")
    arguments = ["-i", str(sheet), "-pix_fmt", "gray", "-f", "rawvideo", str(raw)]
    ffmpeg.run(ffmpeg.find(), arguments, making="pixels", scratch=sheet.parent)
    pixels = raw.read_bytes()
    assert len(pixels) == 960 * 192
    # Each picture is of its second: the frame's number is in its columns, 25 frames a second.
    for number, cue in enumerate(cues):
        left, top = int(cue[3]), int(cue[4])
        bits = [pixels[(top + 48) * 960 + left + 40 * bit + 20] > 128 for bit in range(8)]
        shown = sum(2**bit for bit, lit in enumerate(bits) if lit)
        assert abs(shown - 25 * number) <= 13


def test_too_many_thumbnails_are_refused_by_name(make_desk: Callable[..., Desk]) -> None:
    kind = kind_named("thumbnails")
    with pytest.raises(OptionError, match="interval"):
        kind.plan(kind.read_options({"interval": 0.001}), make_desk(clips.plain()).probe)


def test_a_probe_is_written_down(make_desk: Callable[..., Desk], storage: FileStorage) -> None:
    made = do(kind_named("probe"), {}, clips.plain(), make_desk)
    assert (made.facts["width"], made.facts["codecs"]) == (320, {"video": "h264", "audio": "aac"})
    assert json.loads(bytes_of(storage, made))["video"]["height"] == 240


def test_an_import_is_the_same_bytes(make_desk: Callable[..., Desk], storage: FileStorage) -> None:
    for source, mime in ((clips.plain(), "video/mp4"), (samples.speech_wav(), "audio/wav")):
        made = do(kind_named("import"), {}, source, make_desk)
        assert bytes_of(storage, made) == source.read_bytes()
        assert made.type == mime
        assert source.exists()


@pytest.mark.slow
def test_speech_and_subtitles_are_what_audio_makes_of_their_formats(
    make_desk: Callable[..., Desk], storage: FileStorage
) -> None:
    made = do(kind_named("speech"), {"language": "en", "end": 5}, samples.speech_wav(), make_desk)
    assert made.type == "application/json"
    assert made.spoken
    assert json.loads(bytes_of(storage, made))["language"] == "en"
    captions = do(kind_named("subtitles"), {"language": "en", "end": 5}, samples.speech_wav(), make_desk)
    assert bytes_of(storage, captions).decode().startswith("WEBVTT")
