"""A Flask app with two functions, in the SDK's synchronous form."""

from __future__ import annotations

import os
from typing import Any

import flask
import inngest
import inngest.flask

APP_ID = os.environ["APP_ID"]
client = inngest.Inngest(app_id=APP_ID)


@client.create_function(fn_id="count", trigger=inngest.TriggerEvent(event=f"{APP_ID}/go"))
def count(ctx: inngest.ContextSync) -> Any:
    def square(n: int) -> Any:
        return lambda: ctx.step.run(f"square-{n}", lambda: n * n)

    squares = ctx.group.parallel(tuple(square(n) for n in range(int(ctx.event.data["n"]))))  # type: ignore[arg-type]
    ctx.step.sleep("nap", 50)
    return {"squares": list(squares), "sum": ctx.step.run("sum", lambda: sum(squares))}


@client.create_function(fn_id="fail", trigger=inngest.TriggerEvent(event=f"{APP_ID}/fail"))
def fail(ctx: inngest.ContextSync) -> None:
    raise inngest.NonRetriableError("no use")


app = flask.Flask(__name__)
inngest.flask.serve(app, client, [count, fail])

if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]), threaded=True)
