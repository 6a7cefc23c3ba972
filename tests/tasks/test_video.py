from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from anabranch.errors import OptionError
from anabranch.media.probe import Probe, probe
from anabranch.tasks.video import Video
from tests import clips, samples
from tests.tasks.runner import do

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anabranch.storage.files import FileStorage
    from anabranch.tasks import Output
    from anabranch.tasks.desk import Desk

PREVIEW = {"start": 1, "end": 4, "width": 480, "format": "gif"}


def look(output: Output, storage: FileStorage, scratch: Path) -> Probe:
    assert output.main is not None
    return probe(storage.path(output.main.key))


@pytest.mark.slow
def test_the_preview_of_a_film_is_a_gif_of_three_seconds(
    make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    output = do(Video(), PREVIEW, samples.animation_mp4(), make_desk)
    seen = look(output, storage, tmp_path)
    assert seen.video is not None
    assert (seen.video.codec, seen.video.width, seen.video.height) == ("gif", 480, 270)
    assert seen.duration_s == pytest.approx(3, abs=0.05)
    assert output.main is not None
    assert b"NETSCAPE2.0" in storage.path(output.main.key).read_bytes()[:1000], "it loops"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clip", "length"), [(lambda: clips.plain(2.5, name="mid.mp4"), 1.5), (clips.short, 0.8), (clips.plain, 1.0)]
)
def test_a_short_film_gives_what_it_has(
    clip: Any, length: float, make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    seen = look(do(Video(), PREVIEW, clip(), make_desk), storage, tmp_path)
    assert seen.duration_s == pytest.approx(length, abs=0.1)


def test_one_frame_is_a_gif_of_one_frame(make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path) -> None:
    seen = look(do(Video(), PREVIEW, clips.one_frame(), make_desk), storage, tmp_path)
    assert seen.video is not None
    assert seen.video.frames == 1


@pytest.mark.parametrize("format_", ["gif", "webp"])
def test_a_preview_that_fits_is_left_as_it_is(format_: str, make_desk: Callable[..., Desk]) -> None:
    made = do(Video(), {"format": format_, "end": 1}, clips.plain(), make_desk).facts
    assert (made["width"], made["height"], made["fps"]) == (320, 240, 12.5)
    assert made["within_max_bytes"] is True


@pytest.mark.parametrize(("format_", "most"), [("gif", 300_000), ("webp", 120_000)])
def test_a_preview_is_made_smaller_until_it_weighs_what_it_may(
    format_: str, most: int, make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    """Noise, which is the worst there is."""
    given = {"format": format_, "end": 0.64, "width": 480, "max_bytes": most}
    output = do(Video(), given, clips.static(1, "480x270"), make_desk)
    assert output.main is not None
    assert output.main.size_bytes <= most
    assert output.facts["within_max_bytes"] is True
    assert 160 <= output.facts["width"] < 480
    assert output.facts["width"] / output.facts["height"] == pytest.approx(16 / 9, rel=0.03)
    if format_ == "gif":
        seen = look(output, storage, tmp_path)
        assert seen.video is not None
        assert (seen.video.width, seen.video.height) == (output.facts["width"], output.facts["height"])
        assert seen.video.frames == round(0.64 * output.facts["fps"])


def test_a_preview_that_cannot_be_small_enough_is_as_small_as_it_gets_and_says_so(
    make_desk: Callable[..., Desk],
) -> None:
    given = {"format": "gif", "end": 0.64, "width": 480, "max_bytes": 10_000}
    output = do(Video(), given, clips.static(1, "480x270"), make_desk)
    assert output.main is not None
    assert output.main.size_bytes > 10_000
    assert output.facts["within_max_bytes"] is False
    assert (output.facts["width"], output.facts["height"], output.facts["fps"]) == (160, 90, 8.333)


@pytest.mark.slow
def test_a_preview_of_noise_weighs_three_megabytes_at_most(make_desk: Callable[..., Desk]) -> None:
    """By default; two seconds of it would be seven megabytes at its own size."""
    output = do(Video(), {"format": "gif"}, clips.static(2), make_desk)
    assert output.main is not None
    assert 1_500_000 < output.main.size_bytes <= 3_000_000


def test_what_was_asked_for_is_never_exceeded_by_making_it_smaller(make_desk: Callable[..., Desk]) -> None:
    given = {"format": "gif", "end": 0.6, "width": 300, "height": 300, "fit": "cover", "fps": 5, "max_bytes": 60_000}
    made = do(Video(), given, clips.static(1, "480x270"), make_desk).facts
    assert made["width"] == made["height"] < 270
    assert made["fps"] == 5


def test_progress_does_not_go_back_when_a_preview_is_made_again(make_desk: Callable[..., Desk]) -> None:
    told: list[float] = []
    given = {"format": "gif", "end": 0.64, "max_bytes": 100_000}
    source = clips.static(1, "480x270")
    do(Video(), given, source, make_desk, on_progress=lambda done, speed: told.append(done))
    assert told == sorted(told)
    assert 0.5 < told[-1] <= 1


def test_browsers_play_a_gif_at_the_rate_that_was_asked_for(
    make_desk: Callable[..., Desk], storage: FileStorage
) -> None:
    """They show a frame of less than two hundredths of a second for ten."""
    output = do(Video(), {"format": "gif", "end": 0.5, "width": 64, "fps": 60}, clips.plain(1, rate="60"), make_desk)
    assert output.main is not None
    data = storage.path(output.main.key).read_bytes()
    # The graphic control extension of each frame (GIF89a, section 23).
    delays = [int.from_bytes(found[1], "little") for found in re.finditer(rb"\x21\xf9\x04.(..).\x00", data, re.DOTALL)]
    assert len(delays) == 25
    assert set(delays) == {2}


@pytest.mark.parametrize("format_", ["gif", "webp"])
def test_a_film_that_stands_still_has_a_preview(format_: str, make_desk: Callable[..., Desk]) -> None:
    made = do(Video(), {"format": format_}, clips.filtered("black.mp4", "drawbox=t=fill:color=black", 1), make_desk)
    assert (made.facts["width"], made.facts["height"]) == (320, 240)
    assert made.facts["duration"] == pytest.approx(1, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clip", "size", "length"),
    [
        (clips.plain, (320, 240), 2),
        (lambda: clips.turned(270), (240, 320), 2),
        (clips.odd_size, (320, 238), 1),
        (clips.variable_rate, (320, 240), 3),
        (clips.late_video, (320, 240), 3),
        (clips.late_audio, (320, 240), 2),
        (clips.offset, (320, 240), 2),
        (clips.hdr, (320, 240), 1),
        (clips.surround, (320, 240), 1),
    ],
)
def test_odd_sources_become_a_file_that_plays_anywhere(
    clip: Any,
    size: tuple[int, int],
    length: float,
    make_desk: Callable[..., Desk],
    storage: FileStorage,
    tmp_path: Path,
) -> None:
    seen = look(do(Video(), {}, clip(), make_desk), storage, tmp_path)
    assert seen.video is not None
    assert (seen.video.codec, seen.video.width, seen.video.height) == ("h264", *size)
    assert (seen.video.rotation, seen.video.pixel_format, seen.video.color_space) == (0, "yuv420p", "bt709")
    assert seen.duration_s == pytest.approx(length, abs=0.1)


def test_a_file_can_begin_to_play_before_it_is_loaded(make_desk: Callable[..., Desk], storage: FileStorage) -> None:
    output = do(Video(), {"width": 160}, clips.plain(), make_desk)
    assert output.main is not None
    data = storage.path(output.main.key).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_a_clip_is_cut_where_it_was_asked_for(
    make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    seen = look(do(Video(), {"start": 1.2, "end": 3, "audio": False}, clips.numbered(5), make_desk), storage, tmp_path)
    assert seen.audio == ()
    assert seen.video is not None
    assert seen.video.frames == 45


def test_sound_alone_is_no_video(make_desk: Callable[..., Desk]) -> None:
    assert do(Video(), PREVIEW, clips.audio_only(), make_desk).reason == "no_video_stream"


def test_a_gif_of_minutes_is_refused(tmp_path: Path) -> None:
    long = clips.make("long.mp4", "-f", "lavfi", "-i", "color=s=32x32:r=1:d=90", "-c:v", "libx264")
    kind = Video()
    with pytest.raises(OptionError) as raised:
        kind.plan(kind.read_options({"format": "gif"}), probe(long))
    assert raised.value.code == "gif_too_long"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"start": 4, "end": 1}, "end (1 s) must come after start (4 s)"),
        ({"format": "gif", "codec": "h264"}, "codec h264 does not go with format gif"),
        ({"max_bytes": 1_000_000}, "max_bytes does not go with format mp4"),
        ({"format": "gif", "max_bytes": 10}, "greater than or equal to 10000"),
        ({"codec": "vp9"}, "codec vp9 does not go with format mp4"),
        ({"codec": "theora"}, "'theora'"),
        ({"fps": 500}, "less than or equal to 60"),
        ({"lenght": 3}, 'there is no option "lenght"'),
    ],
)
def test_an_impossible_option_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError) as raised:
        Video().read_options(given)
    assert said in str(raised.value)
