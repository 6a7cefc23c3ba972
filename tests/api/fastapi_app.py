"""A FastAPI app with two functions, as somebody else would write it."""

from __future__ import annotations

import os
from typing import Any

import fastapi
import inngest
import inngest.fast_api
import uvicorn

APP_ID = os.environ["APP_ID"]
client = inngest.Inngest(app_id=APP_ID)


@client.create_function(fn_id="count", trigger=inngest.TriggerEvent(event=f"{APP_ID}/go"))
async def count(ctx: inngest.Context) -> Any:
    def square(n: int) -> Any:
        async def body() -> int:
            return n * n

        return lambda: ctx.step.run(f"square-{n}", body)

    squares = await ctx.group.parallel(tuple(square(n) for n in range(int(ctx.event.data["n"]))))  # type: ignore[arg-type]
    await ctx.step.sleep("nap", 50)

    async def total() -> int:
        return sum(squares)

    return {"squares": list(squares), "sum": await ctx.step.run("sum", total)}


@client.create_function(fn_id="fail", trigger=inngest.TriggerEvent(event=f"{APP_ID}/fail"))
async def fail(ctx: inngest.Context) -> None:
    raise inngest.NonRetriableError("no use")


app = fastapi.FastAPI()
inngest.fast_api.serve(app, client, [count, fail])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
