"""The commands that speak to a server, as a person or a script uses them: real processes, a real server."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import clips
from tests.api.served import anyone, free_port, serving, until
from tests.api.typed import Line, environment_of, start, typed, typed_in_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_httpserver import HTTPServer

    from tests.api.served import Server

# Each command is a process of its own, and takes a second to begin.
pytestmark = pytest.mark.slow

# What would turn text red, clear the screen, end the line, turn the text around, or be taken for markup.
HOSTILE = "a \x1b[31mred\x1b[2J film\nof [bold]two\u202e lines[/nothing]"
ESCAPE = "\x1b"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose media only these tests add and delete."""
    with serving(tmp_path_factory.mktemp("terminal")) as running:
        yield running


@pytest.fixture(scope="module")
def ready(own: Server) -> str:
    """An ordinary clip that is ready."""
    media_id = own.upload(clips.plain(4), title="A plain film")
    own.media(media_id, "ready")
    return media_id


@pytest.fixture(scope="module")
def broken(own: Server) -> str:
    """An upload that is not media, and failed."""
    media_id = own.upload(clips.posing("only words"), title="Only words")
    own.media(media_id, "failed")
    return media_id


def json_of(server: Server, *arguments: object) -> Any:
    said = typed(server, *arguments, "--json")
    assert (said.code, said.err) == (0, "")
    return json.loads(said.out)


def test_a_pipe_gets_a_row_a_line_whole_and_without_colours(own: Server, ready: str, broken: str) -> None:
    said = typed(own, "media", "ls")
    assert (said.code, said.err) == (0, "")
    assert ESCAPE not in said.out
    lines = said.out.splitlines()
    assert lines[0].split() == ["id", "status", "title", "length", "made"]
    row = next(line for line in lines if line.startswith(ready))
    assert re.fullmatch(rf"{ready} +ready +A plain film +0:04 +20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", row)
    assert next(line for line in lines if line.startswith(broken)).split()[1] == "failed"
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_terminal_gets_colours_and_nobody_gets_them_who_wants_none(own: Server, ready: str) -> None:
    code, seen = typed_in_terminal(own, "media", "ls", "--status", "ready")
    assert code == 0
    assert f"{ESCAPE}[32mready" in seen
    assert ready in seen
    code, seen = typed_in_terminal(own, "media", "ls", "--status", "ready", NO_COLOR="1")
    assert code == 0
    assert ready in seen
    assert ESCAPE not in seen


def test_a_narrow_terminal_cuts_titles_and_never_ids_or_addresses(own: Server, ready: str) -> None:
    long = own.post("/media", {"title": "A title of many words " * 9})["id"]
    _, seen = typed_in_terminal(own, "media", "ls", columns=64, NO_COLOR="1")
    row = next(line for line in seen.splitlines() if line.startswith(long))
    assert "…" in row
    assert len(row) <= 64
    _, seen = typed_in_terminal(own, "media", "show", ready, columns=64, NO_COLOR="1")
    assert own.get(f"/media/{ready}")["hlsUrl"] in seen


def test_what_somebody_else_wrote_does_not_steer_the_terminal(own: Server) -> None:
    media_id = own.post("/media", {"title": HOSTILE})["id"]
    said = typed(own, "media", "ls")
    assert ESCAPE not in said.out
    row = next(line for line in said.out.splitlines() if line.startswith(media_id))
    assert "film of [bold]two� lines[/nothing]" in row
    _, seen = typed_in_terminal(own, "media", "show", media_id, NO_COLOR="1")
    assert ESCAPE not in seen
    # Zsh evaluates what completion prints.
    own.api.patch(f"/media/{media_id}", json={"title": "`touch a` $(touch b) 'c' \"d\" [/e]"})
    completing = {"_ANABRANCH_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": f"anabranch media show {media_id}"}
    offered = completed(own, **completing)
    assert f'"{media_id}":"waiting touch a touch b c d e"' in offered


def unsigned(row: Any) -> str:
    """A row without what proves that its addresses are signed: that changes every second."""
    return re.sub(r"/signed/[^/]+/", "/signed/", json.dumps(row))


def test_json_is_what_the_api_answers(own: Server, ready: str, broken: str) -> None:
    listed = json_of(own, "media", "ls", "--status", "ready", "--status", "failed")
    assert {ready, broken} <= {row["id"] for row in listed}
    shown = json_of(own, "media", "show", ready)
    assert shown["renditions"] == own.get(f"/media/{ready}")["renditions"]
    task_id = shown["branches"][0]["taskId"]
    assert unsigned(json_of(own, "task", "show", task_id)) == unsigned(own.get(f"/tasks/{task_id}"))
    of_media = json_of(own, "task", "ls", "--media", ready, "--status", "completed", "-n", "3")
    assert len(of_media) == 3
    assert {row["media_id"] for row in of_media} == {ready}
    assert json_of(own, "task", "ls", "--media", ready, "--kind", "image")[0]["ref"] == "poster-image"


def test_media_and_task_are_shown_with_what_a_person_asks_next(own: Server, ready: str, broken: str) -> None:
    row = own.get(f"/media/{ready}")
    said = typed(own, "media", "show", ready)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0] == f"ready {ready} A plain film"
    for branch in row["branches"]:
        assert re.search(rf"^{branch['name']} +completed +100% +1/4 +{branch['taskId']}$", said.out, re.MULTILINE)
    assert re.search(rf"^hlsUrl +{re.escape(row['hlsUrl'])}$", said.out, re.MULTILINE)
    assert re.search(r"^240p +320x240, [\d,]+ kbit/s$", said.out, re.MULTILINE)
    assert "error  not_media: " in typed(own, "media", "show", broken).out
    task = typed(own, "task", "show", own.get(f"/media/{broken}")["branches"][0]["taskId"]).out
    assert task.startswith("failed task_")
    assert re.search(r"^error +not_media: ", task, re.MULTILINE)
    assert re.search(rf"^task_\w+ +completed +image +\S+ +poster-image {ready}$", typed(own, "task", "ls").out, re.M)


def test_a_timeline_tells_each_attempt(own: Server, ready: str) -> None:
    said = typed(own, "media", "timeline", ready)
    assert (said.code, said.err) == (0, "")
    for branch, piece in (("hls-package", "chunk-0000"), ("gif-preview", "render"), ("audio-transcription", "join")):
        assert re.search(rf"^{branch} +{piece} +1 +completed +20\S+Z +\d+\.\d s", said.out, re.MULTILINE)
    assert json_of(own, "media", "timeline", ready)["lanes"] == own.get(f"/media/{ready}/timeline")["lanes"]
    _, seen = typed_in_terminal(own, "media", "timeline", ready, columns=140, NO_COLOR="1")
    bars = re.findall(r"^hls-package +(?:chunk-0000|join) .*?( *━+ *)", seen, re.MULTILINE)
    assert len(bars) == 2
    assert bars[0].index("━") < bars[1].index("━"), "it is joined after it was encoded"


def test_runs_are_listed_shown_and_cancelled(own: Server, ready: str) -> None:
    said = typed(own, "runs", "ls", "--status", "completed")
    assert (said.code, said.err) == (0, "")
    assert re.search(r"^run_\w+ +completed +anabranch-process-task +20\S+Z +\d+\.\d s$", said.out, re.MULTILINE)
    listed = json_of(own, "runs", "ls", "--function", "anabranch-process-task", "-n", "3")
    assert [row["function_id"] for row in listed] == ["anabranch-process-task"] * 3
    run_id = own.get(f"/tasks/{own.get(f'/media/{ready}')['branches'][0]['taskId']}")["run_id"]
    assert json_of(own, "runs", "show", run_id) == own.get(f"/v1/runs/{run_id}")["data"]
    shown = typed(own, "runs", "show", run_id).out
    assert shown.startswith(f"completed {run_id}\n")
    assert re.search(r"^plan +completed +StepRun", shown, re.MULTILINE)
    said = typed(own, "runs", "cancel", run_id, "run_none")
    assert (said.code, said.out) == (1, "")
    assert [line.partition(":")[0] for line in said.err.splitlines()] == ["run_ended", "run_not_found"]
    media_id = own.upload(clips.plain(120, "256x144", name="two_minutes.mp4"))
    (task_id,) = until(lambda: _tasks(own, media_id, "adaptive_video"), 60)
    run_id = own.get(f"/tasks/{task_id}")["run_id"]
    assert run_id in tab(own, "anabranch", "runs", "cancel", "")
    assert typed(own, "runs", "cancel", run_id).out == f"{run_id} cancelled\n"
    own.task(task_id, "cancelled")
    assert own.api.delete(f"/media/{media_id}").status_code == 200


def test_a_listing_goes_over_as_many_pages_as_it_takes(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        said = typed(server, "media", "ls")
        assert said.out.splitlines() == ["id  status  title  length  made"]
        assert "anabranch media add" in said.err
        made = [server.post("/media", {"title": str(number)})["id"] for number in range(230)]
        assert [row["id"] for row in json_of(server, "media", "ls", "-n", "215")] == made[::-1][:215]
        assert len(json_of(server, "media", "ls")) == 20


def test_files_and_addresses_are_added_and_waited_for(own: Server, plain_url: str) -> None:
    plain, words = clips.plain(), clips.posing("no film")
    said = typed(own, "media", "add", plain, plain_url, "--wait", "--json")
    assert (said.code, said.err) == (0, "")
    rows = json.loads(said.out)
    assert [(row["status"], row["title"]) for row in rows] == [("ready", "plain.mp4"), ("ready", None)]
    assert rows[0]["sizeBytes"] == plain.stat().st_size
    # Into a pipe goes the id as soon as there is one, and it is waited for only if asked.
    said = typed(own, "media", "add", words, "--title", "Words")
    assert (said.code, said.err) == (0, "")
    media_id, name = said.out.split(maxsplit=1)
    assert name.strip() == str(words)
    assert own.media(media_id, "failed")["title"] == "Words"
    said = typed(own, "media", "add", words, "--wait")
    assert said.code == 1
    assert "not_media" in said.out


def test_a_source_that_cannot_be_read_does_not_keep_the_others_from_being_added(own: Server, tmp_path: Path) -> None:
    said = typed(own, "media", "add", "/nowhere.mp4", tmp_path, clips.posing("words"), "ftp://127.0.0.1/film.mp4")
    assert said.code == 1
    codes = [line.partition(":")[0] for line in said.err.splitlines()]
    assert codes == ["source_missing", "source_unreadable", "unsupported_address"]
    assert own.get(f"/media/{said.out.split()[0]}")["title"] == "posing.mp4"


def test_a_terminal_sees_the_upload_and_then_the_branches_move(own: Server) -> None:
    code, seen = typed_in_terminal(own, "media", "add", clips.plain(4), "--wait")
    assert code == 0
    assert re.search(r"plain\.mp4 .*━.*414.0/414.0\s+kB", seen)
    assert f"{ESCAPE}[36mprocessing" in seen
    # What moved is gone; what is left is the whole of it.
    assert seen.rindex("transcriptionUrl") > seen.rindex("processing")


def test_what_is_kept_of_an_upload_that_a_terminal_watches_is_its_id_alone(own: Server, tmp_path: Path) -> None:
    # A name of bytes that are no text.
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    source.write_text("no film")
    kept = tmp_path / "id"
    code, seen = typed_in_terminal(own, "media", "add", source, into=kept)
    assert code == 0
    assert "7/7 bytes" in seen
    media_id = kept.read_text().split()[0]
    assert media_id not in seen
    assert own.get(f"/media/{media_id}")["title"] == "caf?.mp4"


def test_an_upload_goes_on_where_it_was_when_the_line_drops(own: Server, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(os.urandom(3_000_000))
    with Line(own.port, drops=[1_000_000, 600_000]) as line:
        said = typed(own, "media", "add", film, "--url", line.url)
    assert line.drops == [], "it was dropped twice"
    assert (said.code, said.err) == (0, "")
    source = own.get(f"/media/{said.out.split()[0]}")["sourceUrl"]
    assert anyone.get(source).content == film.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "word", "hint"),
    [
        (["media", "show", "med_none"], {}, 5, "media_not_found", "med_none"),
        (["task", "show", "task_none"], {}, 5, "task_not_found", "task_none"),
        (["task", "cancel", "a/../b"], {}, 3, "not_found", "--url"),
        (["events", "--media", "med_none"], {}, 5, "media_not_found", "med_none"),
        (["media", "ls"], {"ANABRANCH_KEY": ""}, 4, "token_missing", "anabranch keys create"),
        (["media", "ls", "--key", "ab_live_wrong"], {}, 4, "token_invalid", "'ab_live_wron'"),
        (["events"], {"ANABRANCH_KEY": "schlüssel"}, 4, "token_invalid", "anabranch keys list"),
        (["media", "delete", "med_a", "med_b"], {"ANABRANCH_KEY": "x"}, 4, "token_invalid", "revoked"),
    ],
)
def test_an_error_says_what_to_do_next_and_a_script_learns_it_from_the_code(
    own: Server, arguments: list[str], settings: dict[str, str], code: int, word: str, hint: str
) -> None:
    said = typed(own, *arguments, **settings)
    assert (said.code, said.out) == (code, "")
    assert said.err.startswith(f"{word}: ")
    assert hint in said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["media", "ls", "--json"], ["events"], ["media", "add", __file__]])
def test_a_server_that_is_down_is_told_with_how_to_start_one(arguments: list[str]) -> None:
    said = typed(None, *arguments, "--url", f"http://127.0.0.1:{free_port()}")
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("server_unreachable: ")
    assert "anabranch serve" in said.err
    assert "ANABRANCH_URL" in said.err


def test_what_is_no_anabranch_is_told(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/media").respond_with_data("<h1>Welcome</h1>", content_type="text/html")
    httpserver.expect_request("/tasks").respond_with_data("no", status=418)
    httpserver.expect_request("/uploads").respond_with_data("hm")
    httpserver.expect_request("/media/med_1").respond_with_data("", status=502)
    for arguments in (["media", "ls"], ["task", "ls"], ["media", "add", __file__]):
        said = typed(None, *arguments, "--url", httpserver.url_for(""))
        assert (said.code, said.out) == (3, "")
        assert said.err.startswith("not_anabranch: ")
    said = typed(None, "media", "show", "med_1", "--url", httpserver.url_for(""))
    assert said.code == 3
    assert said.err.startswith("server_unreachable: ")
    assert "502" in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["media", "ls", "--url", "nonsense"],
        ["media", "ls", "--status", "nonsense"],
        ["media", "retry"],
        ["media", "retry", "--all", "med_1"],
        ["media", "retry", "med_1", "--status", "failed"],
        ["media", "add", "a.mp4", "b.mp4", "--title", "One"],
        ["media", "nonsense"],
    ],
)
def test_a_command_that_is_not_as_it_should_be_exits_with_2(arguments: list[str]) -> None:
    said = typed(None, *arguments)
    assert (said.code, said.out) == (2, "")
    assert "--help" in said.err


def test_branches_are_done_again(own: Server, ready: str, broken: str) -> None:
    said = typed(own, "media", "retry", ready)
    assert (said.code, said.out) == (0, "")
    assert "nothing to do again" in said.err
    before = {one["name"]: one["taskId"] for one in own.get(f"/media/{ready}")["branches"]}
    assert json_of(own, "media", "retry", ready, "--branch", "poster-image") == {"media": {ready: ["poster-image"]}}
    row = until(lambda: (row := own.media(ready, "ready")) and _again(row, before) == {"poster-image"} and row, 60)
    assert row["status"] == "ready"
    said = typed(own, "media", "retry", broken, "med_none")
    assert said.code == 5
    assert said.out.startswith(f"{broken} hls-package, poster-image, gif-preview, audio-transcription")
    assert said.err.startswith("media_not_found: ")
    own.media(broken, "failed")
    matching = json_of(own, "media", "retry", "--all", "--status", "failed", "--error-code", "not_media")
    assert broken in matching["media"]
    assert json_of(own, "media", "retry", "--all", "--error-code", "disk_full") == {"media": {}}
    own.media(broken, "failed")


def _again(row: Any, before: dict[str, str]) -> set[str]:
    """The branches that have another task than before."""
    return {one["name"] for one in row["branches"] if one["taskId"] != before[one["name"]]}


def test_deleting_asks_in_a_terminal_and_is_told(own: Server) -> None:
    first, second = (own.post("/media", {"title": title})["id"] for title in "ab")
    code, seen = typed_in_terminal(own, "media", "delete", first, second, answer="n\n")
    assert code == 1
    assert f"Delete {first}, {second}, with all that was made of it?" in seen
    assert own.get(f"/media/{first}")["title"] == "a"
    code, _ = typed_in_terminal(own, "media", "delete", first, answer="y\n")
    assert code == 0
    assert typed(own, "media", "show", first).code == 5
    said = typed(own, "media", "delete", first, second, "--json")
    assert said.code == 5
    assert [row["id"] for row in json.loads(said.out)] == [second]
    assert said.err == f"media_not_found: There is no media {first}.\n"


def test_a_task_is_cancelled_unless_it_has_ended(own: Server, ready: str) -> None:
    media_id = own.upload(clips.plain(120, "256x144", name="two_minutes.mp4"))
    (task_id,) = until(lambda: _tasks(own, media_id, "adaptive_video"), 60)
    (ended,) = _tasks(own, ready, "adaptive_video")
    said = typed(own, "task", "cancel", ended, task_id)
    assert (said.code, said.out) == (1, f"{task_id} cancelled\n")
    assert said.err == f"task_ended: {ended} is completed; there is nothing to cancel.\n"
    assert json_of(own, "task", "cancel", task_id)[0]["status"] == "cancelled"
    assert own.api.delete(f"/media/{media_id}").status_code == 200


def _tasks(server: Server, media_id: str, kind: str) -> list[str]:
    return [one["taskId"] for one in server.get(f"/media/{media_id}")["branches"] if one["kind"] == kind]


def test_events_are_told_from_where_one_asks(own: Server, ready: str) -> None:
    lines = typed(own, "events", "--since", "0", "-n", "3").out.splitlines()
    assert len(lines) == 3
    assert re.match(r" +1  20\d\d-\d\d-\d\dT[\d:]+Z  media\.created +med_\w+", lines[0])
    said = typed(own, "events", "--since", "0", "--type", "media.r*", "--type", "task.completed", "-n", "5", "--json")
    heard = [json.loads(line) for line in said.out.splitlines()]
    assert len(heard) == 5
    assert {event["type"] for event in heard} <= {"media.ready", "media.rendition.ready", "task.completed"}
    numbers = [event["number"] for event in heard]
    assert numbers == sorted(set(numbers))
    later = json.loads(typed(own, "events", "--since", numbers[0], "-n", "1", "--json").out)
    assert later["number"] > numbers[0]
    of_media = typed(own, "events", "--media", ready, "--type", "progress", "-n", "1", "--json")
    assert json.loads(of_media.out)["data"]["id"] == ready


def test_a_tail_ends_quietly_with_its_reader_and_with_ctrl_c(own: Server, ready: str) -> None:
    shell = f"{sys.executable} -m anabranch events --since 0 | head -n 1"
    done = subprocess.run(["sh", "-c", shell], env=environment_of(own), capture_output=True, text=True, timeout=60)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""
    process = start(own, "events", "--since", "0")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")


def test_a_tail_misses_nothing_when_the_server_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path) as server, Line(server.port) as line:
        process = start(server, "events", "--json", "--url", line.url)
        assert process.stdout is not None
        until(lambda: b"id: 0\n" in line.answered, 30)
        server.kill()
        server.start()
        # It had heard of nothing when the connection was lost, and still it knows where it was.
        made = [server.post("/media", {"title": "one"})["id"]]
        heard = [json.loads(process.stdout.readline())]
        server.kill()
        server.start()
        made += [server.post("/media", {"title": title})["id"] for title in ("two", "three")]
        heard += [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert [event["media_id"] for event in heard] == made
    assert [event["number"] for event in heard] == [1, 2, 3]
    assert err.splitlines() == ["The connection is lost; trying again. Ctrl-C ends.", "Connected again."] * 2


def completed(server: Server | None, **settings: str) -> str:
    """What completion prints."""
    command = [str(Path(sys.executable).parent / "anabranch")]
    environment = environment_of(server, **settings)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.stdout


TAB = """
eval "$(_ANABRANCH_COMPLETE=source_bash anabranch)"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_anabranch_completion anabranch
printf '%s\\n' "${COMPREPLY[@]}"
"""


def tab(server: Server | None, *words: str, **settings: str) -> list[str]:
    """What bash offers after these words, by the script that the command prints for it."""
    environment = environment_of(server, **settings)
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    command = ["bash", "-c", TAB, "bash", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.stdout.split()


def test_a_shell_completes_commands_options_and_ids(own: Server, ready: str, broken: str) -> None:
    assert tab(own, "anabranch", "media", "") == ["ls", "show", "timeline", "add", "retry", "delete"]
    assert "--error-code" in tab(own, "anabranch", "media", "retry", "--")
    assert tab(own, "anabranch", "media", "retry", "--branch", "p") == ["poster-image"]
    assert {ready, broken} <= set(tab(own, "anabranch", "media", "show", ""))
    assert tab(own, "anabranch", "media", "delete", broken[:-2]) == [broken]
    task_id = own.get(f"/media/{ready}")["branches"][0]["taskId"]
    given = ["--url", own.url, "--key", own.key]
    assert tab(None, "anabranch", "task", "show", *given, task_id[:-2]) == [task_id]


def test_without_a_server_or_a_key_there_is_quietly_nothing_to_complete(own: Server, ready: str) -> None:
    assert tab(own, "anabranch", "media", "show", "med_", ANABRANCH_KEY="wrong") == []
    assert tab(own, "anabranch", "media", "show", "med_", ANABRANCH_URL="nonsense") == []
    assert tab(None, "anabranch", "task", "cancel", "", ANABRANCH_URL=f"http://127.0.0.1:{free_port()}") == []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert tab(None, "anabranch", "media", "show", "", ANABRANCH_URL=url) == []
