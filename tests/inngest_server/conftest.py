"""What tests with an Inngest server share: workers as processes, and the API of a process that hands events to it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from anabranch.api.server import create_api
from anabranch.app import open_app
from anabranch.catalog import keys
from anabranch.settings import Settings
from tests.inngest_server.gateway import EVENT_KEY, SIGNING_KEY, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from anabranch.app import App
    from tests.inngest_server.gateway import Gateway

Json = Any

BASE_URL = "http://media.test"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Api:
    """The API of an app in this process, and an Inngest server that its events go to."""

    def __init__(self, app: App, gateway: Gateway | None, folder: Path) -> None:
        self.app = app
        self.folder = folder
        self._gateway = gateway
        _, key = keys.create(app.database, "test")
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(create_api(app)),
            base_url=BASE_URL,
            headers={"authorization": f"Bearer {key}"},
        )

    @property
    def gateway(self) -> Gateway:
        """The server."""
        assert self._gateway is not None
        return self._gateway

    async def upload(self, clip: Path) -> str:
        """Upload a clip; its media id."""
        headers = {"content-type": "video/mp4"}
        answer = await self.http.post(
            "/media", params={"filename": clip.name}, content=clip.read_bytes(), headers=headers
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def get(self, path: str) -> Json:
        """What a GET answers."""
        answer = await self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @contextmanager
    def worker(self, name: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """`anabranch worker`, with a home of its own and the database and storage of all."""
        home = self.folder / name
        home.mkdir()
        log = (home / "worker.log").open("a")
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("INNGEST_")},
            **variables(self.gateway.url),
            "ANABRANCH_HOME": str(home),
            "ANABRANCH_DATABASE_URL": self.app.settings.database,
            "ANABRANCH_STORAGE": str(self.folder / "storage"),
            "ANABRANCH_BASE_URL": BASE_URL,
            "ANABRANCH_LEASE_S": "4",
            "ANABRANCH_CPU_SLOTS": "1",
        }
        command = [sys.executable, "-m", "anabranch", "worker", "--engine", "inngest", *arguments]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.wait(30)
            log.close()


def variables(url: str) -> dict[str, str]:
    """What tells the SDK of an Inngest server."""
    return {"INNGEST_BASE_URL": url, "INNGEST_EVENT_KEY": EVENT_KEY, "INNGEST_SIGNING_KEY": SIGNING_KEY}


@asynccontextmanager
async def opened(folder: Path, monkeypatch: pytest.MonkeyPatch, url: str | None = None) -> AsyncIterator[Api]:
    """The API of a process whose engine is an Inngest server that runs beside it.

    With the address of a database that workers share with it, they do all the work.
    """
    async with running() as gateway:
        for name, value in variables(gateway.url).items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("INNGEST_DEV", raising=False)
        shared: Json = {} if url is None else {"database_url": url, "storage": str(folder / "storage")}
        settings = Settings(home=folder / "api", engine="inngest", base_url=BASE_URL, **shared)
        async with open_app(settings, works=url is None) as app:
            yield Api(app, gateway, folder)


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Api]:
    """The API of a process whose engine is its own."""
    async with open_app(Settings(home=folder / "embedded", base_url=BASE_URL, cpu_slots=1)) as app:
        yield Api(app, None, folder)
