"""Work and what is published: who may write, on both databases and a clock that is the database's own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from anabranch.catalog import attempts, losses, published, tables, tasks, work
from anabranch.catalog.work import Claim, Wish
from anabranch.errors import SetupError
from anabranch.functions.process_task import read_order
from anabranch.storage.files import FileStorage
from anabranch.tasks import capabilities, showcase
from anabranch.workers import Membership, workers

if TYPE_CHECKING:
    from pathlib import Path


class Member:
    """A process among those that share the database, which beats when it is told to."""

    def __init__(self, database: sa.Engine, home: Path, **can: Any) -> None:
        self.database = database
        self._membership = Membership(database, home, {"slots": 1, **can}, lease_s=12)
        self._can = can

    @property
    def id(self) -> str:
        return self._membership.id

    def silent_for(self, seconds: float) -> None:
        """As if it had last been seen so long ago."""
        with self.database.begin() as connection:
            seen = workers.c.seen_at - round(seconds * 1000)
            connection.execute(workers.update().where(workers.c.id == self.id).values(seen_at=seen))

    def look_around(self) -> None:
        """What goes with each beat: tell the lost from the living, and take from them what they hold."""
        self._membership._declare_lost()
        losses.release_lost(self.database)

    def lives(self) -> bool:
        return self._membership._beat()

    def claim(self, needs: str = "cpu") -> Claim | None:
        return work.claim(self.database, self.id, [needs], lambda required: required != "nothing")


@pytest.fixture
def members(database: sa.Engine, tmp_path: Path) -> list[Member]:
    for name in "ab":
        (tmp_path / name).mkdir()
    return [Member(database, tmp_path / name) for name in "ab"]


@pytest.fixture
def task_id(database: sa.Engine) -> str:
    tasks.create(database, read_order({"id": "task_1", "kind": "image", "input": "x"}, "run_1"))
    tasks.begin(database, "task_1", "run_1")
    return "task_1"


def claimed(member: Member) -> Claim:
    claim = member.claim()
    assert claim is not None
    return claim


def statuses(database: sa.Engine) -> list[str]:
    return [row.status for row in attempts.of_task(database, "task_1")]


def test_what_is_due_first_goes_first_of_what_fits(database: sa.Engine, members: list[Member], task_id: str) -> None:
    wishes = [Wish("late", "cpu", 30), Wish("b", "cpu", 20, place=1), Wish("a", "cpu", 20), Wish("say", "speech", 10)]
    work.ask(database, task_id, wishes)
    # Asked for again, it stays as it is.
    work.ask(database, task_id, [Wish("late", "cpu", 0)])
    assert [claimed(members[0]).piece for _ in range(3)] == ["a", "b", "late"]
    assert members[0].claim() is None
    assert members[1].claim("speech") is not None


def test_a_piece_is_claimed_once_however_many_ask(database: sa.Engine, members: list[Member], task_id: str) -> None:
    work.ask(database, task_id, [Wish(f"piece-{at}", "cpu", at) for at in range(20)])
    start = threading.Barrier(4)

    def take(member: Member) -> list[str]:
        start.wait()
        return [claim.piece for _ in range(20) if (claim := member.claim())]

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(take, members * 2))
    assert sorted(piece for one in taken for piece in one) == sorted(f"piece-{at}" for at in range(20))
    assert {row.attempt for row in attempts.of_task(database, task_id)} == {1}


def test_a_late_worker_can_neither_end_a_piece_nor_give_it_back(
    database: sa.Engine, members: list[Member], task_id: str
) -> None:
    late, other = members
    work.ask(database, task_id, [Wish("one", "cpu", 1)])
    held = claimed(late)
    late.silent_for(13)
    other.look_around()
    again = claimed(other)
    assert (again.attempt, statuses(database)) == (2, ["lost", "running"])
    assert not late.lives()
    assert not work.complete(database, held, {"late": True})
    assert not work.fail(database, held, {"code": "late"})
    work.release(database, held)
    assert not attempts.tell(database, task_id, "one", 1, {"late": True})
    assert not attempts.advance(database, task_id, "one", 1, 0.9, 1.0)
    assert work.is_held(database, again)
    assert work.complete(database, again, {"late": False})
    assert attempts.result_of(database, task_id, "one") == {"late": False}
    assert statuses(database) == ["lost", "completed"]


@pytest.mark.parametrize("how", ["completed", "failed", "given back"])
def test_an_attempt_that_nobody_wants_any_more_has_ended_however_it_ends(
    how: str, database: sa.Engine, members: list[Member], task_id: str
) -> None:
    work.ask(database, task_id, [work.Wish("plan", "cpu", 1)])
    claim = claimed(members[0])
    work.forget(database, task_id)
    assert attempts.running(database, task_id)
    if how == "completed":
        assert not work.complete(database, claim, {})
    elif how == "failed":
        assert not work.fail(database, claim, {"code": "x", "message": "x"})
    else:
        work.release(database, claim)
    # Who deletes the task waits for that.
    assert not attempts.running(database, task_id)
    assert statuses(database) == ["interrupted"]


def test_a_worker_that_is_seen_keeps_what_it_does(database: sa.Engine, members: list[Member], task_id: str) -> None:
    work.ask(database, task_id, [Wish("one", "cpu", 1)])
    held = claimed(members[0])
    members[0].silent_for(11)
    members[1].look_around()
    assert members[1].claim() is None
    assert members[0].lives()
    assert work.complete(database, held, {})


def test_who_comes_back_to_its_home_is_another_and_the_one_before_is_lost(
    database: sa.Engine, members: list[Member], task_id: str, tmp_path: Path
) -> None:
    work.ask(database, task_id, [Wish("one", "cpu", 1)])
    held = claimed(members[0])
    back = Member(database, tmp_path / "a")
    back.look_around()
    assert claimed(back).attempt == 2
    assert not work.complete(database, held, {})


def test_an_answer_that_was_lost_may_be_asked_for_again(
    database: sa.Engine, members: list[Member], task_id: str
) -> None:
    work.ask(database, task_id, [Wish("one", "cpu", 1)])
    held = claimed(members[0])
    assert work.complete(database, held, {"made": 1})
    assert work.complete(database, held, {"made": 1})
    assert statuses(database) == ["completed"]
    # Who asks for what is done is not given it to do.
    work.ask(database, task_id, [Wish("one", "cpu", 1)])
    assert members[0].claim() is None
    assert work.look(database, task_id, "one").status == "completed"


def test_a_worker_that_looks_hides_nothing_from_another(postgres: sa.Engine, tmp_path: Path) -> None:
    """Neither what it has no place for, nor what it cannot do."""
    tasks.create(postgres, read_order({"id": "task_1", "kind": "image", "input": "x"}, "run_1"))
    work.ask(postgres, "task_1", [Wish("hard", "cpu", 1, ("nothing",)), Wish("say", "speech", 2)])
    (tmp_path / "a").mkdir()
    other = Member(postgres, tmp_path / "a")

    def asked(required: str) -> bool:
        # While the one who cannot do it looks at the first, the other one wants the second.
        assert other.claim("speech") is not None
        return False

    assert work.claim(postgres, "wrk_1", ["cpu"], asked) is None
    assert work.claim(postgres, other.id, ["cpu"], lambda _required: True) is not None


def test_a_failure_is_told_once_and_then_the_piece_can_be_asked_for_again(
    database: sa.Engine, members: list[Member], task_id: str
) -> None:
    assert work.look(database, task_id, "one").status == "missing"
    work.ask(database, task_id, [Wish("one", "cpu", 1)])
    assert work.look(database, task_id, "one").status == "open"
    assert work.fail(database, claimed(members[0]), {"code": "encode_failed"})
    assert members[0].claim() is None
    told = work.look(database, task_id, "one")
    assert (told.status, told.error) == ("failed", {"code": "encode_failed"})
    assert work.look(database, task_id, "one").status == "missing"
    work.ask(database, task_id, [Wish("one", "cpu", 1)])
    assert claimed(members[0]).attempt == 2


def test_a_worker_passes_over_needs_of_a_version_that_it_does_not_know(
    database: sa.Engine, members: list[Member], task_id: str
) -> None:
    work.ask(database, task_id, [Wish("new", "quantum", 1), Wish("old", "cpu", 2)])
    assert claimed(members[0]).piece == "old"
    assert members[0].claim() is None


def test_what_nobody_can_do_is_known_from_who_lives(database: sa.Engine, tmp_path: Path) -> None:
    needed = ["encoder:libx264", "encoder:libsvtav1"]
    # Nobody is there to be asked.
    capabilities.check(database, needed, "A task")
    (tmp_path / "a").mkdir()
    lesser = Member(database, tmp_path / "a", encoders=["libx264"])
    with pytest.raises(SetupError, match="A task needs encoder:libsvtav1;") as caught:
        capabilities.check(database, needed, "A task")
    assert caught.value.code == "no_capable_worker"
    (tmp_path / "b").mkdir()
    Member(database, tmp_path / "b", encoders=["libx264", "libsvtav1"]).silent_for(13)
    capabilities.check(database, needed, "A task")
    lesser.look_around()
    with pytest.raises(SetupError):
        capabilities.check(database, needed, "A task")


def show(database: sa.Engine, made_from: int, text: str) -> bool:
    return tasks.show(database, "task_1", {"url": "x", "key": "k"}, made_from, {"tasks/task_1/a.m3u8": ("t", text)})


def test_an_edition_is_published_over_the_one_that_it_was_made_from_or_not_at_all(
    database: sa.Engine, task_id: str
) -> None:
    assert show(database, 0, "first")
    assert not show(database, 0, "made of less")
    assert show(database, 1, "second")
    found = published.get(database, "tasks/task_1/a.m3u8")
    assert found is not None
    assert (found.text, found.edition) == ("second", 2)
    assert tasks.complete(database, task_id, {"url": "x"}, {"tasks/task_1/a.m3u8": ("t", "whole")})
    # One that was frozen until now says nothing any more.
    assert show(database, 2, "late")
    found = published.get(database, "tasks/task_1/a.m3u8")
    assert found is not None
    assert found.text == "whole"


def test_of_two_who_store_the_newer_text_stays_whoever_is_slower(
    database: sa.Engine, task_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = FileStorage(tmp_path / "storage")
    assert show(database, 0, "first")
    put = storage.put

    def slow(key: str, source: Path, content_type: str) -> None:
        """Somebody else publishes and stores the next edition while this one is on its way."""
        monkeypatch.setattr(storage, "put", put)
        assert show(database, 1, "second")
        showcase.store(database, storage, task_id)
        put(key, source, content_type)

    monkeypatch.setattr(storage, "put", slow)
    showcase.store(database, storage, task_id)
    assert b"".join(storage.open("tasks/task_1/a.m3u8")) == b"second"
    assert published.editions(database, task_id) == (2, 2)


def test_what_is_stored_for_a_task_that_went_is_taken_away_again(
    database: sa.Engine, task_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = FileStorage(tmp_path / "storage")
    assert show(database, 0, "first")
    put = storage.put

    def slow(key: str, source: Path, content_type: str) -> None:
        tasks.cancel(database, task_id)
        put(key, source, content_type)

    monkeypatch.setattr(storage, "put", slow)
    showcase.store(database, storage, task_id)
    assert not list(storage.keys(""))


def test_what_was_published_goes_with_its_task(database: sa.Engine, task_id: str) -> None:
    assert show(database, 0, "first")
    work.ask(database, task_id, [Wish("one", "cpu", 1)])
    tasks.delete(database, task_id)
    with database.connect() as connection:
        for table in (tables.published, tables.work):
            assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0
