"""Fan-out: one upload becomes four branches that run side by side and rejoin in one media record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import inngest

from anabranch.catalog import media, tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import sqlalchemy as sa

Json = Any


@dataclass(frozen=True)
class Branch:
    """An arm of the fan-out: a step that has a task done.

    Attributes:
        step_id: name of the step; a promise, for runs in progress are found by it.
        column: which address of the media row it gives.
        kind: kind of task.
        options: options of the task.
        required: whether the media is of no use without it; the others only make it `degraded`.
    """

    step_id: str
    column: str
    kind: str
    options: dict[str, Json] = field(default_factory=dict)
    required: bool = False


BRANCHES = (
    Branch("hls-package", "hls_url", "adaptive_video", {"format": "hls"}, required=True),
    Branch("poster-image", "poster_url", "image", {"start": 2, "width": 1280, "format": "webp"}),
    Branch("gif-preview", "gif_url", "video", {"start": 1, "end": 4, "width": 480, "format": "gif"}),
    Branch("audio-transcription", "transcription_url", "audio", {"format": "json", "language": "en"}),
)


def create(
    client: inngest.Inngest, process_task: inngest.Function[dict[str, Json]], database: sa.Engine
) -> inngest.Function[dict[str, Json]]:
    """The function that an upload starts. Its event: `video/uploaded` with `mediaId` and `sourceUrl`.

    It returns the media record. A branch that fails does not stop the others; they all come to their end first.
    """

    async def mark_failed(ctx: inngest.Context) -> None:
        failed: Any = ctx.event.data
        media_id = failed["event"]["data"].get("mediaId")
        error = {"code": "fan_out_failed", "message": failed["error"]["message"], "retryable": False}
        row = media.get(database, media_id) if media_id else None
        if row is not None and row.error is None:
            media.assemble(database, row.id, {"status": "failed", "error": error})

    @client.create_function(
        fn_id="fanout-adaptive-streaming",
        name="Fan out an upload",
        trigger=inngest.TriggerEvent(event="video/uploaded"),
        retries=3,
        on_failure=mark_failed,
    )
    async def fan_out(ctx: inngest.Context) -> dict[str, Json]:
        media_id, source_url = _read(ctx.event)

        def run(branch: Branch) -> Callable[[], Awaitable[dict[str, Json]]]:
            return lambda: _run_branch(ctx, process_task, branch, media_id, source_url)

        outcomes = await ctx.group.parallel(tuple(run(branch) for branch in BRANCHES))
        record = await ctx.step.run("assemble", lambda: _assemble(database, media_id, outcomes))
        if record["status"] == "failed":
            raise inngest.NonRetriableError(record["error"]["message"])
        return record

    return fan_out


def _read(event: inngest.Event) -> tuple[str, str]:
    media_id, source_url = event.data.get("mediaId"), event.data.get("sourceUrl")
    if not isinstance(media_id, str) or not isinstance(source_url, str):
        raise inngest.NonRetriableError(
            "video/uploaded needs mediaId and sourceUrl in its data, both strings; "
            f"it came with {', '.join(sorted(event.data)) or 'nothing'}."
        )
    return media_id, source_url


async def _run_branch(
    ctx: inngest.Context,
    process_task: inngest.Function[dict[str, Json]],
    branch: Branch,
    media_id: str,
    source_url: str,
) -> dict[str, Json]:
    """What a branch came to: `{"output": …}`, or `{"error": message}` when it failed for good."""
    body = {
        "input": source_url,
        "kind": branch.kind,
        "options": branch.options,
        "metadata": {"mediaId": media_id},
        "ref": branch.step_id,
    }
    try:
        done = await ctx.step.invoke(branch.step_id, function=process_task, data=body)
    except inngest.StepError as error:
        return {"error": error.message}
    return {"output": done["output"]}


async def _assemble(database: sa.Engine, media_id: str, outcomes: tuple[dict[str, Json], ...]) -> dict[str, Json]:
    """Write the record from what the branches came to, and return it."""
    errors: dict[str, Json] = {}
    values: dict[str, Json] = {"renditions": []}
    branch_tasks = {task.ref: task for task in tasks.of_media(database, media_id)}
    for branch, outcome in zip(BRANCHES, outcomes, strict=True):
        output = outcome.get("output") or {}
        values[branch.column] = output.get("url")
        values["renditions"] += output.get("renditions") or []
        if "error" in outcome:
            task = branch_tasks.get(branch.step_id)
            told = {"code": "branch_failed", "message": outcome["error"], "retryable": False}
            errors[branch.step_id] = (task.error if task else None) or told
    values["status"], values["error"] = _status(errors)
    media.assemble(database, media_id, values)
    record = media.record(database, media_id)
    assert record is not None
    return record


def _status(errors: dict[str, Json]) -> tuple[str, Json]:
    for branch in BRANCHES:
        if branch.required and branch.step_id in errors:
            return "failed", errors[branch.step_id]
    return ("degraded" if errors else "ready"), None
