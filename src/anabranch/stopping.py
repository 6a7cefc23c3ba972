"""Stopping: how a worker hears that it should end, and how long it may take."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long what is being done may go on when a worker is told to stop, unless the settings say so.
DRAIN_S = 30.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


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
