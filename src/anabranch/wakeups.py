"""Wakeups: how whoever waits hears at once what the rows already say, also from another process.

A hint only. It may come twice, or too late, or, after a connection was lost, for everything at once: the rows say what
is so, and who waits looks at them.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import structlog

from anabranch.database import CHANNEL, CONNECTING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    import sqlalchemy as sa

_log = structlog.get_logger(__name__)

_LISTEN_FOR_S = 1.0
_AGAIN_AFTER_S = 1.0


class Wakeups:
    """Signals by key, for the event loops of this process. Any thread may wake."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._signals: dict[Hashable, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = defaultdict(set)

    @contextmanager
    def expect(self, key: Hashable) -> Iterator[asyncio.Event]:
        """A signal that is set when somebody wakes `key`."""
        signal = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._signals[key].add(signal)
        try:
            yield signal[1]
        finally:
            with self._lock:
                self._signals[key].discard(signal)
                if not self._signals[key]:
                    del self._signals[key]

    def wake(self, key: Hashable) -> None:
        """Set every signal that waits for `key`."""
        with self._lock:
            waiting = list(self._signals.get(key, ()))
        _set(waiting)

    def wake_all(self) -> None:
        """Set every signal there is: something may have been missed."""
        with self._lock:
            waiting = [signal for signals in self._signals.values() for signal in signals]
        _set(waiting)


def _set(waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    for loop, event in waiting:
        if loop is here:
            event.set()
        else:
            # It may have been closed since.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(event.set)


async def signalled(signal: asyncio.Event, within_s: float | None) -> None:
    """Return when a signal is set, or after so many seconds (never when None); whoever waits looks at what is so."""
    with suppress(TimeoutError):
        # Not wait_for, which may lose a cancelling that comes with the signal.
        async with asyncio.timeout(within_s):
            await signal.wait()


@contextmanager
def hearing(database: sa.Engine, wakeups: Wakeups) -> Iterator[None]:
    """Hear what other processes notify of, for as long as the context lasts. On SQLite there are no others."""
    if database.dialect.name != "postgresql":
        yield
        return
    listener = _Listener(database, wakeups)
    listener.start()
    try:
        yield
    finally:
        listener.stop()


class _Listener(threading.Thread):
    """Passes on what comes over a connection of its own (LISTEN). When that was lost, everything is woken."""

    def __init__(self, database: sa.Engine, wakeups: Wakeups) -> None:
        super().__init__(name="anabranch-listener", daemon=True)
        url = database.url.set(drivername="postgresql")
        self._address = url.render_as_string(hide_password=False)
        self._options = {name: value for name, value in CONNECTING.items() if name not in url.query}
        self._wakeups = wakeups
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listen()
            except Exception as error:  # noqa: BLE001  (whatever it is, it is listened again)
                _log.warning("listening ended", error=str(error)[:300], again_in_s=_AGAIN_AFTER_S)
                self._stopped.wait(_AGAIN_AFTER_S)

    def _listen(self) -> None:
        # Here, because without PostgreSQL it would take a tenth of the time that a server takes to start.
        import psycopg

        with psycopg.connect(self._address, autocommit=True, **self._options) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            # Whatever was told while nobody listened.
            self._wakeups.wake_all()
            while not self._stopped.is_set():
                for heard in connection.notifies(timeout=_LISTEN_FOR_S):
                    self._wakeups.wake(_key(json.loads(heard.payload)))

    def stop(self) -> None:
        """End it, within a second."""
        self._stopped.set()
        self.join(_LISTEN_FOR_S + 1)


def _key(payload: Any) -> Hashable:
    return tuple(payload) if isinstance(payload, list) else payload
