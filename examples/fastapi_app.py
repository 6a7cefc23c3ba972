"""A FastAPI app with the fan-out inside it. Run: PORT=8001 python examples/fastapi_app.py

Its environment says which engine drives it (INNGEST_*) and where its files are (ANABRANCH_*).
"""

from __future__ import annotations

import os

import fastapi
import inngest
import inngest.fast_api
import uvicorn
from fastapi.staticfiles import StaticFiles

from anabranch import Anabranch

client = inngest.Inngest(app_id="my-fastapi-app")
anabranch = Anabranch()
app = fastapi.FastAPI()


@client.create_function(fn_id="tell-people", trigger=inngest.TriggerEvent(event="video/announced"))
async def tell_people(ctx: inngest.Context) -> str:
    """A function of the app's own, beside the others."""
    return f"{ctx.event.data['title']} is here"


inngest.fast_api.serve(app, client, [tell_people, *anabranch.functions(client)])
app.mount("/outputs", StaticFiles(directory=anabranch.outputs, check_dir=False))


@app.get("/videos/{media_id}")
def read_video(media_id: str) -> dict[str, object]:
    """The record of a video."""
    return anabranch.media(media_id) or {"status": "unknown"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
