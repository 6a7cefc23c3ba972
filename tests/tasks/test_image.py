from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

import pytest

from anabranch.errors import OptionError
from anabranch.media import ffmpeg, still
from anabranch.tasks.image import Image
from tests import clips, samples
from tests.tasks.runner import do

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anabranch.storage.files import FileStorage
    from anabranch.tasks import Output
    from anabranch.tasks.desk import Desk


def gray(output: Output, storage: FileStorage, scratch: Path, *filters: str) -> bytes:
    """The picture's brightness, a byte a pixel."""
    assert output.main is not None
    raw = scratch / "picture.raw"
    scaled = ("-vf", ",".join(filters)) if filters else ()
    arguments = ["-i", str(storage.path(output.main.key)), *scaled, "-pix_fmt", "gray", "-f", "rawvideo", str(raw)]
    ffmpeg.run(ffmpeg.find(), arguments, making="a copy", scratch=scratch)
    return raw.read_bytes()


def number(picture: bytes) -> int:
    """The number that `clips.numbered` wrote into a frame of 320x96."""
    return sum((picture[320 * 48 + 40 * bit + 20] > 128) << bit for bit in range(8))


def test_the_poster_of_a_film_is_as_wide_as_asked(make_desk: Callable[..., Desk], storage: FileStorage) -> None:
    output = do(Image(), {"start": 2, "width": 640, "format": "webp"}, samples.animation_mp4(), make_desk)
    assert (output.facts["width"], output.facts["height"], output.type) == (640, 360, "image/webp")
    assert output.main is not None
    assert storage.path(output.main.key).read_bytes()[8:12] == b"WEBP"


def test_a_poster_is_never_larger_than_its_film(make_desk: Callable[..., Desk]) -> None:
    output = do(Image(), {"start": 1, "width": 1280, "format": "png"}, clips.plain(), make_desk)
    assert (output.facts["width"], output.facts["height"]) == (320, 240)


@pytest.mark.parametrize(("start", "frame"), [(0, 0), (0.5, 12), (2, 50), (4.97, 124), (60, 124)])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_the_poster_is_the_frame_shown_at_its_moment_or_the_last(
    start: float, frame: int, container: str, make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    source = clips.numbered(5, name=f"numbered.{container}")
    output = do(Image(), {"start": start, "format": "png"}, source, make_desk)
    assert number(gray(output, storage, tmp_path)) == frame


def spread_of(picture: bytes) -> float:
    return statistics.pstdev(picture[::3])


@pytest.mark.slow
def test_without_a_moment_neither_black_nor_fading_frames_are_chosen(
    make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    """Black for a second, a fade of two, a second of picture, and a fade out."""
    source = clips.filtered("fades.mp4", "fade=in:st=1:d=2,fade=out:st=4.2:d=0.8", seconds=5)
    shown = gray(do(Image(), {"format": "png"}, source, make_desk), storage, tmp_path)
    whole = gray(do(Image(), {"start": 3.5, "format": "png"}, source, make_desk), storage, tmp_path)
    assert statistics.mean(shown) == pytest.approx(statistics.mean(whole), abs=4)
    assert spread_of(shown) > 0.95 * spread_of(whole)


@pytest.mark.slow
def test_without_a_moment_blurred_frames_are_not_chosen(
    make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    """Out of focus but for the fourth of five seconds."""
    source = clips.filtered("focus.mp4", "gblur=sigma=3:enable='not(between(t,3,4))'", seconds=5)
    shown = gray(do(Image(), {"format": "png"}, source, make_desk), storage, tmp_path)
    sharp = gray(do(Image(), {"start": 3.5, "format": "png"}, source, make_desk), storage, tmp_path)
    blurred = gray(do(Image(), {"start": 2, "format": "png"}, source, make_desk), storage, tmp_path)
    edges = [still.look(one, one, one, 320).sharpness for one in (blurred, shown, sharp)]
    assert edges[1] > 0.7 * edges[2] > 3 * edges[0]


@pytest.mark.slow
def test_without_a_moment_a_flash_is_not_chosen(
    make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    """A strobe light: white all the time but for half a second."""
    source = clips.filtered("flash.mp4", "drawbox=t=fill:color=white:enable='not(between(t,1.6,2.1))'")
    shown = gray(do(Image(), {"format": "png"}, source, make_desk), storage, tmp_path)
    assert statistics.mean(shown) < 180
    assert spread_of(shown) > 40


@pytest.mark.slow
def test_a_film_that_is_black_has_a_poster_all_the_same(make_desk: Callable[..., Desk]) -> None:
    source = clips.filtered("black.mp4", "drawbox=t=fill:color=black", seconds=1)
    output = do(Image(), {"format": "png"}, source, make_desk)
    assert (output.facts["width"], output.facts["height"]) == (320, 240)


@pytest.mark.slow
@pytest.mark.parametrize("clip", [clips.one_frame, clips.late_video])
def test_a_moment_is_found_in_odd_sources(
    clip: Any, make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    shown = gray(do(Image(), {"format": "png"}, clip(), make_desk), storage, tmp_path)
    assert spread_of(shown) > 50


@pytest.mark.slow
def test_what_was_looked_at_is_what_is_shown(
    make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    """All is black but one frame, which is shown at one of the moments: its neighbours would not do."""
    source = clips.filtered("glimpse.mp4", "drawbox=t=fill:color=black:enable='not(between(t,1.51,1.55))'")
    assert any(1.52 <= moment_s < 1.56 for moment_s in still.moments(0, 3.96, [0.0], 0.1))
    shown = gray(do(Image(), {"format": "png"}, source, make_desk), storage, tmp_path)
    assert statistics.mean(shown) > 60


@pytest.mark.parametrize(
    ("clip", "size"),
    [
        (lambda: clips.turned(90), (240, 320)),
        (clips.anamorphic, (426, 240)),
        (clips.odd_size, (320, 238)),
        (clips.one_frame, (320, 240)),
        (clips.variable_rate, (320, 240)),
        (clips.late_video, (320, 240)),
        (clips.offset, (320, 240)),
        (clips.ten_bit, (320, 240)),
    ],
)
@pytest.mark.parametrize("format_", ["webp", "jpeg"])
def test_posters_of_odd_sources_are_upright(
    clip: Any, size: tuple[int, int], format_: str, make_desk: Callable[..., Desk]
) -> None:
    output = do(Image(), {"start": 2, "format": format_}, clip(), make_desk)
    assert (output.facts["width"], output.facts["height"]) == size


def test_a_turned_picture_is_turned_the_right_way(
    make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    """White above black, shown turned clockwise: white is on the right."""
    halves = ("-f", "lavfi", "-i", "color=black:s=320x240:r=25:d=1", "-vf", "drawbox=h=120:color=white:t=fill")
    upright = clips.make("halves.mp4", *halves, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    source = clips.make("halves90.mp4", "-display_rotation:v:0", "-90", "-i", str(upright), "-c", "copy")
    picture = gray(do(Image(), {"start": 0, "format": "png"}, source, make_desk), storage, tmp_path)
    row = picture[240 * 160 : 240 * 161]
    assert row[20] < 30
    assert row[220] > 225


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_a_poster_of_hdr_is_neither_washed_out_nor_dark(
    transfer: str, make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    picture = gray(do(Image(), {"start": 0, "format": "png"}, clips.hdr(transfer), make_desk), storage, tmp_path)
    assert 40 < sum(picture) / len(picture) < 200
    assert max(picture) - min(picture) > 150


def test_sound_has_no_poster(make_desk: Callable[..., Desk]) -> None:
    output = do(Image(), {"format": "webp"}, clips.cover_picture(), make_desk)
    assert (output.main, output.reason) == (None, "no_video_stream")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"start": -1}, "greater than or equal to 0"),
        ({"format": "bmp"}, "'bmp'"),
        ({"size": 3}, 'there is no option "size"'),
        ({"width": 5}, "greater than or equal to 16"),
    ],
)
def test_an_impossible_option_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match="Options of image") as raised:
        Image().read_options(given)
    assert said in str(raised.value)
