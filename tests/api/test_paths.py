"""Paths: no name that a client gives leads out of where it belongs, neither to write nor to read."""

from __future__ import annotations

import asyncio
import base64
import http.client
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx2
import pytest

from anabranch.app import open_app
from anabranch.engine.events import Event
from anabranch.settings import Settings
from tests.api.served import elsewhere, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.served import Server

LONG = "x" * 5000
NAMES = [
    "../../escaped",
    "/tmp/escaped-absolutely",
    "..\\..\\escaped",
    "a\0b.mp4",
    "..",
    ".hidden",
    "a/../../escaped.mp4",
    "ünïcödé \u202e.mp4",
    "a\r\nset-cookie: escaped=1",
    LONG,
]
# Where files are written, below the home folder; and the database.
PLACES = ("storage/media/", "storage/tasks/", "storage/sources/", "scratch/", "uploads/", "anabranch.db", "server.log")
JUNK = b"no film, so that nothing long is made of it"


def named(name: str) -> str:
    return f"{name[:20]!r}.{len(name)}"


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes everything and makes nothing of it."""
    with serving(tmp_path_factory.mktemp("idle") / "home", "--no-work") as running:
        yield running


@pytest.fixture(scope="module")
def junk_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An address of what is no film."""
    folder = tmp_path_factory.mktemp("junk")
    (folder / "junk.mp4").write_bytes(JUNK)
    with elsewhere(folder) as url:
        yield f"{url}/junk.mp4"


def tree(server: Server) -> set[str]:
    """All files where the server could have put one, by where they are from its home folder."""
    around = server.home.parent
    found = {path.relative_to(around).as_posix() for path in around.rglob("*") if path.is_file()}
    return found | {f"/tmp/{path.name}" for path in Path("/tmp").glob("escaped*")}


def strange(server: Server, before: set[str]) -> list[str]:
    """New files that do not belong where they are."""
    home = f"{server.home.name}/"
    places = tuple(home + place for place in PLACES)
    new = tree(server) - before
    return [one for one in new if not one.startswith(places) or "escaped" in one or "/." in one]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES, ids=named)
def test_no_name_that_a_client_gives_leads_elsewhere(idle: Server, junk_url: str, name: str) -> None:
    before = tree(idle)
    api, tus = idle.api, {"tus-resumable": "1.0.0", "upload-length": str(len(JUNK))}
    encoded = base64.b64encode(name.encode("utf-8", "surrogatepass")).decode()
    part = {"content-type": "application/offset+octet-stream"}
    video = {"content-type": "video/mp4"}
    said = {"input": junk_url, "kind": "image", "ref": name, "folder": name, "filename": name, "output": name}
    header = name if name.isascii() and name.isprintable() else "odd"
    answers = [
        api.post("/media", params={"filename": name, "title": name}, content=JUNK, headers=video),
        api.post("/media", files={"file": (name, JUNK)}, data={"title": name, "metadata": "{}"}),
        api.post(
            "/uploads",
            content=JUNK,
            headers={**tus, **part, "upload-metadata": f"filename {encoded},filetype {encoded},title {encoded}"},
        ),
        api.post("/tasks", json=said),
        api.post("/tasks", json={**said, "id": name, "media_id": name}),
        api.post("/tasks", json={"input": name, "kind": "image"}),
        api.post("/tasks", json={"file_id": f"file_{name}", "kind": "image"}),
        api.post("/jobs", json={**said, "idempotency_key": name}, headers={"idempotency-key": header[:200]}),
        api.post("/files", json={"url": junk_url, "folder": name, "filename": name, "ref": name, "media_id": name}),
        api.post("/signatures", json={"filename": name, "folder": name, "method": "get"}),
        api.get(f"/media/{quote(name, safe='')}"),
        api.delete(f"/media/{quote(name, safe='')}"),
        api.delete(f"/tasks/{quote(name, safe='')}"),
        api.get(f"/tasks/x/attempts/{quote(name, safe='')}/1"),
        api.head(f"/uploads/{quote(name, safe='')}", headers={"tus-resumable": "1.0.0"}),
        api.delete(f"/uploads/{quote(name, safe='')}", headers={"tus-resumable": "1.0.0"}),
        api.get("/media", params={"q": name}, headers={"x-request-id": header}),
        *(
            api.post(f"/e/{idle.key}", json=event)
            for event in (
                {"name": "video/uploaded", "data": {"mediaId": name, "sourceUrl": junk_url}},
                {"name": "task/created", "data": {"id": name, "input": junk_url, "kind": "image"}},
                {"name": "task/created", "data": {"media_id": name, "input": junk_url, "kind": "image", "ref": name}},
                {"name": "task/cancelled", "data": {"id": name}},
                {"name": "media/deleted", "data": {"mediaId": name}},
                {"name": name[:200], "id": name[:500], "data": {name[:100]: name}},
            )
        ),
    ]
    put = api.post("/signatures", json={"filename": name, "folder": name, "method": "put"})
    answers.append(put)
    if put.status_code == 201:
        answers.append(httpx2.put(put.json()["url"], content=JUNK, headers=video))
    for answer in answers:
        assert answer.status_code < 500, (answer.request.url, answer.text)
        assert "set-cookie" not in answer.headers
    assert strange(idle, before) == []


def test_what_is_done_with_such_names_stays_where_it_belongs(server: Server, junk_url: str) -> None:
    before = tree(server)
    name = "../../escaped.mp4"
    made = server.post("/files", {"url": junk_url, "folder": name, "filename": name, "ref": name})
    task = server.post("/tasks", {"input": junk_url, "kind": "image", "ref": name, "folder": name, "filename": name})
    server.task(f"task_{made['id'].removeprefix('file_')}", "completed", "failed")
    server.task(task["id"], "failed")
    assert server.api.patch(f"/files/{made['id']}", json={"folder": name, "filename": name}).status_code == 200
    assert server.api.delete(f"/files/{made['id']}").status_code == 200
    assert strange(server, before) == []


@pytest.mark.parametrize("given", [{"id": "../../escaped"}, {"media_id": "../../escaped"}, {"id": "/tmp/escaped"}])
def test_functions_take_no_such_id_from_an_engine_elsewhere_either(
    tmp_path: Path, junk_url: str, given: dict[str, str]
) -> None:
    async def send() -> tuple[str, str]:
        async with open_app(Settings(home=tmp_path / "home", cpu_slots=1)) as app:
            event = Event("task/created", {"input": junk_url, "kind": "image", **given}, id="evil")
            await app.engine.send([event])
            (run,) = [one for one in app.engine.journal.runs_of_event("evil") if "process-task" in one.function_id]
            while (ended := app.engine.journal.run(run.id)) is not None and ended.status == "running":
                await asyncio.sleep(0.05)
            assert ended is not None
            return ended.status, str(ended.error)

    status, error = asyncio.run(asyncio.wait_for(send(), 60))
    assert (status, "cannot be an id" in error) == ("failed", True)
    assert list(tmp_path.rglob("*escaped*")) == []


@pytest.mark.parametrize("member", ["mediaId", "id", "media_id"])
@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", ".hidden", "a\\b", "", LONG, 7], ids=str)
def test_an_event_chooses_no_id_that_could_be_a_path(idle: Server, junk_url: str, member: str, name: object) -> None:
    event = "video/uploaded" if member == "mediaId" else "task/created"
    data = {"sourceUrl": junk_url, "input": junk_url, "kind": "image", member: name}
    answer = idle.api.post(f"/e/{idle.key}", json={"name": event, "data": data})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_event")
    assert member in answer.json()["detail"]


@pytest.mark.parametrize("where", ["outputs", "signed/9999999999-x"])
@pytest.mark.parametrize(
    "path",
    [
        "../anabranch.db",
        "media/../../../anabranch.db",
        "%2e%2e/anabranch.db",
        "%2e%2e%2fanabranch.db",
        "media/%2e%2e/%2e%2e/%2e%2e/anabranch.db",
        "media%2f..%2f..%2fanabranch.db",
        "%252e%252e%252fanabranch.db",
        "..%5canabranch.db",
        "..\\..\\anabranch.db",
        "media\\..\\..\\anabranch.db",
        "tasks/../../anabranch.db",
        "tasks/%2e%2e/%2e%2e/anabranch.db",
        "tasks/..%2f..%2fanabranch.db",
        "tasks//anabranch.db",
        "tasks/%00/anabranch.db",
        "tasks/x%00.mp4",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "tasks/%c0%ae%c0%ae/anabranch.db",
        "tasks/.hidden",
        "tasks/" + "x" * 300,
        "tasks/" + "y/" * 2000 + "z",
    ],
)
def test_no_address_of_an_output_reads_anything_else(idle: Server, where: str, path: str) -> None:
    for method in ("GET", "HEAD"):
        # By a client that sends it as it stands; others tidy it up.
        with closing(http.client.HTTPConnection("127.0.0.1", idle.port, timeout=60)) as line:
            line.request(method, f"/{where}/{path}")
            answer = line.getresponse()
            said = answer.read()
        assert answer.status in (400, 403, 404), said
        assert b"SQLite format" not in said
        assert b"root:" not in said
