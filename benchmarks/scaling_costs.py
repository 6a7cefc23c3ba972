"""Scaling costs: what an upload asks of the database, counted and timed on real runs. It feeds `scaling.py`.

Two apps share a PostgreSQL server of their own here, one that drives and one that works. Each transaction goes by the
function that began it. What it costs the server is the processor time of its backend, which other work on this machine
hardly changes; time on the clock is not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import statistics
import sys
import tempfile
import threading
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa
import structlog
from sqlalchemy import event
from tests import clips
from tests.databases import migrate, serving

from anabranch.api.media import show
from anabranch.app import open_app, upload
from anabranch.catalog import changes, work
from anabranch.settings import Settings
from anabranch.workers import Membership

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anabranch.app import App

Json = Any

_IDLE_S = 10.0
_LOOKS = 20
_SUMS = ("transactions", "statements", "notifies", "tells")
# Where a transaction begins is below these.
_NOT_THESE = ("database.py", "changes.py", "scaling_costs.py")


@dataclass
class Counted:
    """Transactions that one function began."""

    transactions: int = 0
    statements: int = 0
    notifies: int = 0
    tells: int = 0
    backend_ms: list[float] = field(default_factory=list)

    def to_dict(self) -> dict[str, Json]:
        """As kept; the time of a transaction is a median."""
        told = asdict(self)
        told["backend_ms"] = round(statistics.median(self.backend_ms), 3) if self.backend_ms else 0.0
        return told


class Counter:
    """Counts the transactions of all databases that are opened while it is."""

    def __init__(self) -> None:
        self.found: dict[str, Counted] = defaultdict(Counted)
        self._lock = threading.Lock()

    def __enter__(self) -> Counter:
        event.listen(sa.Engine, "begin", self._begun)
        event.listen(sa.Engine, "before_cursor_execute", self._executed)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(sa.Engine, "begin", self._begun)
        event.remove(sa.Engine, "before_cursor_execute", self._executed)

    def take(self) -> dict[str, dict[str, Json]]:
        """What was counted since the last time."""
        with self._lock:
            found, self.found = self.found, defaultdict(Counted)
        return {name: one.to_dict() for name, one in sorted(found.items())}

    def _begun(self, connection: sa.Connection) -> None:
        pid = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
        used_ms = _used_ms(pid)
        name = _beginner()
        before = connection.info.get("counted")
        connection.info["counted"] = (name, used_ms)
        with self._lock:
            self.found[name].transactions += 1
            # Its end is seen when the next one begins: between them a backend does nothing.
            if before is not None and before[0] in self.found:
                self.found[before[0]].backend_ms.append(used_ms - before[1])

    def _executed(self, connection: sa.Connection, _cursor: Any, statement: str, given: Any, *_: Any) -> None:
        if "counted" not in connection.info:
            return
        with self._lock:
            one = self.found[connection.info["counted"][0]]
            one.statements += 1
            one.notifies += "pg_notify" in statement
            one.tells += "pg_advisory_xact_lock" in statement and "changes" in dict(given).values()


def _used_ms(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


def _beginner() -> str:
    frame: Any = sys._getframe(1)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if "anabranch" in path.parts and "site-packages" not in path.parts and path.name not in _NOT_THESE:
            return f"{path.stem}.{frame.f_code.co_name}"
        frame = frame.f_back
    return "other"


@contextlib.asynccontextmanager
async def _apps(folder: Path, url: str) -> AsyncIterator[list[App]]:
    """One that drives and one that works."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                open_app(
                    Settings(
                        home=folder / name,
                        database_url=url,
                        storage=str(folder / "storage"),
                        source_folders=(Path("/"),),
                        cpu_slots=2,
                    ),
                    works=name == "worker",
                )
            )
            for name in ("server", "worker")
        ]


def _listeners_ms(url: str) -> float:
    with psycopg.connect(url) as connection:
        asked = "SELECT pid FROM pg_stat_activity WHERE application_name = 'anabranch listener'"
        return sum(_used_ms(pid) for (pid,) in connection.execute(asked))


async def _count(url: str, folder: Path, seconds: tuple[float, ...]) -> dict[str, Json]:
    with Counter() as counter:
        async with _apps(folder, url) as (server, _worker):
            # What is made once for a process is none of an upload's.
            await _run(server, "media_first", clips.plain(2, name="scaling-2.mp4"))
            counter.take()
            await asyncio.sleep(_IDLE_S)
            idle = counter.take()
            uploads = []
            for length_s in seconds:
                clip = clips.plain(length_s, name=f"scaling-{length_s:g}.mp4")
                listened_ms = _listeners_ms(url)
                await _run(server, f"media_{length_s:g}", clip)
                found = counter.take()
                notifies = sum(one["notifies"] for one in found.values())
                with server.database.connect() as connection:
                    asked = "SELECT count(*) FROM attempts JOIN tasks ON tasks.id = task_id WHERE media_id = %(id)s"
                    pieces = connection.exec_driver_sql(asked, {"id": f"media_{length_s:g}"}).scalar_one()
                uploads.append(
                    {
                        "seconds": length_s,
                        # Four plans and four joins are attempts too.
                        "pieces": pieces - 8,
                        "listener_ms": round((_listeners_ms(url) - listened_ms) / 2 / notifies, 4),
                        "transactions": found,
                    }
                )
            for _ in range(_LOOKS):
                show(server, "media_first")
                changes.since(server.database, 0, media_id="media_first")
            page = {name: {**one, **{key: one[key] / _LOOKS for key in _SUMS}} for name, one in counter.take().items()}
    page = {name: one for name, one in page.items() if one["transactions"] >= 0.9}
    return {"page": page, "idle_s": _IDLE_S, "idle_processes": 2, "idle": idle, "uploads": uploads}


async def _run(app: App, media_id: str, clip: Path) -> None:
    run_id = await upload(app, media_id, str(clip))
    await app.engine.ended(run_id)
    await asyncio.sleep(1)


def _claims(url: str, folder: Path) -> dict[str, Json]:
    """What a look for work costs the server, by how much waits: one that finds, and one of somebody without room."""
    database = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="READ COMMITTED")
    member = Membership(database, folder, {}, 3600.0)
    found: dict[str, Json] = {}
    for waiting in (100, 10_000):
        with database.begin() as connection:
            connection.exec_driver_sql("TRUNCATE work, attempts, tasks, media CASCADE")
            connection.exec_driver_sql(_WAITING, {"waiting": waiting})
        # A server that is left to itself does this.
        with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
        found[str(waiting)] = {
            "hit_ms": _loop_ms(database, member.id, fits=True),
            "full_ms": _loop_ms(database, member.id, fits=False),
        }
    member.leave()
    database.dispose()
    return found


def _loop_ms(database: sa.Engine, worker_id: str, *, fits: bool, times: int = 60) -> float:
    taken = []
    for _ in range(times):
        with database.connect() as connection:
            pid = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
        before = _used_ms(pid)
        # What waits takes the places of chunks: a full worker has none of those left.
        work.claim(database, worker_id, ["rungs" if fits else "net"], lambda _requires: True)
        taken.append(_used_ms(pid) - before)
    return round(statistics.median(taken), 3)


_WAITING = """
WITH media_rows AS (
  INSERT INTO tasks (id, kind, input, options, metadata, status, progress, created_at, updated_at)
  SELECT 'task_' || n, 'adaptive_video', 'x', '{}', '{}', 'processing', 0, n, n FROM generate_series(1, %(waiting)s) n
  RETURNING id)
INSERT INTO work (task_id, piece, needs, requires, due_at, place, asked_at)
SELECT 'task_' || n, 'chunk-0000', 'rungs', 'encoder:libx264', n, 0, n FROM generate_series(1, %(waiting)s) n"""


def measure(seconds: tuple[float, ...] = (2.0, 32.0)) -> dict[str, Json]:
    """Count what uploads of these lengths ask of the database, and what looks for work cost it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with serving() as server, tempfile.TemporaryDirectory() as name:
        template = migrate(server)
        url = server.create(template)
        counted = asyncio.run(_count(url, Path(name), seconds))
        claims = _claims(server.create(template), Path(name))
        return {**counted, "claims": claims}
