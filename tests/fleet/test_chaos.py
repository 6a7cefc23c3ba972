"""Chaos: fifty uploads while workers are killed and frozen, the database restarts, and storage has a bad day."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from anabranch.catalog import changes, tables, tasks
from anabranch.catalog.branches import BRANCHES
from anabranch.storage.opening import open_storage
from anabranch.tasks.keeping import Keeping
from tests import clips
from tests.api.served import anyone, until
from tests.databases import serving
from tests.fleet.processes import fleet
from tests.servers import Fault, Front, in_front_of, moto, nanio

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.databases import PostgresServer
    from tests.fleet.processes import Fleet
    from tests.servers import ObjectStore

pytestmark = [pytest.mark.slow, pytest.mark.alone]

UPLOADS = 50
KILL_EVERY_S = 5.0
STORAGE_IS_BAD_FOR_S = 20.0
DONE_WITHIN_S = 420.0


class Havoc(threading.Thread):
    """Kills a worker every few seconds, freezes one, restarts the database, and has storage fail, once each.

    What it does is decided by a seed; what it hits depends on the moment.
    """

    def __init__(self, hit: Fleet, postgres: PostgresServer, storage: Front) -> None:
        super().__init__(daemon=True)
        self._fleet = hit
        self._postgres = postgres
        self._storage = storage
        self._random = random.Random(6)
        self._ended = threading.Event()
        self._wreaked = threading.Event()
        self._over = threading.Event()
        self.done: Counter[str] = Counter()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._wreak()
        except BaseException as error:  # noqa: BLE001  (told by whoever waits for it)
            self.failure = error
        self._wreaked.set()
        # The database that was started here dies with this thread.
        self._over.wait()

    def stop(self) -> None:
        """Let it be enough."""
        self._ended.set()
        self._wreaked.wait(60)
        assert self.failure is None, self.failure

    def leave(self) -> None:
        """What was started is not needed any more."""
        self._ended.set()
        self._over.set()
        self.join(60)

    def _wreak(self) -> None:
        frozen = None
        for turn in range(1, 1000):
            if self._ended.wait(KILL_EVERY_S):
                break
            victims = [worker for worker in self._fleet.workers if worker is not frozen]
            victim = self._random.choice(victims)
            victim.kill()
            self.done["killed"] += 1
            victim.start()
            if turn == 1:
                frozen = next(worker for worker in self._fleet.workers if worker is not victim)
                frozen.freeze()
                self.done["frozen"] += 1
            if turn == 3 and frozen is not None:
                frozen.thaw()
                frozen = None
            if turn == 2:
                self._postgres.restart()
                self.done["restarted"] += 1
            if turn == 3:
                threading.Thread(target=self._spoil_storage, daemon=True).start()
        if frozen is not None:
            frozen.thaw()

    def _spoil_storage(self) -> None:
        """Answers 500 and 503, and some that come late, for a while."""
        until_s = time.monotonic() + STORAGE_IS_BAD_FOR_S
        while time.monotonic() < until_s:
            kinds = (Fault("status", status=500), Fault("status", status=503), Fault("slow", seconds=3.0))
            self._storage.fault = self._random.choice(kinds)
            time.sleep(0.5)
        self._storage.fault = None
        self.done["spoilt"] += 1


@pytest.mark.timeout(600)
# The one knows nearly all of S3 and checks no signature; the other checks each and heeds no condition.
@pytest.mark.parametrize("server", [moto, nanio])
def test_every_upload_ends_ready_and_nothing_is_lost_or_seen_twice(
    server: Callable[[Path], AbstractContextManager[ObjectStore]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving() as postgres, server(tmp_path / "store") as store, in_front_of(store.endpoint) as front:
        settings = {**store.behind(front.url).environment, "ANABRANCH_RETRY_SCALE": "0.2"}
        # Who is to blame here is known.
        settings["ANABRANCH_MAX_LOSSES"] = "0"
        with fleet(tmp_path, postgres.create(), 3, **settings) as running:
            havoc = Havoc(running, postgres, front)
            havoc.start()
            ids = [_upload(running, _clip(number)) for number in range(UPLOADS)]
            until(lambda: not _open(running, ids), DONE_WITHIN_S)
            havoc.stop()
            until(lambda: havoc.done["spoilt"] or front.fault is None, 60)
            statuses = Counter(running.server.get(f"/media/{media_id}")["status"] for media_id in ids)
            assert statuses == {"ready": UPLOADS}, _errors(running, ids)
            assert {"killed", "frozen", "restarted", "spoilt"} <= havoc.done.keys()
            _check_nothing_twice(running, ids)
            _check_what_is_served(running, ids)
            for name, value in store.environment.items():
                monkeypatch.setenv(name, value)
            _check_no_orphans(running, store, tmp_path)
            assert [worker.stop() for worker in running.workers] == [0, 0, 0]
            running.stop()
            havoc.leave()


def _upload(running: Fleet, clip: Path) -> str:
    """As a client does that is told to ask again in a moment."""
    headers = {"content-type": "video/mp4", "idempotency-key": secrets.token_hex(8)}

    def post() -> str | None:
        answer = running.server.api.post("/media", content=clip.read_bytes(), headers=headers)
        assert answer.status_code in (201, 503), answer.text
        return str(answer.json()["id"]) if answer.status_code == 201 else None

    return str(until(post, 60))


def _clip(number: int) -> Path:
    # Some have sound and several chunks.
    return clips.plain(9, name="pieces.mp4") if number % 16 == 0 else clips.silent(2, name="little.mp4")


def _open(running: Fleet, ids: list[str]) -> bool:
    time.sleep(0.5)
    try:
        with running.database.connect() as connection:
            mine = tables.media.c.id.in_(ids) & tables.media.c.status.in_(("waiting", "processing"))
            return bool(connection.scalar(sa.select(sa.func.count()).where(mine)))
    except sa.exc.OperationalError:
        return True


def _errors(running: Fleet, ids: list[str]) -> list[Any]:
    found = [running.server.get(f"/media/{media_id}") for media_id in ids]
    failed = [one for one in found if one["status"] != "ready"]
    return [(one["id"], one["status"], [branch["error"] for branch in one["branches"]]) for one in failed]


def _check_nothing_twice(running: Fleet, ids: list[str]) -> None:
    for media_id in ids:
        told = Counter(change.type for change in changes.since(running.database, 0, media_id=media_id, limit=1000))
        assert (told["media.ready"], told["media.playable"], told["media.created"]) == (1, 1, 1), (media_id, told)
        made = tasks.of_media(running.database, media_id)
        assert Counter(task.ref for task in made) == {branch.step_id: 1 for branch in BRANCHES}
    with running.database.connect() as connection:
        done = sa.select(tables.attempts.c.task_id, tables.attempts.c.piece, sa.func.count())
        done = done.where(tables.attempts.c.status == "completed").group_by(*done.selected_columns[:2])
        assert {count for *_, count in connection.execute(done)} == {1}
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.work)) == 0
        running_ = tables.attempts.c.status == "running"
        assert connection.scalar(sa.select(sa.func.count()).where(running_)) == 0


def _check_what_is_served(running: Fleet, ids: list[str]) -> None:
    """Each file of each output is there, whole; and the playlists that are served are those that are stored."""
    for media_id in ids:
        record = running.server.get(f"/media/{media_id}")
        for name in ("hlsUrl", "posterUrl", "gifUrl"):
            answer = anyone.get(record[name])
            assert answer.status_code == 200, (media_id, name)
            assert answer.content
        for task in tasks.of_media(running.database, media_id):
            for file in (task.output or {})["files"]:
                head = anyone.head(f"{running.server.url}/outputs/{file['key']}")
                assert (head.status_code, int(head.headers["content-length"])) == (200, file["size_bytes"]), file


def _check_no_orphans(running: Fleet, store: ObjectStore, folder: Path) -> None:
    storage = open_storage(store.url, folder / "unused", endpoint=store.endpoint)
    Keeping(running.database, storage).sweep_orphans()
    with running.database.connect() as connection:
        outputs = list(connection.scalars(sa.select(tables.tasks.c.output)))
    named = {file["key"] for output in outputs for file in (output or {}).get("files", [])}
    there = {key for where in ("media/", "tasks/") for key in storage.keys(where)}
    assert there == named
