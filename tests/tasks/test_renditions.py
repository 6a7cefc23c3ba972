"""What a package offers beside the usual rungs: other codecs, the source itself, tracks of sound, I-frames, DASH."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import av
import m3u8
import pytest

from anabranch.errors import EncodeError, OptionError
from anabranch.media import ffmpeg, fmp4
from anabranch.media.probe import probe
from anabranch.tasks.adaptive_video import AdaptiveVideo
from tests import clips
from tests.tasks.runner import do
from tests.tasks.test_adaptive_video import decode, master, numbers, short_chunks

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

    from anabranch.storage.files import FileStorage
    from anabranch.tasks import Output
    from anabranch.tasks.desk import Desk

__all__ = ["short_chunks"]
KIND = AdaptiveVideo()


def variants(output: Output, storage: FileStorage) -> list[Any]:
    return list(m3u8.load(str(master(output, storage))).playlists)


@pytest.mark.slow
@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize(("codec", "name"), [("hevc", "hvc1.1.6."), ("av1", "av01.0.")])
def test_other_codecs_make_every_rung_once_more_with_the_same_keyframes(
    codec: str, name: str, make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    # Columns that change with each picture are hard to code; these have all the bits they want.
    wanted = {"codecs": ["h264", codec], "ladder": [{"height": 144, "bitrate": 1_500_000}]}
    output = do(KIND, wanted, clips.numbered(5, gop=25), make_desk)
    found = variants(output, storage)
    assert [variant.uri.partition("/")[0] for variant in found] == ["144p", f"144p-{codec}"]
    assert found[1].stream_info.codecs.startswith(name)
    assert numbers(Path(found[1].absolute_uri), tmp_path) == [number % 256 for number in range(125)]
    lengths = [[segment.duration for segment in m3u8.load(variant.absolute_uri).segments] for variant in found]
    assert lengths[0] == lengths[1]
    assert keyframes(Path(found[0].absolute_uri)) == keyframes(Path(found[1].absolute_uri))


@pytest.mark.slow
@pytest.mark.usefixtures("short_chunks")
def test_a_source_that_players_take_is_offered_as_it_is(
    make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    source = clips.numbered(9, gop=50, name="numbered_closed.mp4")
    do(KIND, {"passthrough": True}, source, make_desk)
    copied = storage.path("media/med_1/task_1/96p/index.m3u8")
    assert packets(copied) == packets(source)
    assert numbers(copied, tmp_path) == [number % 256 for number in range(225)]


@pytest.mark.slow
@pytest.mark.usefixtures("short_chunks")
def test_rungs_beside_a_copied_one_begin_their_groups_where_it_does(
    make_desk: Callable[..., Desk], storage: FileStorage
) -> None:
    uneven = ("-force_key_frames", "0,1.6,3.2,5.6,7.8", "-g", "500", "-sc_threshold", "0", "-bf", "2")
    source = clips.make(
        "uneven.mp4",
        "-i",
        str(clips.plain(10, "640x360", name="plain10.mp4")),
        "-c:v",
        "libx264",
        *uneven,
        "-c:a",
        "copy",
    )
    output = do(KIND, {"passthrough": True, "ladder": [360, 144]}, source, make_desk)
    low, high = variants(output, storage)
    assert packets(Path(high.absolute_uri)) == packets(source)
    assert keyframes(Path(low.absolute_uri)) == keyframes(Path(high.absolute_uri)) == [0, 1.6, 3.2, 5.6, 7.8]
    lengths = [[segment.duration for segment in m3u8.load(one.absolute_uri).segments] for one in (low, high)]
    assert lengths[0] == lengths[1]


@pytest.mark.parametrize(
    "clip",
    [lambda: clips.turned(90), clips.ten_bit, clips.interlaced, clips.variable_rate, clips.anamorphic],
    ids=["turned", "ten bit", "interlaced", "variable", "anamorphic"],
)
def test_a_source_that_some_player_would_not_take_is_encoded_all_the_same(
    clip: Callable[[], Path], tmp_path: Path
) -> None:
    (first, *_) = KIND.plan(KIND.read_options({"passthrough": True}), probe(clip()))
    assert not any(rung["copied"] for rung in first.arguments["rungs"])


def test_a_source_with_open_groups_is_encoded_all_the_same(tmp_path: Path) -> None:
    opened = ("-c:v", "libx264", "-g", "25", "-bf", "3", "-x264-params", "open-gop=1:scenecut=0")
    source = clips.make("open.mp4", "-i", str(clips.plain(4, name="plain4.mp4")), *opened, "-c:a", "copy")
    seen = probe(source)
    assert seen.video is not None
    assert len(seen.video.keyframes_s) > 1
    assert not seen.video.closed_gops


def packets(source: Path) -> list[tuple[Fraction, int]]:
    """When each picture is shown, and the checksum of what codes it."""
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        start = None
        found = []
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None and stream.time_base is not None:
                at = packet.pts * stream.time_base
                start = at if start is None else start
                found.append((at - start, hash(bytes(packet))))
        return found


def keyframes(source: Path) -> list[float]:
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        return [
            round(float(packet.pts * (stream.time_base or 0)), 3)
            for packet in container.demux(stream)
            if packet.is_keyframe and packet.pts is not None
        ]


def test_every_track_of_sound_can_be_chosen_by_its_language(
    make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    output = do(KIND, {}, clips.two_languages(), make_desk)
    media = m3u8.load(str(master(output, storage))).media
    assert [(one.language, one.name, one.default) for one in media] == [
        ("en", "English", "YES"),
        ("fr", "Français", "NO"),
    ]
    # 880 Hz are the English tone, 440 the French one.
    for one, hertz in zip(media, (880, 440), strict=True):
        samples = memoryview(decode(Path(one.absolute_uri), tmp_path, "-ac", "1", "-f", "s16le")).cast("h")
        crossings = sum(before < 0 <= after for before, after in pairwise(samples[4800:43200]))
        assert crossings / 0.8 == pytest.approx(hertz, rel=0.02)


@pytest.mark.slow
@pytest.mark.usefixtures("short_chunks")
def test_each_entry_of_an_i_frame_playlist_is_one_picture(
    make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    output = do(KIND, {}, clips.numbered(5), make_desk)
    playlist = m3u8.load(str(master(output, storage)))
    *_, shown = playlist.iframe_playlists
    fast = m3u8.load(shown.absolute_uri)
    assert fast.is_i_frames_only
    assert sum(segment.duration for segment in fast.segments) == pytest.approx(5)
    at = 0.0
    for segment in fast.segments:
        size, _, offset = segment.byterange.partition("@")
        data = Path(segment.absolute_uri).read_bytes()[int(offset) : int(offset) + int(size)]
        init = Path(segment.init_section.absolute_uri).read_bytes()
        one = tmp_path / "one.mp4"
        one.write_bytes(init + data)
        with av.open(str(one)) as container:
            frame = next(iter(container.decode(video=0)))
        luma = frame.reformat(format="gray").to_ndarray()
        assert sum(int(luma[48][40 * bit + 20] > 128) << bit for bit in range(8)) == round(at * 25)
        at += segment.duration


def test_the_dash_manifest_names_the_same_segments_as_the_playlists(
    make_desk: Callable[..., Desk], storage: FileStorage
) -> None:
    output = do(KIND, {"format": "dash"}, clips.two_languages(), make_desk)
    assert output.type == "application/dash+xml"
    assert output.main is not None
    names = {"": "urn:mpeg:dash:schema:mpd:2011"}
    manifest = ET.parse(storage.path(output.main.key)).getroot()
    listed = {one.get("media") for one in manifest.iterfind(".//SegmentURL", names)}
    played = m3u8.load(str(storage.path("media/med_1/task_1/master.m3u8")))
    uris = {
        f"{one.uri.rpartition('/')[0]}/{segment.uri}"
        for one in [*played.playlists, *played.media]
        for segment in m3u8.load(one.absolute_uri).segments
    }
    assert listed == uris
    languages = [one.get("lang") for one in manifest.iterfind(".//AdaptationSet[@contentType='audio']", names)]
    assert languages == ["en", "fr"]


@pytest.mark.slow
def test_a_ladder_can_be_asked_for(make_desk: Callable[..., Desk], storage: FileStorage) -> None:
    source = clips.plain(2, "1280x720", name="hd.mp4")
    output = do(KIND, {"ladder": [{"height": 720, "bitrate": 300_000}, 240, 1080]}, source, make_desk)
    found = {variant.stream_info.resolution: variant.stream_info for variant in variants(output, storage)}
    assert list(found) == [(426, 240), (1280, 720)]
    assert found[1280, 720].average_bandwidth < 550_000


@pytest.mark.slow
def test_quality_and_preset_change_what_a_package_costs(make_desk: Callable[..., Desk], storage: FileStorage) -> None:
    source = clips.plain(2, name="plain.mp4")
    low = do(KIND, {"quality": "very_low"}, source, make_desk)
    high = do(KIND, {"quality": "very_high"}, source, make_desk, prefix="media/med_1/task_2")
    slow = do(KIND, {"quality": "very_high", "preset": "slower"}, source, make_desk, prefix="media/med_1/task_3")
    costs = [output.facts["renditions"][0]["sizeBytes"] for output in (low, high, slow)]
    assert costs[0] < costs[1]
    assert costs[2] < costs[1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ladder": [720, 720]}, "ladder has a height twice"),
        ({"codecs": []}, '"codecs"'),
        ({"codecs": ["h264", "h264"]}, "codecs has one twice"),
        ({"codecs": ["vp8"]}, '"codecs.0"'),
        ({"passthrough": True, "codecs": ["h264", "av1"]}, "passthrough goes with"),
        ({"ladder": [{"height": 721}]}, '"ladder.0.height"'),
    ],
)
def test_an_impossible_option_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError) as raised:
        KIND.read_options(given)
    assert said in raised.value.message


def test_the_storyboard_is_part_of_the_package(make_desk: Callable[..., Desk], storage: FileStorage) -> None:
    output = do(KIND, {}, clips.plain(), make_desk)
    assert output.facts["storyboardUrl"].endswith("storyboard.1.vtt")
    assert "#xywh=" in storage.path("media/med_1/task_1/storyboard.1.vtt").read_text()
    assert "storyboardUrl" not in do(KIND, {"storyboard": False}, clips.plain(), make_desk).facts


def test_chunks_of_two_versions_of_ffmpeg_are_not_joined(make_desk: Callable[..., Desk]) -> None:
    first = make_desk(clips.numbered(5))
    options = KIND.read_options({"storyboard": False})
    pieces = KIND.plan(options, first.probe)
    results = [KIND.perform(piece, options, make_desk(clips.numbered(5), probe=first.probe)) for piece in pieces]
    for rendition in results[0]["renditions"]:
        rendition["init_sha256"] = "of another version"
    if len([result for result in results if "renditions" in result]) < 2:
        results.append({"renditions": [{**one, "init_sha256": "x"} for one in results[0]["renditions"]]})
    with pytest.raises(EncodeError, match="different versions of ffmpeg"):
        KIND.join(results, options, make_desk(clips.numbered(5), probe=first.probe))


def test_fragments_are_told_while_the_file_is_still_written(tmp_path: Path) -> None:
    clip = clips.make(
        "fragments.mp4",
        "-i",
        str(clips.no_audio()),
        "-c:v",
        "libx264",
        "-g",
        "10",
        "-movflags",
        "+frag_keyframe+empty_moov",
    )
    data = clip.read_bytes()
    whole = fmp4.parse(data)
    ends = {fmp4.whole(data[:at]) for at in range(0, len(data) + 1, 97)} | {fmp4.whole(data)}
    expected, at = [0], len(whole.init)
    for fragment in whole.fragments:
        at += len(fragment.data)
        expected.append(at)
    assert sorted(ends) == expected
    assert ffmpeg.find().version
