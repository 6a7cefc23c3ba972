"""Timeline: how each branch of a media row was done, attempt by attempt; and of each attempt, what was run for it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Annotated, Any

import fastapi
from fastapi import Path
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from anabranch import clock
from anabranch.api.context import MayRead, Running
from anabranch.api.media import retries
from anabranch.api.problems import RESPONSES, Problem, missing_media
from anabranch.api.tasks import find, waits
from anabranch.catalog import attempts, media, tasks
from anabranch.catalog.branches import BRANCHES

if TYPE_CHECKING:
    import sqlalchemy as sa

    from anabranch.catalog.tasks import Task

Json = Any
# Attempts by task and piece, in the order they began.
_Made = dict[tuple[str, str], list[dict[str, Any]]]

router = fastapi.APIRouter(tags=["timeline"], responses=RESPONSES)


class AttemptView(BaseModel):
    """An attempt at a piece."""

    attempt: int = Field(description="From 1.")
    status: str = Field(
        description="running, completed, failed, interrupted (given back, or cancelled) or lost (its worker was)"
    )
    progress: float = Field(ge=0, le=1)
    speed: float | None = Field(description="Media seconds made for each second of the clock.")
    startedAt: int  # noqa: N815  (as in the record)
    endedAt: int | None  # noqa: N815
    workerId: str | None = Field(description="Who made it.")  # noqa: N815
    error: dict[str, Any] | None


class PieceView(BaseModel):
    """A piece of a task; the last one of each is `join`."""

    name: str
    weight: float = Field(description="Its share of the task's work, in the task's own unit.")
    optional: bool = Field(description="Whether the task is done without it.")
    status: str = Field(description="waiting, or what its latest attempt is")
    attempts: list[AttemptView]


class LaneView(BaseModel):
    """A task of a branch. The newest one counts; those that it replaced are `earlier`."""

    branch: str
    taskId: str  # noqa: N815
    runId: str | None  # noqa: N815
    kind: str
    status: str = Field(description="queued, processing, completed, failed or cancelled")
    percent: float
    createdAt: int  # noqa: N815
    startedAt: int | None  # noqa: N815
    finishedAt: int | None  # noqa: N815
    nextRetryAt: int | None = Field(description="When the next attempt at anything is due.")  # noqa: N815
    reason: str | None = Field(description="Why there was nothing to make.")
    error: dict[str, Any] | None = Field(description="What went wrong last.")
    waitingFor: dict[str, Any] | None = Field(  # noqa: N815
        description="What a piece of it waits for, in `message`: room on a disk."
    )
    pieces: list[PieceView] = Field(description="In the order of the plan; none until it is planned.")
    earlier: list[dict[str, Any]] = Field(description="The same of earlier tasks, oldest first.")


class TimelineView(BaseModel):
    """All times are Unix milliseconds; `now` is the server's."""

    now: int
    media: str
    lanes: list[LaneView]


class AttemptLogView(AttemptView):
    """An attempt with what was run for it."""

    taskId: str  # noqa: N815
    piece: str
    command: str | None = Field(description="The last commands, for a shell; null when nothing was run.")
    log: str | None = Field(description="The last words of what was run.")


@router.get("/media/{media_id}/timeline", operation_id="getTimeline", response_model=TimelineView)
def get_timeline(media_id: str, app: Running, _: MayRead) -> JSONResponse:
    """How each branch is and was done."""
    if media.get(app.database, media_id) is None:
        raise missing_media(media_id)
    found = tasks.of_media(app.database, media_id)
    of_branch = {
        branch.step_id: sorted((task for task in found if task.ref == branch.step_id), key=lambda task: task.id)
        for branch in BRANCHES
    }
    made: _Made = defaultdict(list)
    for row in attempts.of_task(app.database, *(task.id for task in found)):
        made[row.task_id, row.piece].append(_attempt(row))
    tried, waiting = retries(app, found), waits(app, found)

    def lane(task: Task) -> dict[str, Json]:
        return _lane(task, made, tried[task.id]["nextRetryAt"], waiting.get(task.id))

    lanes = [
        {**lane(newest), "earlier": [lane(task) for task in replaced]}
        for *replaced, newest in (one for one in of_branch.values() if one)
    ]
    return JSONResponse({"now": clock.now_ms(), "media": media_id, "lanes": lanes})


@router.get("/tasks/{task_id}/attempts/{piece}/{attempt}", operation_id="getAttempt", response_model=AttemptLogView)
def get_attempt(
    task_id: str, piece: str, attempt: Annotated[int, Path(ge=1, le=2**31 - 1)], app: Running, _: MayRead
) -> JSONResponse:
    """One attempt: the commands that were run, to be pasted, and their last words. Of a running one, so far."""
    task = find(app, task_id)
    row = attempts.get(app.database, task.id, piece, attempt)
    if row is None:
        raise Problem("attempt_not_found", 404, f"There is no attempt {attempt} at {piece[:100]!r} of {task.id}.")
    about = {"taskId": task.id, "piece": row.piece, **_attempt(row)}
    return JSONResponse({**about, "command": row.command, "log": row.log})


def _lane(task: Task, made: _Made, next_retry_at: int | None, waits_for: dict[str, Json] | None) -> dict[str, Json]:
    planned = [{"optional": False, **piece} for piece in task.pieces or []]
    planned += [{"name": "join", "weight": 0.0, "optional": False}] if planned or task.status == "completed" else []
    return {
        "branch": task.ref,
        "taskId": task.id,
        "runId": task.run_id,
        "kind": task.kind,
        "status": task.status,
        "percent": round(task.progress, 1),
        "createdAt": task.created_at,
        "startedAt": task.started_at,
        "finishedAt": task.finished_at,
        "nextRetryAt": next_retry_at,
        "reason": (task.output or {}).get("reason"),
        "error": task.error,
        "waitingFor": waits_for,
        "pieces": [_piece(piece, made.get((task.id, piece["name"]), [])) for piece in planned],
        "earlier": [],
    }


def _piece(piece: dict[str, Json], made: list[dict[str, Json]]) -> dict[str, Json]:
    return {**piece, "status": made[-1]["status"] if made else "waiting", "attempts": made}


def _attempt(row: sa.Row[Any]) -> dict[str, Json]:
    return {
        "attempt": row.attempt,
        "status": row.status,
        "progress": round(row.progress, 3),
        "speed": row.speed,
        "startedAt": row.started_at,
        "endedAt": row.ended_at,
        "workerId": row.worker_id,
        "error": row.error,
    }
