"""Worker: drives runs and does pieces of tasks, without an API, until it is told to stop.

Any number may share a database and a storage, and start and stop in any order. What one was doing when it was lost is
taken up by the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

import structlog

from anabranch import migrations, workers
from anabranch.app import open_app
from anabranch.database import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anabranch.settings import Settings

_log = structlog.get_logger(__name__)

# How long what is being done may go on when a worker is told to stop, unless the settings say so.
DRAIN_S = 30.0
_ASK_AGAIN_S = 1.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def work(settings: Settings) -> None:
    """Work until a signal comes; then take nothing new, let what is being done end, and hand over the rest.

    A second signal ends at once what is being done.

    Raises:
        SetupError: what `open_app` raises.
    """
    with told_to_stop() as stop:
        base_url = settings.base_url or await _served_at(settings, stop)
        if stop.is_set():
            return
        settings = settings.model_copy(update={"base_url": base_url})
        async with open_app(settings, signed=True, drain_s=DRAIN_S):
            _log.info("worker works", slots=settings.cpu_slots)
            await stop.wait()
            _log.info("worker drains")


async def _served_at(settings: Settings, stop: asyncio.Event) -> str | None:
    """Where the outputs are served, as a server has said that shares the database; None when told to stop."""
    database = open_database(settings.database)
    try:
        await asyncio.to_thread(migrations.upgrade, database)
        told = False
        while not stop.is_set():
            found = await asyncio.to_thread(workers.served_at, database)
            if found is not None:
                return found
            if not told:
                _log.warning("waits for a server to say where outputs are served", or_set="ANABRANCH_BASE_URL")
                told = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _ASK_AGAIN_S)
        return None
    finally:
        database.dispose()


@contextlib.contextmanager
def told_to_stop() -> Iterator[asyncio.Event]:
    """Set once a signal says that the process should end. With the second one the process is interrupted."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()

    def told() -> None:
        if stop.is_set() and main is not None:
            main.cancel()
        stop.set()

    for one in _SIGNALS:
        loop.add_signal_handler(one, told)
    try:
        yield stop
    finally:
        for one in _SIGNALS:
            loop.remove_signal_handler(one)
