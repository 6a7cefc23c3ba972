"""Process-task: one media task as a run. Each piece of it is a step, retried and remembered alone."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import inngest

from anabranch import clock
from anabranch.catalog.tasks import Task
from anabranch.errors import FinalError
from anabranch.functions import remote_task
from anabranch.storage.names import check_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from anabranch.tasks.elsewhere import Elsewhere
    from anabranch.tasks.orders import Orders

Json = Any


@dataclass(frozen=True)
class Stretch:
    """Pieces of a task that one step does.

    Attributes:
        pieces: their names, in the order of the plan.
        optional: whether the task is done without them when they fail for good.
    """

    pieces: tuple[str, ...]
    optional: bool

    @property
    def step_id(self) -> str:
        """The step's name; a promise, for it is written to databases. That of one piece is the piece's."""
        return self.pieces[0] if len(self.pieces) == 1 else f"{self.pieces[0]}..{self.pieces[-1]}"


def stretches(pieces: Sequence[Mapping[str, Json]], most_steps: int | None) -> list[Stretch]:
    """The pieces of a plan by the steps that do them: one each, as long as that is no more than `most_steps`."""
    length = 1 if most_steps is None else max(1, math.ceil(len(pieces) / most_steps))
    if length == 1:
        return [Stretch((piece["name"],), piece.get("optional", False)) for piece in pieces]
    found = []
    # A step fails as a whole, so what a task can be done without is kept apart.
    for optional in (False, True):
        names = [piece["name"] for piece in pieces if piece.get("optional", False) is optional]
        found += [Stretch(tuple(names[at : at + length]), optional) for at in range(0, len(names), length)]
    return found


def create(
    client: inngest.Inngest,
    orders: Orders,
    announce: Callable[[], Awaitable[None]],
    elsewhere: Elsewhere | None = None,
    most_piece_steps: int | None = None,
) -> inngest.Function[dict[str, Json]]:
    """The function that does a task; its event's data is the body of a task request.

    It returns the task's id and output: `{"id": "task_…", "output": {…}}`. The event `task/cancelled` with the
    task's id ends it.

    Args:
        client: the app that it belongs to.
        orders: has the steps done.
        announce: hands webhooks that are due to the engine.
        elsewhere: has the tasks done by another Task API whose kinds it takes; None when there is none.
        most_piece_steps: how many steps the pieces of one task may take, where the engine has a limit; a plan of more
            pieces has several done by a step.
    """

    async def abandon(ctx: inngest.Context) -> None:
        failed = ctx.event.data
        original: Any = failed["event"]
        order = read_order(original["data"], str(failed["run_id"]))
        error: Any = failed["error"]
        if elsewhere is not None:
            await elsewhere.abandon(order.id)
        await orders.give_up(order.id, {"code": "task_failed", "message": error.get("message"), "retryable": False})
        await announce()

    @client.create_function(
        fn_id="process-task",
        name="Do a media task",
        trigger=inngest.TriggerEvent(event="task/created"),
        retries=3,
        cancel=[inngest.Cancel(event="task/cancelled", if_exp="event.data.id == async.data.id")],
        on_failure=abandon,
    )
    async def process_task(ctx: inngest.Context) -> dict[str, Json]:
        order = read_order(ctx.event.data, ctx.run_id)
        _check_ids(order)
        if elsewhere is not None and elsewhere.takes(order.kind):
            return await remote_task.do(ctx, order, elsewhere, announce)
        again: Any = ctx.event.data.get("again")
        planned = await ctx.step.run("plan", lambda: _final(orders.plan(order, again)))
        if "probe" in planned:
            # It was planned when plans were results of steps, and no row has it.
            planned = await ctx.step.run("plan-anew", lambda: _final(orders.plan(order)))

        def perform(stretch: Stretch) -> Callable[[], Awaitable[None]]:
            async def do() -> None:
                try:
                    await ctx.step.run(stretch.step_id, lambda: _final(_perform(orders, order, stretch)))
                except inngest.StepError:
                    if not stretch.optional:
                        raise

            return do

        await ctx.group.parallel(tuple(map(perform, stretches(planned["pieces"], most_piece_steps))))

        async def join() -> dict[str, Json]:
            output = await _final(orders.join(order))
            await announce()
            return output

        return {"id": order.id, "output": await ctx.step.run("join", join)}

    return process_task


def create_discard(
    client: inngest.Inngest,
    process_task: inngest.Function[dict[str, Json]],
    orders: Orders,
    elsewhere: Elsewhere | None = None,
) -> inngest.Function[None]:
    """The function that cleans up after a cancelled task: ends its encodes and removes what they wrote."""
    # Whoever cancels the run means the task.
    of_run = f"event.data.function_id == '{process_task.id}'"

    @client.create_function(
        fn_id="discard-task",
        name="Clean up after a cancelled task",
        trigger=[
            inngest.TriggerEvent(event="task/cancelled"),
            inngest.TriggerEvent(event="inngest/function.cancelled", expression=of_run),
        ],
        retries=3,
    )
    async def discard_task(ctx: inngest.Context) -> None:
        told: Any = ctx.event.data
        task_id = read_order(told["event"]["data"], told["run_id"]).id if "run_id" in told else told["id"]
        if elsewhere is not None:
            try:
                await ctx.step.run("elsewhere", lambda: elsewhere.cancel(str(task_id)))
            except inngest.StepError as error:
                # It ends there by itself, some time.
                ctx.logger.warning("task %s could not be cancelled elsewhere: %s", task_id, error.message)
        await orders.discard(str(task_id))

    return discard_task


def read_order(data: Mapping[str, Json], run_id: str) -> Task:
    """The task that a run is for. Without an id of its own it is named after the run, the same on each replay."""
    return Task(
        id=data.get("id") or f"task_{run_id.rpartition('_')[2].lower()}",
        media_id=data.get("media_id"),
        ref=data.get("ref"),
        kind=str(data.get("kind")),
        input=str(data.get("input")),
        options=dict(data.get("options") or {}),
        metadata=dict(data.get("metadata") or {}),
        status="queued",
        progress=0.0,
        pieces=None,
        output=None,
        error=None,
        created_at=clock.now_ms(),
        started_at=None,
        finished_at=None,
        webhook_url=data.get("webhook_url"),
        run_id=run_id or None,
    )


def _check_ids(order: Task) -> None:
    """Ids become parts of paths, and whoever sends events chooses them."""
    try:
        for one in filter(None, (order.id, order.media_id)):
            check_id(one)
    except FinalError as error:
        raise inngest.NonRetriableError(str(error)) from None


async def _perform(orders: Orders, order: Task, stretch: Stretch) -> dict[str, Json]:
    """Do the pieces of a stretch, each when its turn comes. Those that an earlier attempt has done are not done again.

    All come to their end before one that failed is told of, so that the next attempt finds as much done as can be.
    """
    if len(stretch.pieces) == 1:
        return await orders.perform(order, stretch.pieces[0])
    done = await asyncio.gather(*(orders.perform(order, name) for name in stretch.pieces), return_exceptions=True)
    failures = [one for one in done if isinstance(one, BaseException)]
    if failures:
        raise next((one for one in failures if isinstance(one, FinalError)), failures[0])
    return {"pieces": len(stretch.pieces)}


async def _final(work: Awaitable[dict[str, Json]]) -> dict[str, Json]:
    """Tell the engine not to try again what cannot succeed."""
    try:
        return await work
    except FinalError as error:
        raise inngest.NonRetriableError(str(error)) from error
