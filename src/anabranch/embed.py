"""Embed: the functions inside an application of your own, beside its own functions.

Whichever engine drives the application's Inngest client drives them: Inngest itself, or `anabranch serve` elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import inngest

from anabranch import webhooks
from anabranch.app import build_functions, open_elsewhere, opened, working
from anabranch.catalog import media
from anabranch.errors import SetupError
from anabranch.settings import read_settings
from anabranch.storage.files import FileStorage
from anabranch.wakeups import signalled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from anabranch.app import Parts
    from anabranch.settings import Settings

Json = Any

_ANNOUNCED_WITHIN_S = 5.0


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
            parts = stack.enter_context(opened(self.settings))
            self._database = parts.database
            self._orders = parts.orders
            self._storage = parts.storage
            self._elsewhere = open_elsewhere(self.settings, parts.database, parts.storage, hears=False)
            self._worker = _Worker(parts)
            self._worker.start()
            stack.callback(self._worker.stop)
            self._opened = stack.pop_all()

    @property
    def outputs(self) -> Path:
        """The folder of the outputs, to be served at `/outputs` of `ANABRANCH_BASE_URL`.

        Raises:
            SetupError: `outputs_elsewhere`, when they are in a bucket.
        """
        if not isinstance(self._storage, FileStorage):
            raise SetupError(
                "outputs_elsewhere",
                f"The outputs are in {self.settings.storage} and in no folder.",
                "Serve the bucket, by a CDN or by `anabranch serve`, and set ANABRANCH_BASE_URL to where that is.",
            )
        return self._storage.root

    def functions(self, client: inngest.Inngest) -> list[inngest.Function[Any]]:
        """The functions, to be served by the SDK's `serve` with the client's own ones."""

        async def send(name: str, events: Mapping[str, dict[str, Any]]) -> None:
            await client.send([inngest.Event(name=name, data=data, id=one) for one, data in events.items()])

        async def tell(delivery_ids: list[str]) -> None:
            await send("webhook/delivery.created", {f"{one}.created": {"deliveryId": one} for one in delivery_ids})

        async def announce() -> None:
            await webhooks.announce(self._database, tell)

        async def tell_from_there(delivery_ids: list[str]) -> None:
            name = "webhook/delivery.created"
            told = [inngest.Event(name=name, data={"deliveryId": one}, id=f"{one}.created") for one in delivery_ids]
            # The client's connections belong to the application's loops.
            await asyncio.to_thread(client.send_sync, told)

        async def announce_from_there() -> None:
            await webhooks.announce(self._database, tell_from_there)

        self._worker.announce = announce_from_there

        made = build_functions(client, self._database, self._orders, send, announce, self.settings, self._elsewhere)
        return made.all

    def media(self, media_id: str) -> dict[str, Json] | None:
        """The media record, or None."""
        return media.record(self._database, media_id)

    def close(self) -> None:
        """Stop what is being done, and let go of the home folder."""
        self._opened.close()


async def _nothing() -> None:
    """Nobody listens before the functions are there."""


class _Worker(threading.Thread):
    """Does pieces of tasks in a loop of its own: the requests of an application may have an event loop each."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(name="anabranch", daemon=True)
        self._parts = parts
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self.announce: Callable[[], Awaitable[None]] = _nothing

    def run(self) -> None:
        self._loop.run_until_complete(self._work())
        self._loop.close()

    def stop(self) -> None:
        """Stop what is being done, and return when it has."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self.join()

    async def _work(self) -> None:
        async with working(self._parts):
            while not self._stopped.is_set():
                await signalled(self._stopped, _ANNOUNCED_WITHIN_S)
                # Webhooks that were written here, or left by somebody who is gone; what cannot be told now is later.
                with contextlib.suppress(Exception):
                    await self.announce()
