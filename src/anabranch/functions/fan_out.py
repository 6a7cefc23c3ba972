"""Fan-out: one upload becomes four branches that run side by side and rejoin in one media record."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import inngest

from anabranch.catalog import media, tasks
from anabranch.catalog.branches import BRANCHES
from anabranch.database import persist
from anabranch.errors import FinalError
from anabranch.functions.process_task import read_order
from anabranch.storage.names import check_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    import sqlalchemy as sa

    from anabranch.catalog.branches import Branch

    # Gives an engine events of a name, by their ids.
    Send = Callable[[str, Mapping[str, dict[str, Any]]], Awaitable[None]]

Json = Any
Body = dict[str, Json]

_DELETED_WITHIN = timedelta(seconds=5)


@dataclass(frozen=True)
class _Upload:
    """What the event says: which media, its source, and which branches to do.

    Attributes:
        again: of the one branch that is done again from a piece: `taskId` and `options` of the task that did it, and
            the piece as `from`; else None.
    """

    media_id: str
    source_url: str
    branches: tuple[Branch, ...]
    again: Mapping[str, Json] | None


def create(
    client: inngest.Inngest,
    process_task: inngest.Function[dict[str, Json]],
    database: sa.Engine,
    caption: Callable[[str], Awaitable[None]],
    announce: Callable[[], Awaitable[None]],
    package_options: Mapping[str, Json],
) -> inngest.Function[dict[str, Json]]:
    """The function that an upload starts.

    Its event: `video/uploaded` with `mediaId`, `sourceUrl` and, to do some of them again, `branches` by name; to do one
    of them again from a piece, `again` with the `taskId` and `options` of what is there and the piece as `from`. It
    returns the media record. A branch that fails does not stop the others; they all come to their end first.

    Args:
        client: the app that it belongs to.
        process_task: does the tasks.
        database: holds the catalog.
        caption: offers the transcript of a media row as captions in its package, when both are there.
        announce: hands webhooks that are due to the engine.
        package_options: options of `adaptive_video` for the HLS branch, beside its format.
    """

    async def mark_failed(ctx: inngest.Context) -> None:
        failed: Any = ctx.event.data
        media_id = failed["event"]["data"].get("mediaId")
        if isinstance(media_id, str):
            error = {"code": "fan_out_failed", "message": failed["error"]["message"], "retryable": False}
            await asyncio.to_thread(persist, media.fail, database, media_id, error)
            await announce()

    @client.create_function(
        fn_id="fanout-adaptive-streaming",
        name="Fan out an upload",
        trigger=inngest.TriggerEvent(event="video/uploaded"),
        retries=3,
        cancel=[inngest.Cancel(event="media/deleted", if_exp="event.data.mediaId == async.data.mediaId")],
        on_failure=mark_failed,
    )
    async def fan_out(ctx: inngest.Context) -> dict[str, Json]:
        upload = _read(ctx.event.data)
        bodies = [_body(ctx.run_id, branch, upload, package_options) for branch in upload.branches]

        def run(branch: Branch, body: Body) -> Callable[[], Awaitable[str | None]]:
            return lambda: _run_branch(ctx, process_task, branch, body)

        failures = await ctx.group.parallel(tuple(run(*pair) for pair in zip(upload.branches, bodies, strict=True)))

        async def assemble() -> dict[str, Json]:
            await caption(upload.media_id)
            record = await asyncio.to_thread(persist, _assemble, database, upload.media_id, bodies, failures)
            await announce()
            return record

        record = await ctx.step.run("assemble", assemble)
        if record["status"] == "failed":
            raise inngest.NonRetriableError(record["error"]["message"])
        return record

    return fan_out


def create_close(
    client: inngest.Inngest,
    fan_out: inngest.Function[dict[str, Json]],
    database: sa.Engine,
    send: Send,
    announce: Callable[[], Awaitable[None]],
) -> inngest.Function[None]:
    """The function that ends an upload whose run was cancelled: its branches, and then its media row.

    Args:
        client: the app that it belongs to.
        fan_out: the function whose runs it ends.
        database: holds the catalog.
        send: gives events to the engine.
        announce: hands webhooks that are due to the engine.
    """

    @client.create_function(
        fn_id="close-upload",
        name="Close an upload whose run was cancelled",
        trigger=inngest.TriggerEvent(
            event="inngest/function.cancelled", expression=f"event.data.function_id == '{fan_out.id}'"
        ),
        retries=3,
    )
    async def close_upload(ctx: inngest.Context) -> None:
        cancelled: Any = ctx.event.data
        upload = _read(cancelled["event"]["data"])
        ids = [_task_id(cancelled["run_id"], branch) for branch in upload.branches]
        told = {f"{task_id}.cancelled": {"id": task_id} for task_id in ids}
        await ctx.step.run("cancel", lambda: send("task/cancelled", told))
        # Whoever deletes media has its run cancelled first; then there is nothing to close.
        await ctx.step.sleep("deletion", _DELETED_WITHIN)

        async def close() -> None:
            await asyncio.to_thread(persist, _close, database, upload.media_id, ids)
            await announce()

        await ctx.step.run("close", close)

    return close_upload


def _close(database: sa.Engine, media_id: str, task_ids: Sequence[str]) -> None:
    for task_id in task_ids:
        tasks.cancel(database, task_id)
    if media.get(database, media_id) is None:
        return
    begun = {task.ref for task in tasks.of_media(database, media_id)}
    if all(branch.step_id in begun for branch in BRANCHES if branch.required):
        media.assemble(database, media_id)
    else:
        error = {"code": "cancelled", "message": "It was cancelled before it was begun.", "retryable": False}
        media.fail(database, media_id, error)


def _read(data: Mapping[str, Json]) -> _Upload:
    media_id, source_url = data.get("mediaId"), data.get("sourceUrl")
    if not isinstance(media_id, str) or not isinstance(source_url, str):
        raise inngest.NonRetriableError(
            "video/uploaded needs mediaId and sourceUrl in its data, both strings; "
            f"it came with {', '.join(sorted(data)) or 'nothing'}."
        )
    try:
        check_id(media_id)
    except FinalError as error:
        raise inngest.NonRetriableError(str(error)) from None
    names: Any = data.get("branches") or [branch.step_id for branch in BRANCHES]
    branches = tuple(branch for branch in BRANCHES if branch.step_id in names)
    again: Any = data.get("again")
    is_whole = isinstance(again, dict) and isinstance(again.get("options"), dict) and len(branches) == 1
    return _Upload(media_id, source_url, branches, again if is_whole else None)


def _body(run_id: str, branch: Branch, upload: _Upload, package_options: Mapping[str, Json]) -> Body:
    """The body of the task request for a branch. The engine keeps that of the first call."""
    own = package_options if branch.kind == "adaptive_video" else {}
    # What is kept was made with the options of then.
    again = {"again": upload.again} if upload.again else {}
    options = upload.again["options"] if upload.again else {**own, **branch.options}
    return {
        **again,
        "id": _task_id(run_id, branch),
        "input": upload.source_url,
        "kind": branch.kind,
        "options": options,
        "media_id": upload.media_id,
        "metadata": {"mediaId": upload.media_id},
        "ref": branch.step_id,
    }


def _task_id(run_id: str, branch: Branch) -> str:
    """An id that sorts by the age of the run: the time in a ULID or TypeID is its first ten characters."""
    rest = base64.b32hexencode(hashlib.sha256(f"{run_id} {branch.step_id}".encode()).digest()).decode()[:16]
    return f"task_{run_id.rpartition('_')[2][:10]}{rest}".lower()


async def _run_branch(
    ctx: inngest.Context, process_task: inngest.Function[dict[str, Json]], branch: Branch, body: Body
) -> str | None:
    """Have the branch's task done; None, or why it failed for good."""
    try:
        await ctx.step.invoke(branch.step_id, function=process_task, data=body)
    except inngest.StepError as error:
        return error.message
    return None


def _assemble(
    database: sa.Engine, media_id: str, bodies: Sequence[Body], failures: Sequence[str | None]
) -> dict[str, Json]:
    for body, failure in zip(bodies, failures, strict=True):
        if failure is not None:
            # What handles the task's own failure may not have run yet, and the task may never have begun.
            tasks.create(database, read_order(body, ""))
            tasks.fail(database, body["id"], {"code": "branch_failed", "message": failure, "retryable": False})
    return media.assemble(database, media_id)
