"""Process-task: one media task as a run. Each piece of it is a step, retried and remembered alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import inngest

from anabranch import clock
from anabranch.catalog.tasks import Task
from anabranch.errors import FinalError
from anabranch.functions import remote_task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from anabranch.tasks.elsewhere import Elsewhere
    from anabranch.tasks.orders import Orders

Json = Any


def create(
    client: inngest.Inngest,
    orders: Orders,
    announce: Callable[[], Awaitable[None]],
    elsewhere: Elsewhere | None = None,
) -> inngest.Function[dict[str, Json]]:
    """The function that does a task; its event's data is the body of a task request.

    It returns the task's id and output: `{"id": "task_…", "output": {…}}`. The event `task/cancelled` with the
    task's id ends it.

    Args:
        client: the app that it belongs to.
        orders: has the steps done.
        announce: hands webhooks that are due to the engine.
        elsewhere: has the tasks done by another Task API whose kinds it takes; None when there is none.
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
        if elsewhere is not None and elsewhere.takes(order.kind):
            return await remote_task.do(ctx, order, elsewhere, announce)
        again: Any = ctx.event.data.get("again")
        planned = await ctx.step.run("plan", lambda: _final(orders.plan(order, again)))

        def perform(name: str, optional: bool) -> Callable[[], Awaitable[None]]:
            async def do() -> None:
                try:
                    await ctx.step.run(name, lambda: _final(orders.perform(order, name)))
                except inngest.StepError:
                    if not optional:
                        raise

            return do

        pieces = [(piece["name"], piece.get("optional", False)) for piece in planned["pieces"]]
        await ctx.group.parallel(tuple(perform(*piece) for piece in pieces))

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


async def _final(work: Awaitable[dict[str, Json]]) -> dict[str, Json]:
    """Tell the engine not to try again what cannot succeed."""
    try:
        return await work
    except FinalError as error:
        raise inngest.NonRetriableError(str(error)) from error
