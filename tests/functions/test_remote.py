"""Tasks that another Task API does: another Anabranch, and servers that answer as Ittybit does, or oddly."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import ittybit
import m3u8
import pytest
from werkzeug import Response

from anabranch.app import open_app
from anabranch.catalog import attempts, tasks, transcripts
from anabranch.engine.events import Event
from anabranch.errors import ResourceError, SetupError
from anabranch.functions.remote_task import waits_s
from anabranch.settings import Settings
from anabranch.tasks import written
from anabranch.tasks.remote import RemoteTasks
from tests import clips, samples
from tests.api.served import Server, anyone, elsewhere, serving, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from pytest_httpserver import HTTPServer
    from werkzeug import Request

    from anabranch.app import App
    from anabranch.catalog.tasks import Task

pytestmark = pytest.mark.anyio

Json = Any
KEY = "ittybit_live_0123456789abcdef"


def said() -> Path:
    """A small street, and a real voice: It was the best of times …"""
    inputs = ("-stream_loop", "-1", "-i", str(samples.bikes_mp4()), "-i", str(samples.speech_wav()))
    coded = (
        "-vf",
        "scale=160:90,setsar=1",
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
    )
    return clips.make("said.mp4", *inputs, "-map", "0:v", "-map", "1:a", "-t", "6", *coded)


# Two servers.


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """A server, and the one that does its tasks."""
    with serving(tmp_path_factory.mktemp("there"), ANABRANCH_CPU_SLOTS="2") as there:
        given = {"ANABRANCH_TASKS_URL": there.url, "ANABRANCH_TASKS_KEY": there.key, "ANABRANCH_OPEN_ACCESS": "true"}
        with serving(tmp_path_factory.mktemp("here"), **given) as here:
            yield here, there


@pytest.mark.slow
def test_an_upload_is_done_by_another_server_and_shown_by_this_one(pair: tuple[Server, Server]) -> None:
    here, there = pair
    media_id = here.upload(said())
    row = here.media(media_id, "ready", "degraded", "failed")
    assert row["status"] == "ready", row
    assert (row["width"], row["height"], row["percent"]) == (160, 90, 100)
    assert row["duration"] == pytest.approx(6, abs=0.2)
    for name in ("hlsUrl", "posterUrl", "gifUrl", "storyboardUrl", "dashUrl"):
        assert row[name].startswith(there.url), name
        assert anyone.get(row[name]).status_code == 200, name
    master = m3u8.loads(anyone.get(row["hlsUrl"]).text, uri=row["hlsUrl"])
    (rung,) = master.playlists
    part = m3u8.loads(anyone.get(rung.absolute_uri).text, uri=rung.absolute_uri).segments[0]
    assert len(anyone.get(part.absolute_uri).content) > 100
    assert [one["name"] for one in row["renditions"]] == ["90p"]
    # What is said is here too, as it is when this server writes it down.
    written_here = anyone.get(row["transcriptionUrl"]).json()
    assert row["transcriptionUrl"].startswith(here.url)
    assert "best of times" in written_here["text"]
    assert written_here["words"]
    assert "-->" in anyone.get(row["captionsUrl"]).text
    (hit,) = here.get("/search?q=%22best+of+times%22")["hits"]
    assert hit["media_id"] == media_id
    lanes = here.get(f"/media/{media_id}/timeline")["lanes"]
    assert [[piece["name"] for piece in lane["pieces"]] for lane in lanes] == [["remote", "join"]] * 4
    assert all(piece["status"] == "completed" for lane in lanes for piece in lane["pieces"])
    page = here.api.get(f"/watch/{media_id}")
    assert page.status_code == 200
    assert there.url in page.headers["content-security-policy"]
    assert there.key not in (here.home / "server.log").read_text()
    # It was told of the end; no wait had to pass.
    assert "/tasks/remote/{token}" in (here.home / "server.log").read_text()
    assert not [name for name in here.children() if "ffmpeg" in name]


@pytest.mark.slow
def test_a_server_that_dies_in_the_middle_is_asked_for_the_same_tasks_again(pair: tuple[Server, Server]) -> None:
    here, there = pair
    before = {one["id"] for one in there.get("/tasks?limit=100")}
    media_id = here.upload(clips.plain(6, name="six.mp4"))

    def some() -> Json:
        return {one["id"] for one in there.get("/tasks?limit=100")} - before

    until(some, 30)
    assert not all(there.get(f"/tasks/{one}")["status"] == "completed" for one in some())
    there.kill()
    there.start()
    row = here.media(media_id, "ready", "degraded", "failed")
    assert row["status"] == "ready", row["branches"]
    assert len(some()) == 4
    film = next(one for one in row["branches"] if one["name"] == "hls-package")
    assert anyone.get(film["url"]).status_code == 200


@pytest.mark.slow
def test_progress_there_is_progress_here_and_cancelling_here_cancels_there(pair: tuple[Server, Server]) -> None:
    here, there = pair
    film = clips.silent(60, name="minute.mp4")
    with elsewhere(film.parent) as url:
        address = f"{url}/{film.name}"
        made = here.post("/tasks", {"input": address, "kind": "video", "options": {"codec": "h264", "quality": "high"}})
        client = ittybit.Ittybit(base_url=here.url, api_key=here.key)
        until(lambda: 0 < (client.tasks.get(made["id"]).progress or 0) < 100, 30)
        (theirs,) = there.get(f"/tasks?input={address}")
        assert theirs["status"] == "processing"
        assert here.post(f"/tasks/{made['id']}/cancel", status=200)["status"] == "cancelled"
        assert there.task(theirs["id"], "cancelled", "completed")["status"] == "cancelled"


@pytest.mark.slow
def test_what_fails_there_fails_here_for_the_same_reason_and_the_published_client_reads_it(
    pair: tuple[Server, Server], tmp_path: Path
) -> None:
    here, there = pair
    (tmp_path / "not.mp4").write_text("This is no film.")
    client = ittybit.Ittybit(base_url=here.url, api_key=here.key)
    with elsewhere(clips.plain().parent) as url, elsewhere(tmp_path) as odd:
        good = client.tasks.create(request={"input": f"{url}/{clips.plain().name}", "kind": "image", "width": 64})
        bad = here.post("/tasks", {"input": f"{odd}/not.mp4", "kind": "image"})
        told = here.task(bad["id"], "failed", "completed")
        assert (told["status"], told["error_code"], told["error_retryable"]) == ("failed", "not_media", False)
        done = until(lambda: (seen := client.tasks.get(good.id)).status == "completed" and seen, 30)
        assert done.output is not None
        assert done.output["url"].startswith(there.url)
        assert (done.output["width"], done.output["type"]) == (64, "image/jpeg")


@pytest.mark.slow
def test_a_wake_is_heard_from_whoever_was_given_the_address_alone(pair: tuple[Server, Server]) -> None:
    here, _ = pair
    refused = anyone.post(f"{here.url}/tasks/remote/task_1.AAAAAAAAAAAAAAAAAAAAAAAA", json={"status": "completed"})
    assert (refused.status_code, refused.json()["code"]) == (403, "signature_invalid")


# Servers that answer as they like.


TIMELINE = {
    "kind": "speech",
    "languages": ["en"],
    "text": ["Call me Ishmael."],
    "timeline": [{"start": 1, "end": 3, "speaker": 0, "text": "Call me Ishmael."}],
}


class Odd:
    """A Task API that answers what it is told to; the last answer of each kind again and again."""

    def __init__(self, server: HTTPServer) -> None:
        self.asked: list[tuple[str, str, Json]] = []
        self.headers: list[dict[str, str]] = []
        self._answers: dict[str, list[Response]] = {}
        self.url = server.url_for("").rstrip("/")
        server.expect_request("/texts/said.json").respond_with_json(TIMELINE)
        for method, path in (("POST", "/tasks"), ("POST", "/jobs"), ("GET", "/tasks/t1"), ("GET", "/jobs/t1")):
            server.expect_request(path, method=method).respond_with_handler(self._answer)
        server.expect_request("/tasks/t1/cancel", method="POST").respond_with_handler(self._answer)

    def forget(self) -> Odd:
        self.asked.clear()
        self.headers.clear()
        self._answers.clear()
        return self

    def will(self, asked: str, *answers: Json, status: int = 200, headers: dict[str, str] | None = None) -> Odd:
        made = [
            one if isinstance(one, Response) else Response(json.dumps(one), status, headers, "application/json")
            for one in answers
        ]
        self._answers.setdefault(asked, []).extend(made)
        return self

    def _answer(self, request: Request) -> Response:
        asked = f"{request.method} {request.path}"
        self.asked.append((request.method, request.path, request.get_json(silent=True)))
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        waiting = self._answers.get(asked) or [Response(status=404)]
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


@pytest.fixture
def odd(httpserver: HTTPServer) -> Odd:
    return Odd(httpserver)


@asynccontextmanager
async def opened(folder: Path, odd: Odd, **settings: Any) -> AsyncIterator[App]:
    given = {"tasks_url": odd.url, "tasks_key": KEY, "retry_scale": 0.001, **settings}
    async with open_app(Settings(home=folder, **given)) as app:
        yield app


async def done(app: App, kind: str, options: Json, **more: Any) -> Task:
    """The task as it ended."""
    order = {"id": "task_1", "input": "https://example.com/a.mp4", "kind": kind, "options": options, **more}
    event = Event("task/created", order)
    await app.engine.send([event])
    (run,) = app.engine.journal.runs_of_event(event.id)
    await app.engine.ended(run.id)
    await app.engine.drained()
    task = tasks.get(app.database, order["id"])
    assert task is not None
    return task


POSTER: Json = {
    "url": "https://cdn.example.com/p.webp",
    "kind": "image",
    "type": "image/webp",
    "width": 64,
    "height": 36,
}
OPEN = {"id": "t1", "object": "task", "status": "processing", "progress": 40}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_the_earlier_generation_is_understood_and_asked_as_the_model_function_asks(
    tmp_path: Path, odd: Odd
) -> None:
    odd.will("POST /tasks", {"id": "t1", "object": "task", "status": "pending", "output": None}, status=201)
    odd.will("GET /tasks/t1", OPEN, {**OPEN, "status": "completed", "output": {"id": "file_1", **POSTER}})
    async with opened(tmp_path, odd) as app:
        task = await done(app, "image", {"start": 2, "width": 64, "format": "webp"}, metadata={"mediaId": "42"})
        (row, join) = attempts.of_task(app.database, task.id)
    assert task.status == "completed"
    assert task.output is not None
    assert {name: task.output[name] for name in POSTER} == POSTER
    assert (row.piece, row.status, row.progress, join.piece) == ("remote", "completed", 1.0, "join")
    assert odd.asked[0] == (
        "POST",
        "/tasks",
        {
            "input": "https://example.com/a.mp4",
            "kind": "image",
            "options": {"start": 2, "width": 64, "format": "webp"},
            "metadata": {"mediaId": "42"},
        },
    )
    assert odd.headers[0]["authorization"] == f"Bearer {KEY}"
    assert odd.headers[0]["idempotency-key"].startswith("task_1.")


SHAPES: list[tuple[Json, str | None]] = [
    ({"status": "succeeded", "outputs": [POSTER], "error": None}, POSTER["url"]),
    ({"status": "ready", "output_url": POSTER["url"], "output": POSTER["url"]}, POSTER["url"]),
    ({"status": "completed", "output": {"url": None, "reason": "no_video_stream"}}, None),
]


async def test_the_shapes_in_which_an_output_is_told(tmp_path: Path, odd: Odd) -> None:
    async with opened(tmp_path, odd) as app:
        for number, (ended, url) in enumerate(SHAPES):
            odd.forget().will("POST /tasks", {"data": OPEN}, status=201).will("GET /tasks/t1", {**OPEN, **ended})
            task = await done(app, "image", {}, id=f"task_{number}")
            assert task.status == "completed", task.error
            assert task.output is not None
            assert task.output["url"] == url
            assert (task.output["reason"] is None) == (url is not None)


async def test_where_jobs_are_wanted_a_job_is_created(tmp_path: Path, odd: Odd) -> None:
    odd.will("POST /tasks", {"kind": "invalid_input", "message": "input must be an object"}, status=400)
    odd.will("POST /jobs", {"id": "t1", "object": "job", "status": "queued", "output": None}, status=201)
    odd.will(
        "GET /jobs/t1", {"id": "t1", "kind": "animation", "status": "succeeded", "output": "https://c.example/a.gif"}
    )
    async with opened(tmp_path, odd) as app:
        task = await done(app, "video", {"start": 1, "end": 4, "format": "gif"})
    assert task.output is not None
    assert (task.output["url"], task.output["type"], task.output["kind"]) == (
        "https://c.example/a.gif",
        "image/gif",
        "image",
    )
    assert odd.asked[1][2]["kind"] == "animation"


async def test_a_transcript_in_the_shape_of_ittybit_is_searched_and_shown(tmp_path: Path, odd: Odd) -> None:
    output = {"kind": "intelligence", "type": "application/json", "url": f"{odd.url}/texts/said.json"}
    odd.will("POST /tasks", OPEN, status=201).will("GET /tasks/t1", {**OPEN, "status": "completed", "output": output})
    async with opened(tmp_path, odd, base_url="http://127.0.0.1:9") as app:
        task = await done(app, "audio", {"format": "json", "language": "en"}, media_id="med_1")
        (hit,) = transcripts.search(app.database, "ishmael").hits
        assert (hit.media_id, hit.matches[0].start_s, hit.language) == ("med_1", 1, "en")
        assert task.output is not None
        kept = {one["name"]: b"".join(app.storage.open(one["key"])).decode() for one in task.output["files"]}
    assert json.loads(kept["transcript.json"])["text"] == "Call me Ishmael."
    assert "00:00:01.000 --> 00:00:03.000\nCall me Ishmael." in kept["captions.vtt"]
    assert task.output["url"].startswith("http://127.0.0.1:9/outputs/media/med_1/task_1/transcript")
    assert task.output["elsewhere"]["url"] == output["url"]
    assert (task.output["kind"], task.output["language"]) == ("text", "en")


HTML = Response("<html>Welcome</html>", 200, content_type="text/html")


ENDS: list[tuple[Json, Json, str, str]] = [
    (HTML, OPEN, "tasks_answer_invalid", "JSON object"),
    ({"status": "queued"}, OPEN, "tasks_answer_invalid", "no id"),
    (OPEN, HTML, "tasks_answer_invalid", "JSON object"),
    (OPEN, {"id": "t1"}, "tasks_answer_invalid", "no status"),
    (OPEN, {**OPEN, "status": "completed", "output": {}}, "tasks_answer_invalid", "no address"),
    (
        OPEN,
        {**OPEN, "status": "completed", "output": {"url": "javascript:alert(1)"}},
        "tasks_answer_invalid",
        "no address",
    ),
    (OPEN, {**OPEN, "status": "failed", "error": "It broke."}, "task_failed", "It broke."),
    (
        OPEN,
        {**OPEN, "status": "failed", "error": {"kind": "file_corrupt", "message": "Odd."}},
        "file_corrupt",
        "Odd.",
    ),
    (OPEN, {**OPEN, "status": "cancelled"}, "cancelled", "was cancelled at"),
    (OPEN, Response('{"kind":"task_not_found","message":"Gone."}', 404), "task_not_found", "Gone."),
    (
        Response(json.dumps({"message": f"Who is {KEY}?"}), 401),
        OPEN,
        "tasks_refused",
        "Who is …? Check ANABRANCH_TASKS_KEY.",
    ),
]


@pytest.mark.slow
async def test_what_ends_a_task_says_why(tmp_path: Path, odd: Odd) -> None:
    async with opened(tmp_path, odd) as app:
        for number, (created, seen, code, words) in enumerate(ENDS):
            odd.forget().will("POST /tasks", created, status=201).will("GET /tasks/t1", seen)
            task = await done(app, "image", {}, id=f"task_{number}")
            assert (task.status, (task.error or {})["code"]) == ("failed", code)
            assert words in (task.error or {})["message"]
            assert KEY not in json.dumps(task.error)
            assert [asked[:2] for asked in odd.asked].count(("POST", "/tasks")) == 1


@pytest.mark.slow
async def test_a_server_that_is_busy_is_asked_again_with_the_same_key_when_it_said(tmp_path: Path, odd: Odd) -> None:
    odd.will("POST /tasks", Response("oh", 500)).will("POST /tasks", {}, status=429, headers={"retry-after": "1"})
    odd.will("POST /tasks", OPEN, status=201)
    odd.will("GET /tasks/t1", Response(status=503), {**OPEN, "status": "completed", "output": POSTER})
    started = time.monotonic()
    async with opened(tmp_path, odd) as app:
        task = await done(app, "image", {})
        made = [row.status for row in attempts.of_task(app.database, task.id) if row.piece == "remote"]
    assert task.status == "completed"
    assert time.monotonic() - started >= 1
    assert made == ["failed", "failed", "completed"]
    posted = [headers["idempotency-key"] for headers in odd.headers if "idempotency-key" in headers]
    assert len(posted) == 3
    assert len(set(posted)) == 1


@pytest.mark.slow
async def test_a_task_that_never_ends_there_ends_here_and_is_called_off(tmp_path: Path, odd: Odd) -> None:
    odd.will("POST /tasks", OPEN, status=201).will("GET /tasks/t1", OPEN).will("POST /tasks/t1/cancel", {})
    async with opened(tmp_path, odd, tasks_timeout_s=2) as app:
        task = await done(app, "image", {})
    assert (task.status, (task.error or {})["code"], (task.error or {})["retryable"]) == ("failed", "timeout", True)
    assert ("POST", "/tasks/t1/cancel", None) in odd.asked


@pytest.mark.slow
async def test_nobody_who_answers_is_waited_for_as_long_as_the_task_may_take(tmp_path: Path) -> None:
    async with open_app(
        Settings(home=tmp_path, tasks_url="http://127.0.0.1:1", retry_scale=0.001, tasks_timeout_s=2)
    ) as app:
        task = await done(app, "image", {})
    assert (task.status, (task.error or {})["code"]) == ("failed", "tasks_unreachable")
    assert (task.error or {})["retryable"] is True


async def test_a_server_that_hangs_is_not_waited_for(httpserver: HTTPServer) -> None:
    def hang(_: Request) -> Response:
        time.sleep(1)
        return Response(status=200)

    httpserver.expect_request("/tasks/t1").respond_with_handler(hang)
    remote = RemoteTasks(httpserver.url_for(""), None, patience_s=0.2)
    with pytest.raises(ResourceError, match="did not answer in time") as told:
        await remote.look("tasks/t1")
    assert told.value.code == "tasks_unreachable"


async def test_a_wake_ends_the_wait(tmp_path: Path, odd: Odd) -> None:
    odd.will("POST /tasks", OPEN, status=201)
    odd.will("GET /tasks/t1", {}, status=503, headers={"retry-after": "600"})
    odd.will("GET /tasks/t1", {**OPEN, "status": "completed", "output": POSTER})
    async with opened(tmp_path, odd) as app:
        event = Event("task/created", {"id": "task_1", "input": "https://example.com/a.mp4", "kind": "image"})
        await app.engine.send([event])
        (run,) = app.engine.journal.runs_of_event(event.id)
        while not any(step.op == "WaitForEvent" for step in app.engine.journal.steps(run.id).values()):
            await asyncio.sleep(0.01)
        await app.send("task/remote.ended", {"another": {"id": "task_2"}, "this": {"id": "task_1"}})
        await asyncio.wait_for(app.engine.ended(run.id), 30)
        task = tasks.get(app.database, "task_1")
    assert task is not None
    assert task.status == "completed"


@pytest.mark.slow
async def test_what_the_other_side_cannot_read_is_said_at_once(tmp_path: Path, odd: Odd) -> None:
    async with opened(tmp_path, odd) as app:
        task = await done(app, "image", {}, input="storage:sources/med_1/a.mp4")
        assert (task.error or {})["code"] == "base_url_missing"
    far = {"tasks_url": "https://api.ittybit.com", "base_url": "http://127.0.0.1:8000"}
    async with opened(tmp_path / "far", odd, **far) as app:
        task = await done(app, "image", {}, input="storage:sources/med_1/a.mp4")
        assert "Set ANABRANCH_BASE_URL" in (task.error or {})["message"]
    async with opened(tmp_path / "path", odd) as app:
        task = await done(app, "image", {}, input=str(clips.plain()))
        assert (task.error or {})["code"] == "unsupported_address"
    assert odd.asked == []


@pytest.mark.slow
def test_a_server_that_dies_while_it_asks_asks_for_the_same_again(tmp_path: Path, httpserver: HTTPServer) -> None:
    asked: list[tuple[str, Json]] = []
    died = threading.Event()

    def create(request: Request) -> Response:
        asked.append((request.headers["idempotency-key"], request.get_json()))
        # Whoever asks first is dead before it hears the answer.
        died.wait(30)
        return Response(json.dumps(OPEN), 201, content_type="application/json")

    httpserver.expect_request("/tasks", method="POST").respond_with_handler(create)
    httpserver.expect_request("/tasks/t1").respond_with_json({**OPEN, "status": "completed", "output": POSTER})
    given = {"ANABRANCH_TASKS_URL": httpserver.url_for(""), "ANABRANCH_TASKS_KINDS": "adaptive_video,image,video"}
    with serving(tmp_path, **given) as here:
        media_id = here.upload(clips.no_audio())
        until(lambda: asked, 30)
        here.kill()
        died.set()
        here.start()
        row = here.media(media_id, "ready", "degraded", "failed")
        assert (row["status"], row["posterUrl"]) == ("ready", POSTER["url"])
        assert len(asked) > len({key for key, _ in asked}) == 3
        assert all(body == dict(asked)[key] for key, body in asked)
        assert anyone.get(asked[0][1]["input"]).content == clips.no_audio().read_bytes()
        assert anyone.post(asked[0][1]["webhook_url"]).json() == {"heard": True}


@pytest.mark.slow
async def test_kinds_that_are_not_named_are_done_here(tmp_path: Path, odd: Odd) -> None:
    async with opened(tmp_path, odd, tasks_kinds="video, audio") as app:
        task = await done(app, "image", {"width": 64}, input=str(clips.plain()))
        assert task.output is not None
        assert app.storage.exists(task.output["key"])
    assert odd.asked == []


async def test_a_kind_that_cannot_be_done_elsewhere_is_refused_at_the_start(tmp_path: Path, odd: Odd) -> None:
    with pytest.raises(SetupError, match="import, poster"):
        async with opened(tmp_path, odd, tasks_kinds="image, import,poster"):
            pass


def test_a_day_is_waited_for_with_fewer_steps_than_an_engine_allows() -> None:
    passed = list(itertools.takewhile(lambda total: total < 24 * 3600, itertools.accumulate(waits_s())))
    # Two for each look, and three beside them.
    assert 2 * len(passed) + 3 < 700
    assert passed[:10] == list(range(1, 11))


@pytest.mark.parametrize(
    "told",
    [None, [], {}, {"segments": "many"}, {"segments": [{"start": "1", "end": 2, "text": "a"}]},
     {"timeline": [{"start": 3, "end": 2, "text": "a"}]}, {"segments": [], "words": [{"word": 1}]}],
)  # fmt: skip
def test_a_transcript_of_no_known_shape_is_none(told: Json) -> None:
    assert written.read(told, "en") is None
