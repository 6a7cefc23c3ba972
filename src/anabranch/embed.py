"""Embed: the functions inside an application of your own, beside its own functions.

Whichever engine drives the application's Inngest client drives them: Inngest itself, or `anabranch serve` elsewhere.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

import inngest

from anabranch import migrations, webhooks
from anabranch.app import build_functions, open_elsewhere, open_storage, own_home, tools
from anabranch.catalog import media
from anabranch.database import open_database
from anabranch.settings import read_settings
from anabranch.tasks.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from pathlib import Path

    from anabranch.catalog.tasks import Task
    from anabranch.settings import Settings
    from anabranch.tasks.workshop import Again, Tools

Json = Any
T = TypeVar("T")


class Anabranch:
    """The functions and what they work with, for one process.

    Args:
        settings: what to open; from the environment when None.

    Raises:
        SetupError: `home_unwritable`, `home_in_use`, `database_unavailable`, `ffmpeg_missing` or `invalid_setting`.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or read_settings()
        with ExitStack() as stack:
            stack.enter_context(own_home(self.settings.home))
            self._database = open_database(self.settings.database)
            stack.callback(self._database.dispose)
            migrations.upgrade(self._database)
            storage = open_storage(self.settings)
            self._elsewhere = open_elsewhere(self.settings, self._database, storage, hears=False)
            self._workshop = _WorkshopOfItsOwnLoop(tools(self.settings, self._database, storage))
            stack.callback(self._workshop.close)
            self._opened = stack.pop_all()

    @property
    def outputs(self) -> Path:
        """The folder of the outputs, to be served at `/outputs` of `ANABRANCH_BASE_URL`."""
        return self.settings.home / "storage"

    def functions(self, client: inngest.Inngest) -> list[inngest.Function[Any]]:
        """The functions, to be served by the SDK's `serve` with the client's own ones."""

        async def send(name: str, events: Mapping[str, dict[str, Any]]) -> None:
            await client.send([inngest.Event(name=name, data=data, id=one) for one, data in events.items()])

        async def tell(delivery_ids: list[str]) -> None:
            await send("webhook/delivery.created", {f"{one}.created": {"deliveryId": one} for one in delivery_ids})

        async def announce() -> None:
            await webhooks.announce(self._database, tell)

        made = build_functions(client, self._database, self._workshop, send, announce, self.settings, self._elsewhere)
        return made.all

    def media(self, media_id: str) -> dict[str, Json] | None:
        """The media record, or None."""
        return media.record(self._database, media_id)

    def close(self) -> None:
        """Stop what is being done, and let go of the home folder."""
        self._opened.close()


class _WorkshopOfItsOwnLoop(Workshop):
    """A workshop for applications whose requests have an event loop each, as Flask's and Django's have."""

    def __init__(self, given: Tools) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="anabranch", daemon=True)
        self._thread.start()
        super().__init__(given)

    def close(self) -> None:
        """Cancel what is being done and end the loop."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def plan(self, order: Task, again: Again | None = None) -> dict[str, Json]:
        return await self._there(super().plan(order, again))

    async def perform(self, order: Task, name: str) -> dict[str, Json]:
        return await self._there(super().perform(order, name))

    async def join(self, order: Task) -> dict[str, Json]:
        return await self._there(super().join(order))

    async def caption(self, media_id: str) -> None:
        await self._there(super().caption(media_id))

    async def give_up(self, task_id: str, error: dict[str, Json]) -> None:
        await self._there(super().give_up(task_id, error))

    async def discard(self, task_id: str) -> None:
        await self._there(super().discard(task_id))
