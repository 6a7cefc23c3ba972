"""What the tests of moving share: a real installation, and a real Postgres."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from pytest_httpserver import HTTPServer

from tests import clips
from tests.api.served import Server, anyone, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Json = Any

# One rung is enough.
QUICK = {"ladder": [240], "preset": "ultrafast"}
SETTINGS = {"ANABRANCH_ADAPTIVE_VIDEO": json.dumps(QUICK)}


@pytest.fixture
def postgres(postgres_url: str) -> str:
    """The address of an empty database, as SQLAlchemy is told it."""
    return postgres_url.replace("postgresql://", "postgresql+psycopg://")


@dataclass
class Installation:
    """An installation whose server was killed in the middle of its work.

    Attributes:
        home: its folder.
        server: the server, stopped; another one at the same address answers with the same URLs.
        answers: what it answered to each request about what had ended by then.
        link: a signed address of a private film.
        open_task: what was being done.
        upload: the address of an upload of which a part has come, and `half`, what is to follow.
    """

    home: Path
    server: Server
    answers: dict[str, Json] = field(default_factory=dict)
    link: str = ""
    open_task: str = ""
    upload: str = ""
    half: bytes = b""

    def again(self, home: Path, database: str | None = None) -> Server:
        """A server at the same address, on another home folder and database."""
        other = Server(home, **SETTINGS, **({"ANABRANCH_DATABASE_URL": database} if database else {}))
        other.port, other.url, other.key = self.server.port, self.server.url, self.server.key
        return other


@pytest.fixture(scope="session")
def _installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    server = Server(tmp_path_factory.mktemp("moving") / "home", **SETTINGS).start()
    made = Installation(server.home, server)
    try:
        with HTTPServer(host="127.0.0.1") as listener:
            listener.expect_request("/").respond_with_data("heard")
            _use(made, listener.url_for("/"))
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()
    yield made


def _use(made: Installation, listener: str) -> None:
    server = made.server
    server.post("/webhooks/endpoints", {"url": listener, "topics": ["media.*"]})
    film = server.upload(clips.spoken(5), title="A stre\u00e9t \U0001f3ac")
    clip = clips.plain()
    small = {"file_id": server.file_id(film), "kind": "image", "options": {"width": 64}}
    image = server.post("/tasks", small, 201, **{"idempotency-key": "once"})["id"]
    broken = server.upload(clips.no_index())
    encode = {"file_id": server.file_id(film), "kind": "adaptive_video", "options": QUICK}
    cancelled = server.post("/tasks", encode)["id"]
    server.post(f"/tasks/{cancelled}/cancel", status=200)
    server.api.patch(f"/media/{film}", json={"private": True})
    for media_id in (film, broken):
        server.media(media_id, "ready", "degraded", "failed")
    server.task(image, "completed")
    made.link = server.post(f"/media/{film}/links", status=200)["hlsUrl"]
    assert anyone.get(made.link).status_code == 200
    begun = server.api.post("/uploads", headers={"tus-resumable": "1.0.0", "upload-length": str(clip.stat().st_size)})
    made.upload, made.half = begun.headers["location"], clip.read_bytes()[1000:]
    part = {"tus-resumable": "1.0.0", "upload-offset": "0", "content-type": "application/offset+octet-stream"}
    assert server.api.patch(made.upload, content=clip.read_bytes()[:1000], headers=part).status_code == 204
    until(lambda: "pending" not in {row["status"] for row in server.get("/webhooks/deliveries?limit=100")}, 90)
    delivery = server.get("/webhooks/deliveries?limit=100")[-1]["id"]
    for path in (
        "/media", f"/media/{film}", f"/media/{film}/timeline", f"/media/{broken}", f"/files?media_id={film}",
        f"/tasks/{image}", f"/tasks/{cancelled}", "/webhooks/endpoints", f"/webhooks/deliveries/{delivery}",
        "/media?q=times", "/search?q=best+of+times",
    ):  # fmt: skip
        made.answers[path] = server.get(path)
    made.open_task = server.post("/tasks", encode)["id"]
    server.task(made.open_task, "processing")
    server.kill()


@pytest.fixture
def installation(_installation: Installation, tmp_path: Path) -> Installation:
    """A copy of it, to be moved."""
    home = tmp_path / "home"
    shutil.copytree(_installation.home, home)
    return Installation(**{**vars(_installation), "home": home})


@pytest.fixture
def changed() -> Callable[..., None]:
    """Changes rows of a database by a statement."""

    def change(url: str, statement: str, **values: Json) -> None:
        # As another tool does it, which cleans nothing.
        database = sa.create_engine(url)
        with database.begin() as connection:
            connection.execute(sa.text(statement), values)
        database.dispose()

    return change
