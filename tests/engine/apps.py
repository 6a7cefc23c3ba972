"""Apps: small apps of the official SDK, served in this process to an engine on a real database."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import fastapi
import inngest
import inngest.fast_api

from anabranch.database import open_database
from anabranch.engine.events import Event
from anabranch.engine.host import Engine
from anabranch.wakeups import Wakeups, hearing
from anabranch.workers import Membership
from tests.databases import put_migrated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from anabranch.engine.journal import Run


def new_client() -> inngest.Inngest:
    quiet = logging.getLogger("tests.app")
    quiet.setLevel(logging.CRITICAL)
    return inngest.Inngest(app_id="app", is_production=False, logger=quiet)


def registration(functions: Sequence[inngest.Function[Any]]) -> list[dict[str, Any]]:
    """What the app tells an engine of its functions."""
    found = [config for one in functions for config in vars(one.get_config("http://app.test/api/inngest")).values()]
    return [config.to_dict() for config in found if config is not None]


@asynccontextmanager
async def running(
    folder: Path,
    client: inngest.Inngest,
    functions: Sequence[inngest.Function[Any]],
    retry_scale: float = 0.0,
    url: str | None = None,
) -> AsyncIterator[Engine]:
    """An engine that drives the functions, on a database in the folder, or one with all tables that others share."""
    folder.mkdir(exist_ok=True)
    database = open_database(url or put_migrated(folder / "engine.db"))
    app = fastapi.FastAPI()
    inngest.fast_api.serve(app, client, list(functions))
    membership = Membership(database, folder, {}, lease_s=12)
    wakeups = Wakeups()
    engine = Engine(database, wakeups, membership, retry_scale=retry_scale)
    engine.register(registration(functions), app)
    with hearing(database, wakeups):
        await engine.start()
        membership.start()
        try:
            yield engine
        finally:
            await engine.stop()
            # Its last beat may be asking this loop for something.
            await asyncio.to_thread(membership.leave)
    database.dispose()


async def run(engine: Engine, name: str, data: dict[str, Any] | None = None) -> Run:
    """The run that an event starts, ended."""
    (event_id,) = await engine.send([Event(name, data or {})])
    (started,) = engine.journal.runs_of_event(event_id)
    return await engine.ended(started.id)
