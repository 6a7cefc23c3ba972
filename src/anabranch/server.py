"""Serve: API, engine and worker in one process, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from typing import TYPE_CHECKING

import structlog
import uvicorn
from sqlalchemy.exc import DatabaseError

from anabranch.api import uploads
from anabranch.api.server import create_api
from anabranch.app import open_app
from anabranch.catalog import keys
from anabranch.database import words
from anabranch.errors import ResourceError, SetupError
from anabranch.stopping import told_to_stop
from anabranch.web.pages import add_pages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anabranch.app import App
    from anabranch.settings import Settings

_log = structlog.get_logger(__name__)

# The line of a request and its headers.
_LARGEST_HEAD_BYTES = 64 << 10
_SYNC_AGAIN_S = (0.5, 1, 2, 5, 10, 30)


async def serve(settings: Settings, app_urls: Sequence[str] = (), *, works: bool = True) -> None:
    """Serve until a signal comes.

    Args:
        settings: what to open, and where to listen.
        app_urls: where other apps serve functions, to be registered.
        works: whether this process does pieces of tasks; else workers have to.

    Raises:
        SetupError: `address_in_use`, `engine_elsewhere`, or what `open_app` raises.
        ResourceError: `database_failed`.
    """
    if app_urls and settings.engine != "embedded":
        raise SetupError(
            "engine_elsewhere",
            f"--app {app_urls[0]}: the engine is elsewhere, and apps register with it.",
            "Give the app the address of the Inngest server, or serve with --engine embedded.",
        )
    with _listen(settings.host, settings.port) as listener:
        port = listener.getsockname()[1]
        settings = settings.model_copy(
            update={"base_url": (settings.base_url or f"http://{settings.host}:{port}").rstrip("/"), "port": port}
        )
        # Outside, so that what is put away at the end is not cut short by being told again.
        with told_to_stop() as stop:
            try:
                await _serve(settings, listener, app_urls, stop, works=works)
            except DatabaseError as error:
                raise ResourceError(
                    "database_failed",
                    f"The database cannot be read or written: {words(error)}.",
                    "What is done is kept. See to its disk; one that is damaged is restored from a backup.",
                ) from error


async def _serve(
    settings: Settings, listener: socket.socket, app_urls: Sequence[str], stop: asyncio.Event, *, works: bool
) -> None:
    async with open_app(settings, signed=True, serves=True, works=works) as app:
        _greet(app)
        await uploads.resume(app)
        api = create_api(app)
        add_pages(api)
        config = uvicorn.Config(
            api,
            log_config=None,
            # Every request is logged by the API itself, which knows what of an address is a secret.
            access_log=False,
            # Of the two that it knows, the one that is always there, and that limits what comes before a body.
            http="h11",
            h11_max_incomplete_event_size=_LARGEST_HEAD_BYTES,
            # A stream never ends by itself.
            timeout_graceful_shutdown=3,
            timeout_keep_alive=65,
        )
        server = _Server(config)
        syncing = asyncio.create_task(_sync(app, app_urls))
        stopping = asyncio.create_task(server.stop_when(stop))
        sweeping = asyncio.create_task(uploads.keep_giving_up(app))
        try:
            await server.serve(sockets=[listener])
        finally:
            syncing.cancel()
            stopping.cancel()
            sweeping.cancel()


class _Server(uvicorn.Server):
    """A server that leaves signals to others: it would end the process before its work is handed over."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them."""
        yield

    async def stop_when(self, stop: asyncio.Event) -> None:
        """End what is being answered, and then the serving."""
        await stop.wait()
        self.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # A burst of a thousand connections is no reason to turn one away.
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise SetupError(
            "address_in_use",
            f"Port {port} of {host} cannot be listened on: {error.strerror}.",
            "Stop what listens there, or choose another one: --port or ANABRANCH_PORT.",
        ) from error
    return listener


def _greet(app: App) -> None:
    """Say where it is, and show the first key, once."""
    print(f"Anabranch serves {app.settings.base_url}", file=sys.stderr)
    if app.settings.open_access:
        print("ANABRANCH_OPEN_ACCESS is set: everybody who reaches it may use it.", file=sys.stderr)
    if not keys.every(app.database):
        _, text = keys.create(app.database, "first")
        print("The first API key, shown this once:", file=sys.stderr, flush=True)
        print(text, flush=True)


async def _sync(app: App, urls: Sequence[str]) -> None:
    """Register other apps, once they answer."""
    for url in urls:
        for wait_s in _SYNC_AGAIN_S:
            try:
                await app.engine.sync(url)
                break
            except Exception as error:  # noqa: BLE001  (it may start later than this server)
                _log.warning("app cannot be registered yet", url=url, error=str(error), again_in_s=wait_s)
                await asyncio.sleep(wait_s)
