"""Scaling reality: a batch of uploads into real processes on PostgreSQL, for `scaling.py` to be held against.

A server that does no pieces, and then one worker and two of one place each. What is kept is how long each piece ran, so
that what is compared is the queueing and all that is between the pieces, not how fast this machine encodes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from tests import clips
from tests.api.served import Server
from tests.databases import migrate, serving

from anabranch.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = Any

_UPLOADS = 5
_CLIP_S = 6.0
_WAIT_S = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")


def _cpu_s(pid: int) -> float:
    """Of the process itself, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _transactions(connection: psycopg.Connection[Any]) -> int:
    asked = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    connection.execute("SELECT pg_stat_clear_snapshot()")
    row = connection.execute(asked).fetchone()
    assert row is not None
    return int(row[0])


class _Batch:
    """Uploads, and what came of them."""

    def __init__(self, server: Server, connection: psycopg.Connection[Any], clip: bytes) -> None:
        self._connection = connection
        self.began_ms = now_ms()
        headers = {"content-type": "video/mp4"}
        self.ids = [
            server.api.post("/media", params={"filename": "a.mp4"}, content=clip, headers=headers).json()["id"]
            for _ in range(_UPLOADS)
        ]

    def finished(self) -> bool:
        asked = "SELECT count(*) FROM media WHERE id = ANY(%s) AND status <> 'processing'"
        row = self._connection.execute(asked, [self.ids]).fetchone()
        assert row is not None
        return bool(row[0] == _UPLOADS)

    def to_dict(self) -> dict[str, Json]:
        """When each came, could be watched and was ready, in seconds, and how long its pieces ran, in milliseconds."""
        uploads = []
        for media_id in self.ids:
            told = dict(
                self._connection.execute("SELECT type, created_at FROM changes WHERE media_id = %s", [media_id])
            )
            asked = "SELECT created_at FROM media WHERE id = %s"
            came = self._connection.execute(asked, [media_id]).fetchone()
            assert came is not None
            uploads.append(
                {
                    "came_s": (came[0] - self.began_ms) / 1000,
                    "playable_s": (told["media.playable"] - came[0]) / 1000,
                    "ready_s": (told["media.ready"] - came[0]) / 1000,
                    "pieces_ms": self._pieces(media_id),
                }
            )
        return {"uploads": uploads}

    def _pieces(self, media_id: str) -> dict[str, int]:
        asked = (
            "SELECT tasks.ref || '/' || piece, ended_at - attempts.started_at FROM attempts"
            " JOIN tasks ON tasks.id = task_id WHERE media_id = %s AND attempts.status = 'completed'"
        )
        return {str(name): int(took) for name, took in self._connection.execute(asked, [media_id])}


def _worker(folder: Path, settings: dict[str, str], stack: ExitStack) -> int:
    """A worker of one place, ended with the stack; its process id."""
    folder.mkdir()
    log = stack.enter_context((folder / "log").open("w"))
    environment = {**os.environ, **settings, "ANABRANCH_HOME": str(folder)}
    command = [sys.executable, "-m", "anabranch", "worker"]
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    stack.callback(process.wait, 60)
    stack.callback(process.terminate)
    return process.pid


def measure(counts: Sequence[int] = (1, 2)) -> dict[str, Json]:
    """A batch with each count of workers; and what uploads cost that wait for somebody to do them."""
    clip = clips.spoken(_CLIP_S).read_bytes()
    found: dict[str, Json] = defaultdict(dict)
    with serving() as postgres, tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        url = postgres.create(migrate(postgres))
        settings = {"ANABRANCH_DATABASE_URL": url, "ANABRANCH_STORAGE": f"{name}/storage", "ANABRANCH_CPU_SLOTS": "1"}
        server = Server(Path(name, "server"), **settings).start("--no-work")
        stack.callback(server.stop)
        assert server.process is not None
        connection = stack.enter_context(psycopg.connect(url, autocommit=True))
        found["waiting"] = _waiting(server, connection, clip)
        workers: list[int] = []
        for count in counts:
            while len(workers) < count:
                workers.append(_worker(Path(name, f"worker-{len(workers)}"), settings, stack))
            _until(lambda: _seen(connection) == len(workers))
            # What had to wait is out of the way, and every worker has loaded what it needs.
            warm = _Batch(server, connection, clip)
            _until(warm.finished)
            time.sleep(2)
            pids = [server.process.pid, *workers]
            before, asked = [_cpu_s(pid) for pid in pids], _transactions(connection)
            batch = _Batch(server, connection, clip)
            _until(batch.finished)
            used = [_cpu_s(pid) - was for pid, was in zip(pids, before, strict=True)]
            found["batches"][str(count)] = {
                **batch.to_dict(),
                "server_cpu_s": round(used[0], 2),
                "workers_cpu_s": round(sum(used[1:]), 2),
                "transactions": _transactions(connection) - asked,
                "connections": _connections(connection),
            }
    return dict(found)


def _waiting(server: Server, connection: psycopg.Connection[Any], clip: bytes) -> dict[str, Json]:
    """What the server's process and the database have to do for uploads that nobody works on, a second each."""
    assert server.process is not None
    found = []
    for number in range(2):
        if number:
            _Batch(server, connection, clip)
            time.sleep(2)
        before = _cpu_s(server.process.pid), _transactions(connection)
        time.sleep(_WAIT_S)
        after = _cpu_s(server.process.pid), _transactions(connection)
        found.append([(b - a) / _WAIT_S for a, b in zip(before, after, strict=True)])
    cpu, asked = (with_ - without for without, with_ in zip(*found, strict=True))
    return {"server_cpu_s_a_second": round(cpu / _UPLOADS, 5), "transactions_a_second": round(asked / _UPLOADS, 3)}


def _seen(connection: psycopg.Connection[Any]) -> int:
    asked = "SELECT count(*) FROM workers WHERE status = 'active' AND capabilities::text <> '{}'"
    row = connection.execute(asked).fetchone()
    assert row is not None
    return int(row[0])


def _connections(connection: psycopg.Connection[Any]) -> int:
    asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'anabranch%'"
    row = connection.execute(asked).fetchone()
    assert row is not None
    return int(row[0])


def _until(holds: Any, within_s: float = 300.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit("the batch did not end in time")
        time.sleep(0.1)
