"""App: puts the parts together. Opens settings, database, storage and engine once, and closes them once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import fastapi
import inngest
import inngest.fast_api
import structlog
from sqlalchemy.exc import SQLAlchemyError

from anabranch import engines, migrations, webhooks
from anabranch.catalog import keys, losses
from anabranch.database import open_database, stop_waiting
from anabranch.engine.events import Event
from anabranch.engine.signing import new_signing_key
from anabranch.errors import ResourceError
from anabranch.functions import deliver_webhook, fan_out, process_task
from anabranch.media import ffmpeg
from anabranch.media.sandbox import open_sandbox
from anabranch.media.source import Terms
from anabranch.ownership import own_file, own_home
from anabranch.retention import Retention
from anabranch.room import Room
from anabranch.storage import opening
from anabranch.tasks import capabilities
from anabranch.tasks.craft import Craft
from anabranch.tasks.elsewhere import Elsewhere
from anabranch.tasks.kinds import kind_named
from anabranch.tasks.orders import Orders
from anabranch.tasks.remote import RemoteTasks
from anabranch.tasks.workshop import Tools, Workshop
from anabranch.wakeups import Wakeups, hearing
from anabranch.workers import Membership

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    import sqlalchemy as sa

    from anabranch.engines import Engine
    from anabranch.functions.fan_out import Send
    from anabranch.settings import Settings
    from anabranch.storage import Storage

APP_ID = "anabranch"
# What starts the fan-out.
UPLOADED = "video/uploaded"
_THREADS = 32
_ANNOUNCED_WITHIN_S = 5.0
_PUT_AWAY_S = 5.0

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
        orders: has tasks done by the workers, of which this process may be one.
        room: what is free on the disk of the home folder, and to whom it was promised.
        engine: drives the functions.
        functions: serves the functions at `/api/inngest` to whichever engine asks.
        membership: this process among those that share the database.
        elsewhere: has tasks done by another Task API; None when all are done here.
    """

    settings: Settings
    database: sa.Engine
    storage: Storage
    orders: Orders
    room: Room
    engine: Engine
    functions: fastapi.FastAPI
    membership: Membership
    elsewhere: Elsewhere | None = None

    async def announce(self) -> None:
        """Hand the webhooks that are due to the engine."""
        await webhooks.announce(self.database, self._tell)

    async def send(self, name: str, events: Mapping[str, dict[str, Any]]) -> None:
        """Give the engine events of a name, by their ids."""
        await self.engine.send([Event(name, data, id=event_id) for event_id, data in events.items()])

    async def _tell(self, delivery_ids: list[str]) -> None:
        await self.send("webhook/delivery.created", {f"{one}.created": {"deliveryId": one} for one in delivery_ids})


@asynccontextmanager
async def open_app(
    settings: Settings,
    *,
    signed: bool = False,
    serves: bool = False,
    works: bool = True,
    parks: bool = True,
    drain_s: float = 0.0,
) -> AsyncIterator[App]:
    """Open everything for one process. What an earlier process left running goes on.

    Args:
        settings: what to open.
        signed: whether calls to functions are signed, because others can reach them too.
        serves: whether this process serves the API, at the settings' `base_url`.
        works: whether this process does pieces of tasks; others may.
        parks: whether a piece that nobody has room for waits until somebody has; else it fails.
        drain_s: how many seconds what is being done may go on at the end, unless the settings say so.

    Raises:
        SetupError: `home_unwritable`, `home_in_use`, `database_unavailable`, `database_in_use`, `ffmpeg_missing` or
            `inngest_key_missing`.
    """
    # Steps wait in threads for the database, and more of them than there are cores.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "anabranch"))
    with opened(settings, serves=serves, works=works, parks=parks) as parts:
        key = signing_key(settings, parts.database) if signed else None
        client = engines.new_client(APP_ID, settings, parts.database, key)
        asgi = fastapi.FastAPI(openapi_url=None)
        engine = engines.new_engine(settings, parts.database, parts.wakeups, parts.membership, client, key)
        elsewhere = open_elsewhere(settings, parts.database, parts.storage, hears=True)
        room = parts.tools.room
        app = App(
            settings, parts.database, parts.storage, parts.orders, room, engine, asgi, parts.membership, elsewhere
        )
        functions = build_functions(client, parts.database, parts.orders, app.send, app.announce, settings, elsewhere)
        inngest.fast_api.serve(asgi, client, functions.all)
        engine.register(functions.configs(_LOCAL_URL), asgi)
        await engine.start()
        try:
            async with working(parts, works=works, drain_s=drain_s if settings.drain_s is None else settings.drain_s):
                announcing = asyncio.create_task(_keep_announcing(app))
                try:
                    yield app
                finally:
                    announcing.cancel()
        finally:
            await engine.stop()
            # Not in the loop: the heartbeat may be waiting for it.
            await asyncio.to_thread(parts.membership.leave)


@dataclass(frozen=True)
class Parts:
    """What is opened once for a process, whichever engine drives its functions.

    Attributes:
        database: holds the catalog, and the rows of the embedded engine.
        storage: holds sources and outputs.
        tools: what pieces of tasks are done with.
        craft: how they are done.
        wakeups: how whoever waits hears of what happens elsewhere.
        membership: this process among those that share the database.
        orders: has tasks done.
        retention: removes what is kept no longer.
    """

    database: sa.Engine
    storage: Storage
    tools: Tools
    craft: Craft
    wakeups: Wakeups
    membership: Membership
    orders: Orders
    retention: Retention


@contextmanager
def opened(settings: Settings, *, serves: bool = False, works: bool = True, parks: bool = True) -> Iterator[Parts]:
    """Open what every process needs, and close it; arguments as of `open_app`.

    Raises:
        SetupError: `home_unwritable`, `home_in_use`, `database_unavailable`, `database_in_use` or `ffmpeg_missing`.
    """
    with ExitStack() as stack:
        stack.enter_context(own_home(settings.home))
        database = open_database(settings.database)
        stack.callback(database.dispose)
        stack.enter_context(own_file(database))
        migrations.upgrade(database)
        storage = open_storage(settings)
        tools = make_tools(settings, database, storage)
        able = capabilities.of(tools.ffmpeg, tools.speech_model, tools.cpu_slots) if works else {}
        address = settings.base_url if serves else None
        membership = Membership(database, settings.home, able, settings.lease_s, address)
        stack.callback(membership.leave)
        wakeups = Wakeups()
        stack.enter_context(hearing(database, wakeups))
        craft = Craft(tools)
        orders = Orders(database, wakeups, craft.showcase, craft.keeping, craft.sources, parks=parks)
        retention = Retention(database, storage, craft.keeping, settings)
        yield Parts(database, storage, tools, craft, wakeups, membership, orders, retention)


@asynccontextmanager
async def working(parts: Parts, *, works: bool = True, drain_s: float = 0.0) -> AsyncIterator[None]:
    """Be one of the workers for as long as the context lasts, and do pieces of tasks.

    Args:
        parts: what to work with.
        works: whether this process does pieces; else it only lets the others know of itself.
        drain_s: how many seconds what is being done may go on at the end.
    """
    workshop = _open_workshop(parts) if works else None
    running = asyncio.create_task(workshop.run()) if workshop is not None else None
    parts.membership.start()
    try:
        # Whoever had this home before was lost just now: what it was doing is not being done.
        await asyncio.to_thread(losses.release_lost, parts.database, parts.tools.max_losses)
        yield
    finally:
        # What is noted after that is noted at once or not at all.
        asyncio.get_running_loop().call_later(drain_s + _PUT_AWAY_S, stop_waiting)
        await asyncio.to_thread(parts.membership.drain)
        if workshop is not None and running is not None:
            await workshop.close(drain_s)
            await asyncio.gather(running, return_exceptions=True)


def _open_workshop(parts: Parts) -> Workshop:
    sweeps = parts.retention
    return Workshop(
        parts.tools,
        parts.craft,
        parts.wakeups,
        parts.membership,
        sweep=sweeps.sweep,
        sweep_often=sweeps.sweep_sources,
        parks=parts.orders.parks,
    )


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
    orders: Orders,
    send: Send,
    announce: Callable[[], Awaitable[None]],
    settings: Settings,
    elsewhere: Elsewhere | None = None,
) -> Functions:
    """The functions, for whichever engine drives the client's app.

    Raises:
        OptionError: `invalid_option`, of the package that the settings ask for.
    """
    kind_named("adaptive_video").read_options(settings.adaptive_video)
    most_steps = engines.most_piece_steps(settings)
    do_task = process_task.create(client, orders, announce, elsewhere, most_steps)
    upload = fan_out.create(client, do_task, database, orders.caption, announce, settings.adaptive_video)
    return Functions(
        client,
        [
            do_task,
            process_task.create_discard(client, do_task, orders, elsewhere),
            upload,
            fan_out.create_close(client, upload, database, send, announce),
            deliver_webhook.create(client, webhooks.Sender(database, settings.private_networks), settings.retry_scale),
        ],
    )


def open_storage(settings: Settings) -> Storage:
    """Where the settings say that the outputs are; in this home folder else. Only while nobody else works in that.

    Raises:
        SetupError: `storage_refused`.
    """
    own_folder, base_url = settings.home / "storage", settings.outputs_url
    return opening.open_storage(settings.storage, own_folder, base_url=base_url, endpoint=settings.storage_endpoint)


def open_elsewhere(settings: Settings, database: sa.Engine, storage: Storage, *, hears: bool) -> Elsewhere | None:
    """What has tasks done by another Task API, when the settings name one.

    Args:
        settings: where it is, and what it does.
        database: holds the catalog.
        storage: takes what is said.
        hears: whether this process serves the route at which it can be told that a task has ended.

    Raises:
        SetupError: `invalid_setting`.
    """
    if settings.tasks_url is None:
        return None
    key = settings.tasks_key.get_secret_value() if settings.tasks_key else None
    return Elsewhere(database, storage, RemoteTasks(settings.tasks_url, key), settings, hears=hears)


def make_tools(settings: Settings, database: sa.Engine, storage: Storage) -> Tools:
    """What pieces of tasks are done with in this process.

    Raises:
        SetupError: `ffmpeg_missing`, `ffmpeg_too_old` or `sandbox_missing`.
    """
    sandbox = open_sandbox(settings.sandbox, settings.limits)
    return Tools(
        database=database,
        storage=storage,
        ffmpeg=replace(ffmpeg.find(settings.ffmpeg), sandbox=sandbox),
        scratch=settings.home / "scratch",
        room=Room(settings.home),
        cpu_slots=settings.cpu_slots,
        terms=Terms(
            networks=settings.private_networks,
            folders=settings.source_folders,
            largest_bytes=settings.max_upload_bytes,
            within_s=settings.source_timeout_s,
            endpoint=settings.storage_endpoint,
        ),
        speech_model=settings.speech_model,
        max_losses=settings.max_losses,
    )


def signing_key(settings: Settings, database: sa.Engine) -> str:
    """What functions and engine sign with: the one that is set, or one that is made once and kept."""
    return settings.signing_key or keys.secret(database, "signing_key", new_signing_key)


async def _keep_announcing(app: App) -> None:
    """Hand over the webhooks that workers have written, or that a process left that is gone."""
    while True:
        try:
            await app.announce()
        except (ResourceError, SQLAlchemyError) as error:
            # They are handed over the next time.
            _log.warning("webhooks wait", error=str(error)[:300])
        await asyncio.sleep(_ANNOUNCED_WITHIN_S)


async def upload(app: App, media_id: str, source_url: str) -> str:
    """Start the fan-out of a source and return its run id. The same media id starts it once only."""
    event_id = await begin_upload(app, media_id, source_url)
    return (await asyncio.to_thread(app.engine.journal.runs_of_event, event_id))[0].id


async def begin_upload(app: App, media_id: str, source_url: str) -> str:
    """Start the fan-out of a source, whoever drives it, and return the id of its event."""
    event = Event(UPLOADED, {"mediaId": media_id, "sourceUrl": source_url}, id=upload_event(media_id))
    await app.engine.send([event])
    return event.id


def upload_event(media_id: str) -> str:
    """The id of the event that starts the fan-out of a media row; the same each time, so that it counts once."""
    return f"{media_id}.uploaded"
