from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anabranch.errors import AnabranchError, SourceError
from anabranch.media import ffmpeg, opening
from anabranch.media.probe import Probe, VideoTrack, probe
from tests import clips, samples

if TYPE_CHECKING:
    from pathlib import Path


def video_of(clip: Path, scratch: Path) -> VideoTrack:
    video = probe(clip).video
    assert video is not None
    return video


def test_a_plain_clip_is_told_as_it_was_made(tmp_path: Path) -> None:
    seen = probe(clips.plain())
    assert seen.format == "mov"
    assert seen.duration_s == pytest.approx(2, abs=0.05)
    assert not seen.damaged
    video = seen.video
    assert video is not None
    assert (video.codec, video.width, video.height, video.frames) == ("h264", 320, 240, 50)
    assert (video.frame_rate, video.variable_rate) == (Fraction(25), False)
    assert (video.start_s, video.end_s) == pytest.approx((0, 2))
    assert [track.codec for track in seen.audio] == ["aac"]


def test_a_real_film_is_told_as_it_is(tmp_path: Path) -> None:
    seen = probe(samples.animation_mp4())
    assert seen.video is not None
    assert (seen.video.display_width, seen.video.display_height, seen.video.frames) == (1280, 720, 132)
    assert seen.audio[0].channels == 6


def test_what_is_told_survives_json(tmp_path: Path) -> None:
    seen = probe(clips.variable_rate())
    assert Probe.from_dict(json.loads(json.dumps(seen.to_dict()))) == seen


@pytest.mark.slow
@pytest.mark.parametrize("rate", ["24000/1001", "24", "25", "30000/1001", "50", "60000/1001"])
@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_standard_rates_are_recognised_in_every_container(rate: str, container: str, tmp_path: Path) -> None:
    video = video_of(clips.plain(1, "64x64", rate, name=f"rate.{container}"), tmp_path)
    assert video.frame_rate == Fraction(rate)
    assert not video.variable_rate


def test_more_than_sixty_frames_a_second_are_put_on_sixty(tmp_path: Path) -> None:
    assert video_of(clips.plain(1, "64x64", "120", name="fast.mp4"), tmp_path).frame_rate == 60


def test_a_still_that_stays_does_not_slow_the_motion(tmp_path: Path) -> None:
    video = video_of(clips.variable_rate(), tmp_path)
    assert (video.frame_rate, video.variable_rate) == (Fraction(25), True)


@pytest.mark.parametrize(("degrees", "size"), [(90, (240, 320)), (180, (320, 240)), (270, (240, 320))])
def test_a_turned_clip_is_shown_turned(degrees: int, size: tuple[int, int], tmp_path: Path) -> None:
    video = video_of(clips.turned(degrees), tmp_path)
    assert (video.rotation, video.mirrored) == (degrees, False)
    assert (video.display_width, video.display_height) == size


def test_odd_sides_are_shown_even(tmp_path: Path) -> None:
    video = video_of(clips.odd_size(), tmp_path)
    assert (video.width, video.height) == (321, 239)
    assert (video.display_width, video.display_height) == (320, 238)


def test_an_anamorphic_clip_is_shown_wide(tmp_path: Path) -> None:
    video = video_of(clips.anamorphic(), tmp_path)
    assert video.sample_aspect_ratio == Fraction(4, 3)
    assert (video.display_width, video.display_height) == (426, 240)


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr_is_seen(transfer: str, tmp_path: Path) -> None:
    video = video_of(clips.hdr(transfer), tmp_path)
    assert video.hdr
    assert (video.color_transfer, video.color_primaries, video.bit_depth) == (transfer, "bt2020", 10)


def test_ten_bits_alone_are_not_hdr(tmp_path: Path) -> None:
    video = video_of(clips.ten_bit(), tmp_path)
    assert (video.bit_depth, video.hdr) == (10, False)


def test_interlaced_fields_are_seen(tmp_path: Path) -> None:
    assert video_of(clips.interlaced(), tmp_path).interlaced


def test_a_cover_picture_is_not_a_video(tmp_path: Path) -> None:
    seen = probe(clips.cover_picture())
    assert seen.video is None
    assert len(seen.audio) == 1


def test_a_video_track_without_frames_is_not_a_video(tmp_path: Path) -> None:
    seen = probe(clips.empty_video())
    assert seen.video is None
    assert len(seen.audio) == 1


def test_the_default_language_comes_first(tmp_path: Path) -> None:
    assert [track.language for track in probe(clips.two_languages()).audio] == ["eng", "fra"]


def test_tracks_that_begin_late_are_told_from_the_start_of_the_file(tmp_path: Path) -> None:
    late = probe(clips.late_video())
    assert late.video is not None
    assert (late.video.start_s, late.video.end_s) == pytest.approx((1, 3), abs=0.05)
    assert late.audio[0].start_s == pytest.approx(0, abs=0.05)
    assert probe(clips.late_audio()).audio[0].start_s == pytest.approx(1, abs=0.05)


def test_the_longest_track_is_the_duration(tmp_path: Path) -> None:
    assert probe(clips.long_audio()).duration_s == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("clip", [clips.late_video, clips.offset, clips.late_audio])
def test_times_are_those_that_ffmpeg_counts(clip: object, tmp_path: Path) -> None:
    source = clip()  # type: ignore[operator]
    seen = probe(source)
    assert seen.video is not None
    times = tmp_path / "times.txt"
    arguments = [*opening.arguments(source, seen), "-map", f"0:{seen.video.index}", "-c", "copy"]
    ffmpeg.run(ffmpeg.find(), [*arguments, "-f", "framecrc", str(times)], making="times", scratch=tmp_path)
    lines = times.read_text().splitlines()
    base = Fraction(next(line.split()[-1] for line in lines if line.startswith("#tb")))
    first = min(int(line.split(",")[2]) for line in lines if not line.startswith("#"))
    assert float(first * base) == pytest.approx(seen.video.start_s, abs=0.002)


def test_a_damaged_tail_leaves_what_can_be_read(tmp_path: Path) -> None:
    seen = probe(clips.damaged_tail())
    assert seen.video is not None
    assert 1 < seen.video.end_s < 4


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("just some words\n", "a text"),
        ("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n/etc/passwd\n#EXT-X-ENDLIST\n", "a playlist"),
        ("ffconcat version 1.0\nfile plain.mp4\n", "a script"),
        ("%PDF-1.7 and more", "a document"),
    ],
)
def test_what_only_calls_itself_a_film_is_not_media(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as raised:
        probe(clips.posing(text))
    assert raised.value.code == "not_media", why


def test_a_film_without_its_index_says_that_it_was_cut_short(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as raised:
        probe(clips.no_index())
    assert raised.value.code == "truncated"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0.05, 1), flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 7)), max_size=8))
@pytest.mark.slow
def test_a_broken_file_is_told_or_refused_but_never_breaks_the_probe(
    cut: float, flips: list[tuple[float, int]], tmp_path: Path
) -> None:
    data = bytearray(clips.plain(name="plain.mkv").read_bytes())
    for at, bit in flips:
        data[int(at * len(data))] ^= 1 << bit
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(data[: int(cut * len(data))])
    try:
        assert probe(broken).duration_s >= 0
    except AnabranchError as error:
        assert error.code in {"not_media", "no_tracks", "probe_crashed", "truncated"}
