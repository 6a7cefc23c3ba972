"""App: puts the parts together. Opens settings, database, storage and engine once, and closes them once."""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import fastapi
import inngest
import inngest.fast_api

from anabranch import migrations
from anabranch.database import open_database
from anabranch.engine.events import Event
from anabranch.engine.host import Engine
from anabranch.errors import SetupError
from anabranch.functions import fan_out, process_task
from anabranch.media import ffmpeg
from anabranch.storage.files import FileStorage
from anabranch.tasks.workshop import Tools, Workshop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    import sqlalchemy as sa

    from anabranch.settings import Settings

APP_ID = "anabranch"

# The embedded engine calls the app in this process; the address only has to be one.
_LOCAL_URL = "http://anabranch.local/api/inngest"


@dataclass(frozen=True)
class App:
    """The running parts.

    Attributes:
        settings: what they were opened with.
        database: holds the catalog and the engine's rows.
        storage: holds the outputs.
        engine: drives the functions.
        asgi: serves the functions at `/api/inngest` to whichever engine asks.
    """

    settings: Settings
    database: sa.Engine
    storage: FileStorage
    engine: Engine
    asgi: fastapi.FastAPI


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[App]:
    """Open everything for one process. What an earlier process left running goes on.

    Raises:
        SetupError: `home_unwritable`, `home_in_use`, `database_unavailable` or `ffmpeg_missing`.
    """
    with _own(settings.home):
        database = open_database(settings.database)
        migrations.upgrade(database)
        storage = FileStorage(settings.home / "storage", settings.base_url)
        storage.sweep()
        functions = build_functions(_embedded_client(), database, open_workshop(settings, database, storage))
        asgi = fastapi.FastAPI()
        inngest.fast_api.serve(asgi, functions.client, functions.all)
        engine = Engine(database, retry_scale=settings.retry_scale)
        engine.register(functions.configs(_LOCAL_URL), asgi)
        await engine.start()
        try:
            yield App(settings, database, storage, engine, asgi)
        finally:
            await engine.stop()
            database.dispose()


@dataclass(frozen=True)
class Functions:
    """The project's functions and the client that they belong to."""

    client: inngest.Inngest
    all: list[inngest.Function[Any]]

    def configs(self, url: str) -> list[Mapping[str, Any]]:
        """Each as in the body of a registration request, served at `url`."""
        found = [config for function in self.all for config in vars(function.get_config(url)).values()]
        return [config.to_dict() for config in found if config is not None]


def build_functions(client: inngest.Inngest, database: sa.Engine, workshop: Workshop) -> Functions:
    """The functions, for whichever engine drives the client's app."""
    do_task = process_task.create(client, workshop)
    return Functions(client, [do_task, fan_out.create(client, do_task, database)])


def open_workshop(settings: Settings, database: sa.Engine, storage: FileStorage) -> Workshop:
    """The workshop of this process."""
    return Workshop(
        Tools(
            database=database,
            storage=storage,
            ffmpeg=ffmpeg.find(settings.ffmpeg),
            scratch=settings.home / "scratch",
            cpu_slots=settings.cpu_slots,
            speech_model=settings.speech_model,
        )
    )


def _embedded_client() -> inngest.Inngest:
    # Calls stay within this process, so there is nothing to sign.
    return inngest.Inngest(app_id=APP_ID, is_production=False, logger=logging.getLogger("inngest"))


@contextmanager
def _own(home: Path) -> Iterator[None]:
    """Hold the home folder for this process alone: a second one would drive the same runs."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "lock").open("a+")
    except OSError as error:
        raise SetupError(
            "home_unwritable",
            f"The folder {home} cannot be written: {error.strerror}.",
            "Choose another one, or correct its permissions.",
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise SetupError(
                "home_in_use",
                f"Process {lock.read().strip() or 'unknown'} works in {home} already.",
                "Wait for it, stop it, or choose another folder.",
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


async def upload(app: App, media_id: str, source_url: str) -> str:
    """Start the fan-out of a source and return its run id. The same media id starts it once only."""
    event = Event("video/uploaded", {"mediaId": media_id, "sourceUrl": source_url}, id=f"{media_id}.uploaded")
    await app.engine.send([event])
    return next(run.id for run in app.engine.journal.runs_of_event(event.id))
