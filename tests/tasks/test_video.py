from __future__ import annotations

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
    return probe(storage.path(output.main.key), scratch)


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
        kind.plan(kind.read_options({"format": "gif"}), probe(long, tmp_path))
    assert raised.value.code == "gif_too_long"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"start": 4, "end": 1}, "end (1 s) must come after start (4 s)"),
        ({"format": "gif", "codec": "h264"}, "codec h264 does not go with format gif"),
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
