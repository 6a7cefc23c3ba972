"""Worker: drives runs and does pieces of tasks, without an API, until it is told to stop.

Any number may share a database and a storage, and start and stop in any order. What one was doing when it was lost is
taken up by the others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from anabranch import migrations, workers
from anabranch.app import open_app
from anabranch.database import is_transient, open_database
from anabranch.errors import SetupError
from anabranch.stopping import DRAIN_S, told_to_stop
from anabranch.wakeups import signalled

if TYPE_CHECKING:
    from anabranch.settings import Settings

_log = structlog.get_logger(__name__)

_ASK_AGAIN_S = 1.0


async def work(settings: Settings) -> None:
    """Work until a signal comes; then take nothing new, let what is being done end, and hand over the rest.

    A second signal ends at once what is being done.

    Raises:
        SetupError: what `open_app` raises.
    """
    with told_to_stop() as stop:
        base_url = await _served_at(settings, stop)
        if base_url is None:
            return
        settings = settings.model_copy(update={"base_url": base_url})
        async with open_app(settings, signed=True, drain_s=DRAIN_S):
            _log.info("worker works", slots=settings.cpu_slots)
            await stop.wait()
            _log.info("worker drains")


async def _served_at(settings: Settings, stop: asyncio.Event) -> str | None:
    """Where the outputs are served, as the settings or a server say that shares the database; None when told to stop.

    A database that is away, and a server that has not started yet, are waited for: workers start in any order.
    """
    told = ""
    while not stop.is_set():
        try:
            found = await asyncio.to_thread(_ask, settings)
            waits_for = "a server that says where outputs are served; or set ANABRANCH_BASE_URL"
        except SetupError as error:
            if error.__cause__ is None or not is_transient(error.__cause__):
                raise
            found, waits_for = None, error.message
        if found is not None:
            return found
        if waits_for != told:
            _log.warning("worker waits", waits_for=waits_for)
            told = waits_for
        await signalled(stop, _ASK_AGAIN_S)
    return None


def _ask(settings: Settings) -> str | None:
    database = open_database(settings.database)
    try:
        if database.dialect.name == "sqlite":
            raise SetupError(
                "database_not_shared",
                f"A worker shares its database with others, and {settings.database} is for one process.",
                "Set ANABRANCH_DATABASE_URL to a PostgreSQL; or let `anabranch serve` do the work, as it does alone.",
            )
        migrations.upgrade(database)
        return settings.base_url or workers.served_at(database)
    finally:
        database.dispose()
