"""Invariants: what is true of an installation once its work is done, whatever was done to it meanwhile."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch.catalog import changes, tables, tasks
from anabranch.catalog.branches import BRANCHES
from anabranch.database import open_database
from anabranch.engine import tables as engine
from anabranch.media import conformance
from anabranch.storage.files import FileStorage
from anabranch.tasks.keeping import Keeping
from tests.api.served import anyone, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anabranch.storage import Storage
    from tests.api.served import Server


@dataclass(frozen=True)
class Installation:
    """A server, and all that it and its workers hold.

    Attributes:
        server: answers.
        database: has the rows.
        storage: has the bytes.
        homes: the folders of all processes.
    """

    server: Server
    database: sa.Engine
    storage: Storage
    homes: Sequence[Path]

    def rows(self, statement: str, **values: Any) -> list[sa.Row[Any]]:
        """What a query gives."""
        with self.database.connect() as connection:
            return list(connection.execute(sa.text(statement), values))

    def attempts(self, media_id: str, piece: str) -> list[sa.Row[Any]]:
        """The attempts at a piece of a media row's tasks, oldest first."""
        asked = (
            "SELECT attempts.* FROM attempts JOIN tasks ON tasks.id = attempts.task_id"
            " WHERE tasks.media_id = :media_id AND piece LIKE :piece ORDER BY attempts.started_at, attempt"
        )
        return self.rows(asked, media_id=media_id, piece=piece)


@contextmanager
def installed(server: Server) -> Iterator[Installation]:
    """What a server holds that has everything in its home folder."""
    database = open_database(f"sqlite:///{server.home / 'anabranch.db'}")
    try:
        yield Installation(server, database, FileStorage(server.home / "storage"), [server.home])
    finally:
        database.dispose()


def check(held: Installation, media_id: str) -> None:
    """A media row is ready and whole, was made once, and nothing is left of whatever went wrong on the way.

    Raises:
        AssertionError: it is not so.
    """
    # Of the rows, since asking the server again and again slows what it does.
    ended = "SELECT 1 FROM media WHERE id = :media_id AND status NOT IN ('waiting', 'processing')"
    until(lambda: held.rows(ended, media_id=media_id), 200)
    row = held.server.get(f"/media/{media_id}")
    assert row["status"] == "ready", (row["error"], row["branches"])
    until(lambda: not _open(held), 60)
    _check_told_once(held, media_id)
    _check_done_once(held, media_id)
    _check_plays(held, row)
    check_nothing_left(held)


def _open(held: Installation) -> int:
    """How much is still being done or waits to be."""
    counted = (
        sa.select(sa.func.count()).select_from(engine.runs).where(engine.runs.c.ended_at.is_(None)),
        sa.select(sa.func.count()).select_from(tables.work),
        sa.select(sa.func.count()).select_from(tables.attempts).where(tables.attempts.c.status == "running"),
        sa.select(sa.func.count()).select_from(tables.deliveries).where(tables.deliveries.c.status == "pending"),
    )
    with held.database.connect() as connection:
        return sum(connection.scalar(one) or 0 for one in counted)


def _check_told_once(held: Installation, media_id: str) -> None:
    told = Counter(change.type for change in changes.since(held.database, 0, media_id=media_id, limit=1000))
    assert {told[one] for one in ("media.created", "media.playable", "media.ready")} == {1}, told
    assert not {"media.failed", "media.degraded", "task.failed"} & told.keys()


def _check_done_once(held: Installation, media_id: str) -> None:
    """What was finished was not begun again: neither a piece, nor a branch, nor a run."""
    made = tasks.of_media(held.database, media_id)
    assert Counter(task.ref for task in made) == {branch.step_id: 1 for branch in BRANCHES}
    for task in made:
        asked = "SELECT piece, status FROM attempts WHERE task_id = :task_id ORDER BY piece, attempt"
        by_piece: dict[str, list[str]] = {}
        for row in held.rows(asked, task_id=task.id):
            by_piece.setdefault(row.piece, []).append(row.status)
        assert by_piece
        for piece, statuses in by_piece.items():
            assert statuses.index("completed") == len(statuses) - 1, (task.ref, piece, statuses)
    runs = held.rows("SELECT status, count(*) FROM runs WHERE event_id LIKE :event GROUP BY 1", event=f"{media_id}.%")
    assert runs == [("completed", 1)]


def _check_plays(held: Installation, row: dict[str, Any]) -> None:
    """The package is as the standard wants it, and every file of every output is there, whole."""
    found = conformance.check(row["hlsUrl"], conformance.fetcher(row["hlsUrl"]))
    assert [finding for finding in found if finding.severity == "error"] == []
    for task in tasks.of_media(held.database, row["id"]):
        for file in (task.output or {})["files"]:
            stored = held.storage.stat(file["key"])
            assert stored is not None, file["key"]
            assert stored.size_bytes == file["size_bytes"], file["key"]
    for name in ("posterUrl", "gifUrl", *(("transcriptionUrl",) if row["transcriptionUrl"] else ())):
        assert anyone.get(row[name]).content, name


def check_nothing_left(held: Installation) -> None:
    """After a sweep storage has what rows name, and no more; and nothing lies where work was being done.

    Raises:
        AssertionError: it is not so.
    """
    Keeping(held.database, held.storage).sweep_orphans()
    with held.database.connect() as connection:
        outputs = list(connection.scalars(sa.select(tables.tasks.c.output)))
        sources = set(connection.scalars(sa.select(tables.files.c.key).where(tables.files.c.ref == "source")))
    named = {file["key"] for output in outputs for file in (output or {}).get("files", [])}
    there = {key for where in ("media/", "tasks/", "sources/") for key in held.storage.keys(where)}
    assert there == named | sources, there ^ (named | sources)
    # What was fetched stays there for those who come next, and goes soon.
    until(lambda: not [one for home in held.homes for one in _files(home / "scratch") if "sources" not in one], 30)
    assert [one for home in held.homes for one in _files(home / "uploads")] == []


def _files(folder: Path) -> list[str]:
    return [str(Path(where, name).relative_to(folder)) for where, _, names in os.walk(folder) for name in names]
