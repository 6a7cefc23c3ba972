"""Remote-task: how process-task has a task done by another Task API: created there, looked at, and joined here."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Any

import inngest

from anabranch.errors import FinalError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from anabranch.catalog.tasks import Task
    from anabranch.tasks.elsewhere import Elsewhere

Json = Any

# Whoever knows that a task may have ended there sends it, with the task's id; it only ends the wait.
ENDED = "task/remote.ended"
_FIRST_WAIT_S = 1
# Each wait is this part of all the waiting before it: one is told of the end late by a twenty-fifth of the time that it
# took, and a day takes fewer than 300 looks. Inngest allows a run a thousand steps.
_SHARE = 25


async def do(
    ctx: inngest.Context, order: Task, elsewhere: Elsewhere, announce: Callable[[], Awaitable[None]]
) -> dict[str, Json]:
    """Have the task done there.

    Args:
        ctx: of the run.
        order: the task.
        elsewhere: does the steps.
        announce: hands webhooks that are due to the engine.

    Returns:
        what process-task returns.
    """
    await ctx.step.run("create", lambda: _told(elsewhere.create(order)))
    for number, wait_s in enumerate(waits_s(), 1):
        seen = await ctx.step.run(f"look-{number}", lambda: _told(elsewhere.look(order)))
        if seen["ended"]:
            break
        await ctx.step.wait_for_event(
            f"wait-{number}",
            event=ENDED,
            if_exp=f"async.data.id == {json.dumps(order.id)}",
            # The SDK takes whole seconds.
            timeout=datetime.timedelta(seconds=max(wait_s, int(seen["wait_s"]))),
        )

    async def join() -> dict[str, Json]:
        output = await _told(elsewhere.join(order))
        await announce()
        return output

    return {"id": order.id, "output": await ctx.step.run("join", join)}


def waits_s() -> Iterator[int]:
    """How long to wait after each look, in seconds."""
    waited_s = 0
    while True:
        wait_s = max(_FIRST_WAIT_S, waited_s // _SHARE)
        waited_s += wait_s
        yield wait_s


async def _told(work: Awaitable[dict[str, Json]]) -> dict[str, Json]:
    """Tell the engine not to try again what cannot succeed, and when to try what was asked to wait."""
    try:
        return await work
    except FinalError as error:
        raise inngest.NonRetriableError(str(error)) from error
    except RetriableError as error:
        if error.retry_after_s is None:
            raise
        raise inngest.RetryAfterError(str(error), datetime.timedelta(seconds=error.retry_after_s)) from error
