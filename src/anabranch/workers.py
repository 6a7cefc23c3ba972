"""Workers: the processes that share a database. Each says every few seconds that it lives; who falls silent is lost.

What a lost process was doing is taken up by others. It may only have been frozen: when it comes back it is told that it
was lost, gives up what it was doing, and goes on under another name. So nobody ever works under the name of somebody
whose work has been taken up, and whatever it still wants to write is refused by that name.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from anabranch.database import CONSTRAINT_NAMES, Timestamp, is_transient, now_ms
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
    # its home folder, which only one process at a time has
    sa.Column("home", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    # active, draining (it takes nothing new), left, or lost (it fell silent)
    sa.Column("status", sa.Text, nullable=False),
    # what it can do and how much at once, empty when it does no pieces; see `tasks/capabilities.py`
    sa.Column("capabilities", sa.JSON, nullable=False),
    # where it serves the API; null when it serves none
    sa.Column("address", sa.Text),
    # room in its home folder
    sa.Column("free_bytes", sa.BigInteger, nullable=False),
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
        self._home = home.absolute()
        self._capabilities = capabilities
        self._lease_s = lease_s
        self._address = address
        self._status = "active"
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="anabranch-heartbeat", daemon=True)
        # Called in a thread of their own making: when this process was taken for lost, and after each beat.
        self.when_lost: list[Callable[[], None]] = []
        self.with_each_beat: list[Callable[[], None]] = []
        self.id = self._enter()

    def start(self) -> None:
        """Begin to beat, once everybody who wants to be called has said so."""
        self._thread.start()

    def drain(self) -> None:
        """Say that this process takes nothing new."""
        self._status = "draining"
        self._beat()

    def leave(self) -> None:
        """Say that this process is going. What it still holds is free for others."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(self._lease_s)
        try:
            with self._database.begin() as connection:
                ended = {"status": "left", "ended_at": now_ms(connection)}
                connection.execute(workers.update().where(workers.c.id == self.id, _LIVING).values(ended))
        except sa.exc.SQLAlchemyError as error:
            # It is seen soon enough.
            _log.warning("could not say goodbye", error=str(error)[:200])

    def _enter(self) -> str:
        worker_id = new_id("wrk")
        with self._database.begin() as connection:
            now = now_ms(connection)
            # Whoever had this home before is gone: it has a lock.
            gone = (workers.c.host == socket.gethostname()) & (workers.c.home == str(self._home))
            lost = {"status": "lost", "ended_at": now}
            connection.execute(workers.update().where(gone, _LIVING).values(lost))
            connection.execute(workers.delete().where(workers.c.ended_at < now - _REMEMBERED_MS))
            connection.execute(
                workers.insert().values(
                    id=worker_id,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    home=str(self._home),
                    version=version("anabranch"),
                    status=self._status,
                    capabilities=dict(self._capabilities),
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
                if not self._beat():
                    before, self.id = self.id, self._enter()
                    _log.warning("taken for lost, goes on under another name", before=before, now=self.id)
                    _call(self.when_lost)
                self._declare_lost()
                _call(self.with_each_beat)
            except sa.exc.SQLAlchemyError as error:
                if not is_transient(error):
                    _log.exception("heartbeat failed")

    def _beat(self) -> bool:
        """Say that this process lives. False when it was taken for lost meanwhile."""
        with self._database.begin() as connection:
            seen = {"seen_at": now_ms(connection), "status": self._status, "free_bytes": self._free_bytes()}
            changed = connection.execute(workers.update().where(workers.c.id == self.id, _LIVING).values(seen))
        return bool(changed.rowcount)

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self._home).free

    def _declare_lost(self) -> None:
        with self._database.begin() as connection:
            now = now_ms(connection)
            silent = workers.c.seen_at < now - int(self._lease_s * 1000)
            found = list(connection.execute(sa.select(workers.c.id, workers.c.host).where(_LIVING, silent)))
            if found:
                ids = [row.id for row in found]
                lost = {"status": "lost", "ended_at": now}
                connection.execute(workers.update().where(workers.c.id.in_(ids), _LIVING, silent).values(lost))
        for row in found:
            _log.warning("worker lost", worker=row.id, host=row.host)


def _call(whom: list[Callable[[], None]]) -> None:
    for one in whom:
        try:
            one()
        except Exception:  # noqa: BLE001  (the next beat must come)
            _log.exception("what goes with a heartbeat failed")
