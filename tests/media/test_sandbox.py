from __future__ import annotations

import os
import socket
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from anabranch.errors import ResourceError, SetupError, SourceError
from anabranch.limits import Limits
from anabranch.media import ffmpeg, process, sandbox
from anabranch.media.probe import probe
from anabranch.media.sandbox import Sandbox, open_sandbox
from tests import clips

if TYPE_CHECKING:
    from pathlib import Path

confines = pytest.mark.skipif(not sandbox.version(), reason="this kernel has no Landlock")


def attempt(code: str, given: Sandbox) -> process.Finished:
    """Run Python in a sandbox."""
    return process.run([sys.executable, "-I", "-c", code], sandbox=given)


@confines
@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd').read()",
        "open('{outside}').read()",
        "open('{outside}', 'w')",
        "open('{folder}/new', 'w')",
        "import os; os.listdir('/root')",
        "import os; os.unlink('{outside}')",
        "import os; os.link('{outside}', '{desk}/mine')",
        "open('/proc/{parent}/environ').read()",
        "import socket; socket.create_connection(('127.0.0.1', {port}))",
        "import socket; socket.create_server(('127.0.0.1', 0))",
        "import os; os.kill({parent}, 0)",
    ],
)
def test_nothing_outside_is_in_reach(code: str, tmp_path: Path) -> None:
    outside, desk = tmp_path / "outside", tmp_path / "desk"
    outside.write_text("secret")
    desk.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        tried = code.format(outside=outside, folder=tmp_path, desk=desk, parent=os.getpid(), port=port)
        free = attempt(tried, Sandbox())
        outside.write_text("secret")
        (desk / "mine").unlink(missing_ok=True)
        (tmp_path / "new").unlink(missing_ok=True)
        kept = attempt(tried, Sandbox(confined=True, writes=(desk,)))
    assert free.returncode == 0, free.log
    assert kept.returncode == 1
    assert "PermissionError" in kept.log or "cross-device" in kept.log
    assert outside.read_text() == "secret"
    assert not (tmp_path / "new").exists()


@confines
def test_what_is_given_is_in_reach(tmp_path: Path) -> None:
    source, desk = tmp_path / "source", tmp_path / "desk"
    source.write_text("media")
    desk.mkdir()
    code = f"open('{desk}/out', 'w').write(open('{source}').read()); open('/dev/null', 'w').write('x')"
    assert attempt(code, Sandbox(confined=True, reads=(source,), writes=(desk,))).returncode == 0
    assert (desk / "out").read_text() == "media"
    spoilt = attempt(f"open('{source}', 'a')", Sandbox(confined=True, reads=(source,), writes=(desk,)))
    assert "PermissionError" in spoilt.log


@confines
def test_ffmpeg_reads_its_input_and_nothing_else_that_a_playlist_names(tmp_path: Path) -> None:
    secret, desk = tmp_path / "secret.ts", tmp_path / "desk"
    made = ["-i", str(clips.plain()), "-c", "copy", "-f", "mpegts", str(secret)]
    ffmpeg.run(ffmpeg.find(), made, making="a secret", scratch=tmp_path)
    desk.mkdir()
    playlist = tmp_path / "playlist.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\n{secret}\n#EXT-X-ENDLIST\n")
    arguments = ["-allowed_extensions", "ALL", "-i", str(playlist), "-c", "copy", str(desk / "out.mp4")]
    tool = ffmpeg.find()
    ffmpeg.run(tool, arguments, making="a theft", scratch=desk)
    stolen = (desk / "out.mp4").stat().st_size
    (desk / "out.mp4").unlink()
    confined = replace(tool, sandbox=Sandbox(confined=True))
    with pytest.raises(Exception, match="a theft"):
        ffmpeg.run(confined, arguments, making="a theft", scratch=desk)
    assert stolen > 1000


def test_no_child_gets_more_rights_or_leaves_its_memory_behind() -> None:
    code = "print([line for line in open('/proc/self/status') if line.startswith('NoNewPrivs')], "
    code += "__import__('resource').getrlimit(4), sorted(__import__('os').environ))"
    said: list[str] = []
    process.run([sys.executable, "-I", "-c", code], sandbox=Sandbox(), on_line=said.append)
    assert "NoNewPrivs:\\t1" in said[0]
    assert "(0, 0)" in said[0]
    assert "ANABRANCH" not in said[0]


def test_memory_beyond_the_limit_is_an_error_of_the_child() -> None:
    finished = attempt("bytearray(600 << 20)", Sandbox(Limits(memory_bytes=512 << 20)))
    assert finished.returncode == 1
    assert "MemoryError" in finished.log


def test_an_encode_that_takes_too_much_memory_says_so(tmp_path: Path) -> None:
    tool = replace(ffmpeg.find(), sandbox=Sandbox(Limits(memory_bytes=256 << 20)))
    wide = ["-f", "lavfi", "-i", "testsrc2=s=8192x8192:d=1", "-c:v", "ffv1", "-f", "matroska", str(tmp_path / "out")]
    with pytest.raises(ResourceError) as raised:
        ffmpeg.run(tool, wide, making="a wide film", scratch=tmp_path)
    assert raised.value.code == "out_of_memory"
    assert "256 MiB" in raised.value.message


def test_an_output_that_grows_too_large_says_so(tmp_path: Path) -> None:
    tool = replace(ffmpeg.find(), sandbox=Sandbox(Limits(output_bytes=100_000)))
    raw = ["-f", "lavfi", "-i", "testsrc2=s=320x240:d=2", "-f", "rawvideo", str(tmp_path / "out")]
    with pytest.raises(SourceError) as raised:
        ffmpeg.run(tool, raw, making="a large film", scratch=tmp_path)
    assert raised.value.code == "output_too_large"
    assert (tmp_path / "out").stat().st_size <= 100_000


def test_a_child_that_goes_on_for_ever_is_stopped_though_it_works() -> None:
    busy = "import time\nwhile True: print(1, flush=True); time.sleep(0.01)"
    with pytest.raises(ResourceError) as raised:
        attempt(busy, Sandbox(Limits(child_s=0.5)))
    assert raised.value.code == "process_timeout"


def test_what_a_child_says_takes_no_disk_and_little_memory() -> None:
    finished = attempt("import sys\nfor n in range(200000): print('warning', n, file=sys.stderr)", Sandbox())
    assert len(finished.log) <= 16384
    assert finished.log.endswith("warning 199999\n")


@pytest.mark.parametrize(
    ("limits", "code", "setting"),
    [
        (Limits(pixels=100), "picture_too_large", "ANABRANCH_MAX_PIXELS"),
        (Limits(frame_rate=10), "frame_rate_too_high", "ANABRANCH_MAX_FRAME_RATE"),
        (Limits(streams=1), "too_many_streams", "ANABRANCH_MAX_STREAMS"),
    ],
)
def test_a_source_beyond_a_limit_is_refused_with_the_limit(limits: Limits, code: str, setting: str) -> None:
    with pytest.raises(SourceError) as raised:
        probe(clips.plain(), Sandbox(limits))
    assert raised.value.code == code
    assert setting in raised.value.hint
    assert clips.plain().name in raised.value.message


def test_a_small_file_of_vast_pictures_is_refused_before_one_is_decoded() -> None:
    vast = ["-f", "lavfi", "-i", "color=black:s=9000x9000,format=gray", "-frames:v", "1", "-c:v", "png"]
    bomb = clips.make("bomb.mkv", *vast)
    assert bomb.stat().st_size < 1_000_000
    with pytest.raises(SourceError) as raised:
        probe(bomb, Sandbox(Limits(memory_bytes=256 << 20)))
    assert raised.value.code == "picture_too_large"


def test_pictures_that_grow_in_the_middle_are_not_decoded(tmp_path: Path) -> None:
    growing = tmp_path / "growing.ts"
    for size in ("64x48", "640x480"):
        part = ["-f", "lavfi", "-i", f"testsrc2=s={size}:d=0.4:r=25", "-c:v", "mpeg2video", "-f", "mpegts"]
        ffmpeg.run(ffmpeg.find(), [*part, str(tmp_path / size)], making="a part", scratch=tmp_path)
        with growing.open("ab") as file:
            file.write((tmp_path / size).read_bytes())

    def pictures(limits: Limits) -> int:
        out = tmp_path / "out.gray"
        arguments = ["-i", str(growing), "-vf", "scale=64:48", "-pix_fmt", "gray", "-f", "rawvideo", str(out)]
        ffmpeg.run(replace(ffmpeg.find(), sandbox=Sandbox(limits)), arguments, making="a look", scratch=tmp_path)
        return out.stat().st_size // (64 * 48)

    assert pictures(Limits()) >= 19
    assert 9 <= pictures(Limits(pixels=64 * 48)) <= 11


@confines
def test_the_probe_sees_the_same_where_it_is_confined() -> None:
    assert probe(clips.plain(), Sandbox(confined=True)) == probe(clips.plain())


def test_a_sandbox_that_is_required_is_there_or_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not open_sandbox("off", Limits()).confined
    monkeypatch.setattr(sandbox, "version", lambda: 0)
    assert not open_sandbox("auto", Limits()).confined
    with pytest.raises(SetupError) as raised:
        open_sandbox("required", Limits())
    assert raised.value.code == "sandbox_missing"
