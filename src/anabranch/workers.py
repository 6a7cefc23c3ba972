"""Workers: the processes that share a database. Each says every few seconds that it lives; who falls silent is lost.

What a lost process was doing is taken up by others. It may only have been frozen: when it comes back it is told that it
was lost, gives up what it was doing, and goes on under another name. So nobody ever works under the name of somebody
whose work has been taken up, and whatever it still wants to write is refused by that name.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import threading
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from anabranch.database import CONSTRAINT_NAMES, Timestamp, is_transient, now_ms, open_database
from anabranch.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Json = Any

_log = structlog.get_logger(__name__)

metadata = sa.MetaData(naming_convention=CONSTRAINT_NAMES)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    # the token in its home folder, which only one process at a time has
    sa.Column("home", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    # active, draining (it takes nothing new), left, or lost (it fell silent)
    sa.Column("status", sa.Text, nullable=False),
    # what it can do and how much at once, empty when it does no pieces; see `tasks/capabilities.py`
    sa.Column("capabilities", sa.JSON, nullable=False),
    # where it serves the API; null when it serves none
    sa.Column("address", sa.Text),
    # free on the disk of its home folder
    sa.Column("free_bytes", sa.BigInteger, nullable=False),
    # what of that it has for one more piece; null when it does no pieces. See `catalog/work.py`
    sa.Column("offer", sa.JSON(none_as_null=True)),
    sa.Column("started_at", Timestamp, nullable=False),
    # by the clock of the database
    sa.Column("seen_at", Timestamp, nullable=False),
    sa.Column("ended_at", Timestamp),
    sa.Index("ix_workers_status", "status"),
)

# Beats in the time after which a silent worker is lost: a single one may be late.
_BEATS = 6
# For how long it is remembered who there was.
_REMEMBERED_MS = 24 * 3600 * 1000
_LIVING = workers.c.status.in_(("active", "draining"))


def living() -> sa.Select[tuple[str]]:
    """The ids of the workers that live; to be part of a query."""
    return sa.select(workers.c.id).where(_LIVING)


def every(database: sa.Engine) -> list[sa.Row[Any]]:
    """The workers that live, oldest first."""
    with database.connect() as connection:
        return list(connection.execute(sa.select(workers).where(_LIVING).order_by(workers.c.id)))


def served_at(database: sa.Engine) -> str | None:
    """Where the process that began last of those that do serves the API; None when none has lately."""
    serving = sa.select(workers.c.address).where(workers.c.address.is_not(None)).order_by(workers.c.id.desc())
    with database.connect() as connection:
        return connection.scalar(serving.limit(1))


class Membership:
    """This process among those that share its database.

    Args:
        database: the one that they share.
        home: the folder that this process alone has.
        capabilities: what this process can do.
        lease_s: after how many seconds of silence a worker is lost.
        address: where this process serves the API, or None.
    """

    def __init__(
        self,
        database: sa.Engine,
        home: Path,
        capabilities: Mapping[str, Json],
        lease_s: float,
        address: str | None = None,
    ) -> None:
        self._database = database
        self._home = home
        self._token = _token_of(home)
        self.capabilities = capabilities
        self._lease_s = lease_s
        self._address = address
        self._status = "active"
        self._stopped = threading.Event()
        # Connections of its own: when all others are waiting for something, a beat must still come through.
        self._own = open_database(database.url.render_as_string(hide_password=False))
        self._threads = [
            threading.Thread(target=work, name=f"anabranch-{name}", daemon=True)
            for name, work in (("heartbeat", self._beat_on), ("lookout", self._look_on))
        ]
        # Since when this process has not been asleep, or cut off: who was cannot say of others that they were silent.
        self._awake_since = self._beaten_at = time.monotonic()
        # What this process has for one more piece, as it tells the others; None while it does none.
        self.offer: Callable[[], Json] = lambda: None
        # Called in a thread of their own: when this process was taken for lost, and again and again.
        self.when_lost: list[Callable[[], None]] = []
        self.with_each_beat: list[Callable[[], None]] = []
        self.id = self._enter()

    def start(self) -> None:
        """Begin to beat, once everybody who wants to be called has said so."""
        for thread in self._threads:
            thread.start()

    @property
    def draining(self) -> bool:
        """Whether this process takes nothing new."""
        return self._status == "draining"

    def drain(self) -> None:
        """Say that this process takes nothing new."""
        self._status = "draining"
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            self._beat()

    def leave(self) -> None:
        """Say that this process is going. What it still holds is free for others."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(self._lease_s)
        try:
            with self._own.begin() as connection:
                ended = {"status": "left", "ended_at": now_ms(connection)}
                connection.execute(workers.update().where(workers.c.id == self.id, _LIVING).values(ended))
        except sa.exc.SQLAlchemyError as error:
            # It is seen soon enough.
            _log.warning("could not say goodbye", error=str(error)[:200])
        finally:
            self._own.dispose()

    def _enter(self) -> str:
        worker_id = new_id("wrk")
        with self._own.begin() as connection:
            now = now_ms(connection)
            # Whoever had this home before is gone: it has a lock.
            gone = workers.c.home == self._token
            lost = {"status": "lost", "ended_at": now}
            connection.execute(workers.update().where(gone, _LIVING).values(lost))
            connection.execute(workers.delete().where(workers.c.ended_at < now - _REMEMBERED_MS))
            connection.execute(
                workers.insert().values(
                    id=worker_id,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    home=self._token,
                    version=version("anabranch"),
                    status=self._status,
                    capabilities=dict(self.capabilities),
                    address=self._address,
                    free_bytes=self._free_bytes(),
                    started_at=now,
                    seen_at=now,
                )
            )
        return worker_id

    def _beat_on(self) -> None:
        while not self._stopped.wait(self._lease_s / _BEATS):
            try:
                lives = self._beat()
                now = time.monotonic()
                if now - self._beaten_at > self._lease_s / 2:
                    self._awake_since = now
                self._beaten_at = now
                if not lives:
                    before, self.id = self.id, self._enter()
                    _log.warning("taken for lost, goes on under another name", before=before, now=self.id)
                    _call(self.when_lost)
            except Exception as error:  # noqa: BLE001  (whatever it is, the next beat must come)
                if not is_transient(error):
                    _log.exception("heartbeat failed")

    def _look_on(self) -> None:
        """Find those who are lost, and take up what they did. Whoever waits here for a lock is not lost for that."""
        while not self._stopped.wait(self._lease_s / _BEATS):
            try:
                if time.monotonic() - self._awake_since > self._lease_s:
                    self._declare_lost()
            except Exception as error:  # noqa: BLE001  (whatever it is, it is looked again)
                if not is_transient(error):
                    _log.exception("lookout failed")
            _call(self.with_each_beat)

    def _beat(self) -> bool:
        """Say that this process lives. False when it was taken for lost meanwhile."""
        told = {"free_bytes": self._free_bytes(), "offer": self._offered()}
        with self._own.begin() as connection:
            seen = {"seen_at": now_ms(connection), "status": self._status, **told}
            changed = connection.execute(workers.update().where(workers.c.id == self.id, _LIVING).values(seen))
        return bool(changed.rowcount)

    def _offered(self) -> Json:
        try:
            return self.offer()
        except Exception:  # noqa: BLE001  (whatever it is, the beat must come)
            _log.exception("nothing can be offered")
            return None

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self._home).free

    def _declare_lost(self) -> None:
        with self._database.begin() as connection:
            now = now_ms(connection)
            silent = (workers.c.seen_at < now - int(self._lease_s * 1000)) & (workers.c.id != self.id)
            # One that was frozen in the middle of its beat holds its row: its connection is ended soon.
            seen = sa.select(workers.c.id, workers.c.host).where(_LIVING, silent).with_for_update(skip_locked=True)
            found = list(connection.execute(seen))
            if found:
                ids = [row.id for row in found]
                lost = {"status": "lost", "ended_at": now}
                connection.execute(workers.update().where(workers.c.id.in_(ids), _LIVING, silent).values(lost))
        for row in found:
            _log.warning("worker lost", worker=row.id, host=row.host)


def _token_of(home: Path) -> str:
    """What tells a home folder from all others, on whichever host, under whichever path."""
    path = home / "token"
    if not path.exists():
        path.write_text(f"{secrets.token_hex(16)}\n")
    return path.read_text().strip()


def _call(whom: list[Callable[[], None]]) -> None:
    for one in whom:
        try:
            one()
        except Exception:  # noqa: BLE001  (the next beat must come)
            _log.exception("what goes with a heartbeat failed")
