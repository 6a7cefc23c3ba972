"""Wakes: where another Task API says that a task has ended which it does for this server."""

from __future__ import annotations

import asyncio

import fastapi

from anabranch.api.context import Running
from anabranch.api.problems import Problem
from anabranch.functions.remote_task import ENDED
from anabranch.tasks.elsewhere import task_of

router = fastapi.APIRouter()


# Only who was given the address asks, and it stands in no document.
@router.post("/tasks/remote/{token}", status_code=202, include_in_schema=False)
async def wake(token: str, app: Running) -> dict[str, bool]:
    """Look at once how a task is. What the caller says of it is not believed, and not even read."""
    task_id = await asyncio.to_thread(task_of, app.database, token)
    if task_id is None:
        raise Problem("signature_invalid", 403, "The address is not signed by this server, or was changed.")
    # By this id once a day, however often it is said.
    await app.send(ENDED, {f"{task_id}.remote": {"id": task_id}})
    return {"heard": True}
