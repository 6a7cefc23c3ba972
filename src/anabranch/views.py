"""Views: tasks and files as clients of the Task API see them, in the words of the generation that they speak.

Two generations of clients read the same task. The earlier one (`media`) knows `completed`, an error that is a string,
and ISO times; the later one (`jobs`) knows `succeeded`, an error that is an object and Unix milliseconds. What one of
them has and the other has not is given to both wherever the names do not collide.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from anabranch.catalog import files
from anabranch.catalog.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anabranch.catalog.files import File

Json = Any
Generation = Literal["media", "runs", "jobs"]

_STATUSES: dict[str, dict[str, str]] = {
    "media": {"queued": "waiting"},
    "runs": {"queued": "waiting", "completed": "succeeded"},
    "jobs": {"queued": "waiting", "completed": "succeeded"},
}


def iso(moment_ms: int | None) -> str | None:
    """A moment as ISO 8601 in UTC, to the millisecond."""
    if moment_ms is None:
        return None
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def task(given: Task | Mapping[str, Json], generation: Generation = "media") -> dict[str, Json]:
    """A task, or a snapshot of one, as a client sees it."""
    row = given if isinstance(given, Task) else Task(**given)
    output = _output(row)
    error = row.error if row.status in ("failed", "cancelled") else None
    return {
        "id": row.id,
        "object": "task",
        "kind": row.kind,
        "status": _STATUSES[generation].get(row.status, row.status),
        "progress": int(row.progress),
        "input": {"object": "external_file", "url": row.input},
        "inputs": [{"object": "external_file", "url": row.input}],
        "url": row.input,
        "options": row.options,
        "output": output,
        "output_url": output["url"] if output else None,
        "outputs": [output] if output else [],
        "metadata": row.metadata,
        "ref": row.ref,
        "media_id": row.media_id,
        "error": _error(error, generation),
        "error_code": error["code"] if error else None,
        "error_kind": error["code"] if error else None,
        "error_message": error["message"] if error else None,
        "error_retryable": error["retryable"] if error else None,
        # The last thing that went wrong, also of a task that goes on.
        "last_error": row.error,
        "webhook_url": row.webhook_url,
        "run_id": row.run_id,
        "parent_id": None,
        "created_by": None,
        "workflow": [],
        "results": None,
        "created": iso(row.created_at),
        "updated": iso(row.finished_at or row.started_at or row.created_at),
        **_times(row, generation),
    }


def job(row: Task) -> dict[str, Json]:
    """A task as a job: its input and output are addresses, and it lists what it is made of."""
    seen = task(row, "jobs")
    output = seen["output"]
    status = "queued" if row.status == "queued" else seen["status"]
    whole = {
        "id": f"job_{row.id.removeprefix('task_')}",
        "object": "job",
        "input": row.input,
        "output": output["url"] if output else None,
        "status": status,
    }
    return {**seen, **whole, "tasks": [seen]}


def file(row: File, url: str | None) -> dict[str, Json]:
    """A file as a client sees it."""
    return {
        "id": row.id,
        "object": row.object,
        "kind": row.kind,
        "type": row.type,
        "status": row.status,
        "url": url,
        "filesize": row.filesize,
        "media_id": row.media_id,
        "task_id": row.task_id,
        "width": row.facts.get("width"),
        "height": row.facts.get("height"),
        "duration": row.facts.get("duration"),
        "language": row.facts.get("language"),
        "ref": row.ref,
        "folder": row.folder,
        "filename": row.filename,
        "metadata": row.metadata,
        "original": row.original,
        "created": iso(row.created_at),
        "updated": iso(row.updated_at),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _output(row: Task) -> dict[str, Json] | None:
    if row.output is None:
        return None
    # Where the bytes are is nobody's business but ours.
    shown = {name: value for name, value in row.output.items() if name not in ("key", "files")}
    return {"id": files.id_of(row.id), **shown}


def _error(error: Mapping[str, Json] | None, generation: Generation) -> Json:
    if error is None:
        return None
    if generation == "media":
        return error["message"]
    return {"kind": error["code"], **error}


def _times(row: Task, generation: Generation) -> dict[str, int | None]:
    unit = 1000 if generation == "runs" else 1
    moments = {
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "updated_at": row.finished_at or row.started_at or row.created_at,
    }
    return {name: moment // unit if moment is not None else None for name, moment in moments.items()}


def moment_ms(text: str) -> int:
    """A moment in ISO 8601, in UTC unless it says otherwise, as Unix milliseconds.

    Raises:
        ValueError: it is none.
    """
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
