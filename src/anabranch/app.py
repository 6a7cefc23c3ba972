"""App: puts the parts together. Opens settings, database, storage and engine once, and closes them once."""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import fastapi
import inngest
import inngest.fast_api
import structlog

from anabranch import clock, engines, migrations, webhooks
from anabranch.catalog import keys
from anabranch.database import open_database
from anabranch.engine.events import Event
from anabranch.engine.signing import new_signing_key
from anabranch.errors import ResourceError, SetupError
from anabranch.functions import deliver_webhook, fan_out, process_task
from anabranch.media import ffmpeg
from anabranch.storage.files import FileStorage
from anabranch.tasks.kinds import kind_named
from anabranch.tasks.workshop import Tools, Workshop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
    from pathlib import Path

    import sqlalchemy as sa

    from anabranch.engines import Engine
    from anabranch.functions.fan_out import Send
    from anabranch.settings import Settings

APP_ID = "anabranch"

_log = structlog.get_logger(__name__)

# The embedded engine calls the app in this process; the address only has to be one.
_LOCAL_URL = "http://anabranch.local/api/inngest"


@dataclass(frozen=True)
class App:
    """The running parts.

    Attributes:
        settings: what they were opened with.
        database: holds the catalog and the engine's rows.
        storage: holds the outputs.
        workshop: does the tasks.
        engine: drives the functions.
        functions: serves the functions at `/api/inngest` to whichever engine asks.
        opened_at: when they were opened, Unix milliseconds.
    """

    settings: Settings
    database: sa.Engine
    storage: FileStorage
    workshop: Workshop
    engine: Engine
    functions: fastapi.FastAPI
    opened_at: int = field(default_factory=clock.now_ms)

    async def announce(self) -> None:
        """Hand the webhooks that are due to the engine."""
        await webhooks.announce(self.database, self._tell)

    async def send(self, name: str, events: Mapping[str, dict[str, Any]]) -> None:
        """Give the engine events of a name, by their ids."""
        await self.engine.send([Event(name, data, id=event_id) for event_id, data in events.items()])

    async def _tell(self, delivery_ids: list[str]) -> None:
        await self.send("webhook/delivery.created", {f"{one}.created": {"deliveryId": one} for one in delivery_ids})


@asynccontextmanager
async def open_app(settings: Settings, *, signed: bool = False) -> AsyncIterator[App]:
    """Open everything for one process. What an earlier process left running goes on.

    Args:
        settings: what to open.
        signed: whether calls to functions are signed, because others can reach them too.

    Raises:
        SetupError: `home_unwritable`, `home_in_use`, `database_unavailable`, `ffmpeg_missing` or
            `inngest_key_missing`.
    """
    with own_home(settings.home):
        database = open_database(settings.database)
        migrations.upgrade(database)
        storage = open_storage(settings)
        workshop = Workshop(tools(settings, database, storage))
        key = signing_key(settings, database) if signed else None
        client = engines.new_client(APP_ID, settings, database, key)
        asgi = fastapi.FastAPI(openapi_url=None)
        engine = engines.new_engine(settings, database, client, key)
        app = App(settings, database, storage, workshop, engine, asgi)
        functions = build_functions(client, database, workshop, app.send, app.announce, settings)
        inngest.fast_api.serve(asgi, client, functions.all)
        engine.register(functions.configs(_LOCAL_URL), asgi)
        await engine.start()
        try:
            await _announce_first(app)
            yield app
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


def build_functions(
    client: inngest.Inngest,
    database: sa.Engine,
    workshop: Workshop,
    send: Send,
    announce: Callable[[], Awaitable[None]],
    settings: Settings,
) -> Functions:
    """The functions, for whichever engine drives the client's app.

    Raises:
        OptionError: `invalid_option`, of the package that the settings ask for.
    """
    kind_named("adaptive_video").read_options(settings.adaptive_video)
    do_task = process_task.create(client, workshop, announce, engines.most_piece_steps(settings))
    upload = fan_out.create(client, do_task, database, workshop.caption, announce, settings.adaptive_video)
    return Functions(
        client,
        [
            do_task,
            process_task.create_discard(client, do_task, workshop),
            upload,
            fan_out.create_close(client, upload, database, send, announce),
            deliver_webhook.create(client, webhooks.Sender(database), settings.retry_scale),
        ],
    )


def open_storage(settings: Settings) -> FileStorage:
    """The outputs of this home folder. Only while nobody else works in it."""
    base_url = f"{settings.base_url.rstrip('/')}/outputs" if settings.base_url else None
    storage = FileStorage(settings.home / "storage", base_url)
    storage.sweep()
    return storage


def tools(settings: Settings, database: sa.Engine, storage: FileStorage) -> Tools:
    """What the workshop of this process works with."""
    return Tools(
        database=database,
        storage=storage,
        ffmpeg=ffmpeg.find(settings.ffmpeg),
        scratch=settings.home / "scratch",
        cpu_slots=settings.cpu_slots,
        speech_model=settings.speech_model,
    )


def signing_key(settings: Settings, database: sa.Engine) -> str:
    """What functions and engine sign with: the one that is set, or one that is made once and kept."""
    return settings.signing_key or keys.secret(database, "signing_key", new_signing_key)


async def _announce_first(app: App) -> None:
    """Hand over the webhooks that an earlier process has left, if the engine can be reached yet."""
    try:
        await app.announce()
    except ResourceError as error:
        # They are handed over with the next ones, and whoever has started this waits for more than them.
        _log.warning("webhooks wait", error=str(error))


@contextmanager
def own_home(home: Path) -> Iterator[None]:
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
    event_id = await begin_upload(app, media_id, source_url)
    return (await asyncio.to_thread(app.engine.journal.runs_of_event, event_id))[0].id


async def begin_upload(app: App, media_id: str, source_url: str) -> str:
    """Start the fan-out of a source, whoever drives it, and return the id of its event."""
    event = Event("video/uploaded", {"mediaId": media_id, "sourceUrl": source_url}, id=f"{media_id}.uploaded")
    await app.engine.send([event])
    return event.id
