"""Step reports: what is known of attempts at steps that an Inngest server drives."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import fastapi
import httpx2
import inngest
import inngest.fast_api
import pytest

from anabranch import clock
from anabranch.catalog import steps
from anabranch.database import open_database
from anabranch.step_reports import reporting
from tests.databases import put_migrated
from tests.inngest_server.driver import Answer, Driver, FailedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import sqlalchemy as sa

pytestmark = pytest.mark.anyio

Json = Any


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty database."""
    database = open_database(put_migrated(tmp_path / "a.db"))
    yield database
    database.dispose()


class Watched(Driver):
    """Drives an app in this process, and asks after each call what is known of retries."""

    def __init__(self, database: sa.Engine, *failures: Exception, parallel: bool) -> None:
        super().__init__(self._ask)
        self.known: list[tuple[int, int | None]] = []
        self._database = database
        self.run_id = ""
        left = list(failures)
        quiet = logging.getLogger("tests.reports")
        quiet.setLevel(logging.CRITICAL)
        client = inngest.Inngest(app_id="app", is_production=False, logger=quiet, middleware=[reporting(database)])

        async def work() -> str:
            if left:
                raise left.pop(0)
            return "done"

        async def rest() -> str:
            return "rest"

        @client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="go"), retries=3)
        async def function(ctx: inngest.Context) -> str:
            if parallel:
                both = (lambda: ctx.step.run("work", work), lambda: ctx.step.run("rest", rest))
                return (await ctx.group.parallel(both))[0]
            return await ctx.step.run("work", work)

        asgi = fastapi.FastAPI()
        inngest.fast_api.serve(asgi, client, [function])
        self._http = httpx2.AsyncClient(transport=httpx2.ASGITransport(asgi), base_url="http://app.test")
        self.register([config.to_dict() for config in vars(function.get_config("http://app.test")).values() if config])

    async def _ask(self, function_id: str, step: str, body: dict[str, Json]) -> Answer:
        query = {"fnId": function_id, "stepId": step}
        answer = await self._http.post("/api/inngest", params=query, json=body)
        self.run_id = body["ctx"]["run_id"]
        self.known.append(steps.retries(self._database, [self.run_id]).get(self.run_id, (0, None)))
        return Answer(answer.status_code, answer.json(), answer.headers.get("x-inngest-no-retry") == "true")

    async def go(self) -> Json:
        """What a run returns."""
        return await self.run("app-f", {"name": "go", "data": {}, "id": "e", "ts": 1})


@pytest.mark.parametrize("parallel", [False, True])
async def test_each_failure_is_counted_and_the_next_attempt_told_until_it_is_done(
    database: sa.Engine, parallel: bool
) -> None:
    app = Watched(database, ValueError("one"), ValueError("two"), parallel=parallel)
    assert await app.go() == "done"
    counted = [failures for failures, _ in app.known]
    assert counted == sorted(counted)
    assert set(counted) >= {1, 2}
    due = [due_at for failures, due_at in app.known if failures == 1 and due_at]
    assert all(15_000 < at - clock.now_ms() <= 45_000 for at in due)
    assert steps.retries(database, [app.run_id]) == {app.run_id: (2, None)}
    (row,) = steps.of_run(database, app.run_id)
    assert (row.name, row.failures, row.error) == ("work", 2, None)


@pytest.mark.parametrize("parallel", [False, True])
async def test_what_fails_for_good_has_no_next_attempt(database: sa.Engine, parallel: bool) -> None:
    app = Watched(database, ValueError("one"), inngest.NonRetriableError("no use"), parallel=parallel)
    with pytest.raises((FailedError, ExceptionGroup)):
        await app.go()
    assert steps.retries(database, [app.run_id]) == {app.run_id: (1, None)}
    rows = steps.of_run(database, app.run_id)
    assert {"name": "NonRetriableError", "message": "no use"} in [row.error for row in rows]


async def test_the_last_attempt_that_there_is_has_no_next_one(database: sa.Engine) -> None:
    app = Watched(database, *(ValueError(str(number)) for number in range(4)), parallel=True)
    with pytest.raises(FailedError):
        await app.go()
    assert steps.retries(database, [app.run_id]) == {app.run_id: (3, None)}


async def test_a_step_that_says_when_is_due_then(database: sa.Engine) -> None:
    app = Watched(database, inngest.RetryAfterError("later", 90_000), parallel=True)
    assert await app.go() == "done"
    due = next(due_at for failures, due_at in app.known if failures)
    assert due is not None
    assert 80_000 < due - clock.now_ms() <= 90_000


def test_a_report_that_comes_late_takes_nothing_back(database: sa.Engine) -> None:
    for failures in (2, 1):
        error = {"message": str(failures)}
        steps.fail(database, "run", "step", name=None, failures=failures, error=error, due_at=failures)
    assert steps.retries(database, ["run", "another"]) == {"run": (2, 2)}
