from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from anabranch.errors import EncodeError, ResourceError, SetupError
from anabranch.media import ffmpeg, process
from anabranch.media.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

ENDLESS = ["-re", "-f", "lavfi", "-i", "testsrc2=s=64x64", "-f", "null", "-"]


def test_lines_are_handed_on_as_they_come(tmp_path: Path) -> None:
    lines: list[str] = []
    finished = process.run(
        ["sh", "-c", "echo one; echo two; echo no >&2; exit 3"], sandbox=Sandbox(), on_line=lines.append
    )
    assert lines == ["one", "two"]
    assert (finished.returncode, finished.log) == (3, "no\n")


@pytest.mark.slow
def test_a_nice_child_leaves_the_core_to_one_that_is_not(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    busy = f"import os, time; os.sched_setaffinity(0, [{core}]); until = time.monotonic() + 1.5\n"
    busy += "while time.monotonic() < until: pass"

    def used(nice: int) -> float:
        return process.run([sys.executable, "-c", busy], sandbox=Sandbox(), nice=nice).cpu_s

    with ThreadPoolExecutor() as pool:
        nice, other = pool.map(used, (10, 0))
    assert nice < other / 2


def test_a_cancelled_encode_is_dead_within_two_seconds(tmp_path: Path) -> None:
    cancel = process.CancelToken()
    threading.Timer(0.5, cancel.cancel).start()
    started = time.monotonic()
    with pytest.raises(process.Cancelled):
        ffmpeg.run(ffmpeg.find(), ENDLESS, making="nothing", scratch=tmp_path, cancel=cancel)
    assert time.monotonic() - started < 2.5


def test_a_child_that_shows_no_sign_of_work_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(ResourceError) as raised:
        process.run(["sleep", "60"], sandbox=Sandbox(), stall_s=0.2)
    assert raised.value.code == "process_stalled"
    assert "sleep 60" in raised.value.hint


def test_children_die_with_the_process_that_started_them(tmp_path: Path) -> None:
    code = (
        "from anabranch.media import process, sandbox; "
        "process.run(['sh', '-c', 'echo $$; exec sleep 60'], sandbox=sandbox.Sandbox(), on_line="
        "lambda line: print(line, flush=True))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    os.kill(child, 0)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _alive(child):
        time.sleep(0.05)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_failed_encode_quotes_ffmpeg_and_the_command(tmp_path: Path) -> None:
    with pytest.raises(EncodeError) as raised:
        ffmpeg.run(ffmpeg.find(), ["-i", "/nowhere.mp4", "-f", "null", "-"], making="a try", scratch=tmp_path)
    assert raised.value.code == "encode_failed"
    assert "making a try" in raised.value.message
    assert "-i /nowhere.mp4" in raised.value.hint


def test_a_disk_that_fills_up_during_an_encode_is_named(tmp_path: Path) -> None:
    full = ["-f", "lavfi", "-i", "testsrc2=s=320x240:d=2", "-f", "rawvideo", "/dev/full"]
    with pytest.raises(ResourceError) as raised:
        ffmpeg.run(ffmpeg.find(), full, making="a film", scratch=tmp_path)
    assert raised.value.code == "disk_full"


def test_the_shipped_ffmpeg_has_all_that_is_needed() -> None:
    found = ffmpeg.find()
    assert found.encoders >= ffmpeg.REQUIRED_ENCODERS
    assert found.filters >= ffmpeg.REQUIRED_FILTERS


def test_an_encoder_that_is_missing_is_named() -> None:
    with pytest.raises(SetupError) as raised:
        ffmpeg.find().needs_encoder("libnothing", "A nothing picture")
    assert raised.value.code == "encoder_missing"


@pytest.fixture
def old_ffmpeg(tmp_path: Path) -> Path:
    """The real ffmpeg, saying that it is an old one."""
    script = tmp_path / "bin" / "ffmpeg"
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\n"{ffmpeg.find().path}" "$@" | sed "s/^ffmpeg version [^ ]*/ffmpeg version 5.1.9-0/"\n'
    )
    script.chmod(0o755)
    return script


def test_an_old_ffmpeg_on_the_path_is_passed_over(old_ffmpeg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{old_ffmpeg.parent}:{os.environ['PATH']}")
    assert ffmpeg.find().origin == "wheel"


def test_an_old_ffmpeg_that_was_asked_for_is_refused(old_ffmpeg: Path) -> None:
    with pytest.raises(SetupError) as raised:
        ffmpeg.find(old_ffmpeg)
    assert raised.value.code == "ffmpeg_too_old"
