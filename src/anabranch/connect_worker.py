"""Connect worker: executes the functions for an Inngest server, over a connection that it opens itself.

The SDK keeps the connection (heartbeats, leases of what is executed, another gateway when one closes). When the server
cannot be reached for half a minute the SDK gives up; here a new connection is begun then, until a signal comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
from typing import TYPE_CHECKING

import structlog
from inngest.connect import connect

from anabranch import engines
from anabranch.app import APP_ID, build_functions, open_app
from anabranch.errors import SetupError
from anabranch.stopping import DRAIN_S, told_to_stop
from anabranch.wakeups import signalled

if TYPE_CHECKING:
    from inngest.connect._internal.connection import WorkerConnection

    from anabranch.app import App, Functions
    from anabranch.settings import Settings

_log = structlog.get_logger(__name__)

# Steps wait for their turn here, and one that waits costs next to nothing. More than the steps of two long films.
_STEPS_AT_ONCE = 1000
_CONCURRENCY = "INNGEST_CONNECT_MAX_WORKER_CONCURRENCY"
_AGAIN_AFTER_S = 5.0


async def connect_worker(settings: Settings, worker_id: str | None = None) -> None:
    """Execute functions until a signal comes; then finish what is being executed, and take no more.

    Args:
        settings: what to open.
        worker_id: who this is, to the server; the same after a restart. The host's name and the home folder if None.

    Raises:
        SetupError: `inngest_key_refused`, or what `open_app` raises.
    """
    drain_s = DRAIN_S if settings.drain_s is None else settings.drain_s
    # Steps wait for pieces, so what pieces may take to end is in the time that steps have.
    settings = settings.model_copy(update={"drain_s": 0.0})
    with told_to_stop() as stop:
        async with open_app(settings) as app:
            executing = asyncio.create_task(execute(app, worker_id or _name_of(settings), stop))
            await asyncio.wait([executing, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
            # What it holds for longer the server gives to another worker.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(executing, drain_s)


async def execute(app: App, instance_id: str, stop: asyncio.Event) -> None:
    """Execute functions of an app until `stop` is set, over one connection after another.

    Raises:
        SetupError: `inngest_key_refused`.
    """
    client = engines.new_client(APP_ID, app.settings, app.database, None)
    functions = build_functions(client, app.database, app.orders, app.send, app.announce, app.settings, app.elsewhere)
    while not stop.is_set():
        await _connected(functions, instance_id, stop)


async def _connected(functions: Functions, instance_id: str, stop: asyncio.Event) -> None:
    """Execute functions over one connection, until it is given up or a signal has come.

    Raises:
        SetupError: `inngest_key_refused`.
    """
    connection = connect(
        [(functions.client, functions.all)],
        instance_id=instance_id,
        # A signal must be heard between two connections as well.
        shutdown_signals=[],
        max_worker_concurrency=None if os.environ.get(_CONCURRENCY) else _STEPS_AT_ONCE,
    )
    _log.info("worker connects", instance=instance_id, server=functions.client.api_origin)
    closing = asyncio.create_task(_close_when(stop, connection))
    try:
        await connection.start()
    except Exception as error:  # whatever the server or the way to it came to, it may come back
        if str(error) == "unauthorized":
            raise SetupError(
                "inngest_key_refused",
                f"{functions.client.api_origin} does not know the signing key.",
                "Set INNGEST_SIGNING_KEY as the server has it.",
            ) from error
        _log.warning("connection given up", error=str(error), again_in_s=_AGAIN_AFTER_S)
        await signalled(stop, _AGAIN_AFTER_S)
    finally:
        closing.cancel()


async def _close_when(stop: asyncio.Event, connection: WorkerConnection) -> None:
    await stop.wait()
    _log.info("worker stops once what it executes is done")
    await connection.close()


def _name_of(settings: Settings) -> str:
    """A name that two workers on one host do not share, and that a restart does not change."""
    return f"{socket.gethostname()}-{hashlib.sha256(str(settings.home.resolve()).encode()).hexdigest()[:8]}"
