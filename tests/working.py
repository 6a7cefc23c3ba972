"""Working: a workshop in a thread of its own, for tests that ask for pieces themselves."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from anabranch.app import opened, working
from tests.databases import put_migrated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anabranch.app import Parts
    from anabranch.settings import Settings


@contextmanager
def at_work(settings: Settings) -> Iterator[Parts]:
    """What a process has open that does pieces of tasks, and drives nothing."""
    if settings.database_url is None:
        put_migrated(settings.home / "anabranch.db")
    with opened(settings) as parts:
        loop = asyncio.new_event_loop()
        ended = asyncio.Event()

        async def work() -> None:
            async with working(parts):
                await ended.wait()

        thread = threading.Thread(target=loop.run_until_complete, args=(work(),))
        thread.start()
        try:
            yield parts
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join()
            loop.close()
