"""Several processes on one Postgres: what SQLite's single writer gives for nothing holds there as well."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from anabranch import clock
from anabranch.catalog import answers, attempts, changes, media, published, tables, tasks, transcripts, webhooks
from anabranch.catalog.branches import BRANCHES
from anabranch.catalog.tasks import Task
from anabranch.workers import Membership

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


def task(task_id: str, media_id: str, ref: str = "hls-package") -> Task:
    given: dict[str, Any] = {"media_id": media_id, "ref": ref, "kind": "image", "input": "x", "options": {}}
    state: dict[str, Any] = {"metadata": {}, "status": "queued", "progress": 0.0, "pieces": None, "output": None}
    times: dict[str, Any] = {"created_at": clock.now_ms(), "started_at": None, "finished_at": None}
    return Task(id=task_id, **given, **state, error=None, **times)


def together(*works: Callable[[], Any]) -> list[Any]:
    """What these give, all begun at the same moment."""
    begun = threading.Barrier(len(works))

    def work(one: Callable[[], Any]) -> Any:
        begun.wait(10)
        return one()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(work, works))


@contextmanager
def member(database: sa.Engine, home: Path) -> Iterator[str]:
    """The id of a process that lives among those that share the database."""
    home.mkdir(exist_ok=True)
    membership = Membership(database, home, {}, lease_s=60)
    yield membership.id
    membership.leave()


def test_a_stream_misses_no_change_whichever_transaction_ends_first(postgres: sa.Engine) -> None:
    written, may_end = threading.Event(), threading.Event()

    def slowly() -> None:
        with changes.telling(postgres) as connection:
            changes.record(connection, "media.ready", {"slow": True})
            written.set()
            may_end.wait(10)

    def quickly() -> None:
        with changes.telling(postgres) as connection:
            changes.record(connection, "media.ready", {"slow": False})

    seen: list[changes.Change] = []
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(slowly)
        written.wait(10)
        quick = pool.submit(quickly)
        # It cannot end now; if it could, what is read here would go beyond the change that is not to be seen yet.
        with pytest.raises(TimeoutError):
            quick.result(0.3)
        seen += changes.since(postgres, 0)
        may_end.set()
        slow.result(10)
        quick.result(10)
    seen += changes.since(postgres, seen[-1].number if seen else 0)
    assert [change.data["slow"] for change in seen] == [True, False]


def test_a_change_is_written_in_its_turn_only(database: sa.Engine) -> None:
    with database.begin() as connection, pytest.raises(AssertionError):
        changes.record(connection, "media.ready", {})


def test_what_many_create_at_once_is_created_once(postgres: sa.Engine) -> None:
    made = together(*(lambda: media.open_for(postgres, task("task_1", "med_1")) for _ in range(8)))
    assert made == [True] * 8
    assert [change.type for change in changes.since(postgres, 0)] == ["media.created", "task.created"]


def test_a_row_that_is_deleted_while_a_task_of_it_is_opened_leaves_nothing_or_all(postgres: sa.Engine) -> None:
    for number in range(10):
        media_id, task_id = f"med_{number}", f"task_{number}"
        media.create(postgres, media_id, "x")
        asked = task(task_id, media_id)
        opened, _ = together(
            lambda asked=asked: media.open_for(postgres, asked),  # type: ignore[misc]
            lambda media_id=media_id: media.delete(postgres, media_id),  # type: ignore[misc]
        )
        # Opened before the row was deleted, whoever deletes finds the task; afterwards there is neither.
        assert (tasks.get(postgres, task_id) is not None) == opened
        assert media.get(postgres, media_id) is None


def test_branches_that_end_at_once_assemble_their_media(postgres: sa.Engine) -> None:
    for number in range(5):
        media_id = f"med_{number}"
        refs = [branch.step_id for branch in BRANCHES]
        for ref in refs:
            media.open_for(postgres, task(f"task_{number}_{ref}", media_id, ref))

        def end(ref: str, number: int = number, media_id: str = media_id) -> None:
            tasks.complete(postgres, f"task_{number}_{ref}", {"url": f"storage:{ref}"})
            media.assemble(postgres, media_id)

        together(*(lambda ref=ref: end(ref) for ref in refs))
        row = media.get(postgres, media_id)
        assert row is not None
        assert (row.status, row.progress) == ("ready", 100.0)
        told = [change.type for change in changes.since(postgres, 0, media_id=media_id)]
        assert (told.count("media.ready"), told.count("media.playable")) == (1, 1)


def begin(database: sa.Engine, task_id: str, piece: str) -> int:
    with database.begin() as connection:
        return attempts.begin(connection, task_id, piece)


def test_many_who_work_on_one_media_row_never_wait_for_each_other(postgres: sa.Engine) -> None:
    refs = [branch.step_id for branch in BRANCHES]
    for ref in refs:
        media.open_for(postgres, task(f"task_{ref}", "med_1", ref))
        tasks.plan(postgres, f"task_{ref}", [{"name": f"piece-{n}", "weight": 1.0} for n in range(6)])

    def work(ref: str, pieces: Iterable[int]) -> None:
        for piece in pieces:
            number = begin(postgres, f"task_{ref}", f"piece-{piece}")
            attempts.advance(postgres, f"task_{ref}", f"piece-{piece}", number, 0.5, 1.0)
            tasks.advance(postgres, f"task_{ref}")
            with postgres.begin() as connection:
                attempts.complete(connection, f"task_{ref}", f"piece-{piece}", number, {})
            edition, _ = published.editions(postgres, f"task_{ref}")
            tasks.show(postgres, f"task_{ref}", {"url": "storage:x"}, edition, {f"{ref}/{piece}": ("text/plain", "x")})
            tasks.advance(postgres, f"task_{ref}")
            media.assemble(postgres, "med_1")
        media.change(postgres, "med_1", {"title": ref})

    started = clock.now_ms()
    together(*(lambda ref=ref, half=half: work(ref, range(half, 6, 2)) for ref in refs for half in (0, 1)))
    together(*(lambda ref=ref: tasks.complete(postgres, f"task_{ref}", {"url": "storage:x"}) for ref in refs))
    assert media.assemble(postgres, "med_1")["status"] == "ready"
    with postgres.connect() as connection:
        deadlocks = connection.scalar(
            sa.text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        )
    assert deadlocks == 0
    assert clock.now_ms() - started < 20_000


def test_attempts_that_begin_at_once_are_numbered_one_after_another(postgres: sa.Engine) -> None:
    media.open_for(postgres, task("task_1", "med_1"))
    numbers = together(*(lambda: begin(postgres, "task_1", "chunk-0") for _ in range(6)))
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]
    running = [row.attempt for row in attempts.of_task(postgres, "task_1") if row.status == "running"]
    assert running == [6]


def test_attempts_at_a_delivery_are_numbered_one_after_another(postgres: sa.Engine) -> None:
    with postgres.begin() as connection:
        row = {"id": "dlv_1", "change_id": "evt_1", "url": "x", "status": "pending", "created_at": 1}
        connection.execute(tables.deliveries.insert().values(row))
    told: dict[str, Any] = {"status_code": 500, "answer": None, "error": None, "took_ms": 1}
    together(*(lambda: webhooks.note_attempt(postgres, "dlv_1", **told) for _ in range(6)))
    assert [one["attempt"] for one in webhooks.attempts_at(postgres, "dlv_1")] == [1, 2, 3, 4, 5, 6]


def test_a_key_that_is_freed_while_others_ask_for_it_goes_to_one_of_them(postgres: sa.Engine, tmp_path: Path) -> None:
    with member(postgres, tmp_path) as here:

        def ask() -> int:
            answer, _ = answers.claim(postgres, "me", "key", "same", worker_id=here, now=7)
            if answer is not None:
                return 0
            answers.release(postgres, "me", "key", worker_id=here, claimed_at=7)
            return 1

        assert sum(together(*(ask for _ in range(8)))) >= 1
        assert answers.claim(postgres, "me", "key", "same", worker_id=here, now=8)[0] is None


def test_one_takes_the_place_of_a_process_that_died_at_a_request(postgres: sa.Engine, tmp_path: Path) -> None:
    with member(postgres, tmp_path / "dies") as dead:
        assert answers.claim(postgres, "me", "key", "same", worker_id=dead, now=7) == (None, 7)
        with member(postgres, tmp_path / "asks early") as early:
            answer, _ = answers.claim(postgres, "me", "key", "same", worker_id=early, now=8)
            assert answer is not None
            assert answer.status_code is None
    with member(postgres, tmp_path / "lives") as here:
        # Another request is no repetition of it.
        assert answers.claim(postgres, "me", "key", "another", worker_id=here, now=9)[0] is not None
        asked = together(
            *(lambda: answers.claim(postgres, "me", "key", "same", worker_id=here, now=9) for _ in range(8))
        )
        # When it was first taken is kept: what is created is named by that.
        assert sorted((answer is None, at) for answer, at in asked) == [(False, 7)] * 7 + [(True, 7)]
        # The one that was lost may only have been frozen. It takes nothing from the other.
        answers.release(postgres, "me", "key", worker_id=dead, claimed_at=7)
        assert answers.claim(postgres, "me", "key", "same", worker_id=here, now=9)[0] is not None


def test_of_transcripts_of_one_media_row_that_come_at_once_one_is_kept(postgres: sa.Engine) -> None:
    together(
        *(
            lambda number=number: transcripts.put(postgres, f"task_{number}", "med_1", "en", [(0.0, 1.0, "the same")])
            for number in range(6)
        )
    )
    assert transcripts.search(postgres, "same").total == 1
