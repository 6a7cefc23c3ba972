"""The command line, as a person uses it: real processes, real clips."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import m3u8
import obstore
import pytest
from scripts.make_sample import make_sample

from anabranch.media.probe import probe
from tests import clips, samples
from tests.disks import small_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_httpserver import HTTPServer

    from tests.servers import ObjectStore

# Nothing is opened for others here: whoever gives the command asks for himself.
QUICK = {"ANABRANCH_RETRY_SCALE": "0", "ANABRANCH_PRIVATE_NETWORKS": "", "ANABRANCH_SOURCE_FOLDERS": ""}


def command(*arguments: object, **env: str) -> subprocess.Popen[str]:
    return python("-m", "anabranch", *arguments, **env)


def python(*arguments: object, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **QUICK, **env},
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=200)
    return process.returncode, out, err


def run_json(source: object, folder: Path, **env: str) -> dict[str, Any]:
    code, out, err = finish(command("run", source, "-o", folder, "--json", **env))
    assert err == ""
    record: dict[str, Any] = json.loads(out)
    assert code == (1 if record["status"] == "failed" else 0)
    return record


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds of real film under a real voice."""
    path = tmp_path_factory.getbasetemp() / "sample.mp4"
    make_sample(path, 12)
    return path


@pytest.mark.slow
def test_one_command_makes_everything_of_a_real_film(sample: Path, tmp_path: Path) -> None:
    record = run_json(sample, tmp_path / "out")
    out = tmp_path / "out"
    assert record["status"] == "ready"
    assert json.loads((out / "media.json").read_text())["hlsUrl"] == "hls/master.m3u8"

    master = m3u8.load(str(out / "hls" / "master.m3u8"))
    assert [one.stream_info.resolution for one in master.playlists] == [(640, 360), (854, 480), (1280, 720)]
    assert {one.stream_info.codecs for one in master.playlists} == {"avc1.64001f,mp4a.40.2", "avc1.64001e,mp4a.40.2"}
    assert [(one.type, one.language) for one in master.media] == [("AUDIO", None), ("SUBTITLES", "en")]
    for one in [*master.playlists, *master.media]:
        segments = m3u8.load(one.absolute_uri).segments
        assert sum(segment.duration for segment in segments) == pytest.approx(12, abs=0.1)
        assert all(Path(segment.absolute_uri).exists() for segment in segments)

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    gif = probe(out / "preview.gif")
    assert gif.video is not None
    assert gif.video.codec == "gif"
    assert gif.video.width == 480
    assert gif.duration_s == pytest.approx(3, abs=0.1)

    header = (out / "poster.webp").read_bytes()[:30]
    assert header[:4] == b"RIFF"
    assert header[8:12] == b"WEBP"
    assert int.from_bytes(header[26:28], "little") & 0x3FFF == 1280

    transcript = json.loads((out / "transcript.json").read_text())
    words = re.sub(r"[^a-z ]", "", transcript["text"].lower())
    assert "it was the best of times it was the worst of times it was the age of wisdom" in words
    assert "-->" in (out / "captions.vtt").read_text()


@pytest.mark.slow
def test_a_run_killed_at_ten_random_moments_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    out, film = tmp_path / "out", clips.spoken()
    chance = random.Random(20261124)
    killed = 0
    for _ in range(10):
        process = command("run", film, "-o", out, "--json")
        time.sleep(chance.uniform(0.3, 4))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
        assert not _children_of(out), "the children died with it"
    record = run_json(film, out)
    assert killed >= 5
    assert record["status"] == "ready"
    assert all(record[name] for name in ("hlsUrl", "posterUrl", "gifUrl", "transcriptionUrl"))
    _check_history(out)


@pytest.mark.slow
def test_a_run_killed_four_times_at_the_same_chunk_is_begun_a_fifth_time(tmp_path: Path) -> None:
    out, marker = tmp_path / "out", tmp_path / "at_the_chunk"
    for _ in range(4):
        halting = ("-m", "tests.faults.halting", "anabranch.tasks.adaptive_video.chunk:encode", marker)
        process = python(*halting, "run", clips.plain(), "-o", out, "--json")
        _wait_for(marker.exists, process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        marker.unlink()
    assert run_json(clips.plain(), out)["status"] == "ready"
    assert _chunk_attempts(out) == {"chunk-0000": 5}


@pytest.mark.slow
def test_an_encode_that_is_killed_near_its_end_loses_the_chunks_in_flight_and_no_more(tmp_path: Path) -> None:
    out = tmp_path / "out"
    film = clips.plain(120, "256x144", name="two_minutes.mp4")
    process = command("run", film, "-o", out, "--json", ANABRANCH_CPU_SLOTS="2")
    deadline = time.monotonic() + 200
    while len(done := _completed_chunks(out)) < 0.9 * (_planned_chunks(out) or 999):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    record = run_json(film, out, ANABRANCH_CPU_SLOTS="2")
    assert record["status"] == "ready"
    attempts = _chunk_attempts(out)
    assert len(attempts) == _planned_chunks(out) > 20
    assert all(attempts[chunk] == 1 for chunk in done)
    # One for each core, and those that had ended without anybody having written it down.
    assert sum(attempts.values()) - len(attempts) <= 2
    _check_history(out)


def _completed_chunks(out: Path) -> set[str]:
    query = "SELECT piece FROM attempts WHERE piece LIKE 'chunk-%' AND status = 'completed'"
    return {str(piece) for (piece,) in _rows(out, query)}


def _planned_chunks(out: Path) -> int:
    query = "SELECT count(*) FROM plans, json_each(plans.pieces) WHERE json_each.value ->> 'name' LIKE 'chunk-%'"
    return sum(count for (count,) in _rows(out, query))


def _rows(out: Path, query: str) -> list[tuple[Any, ...]]:
    """What a query of a run's database gives; nothing while there is no database yet, or no table in it."""
    path = out / ".anabranch" / "anabranch.db"
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []


def _chunk_attempts(out: Path) -> dict[str, int]:
    query = "SELECT piece, count(*) FROM attempts WHERE piece LIKE 'chunk-%' GROUP BY piece"
    return dict(_rows(out, query))


# The command, as if ten seconds were a long recording.
SHORT_STRETCHES = """
from anabranch.cli import main
from anabranch.media.speech import stretches
stretches.WHOLE_S = stretches.STRETCH_S = 10.0
main()
"""


@pytest.mark.slow
def test_a_long_transcript_goes_on_from_the_stretches_that_were_done(tmp_path: Path) -> None:
    out = tmp_path / "out"
    source = clips.make("reader.m4a", "-i", str(samples.speech_wav()), "-c:a", "aac")
    killed_after = []
    for wanted in (1, 3):
        process = python("-c", SHORT_STRETCHES, "run", source, "-o", out, "--json")
        _wait_for(lambda: len(_stretches(out, "completed")) >= wanted and _stretches(out, "running"), process)  # noqa: B023
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed_after.append(set(_stretches(out, "completed")))
    code, _, err = finish(python("-c", SHORT_STRETCHES, "run", source, "-o", out, "--json"))
    assert (code, err) == (0, "")
    assert killed_after[0] < killed_after[1] < set(_stretches(out, "completed"))
    assert sorted(_stretches(out, "completed")) == [f"transcribe-{number:04}" for number in range(5)]
    assert len(_stretches(out, "lost")) >= 2
    _check_history(out)
    said = re.sub(r"[^a-z ]", "", json.loads((out / "transcript.json").read_text())["text"].lower())
    assert said.count("it was the best of times it was the worst of times") == 1
    assert said.count("in the superlative degree of comparison only") == 1


def _stretches(out: Path, status: str) -> list[str]:
    """The stretches with an attempt of this status, one for each attempt."""
    rows = _rows(out, "SELECT piece, status FROM attempts WHERE piece LIKE 'transcribe-%'")
    return [piece for piece, found in rows if found == status]


def _wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _children_of(folder: Path) -> list[str]:
    """Command lines of processes that work in the folder. A killed child may take a moment to be gone."""
    deadline = time.monotonic() + 5
    while True:
        lines = list(_command_lines())
        found = [line for line in lines if str(folder) in line and "pytest" not in line]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def _command_lines() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        # It may be gone by the time that it is read.
        with contextlib.suppress(OSError):
            yield path.read_bytes().decode(errors="replace")


def _check_history(out: Path) -> None:
    """No finished piece ran twice, and storage and scratch hold nothing that no row names."""
    state = out / ".anabranch"
    with sqlite3.connect(state / "anabranch.db") as database:
        database.row_factory = sqlite3.Row
        after = database.execute(
            "SELECT later.* FROM attempts done JOIN attempts later USING (task_id, piece) "
            "WHERE done.status = 'completed' AND later.attempt > done.attempt"
        ).fetchall()
        assert [dict(row) for row in after] == []
        outputs = [json.loads(row["output"]) for row in database.execute("SELECT output FROM tasks")]
        assert database.execute("SELECT count(*) FROM runs WHERE status <> 'completed'").fetchone()[0] == 0
    named = {stored["key"] for output in outputs for stored in output["files"]}
    kept = {path.relative_to(state / "storage").as_posix() for path in (state / "storage").rglob("*") if path.is_file()}
    assert kept == named
    assert not [path for path in (state / "scratch").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_the_same_command_again_answers_from_what_is_there(tmp_path: Path) -> None:
    first = run_json(clips.plain(), tmp_path / "out")
    second = run_json(clips.plain(), tmp_path / "out")
    assert first == second


@pytest.mark.slow
def test_a_record_that_failed_is_tried_again_by_the_same_command(tmp_path: Path) -> None:
    out = tmp_path / "out"
    film = clips.said(3)
    broken = run_json(film, out, ANABRANCH_SPEECH_MODEL="/nowhere/model")
    assert broken["status"] == "degraded"
    mended = run_json(film, out)
    assert mended["status"] == "ready"
    named = {path.name for path in (out / ".anabranch/storage/media").iterdir()}
    assert named == {mended["id"]}


@pytest.mark.slow
def test_two_commands_do_not_work_in_the_same_folder(tmp_path: Path) -> None:
    import fcntl

    home = tmp_path / "out" / ".anabranch"
    home.mkdir(parents=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        code, _, err = finish(command("run", clips.plain(), "-o", tmp_path / "out"))
    assert code == 1
    assert err.startswith("home_in_use: Process 4711 ")


@pytest.mark.slow
def test_a_person_sees_how_each_branch_ended(tmp_path: Path) -> None:
    code, out, _ = finish(command("run", clips.no_audio(), "-o", tmp_path / "out"))
    assert code == 0
    for text in ("hls-package", "poster-image", "gif-preview", "no_audio_stream", "ready", "240p"):
        assert text in out


@pytest.mark.parametrize(
    ("clip", "code"),
    [
        pytest.param(lambda: clips.posing("only words"), "not_media", marks=pytest.mark.slow),
        pytest.param(lambda: clips.posing(""), "empty_file", marks=pytest.mark.slow),
        pytest.param(clips.no_index, "truncated", marks=pytest.mark.slow),
        (lambda: Path("/nowhere/film.mp4"), "source_missing"),
        pytest.param(lambda: Path("/tmp"), "source_unreadable", marks=pytest.mark.slow),
    ],
)
def test_a_source_that_cannot_be_used_is_told_and_leaves_nothing(clip: Any, code: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    status, _, err = finish(command("run", clip(), "-o", out))
    assert status == 1
    assert err.startswith(f"{code}: ")
    assert "Traceback" not in err
    left = {path.name for path in out.rglob("*") if path.is_file()} if out.exists() else set()
    database = {f"anabranch.db{ending}" for ending in ("", "-wal", "-shm", ".lock")}
    assert left <= {"media.json", "lock", "token", *database}


@pytest.mark.parametrize(
    ("status", "code", "tries"),
    [
        pytest.param(404, "source_not_found", 1, marks=pytest.mark.slow),
        pytest.param(403, "source_forbidden", 1, marks=pytest.mark.slow),
        pytest.param(500, "source_unreachable", 4, marks=pytest.mark.slow),
    ],
)
def test_an_address_that_refuses_is_told(
    status: int, code: str, tries: int, httpserver: HTTPServer, tmp_path: Path
) -> None:
    httpserver.expect_request("/film.mp4").respond_with_data("no", status=status)
    record = run_json(httpserver.url_for("/film.mp4"), tmp_path / "out")
    assert record["error"]["code"] == code
    # Branches that look for it at the same moment share the look.
    assert tries <= len(httpserver.log) <= 4 * tries


@pytest.mark.slow
def test_a_host_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    record = run_json(f"http://127.0.0.1:{port}/film.mp4", tmp_path / "out")
    assert record["error"]["code"] == "source_unreachable"


@pytest.mark.slow
def test_a_film_at_an_address_is_fetched_once_for_all_branches(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/film.mp4").respond_with_data(clips.plain().read_bytes())
    record = run_json(httpserver.url_for("/film.mp4"), tmp_path / "out")
    assert record["status"] == "ready"
    assert len(httpserver.log) == 1
    assert not [path for path in (tmp_path / "out/.anabranch/scratch/sources").iterdir() if path.suffix != ".lock"]


@pytest.mark.slow
def test_an_output_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    status, _, err = finish(command("run", clips.plain(), "-o", tmp_path / "file" / "out"))
    assert status == 1
    assert err.startswith("home_unwritable: ")


@pytest.mark.slow
def test_a_disk_without_room_is_told_and_nothing_is_half_written(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8 << 20) as disk:
        record = run_json(clips.plain(), disk / "out")
        assert record["status"] == "failed"
        assert record["error"]["code"] == "disk_full"
        assert not list((disk / "out/.anabranch/storage").rglob("*.m4s"))


@pytest.mark.slow
def test_a_wrong_setting_is_told_by_its_name(tmp_path: Path) -> None:
    status, _, err = finish(command("run", clips.plain(), "-o", tmp_path, ANABRANCH_CPU_SLOTS="none"))
    assert status == 1
    assert err.startswith("invalid_setting: ANABRANCH_CPU_SLOTS: ")


# Not pydantic: typer itself wants it, for any command that takes something.
HEAVY = ("sqlalchemy", "httpx2", "structlog", "fastapi", "inngest", "av", "numpy")


@pytest.mark.parametrize("arguments", [["--help"], ["media", "add", "--help"], ["events", "--help"]])
def test_help_comes_without_what_work_needs(arguments: list[str]) -> None:
    """It all takes seconds to import, and whoever asks for help waits for it."""
    code, out, err = finish(python("-X", "importtime", "-m", "anabranch", *arguments))
    assert code == 0
    assert "Usage: " in out
    imported = {line.rpartition("|")[2].strip() for line in err.splitlines()}
    assert "anabranch.cli.media" in imported
    assert [name for name in HEAVY if name in imported] == []


def test_after_loading_garbage_is_collected_but_not_looked_for_in_what_was_loaded() -> None:
    script = (
        "import gc; from anabranch.cli.loading import loading\n"
        "with loading(): import json.tool; during = gc.isenabled()\n"
        "print(during, gc.isenabled(), gc.get_freeze_count() > 1000)"
    )
    assert finish(python("-c", script)) == (0, "False True True\n", "")


@pytest.mark.slow
def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    def keys(*arguments: object) -> tuple[int, str, str]:
        return finish(command("keys", *arguments, ANABRANCH_HOME=str(tmp_path)))

    code, made, err = keys("create", "a page", "--scope", "admin", "--json")
    assert (code, err) == (0, "")
    key = json.loads(made)
    assert key["key"].startswith(key["prefix"])
    _, listed, _ = keys("list")
    assert listed.splitlines()[1].startswith(f"{key['id']}  a page  {key['prefix']}  admin ")
    assert key["key"] not in listed
    assert json.loads(keys("revoke", key["id"], "--json")[1]) == {"id": key["id"], "revoked": True}
    assert json.loads(keys("list", "--json")[1])[0]["revoked_at"] is not None
    code, _, err = keys("revoke", key["id"])
    assert (code, err.partition(":")[0]) == (1, "key_not_found")
    signing = keys("signing")[1]
    assert signing.startswith("signkey-")
    assert json.loads(keys("signing", "--json")[1]) == {"signingKey": signing.strip()}


@pytest.mark.slow
def test_a_source_and_its_outputs_may_be_in_buckets(nanio: ObjectStore, tmp_path: Path) -> None:
    there = nanio.below("commands")
    obstore.put(there.client(), "incoming/film.mp4", clips.plain(4))
    record = run_json("s3://films/incoming/film.mp4", tmp_path / "out", **there.environment)
    assert record["status"] == "ready"
    assert not list((tmp_path / "out" / ".anabranch" / "storage").rglob("*"))
    master = m3u8.load(str(tmp_path / "out" / "hls" / "master.m3u8"))
    for one in master.playlists:
        assert all(Path(segment.absolute_uri).exists() for segment in m3u8.load(one.absolute_uri).segments)
    assert (tmp_path / "out" / "preview.gif").stat().st_size > 1000
    assert not (tmp_path / "out" / ".fetched").exists()


def test_doctor_finds_what_a_run_needs(tmp_path: Path) -> None:
    status, out, _ = finish(command("doctor", "--json", ANABRANCH_HOME=str(tmp_path)))
    findings = {finding["about"]: finding for finding in json.loads(out)}
    assert status == 0
    assert {"ffmpeg", "speech model", "disk", "database"} <= set(findings)
    assert all(finding["status"] == "ok" for finding in findings.values())


def test_doctor_says_what_to_do_about_an_ffmpeg_that_does_not_run(tmp_path: Path) -> None:
    status, out, _ = finish(command("doctor", ANABRANCH_HOME=str(tmp_path), ANABRANCH_FFMPEG="/bin/false"))
    assert status == 1
    assert "ANABRANCH_FFMPEG" in out
