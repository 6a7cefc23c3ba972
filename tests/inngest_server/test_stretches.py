"""Stretches: long films stay inside what an Inngest server allows of steps."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import fastapi
import httpx2
import inngest
import inngest.fast_api
import pytest

from anabranch.catalog import attempts, tasks
from anabranch.errors import EncodeError
from anabranch.functions import process_task
from anabranch.functions.process_task import stretches
from anabranch.inngest_engine import MOST_PIECE_STEPS
from anabranch.settings import Settings
from anabranch.tasks import Kind, Options, Output, Piece
from anabranch.tasks.kinds import KINDS
from tests import clips
from tests.inngest_server.driver import MOST_STEPS, Answer, Driver, FailedError
from tests.working import at_work

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from anabranch.app import Parts
    from anabranch.media.probe import Probe
    from anabranch.tasks.desk import Desk

pytestmark = pytest.mark.anyio

Json = Any


class Counting(Kind[Options]):
    """As many pieces as it is told, which count that they were done, and fail where they should."""

    name = "counting"
    options = Options

    def __init__(self, count: int, *failing: str) -> None:
        self.count = count
        self.failing = list(failing)
        self.done: Counter[str] = Counter()

    def plan(self, options: Options, probe: Probe) -> list[Piece]:
        """The pieces, the last of them optional. The first stretch and the last one are due first."""
        last = self.count - 1
        return [
            Piece(f"piece-{at:04}", urgent=True, optional=at == last, position_s=0 if at < 13 or at == last else 3600)
            for at in range(self.count)
        ]

    def perform(self, piece: Piece, options: Options, desk: Desk) -> dict[str, Json]:
        """Count it."""
        self.done[piece.name] += 1
        if piece.name in self.failing:
            self.failing.remove(piece.name)
            raise EncodeError("encode_failed", f"{piece.name} was to fail.")
        return {"name": piece.name}

    def join(self, results: Sequence[dict[str, Json]], options: Options, desk: Desk) -> Output:
        """How many there are."""
        return Output("text", "text/plain", None, facts={"count": len(results)})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """A process that does pieces."""
    with at_work(Settings(home=tmp_path)) as parts:
        yield parts


def driven(parts: Parts, most_piece_steps: int) -> Driver:
    """The function that does tasks, driven by its protocol in this process."""
    client = inngest.Inngest(app_id="anabranch", is_production=False)

    async def nobody() -> None:
        """Nobody is to be told of anything."""

    function = process_task.create(client, parts.orders, nobody, most_piece_steps=most_piece_steps)
    asgi = fastapi.FastAPI()
    inngest.fast_api.serve(asgi, client, [function])
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(asgi), base_url="http://app.test")

    async def call(function_id: str, step: str, body: dict[str, Json]) -> Answer:
        answer = await http.post("/api/inngest", params={"fnId": function_id, "stepId": step}, json=body)
        return Answer(answer.status_code, answer.json(), answer.headers.get("x-inngest-no-retry") == "true")

    driver = Driver(call)
    driver.register([config.to_dict() for config in vars(function.get_config("http://app.test")).values() if config])
    return driver


def order() -> Json:
    """An event that asks for a task of that kind."""
    data = {"id": "task_1", "kind": "counting", "input": str(clips.plain())}
    return {"name": "task/created", "data": data, "id": "e", "ts": 1}


def test_step_ids_of_short_plans_are_those_of_their_pieces() -> None:
    pieces = [{"name": f"chunk-{at:04}", "optional": at % 2 == 1} for at in range(MOST_PIECE_STEPS)]
    for most in (None, MOST_PIECE_STEPS):
        assert [one.step_id for one in stretches(pieces, most)] == [piece["name"] for piece in pieces]


def test_a_step_of_a_long_plan_does_pieces_that_follow_each_other() -> None:
    pieces = [{"name": str(at), "optional": at == 6} for at in range(7)]
    found = [(one.step_id, one.optional) for one in stretches(pieces, 3)]
    assert found == [("0..2", False), ("3..5", False), ("6", True)]


@pytest.mark.slow
async def test_a_plan_of_five_thousand_pieces_stays_inside_the_limits(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = Counting(5000)
    monkeypatch.setitem(KINDS, "counting", kind)
    driver = driven(parts, MOST_PIECE_STEPS)
    planned: dict[str, str] = {}
    ask = driver.call

    async def call(function_id: str, step: str, body: dict[str, Json]) -> Answer:
        if step in planned and planned[step] not in (first, last):
            return Answer(206, [{"id": step, "op": "StepRun", "data": None}])
        answer = await ask(function_id, step, body)
        if answer.status == 206 and not planned and answer.body[0]["op"] == "StepPlanned":
            planned.update({op["id"]: op["displayName"] for op in answer.body})
        return answer

    first, last = "piece-0000..piece-0012", "piece-4999"
    driver.calls_by(call)
    with pytest.raises(FailedError):
        # Only the first stretch and the last are really done here, which joining finds out.
        await driver.run("anabranch-process-task", order())
    assert kind.done.keys() >= {*(f"piece-{at:04}" for at in range(13)), "piece-4999"}
    assert len(planned) <= MOST_PIECE_STEPS + 1
    assert max(len(steps) for steps in driver.steps.values()) < MOST_STEPS
    named = [name.split("..") for name in planned.values()]
    covered = [at for one in named for at in range(int(one[0][-4:]), int(one[-1][-4:]) + 1)]
    assert covered == list(range(5000))


async def test_of_a_stretch_only_what_failed_is_done_again(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = Counting(12, "piece-0004", "piece-0004", "piece-0011")
    monkeypatch.setitem(KINDS, "counting", kind)
    driver = driven(parts, 4)
    told = await driver.run("anabranch-process-task", order())
    assert told["output"]["count"] == 12
    assert kind.done == Counter({f"piece-{at:04}": 1 for at in range(12)}) + Counter({"piece-0004": 2, "piece-0011": 1})
    task = tasks.get(parts.database, "task_1")
    assert task is not None
    assert task.status == "completed"
    rows = attempts.of_task(parts.database, "task_1")
    made = [(row.attempt, row.status) for row in rows if row.piece == "piece-0004"]
    assert made == [(1, "failed"), (2, "failed"), (3, "completed")]


async def test_what_is_optional_may_fail_without_what_is_not(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "counting", Counting(9, *["piece-0008"] * 4))
    told = await driven(parts, 3).run("anabranch-process-task", order())
    assert told["output"]["count"] == 8
