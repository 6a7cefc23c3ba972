"""Media rows: what is deleted is not made again by who did not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anabranch import clock
from anabranch.catalog import changes, media, tasks
from anabranch.catalog.tasks import Task

if TYPE_CHECKING:
    import sqlalchemy as sa


def poster(created_at: int) -> Task:
    return Task(
        "task_1", "med_1", "poster-image", "image", "/film.mp4", {}, {}, "queued", 0.0, None, None, None, created_at,
        None, None,
    )  # fmt: skip


def test_a_task_that_was_asked_for_before_its_media_was_deleted_leaves_nothing(database: sa.Engine) -> None:
    asked_at = clock.now_ms()
    media.create(database, "med_1", "/film.mp4")
    media.delete(database, "med_1")
    assert not media.open_for(database, poster(asked_at))
    assert media.get(database, "med_1") is None
    assert tasks.get(database, "task_1") is None


def test_an_id_may_be_used_again_after_its_media_was_deleted(database: sa.Engine) -> None:
    media.create(database, "med_1", "/film.mp4")
    media.delete(database, "med_1")
    assert media.open_for(database, poster(clock.now_ms() + 1))
    assert media.get(database, "med_1") is not None
    assert tasks.get(database, "task_1") is not None


def test_who_was_away_is_told_of_every_row_that_has_changed_however_many(database: sa.Engine) -> None:
    for number in range(300):
        media.create(database, f"med_{number}", "/film.mp4")
    assert len(changes.media_since(database, 0)) == 300
    assert changes.media_since(database, changes.latest(database)) == []
