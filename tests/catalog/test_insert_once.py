from __future__ import annotations

from typing import TYPE_CHECKING

from anabranch.catalog import steps
from anabranch.catalog.tables import secrets
from anabranch.database import insert_once

if TYPE_CHECKING:
    import sqlalchemy as sa


def test_what_is_new_is_told_from_what_was_there(database: sa.Engine) -> None:
    entered = insert_once(database, secrets).values(name="a", value="b", created_at=1)
    with database.begin() as connection:
        assert [connection.execute(entered).rowcount for _ in range(2)] == [1, 0]
    # What relies on it: a step that fails again.
    for failures in (1, 2, 1):
        error = {"message": str(failures)}
        steps.fail(database, "run", "step", name=None, failures=failures, error=error, due_at=failures)
    assert steps.retries(database, ["run", "another"]) == {"run": (2, 2)}
