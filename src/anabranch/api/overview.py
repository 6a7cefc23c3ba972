"""Overview: what an operator wants to see at once; and the doctor, who says whether the installation is sound."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import fastapi
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from anabranch import clock, doctor, workers
from anabranch.api.context import MayAdminister, MayRead, Running
from anabranch.api.problems import RESPONSES
from anabranch.catalog import overview
from anabranch.errors import AnabranchError

if TYPE_CHECKING:
    from anabranch.app import App

Json = Any

router = fastapi.APIRouter(tags=["operations"], responses=RESPONSES)

# Every object has to be asked for its size; a page that is open asks every few seconds.
_STORED_FOR_S = 60.0


class QueueView(BaseModel):
    """What waits to be done."""

    waiting: int = Field(description="Pieces of work, also those that wait to be tried again.")
    oldestWaitMs: int = Field(  # noqa: N815  (as in the record)
        description="For how long nothing has been done of the task that has waited longest; 0 when none waits."
    )


class DoingView(BaseModel):
    """An attempt that is being made."""

    taskId: str  # noqa: N815
    mediaId: str | None  # noqa: N815
    title: str | None
    branch: str | None = Field(description="Of the media row, or what the client called the task.")
    kind: str
    piece: str
    attempt: int
    startedAt: int  # noqa: N815
    progress: float
    speed: float | None


class WorkerView(BaseModel):
    """A process that shares the database and lives."""

    id: str
    name: str = Field(description="Its host and process id.")
    version: str
    startedAt: int  # noqa: N815
    seenAt: int = Field(description="When it last said that it lives, by the database's clock.")  # noqa: N815
    draining: bool = Field(description="Whether it takes nothing new, since it was told to stop.")
    slots: int = Field(description="How many pieces it does at once, beside posters and previews; maybe 0.")
    speech: bool = Field(description="Whether it can write down what is said.")
    ffmpeg: str | None = Field(description="The version that it encodes with.")
    freeBytes: int = Field(description="Room in its home folder.")  # noqa: N815
    doing: list[DoingView]


class DiskView(BaseModel):
    """The disk of the home folder."""

    freeBytes: int  # noqa: N815
    totalBytes: int  # noqa: N815
    storedBytes: int = Field(description="Sources and outputs; to the minute.")  # noqa: N815


class FailureView(BaseModel):
    """Tasks that failed for good for the same reason."""

    code: str
    count: int
    message: str = Field(description="Of the last of them, without the advice.")
    advice: str
    lastAt: int  # noqa: N815
    mediaIds: list[str] = Field(description="Where it is still so: what POST /media/retry can repair.")  # noqa: N815


class ThroughputView(BaseModel):
    """How much of films was made lately."""

    mediaS: float  # noqa: N815
    windowS: float  # noqa: N815
    minutesPerHour: float  # noqa: N815


class OverviewView(BaseModel):
    """What an operator wants to see at once. Times are Unix milliseconds."""

    now: int
    queue: QueueView
    workers: list[WorkerView]
    disk: DiskView
    failures: list[FailureView] = Field(description="Of 24 hours, the most frequent first.")
    throughput: ThroughputView


class FindingView(BaseModel):
    """One thing that the doctor looked at."""

    about: str
    status: str = Field(description="ok, warning (something optional is missing) or problem (work would fail)")
    said: str
    advice: str


class Stored:
    """How much there is in storage, counted once a minute at the most, by one thread.

    What takes long to count is counted less often, and what cannot be asked is as it was.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._bytes = 0
        self._due = 0.0

    def size_bytes(self) -> int:
        """The bytes of all objects."""
        with self._lock:
            if time.monotonic() >= self._due:
                began = time.monotonic()
                with contextlib.suppress(AnabranchError):
                    self._bytes = self._app.storage.size_bytes()
                took = time.monotonic() - began
                self._due = time.monotonic() + max(_STORED_FOR_S, 100 * took)
            return self._bytes


@router.get("/overview", operation_id="getOverview", response_model=OverviewView)
def get_overview(request: fastapi.Request, app: Running, _: MayRead) -> JSONResponse:
    """What waits, what is being done and by whom, what fails, and how fast it goes; all of it counted from rows."""
    queue = overview.queue(app.database)
    disk = shutil.disk_usage(app.settings.home)
    stored: Stored = request.app.state.stored
    pace = overview.throughput(app.database)
    return JSONResponse(
        {
            "now": clock.now_ms(),
            "queue": {"waiting": queue.waiting, "oldestWaitMs": queue.oldest_ms},
            "workers": _workers(app),
            "disk": {"freeBytes": disk.free, "totalBytes": disk.total, "storedBytes": stored.size_bytes()},
            "failures": [_failure(one) for one in overview.failures(app.database)],
            "throughput": {
                "mediaS": round(pace.media_s, 3),
                "windowS": round(pace.window_s, 3),
                "minutesPerHour": round(pace.minutes_per_hour, 2),
            },
        }
    )


@router.get("/doctor", operation_id="examine", response_model=list[FindingView])
def examine(app: Running, _: MayAdminister) -> JSONResponse:
    """Whether ffmpeg, the speech model, disk, database and storage are as they should be, and what to do if not."""
    return JSONResponse([vars(finding) for finding in doctor.examine(app.settings)])


def _workers(app: App) -> list[dict[str, Json]]:
    doing: dict[str | None, list[dict[str, Json]]] = defaultdict(list)
    for one in overview.doing(app.database):
        doing[one.worker_id].append(_doing(one))
    found = [
        {
            "id": row.id,
            "name": f"{row.host}:{row.pid}",
            "version": row.version,
            "startedAt": row.started_at,
            "seenAt": row.seen_at,
            "draining": row.status == "draining",
            "slots": row.capabilities.get("slots", 0),
            "speech": row.capabilities.get("speech", False),
            "ffmpeg": row.capabilities.get("ffmpeg"),
            "freeBytes": row.free_bytes,
            "doing": doing[row.id],
        }
        for row in workers.every(app.database)
    ]
    # What another Task API does is nobody's here; who asks it is as good as the one that does it.
    for row in found[:1]:
        row["doing"] = [*row["doing"], *doing[None]]
    return found


def _doing(one: overview.Doing) -> dict[str, Json]:
    return {
        "taskId": one.task_id,
        "mediaId": one.media_id,
        "title": one.title,
        "branch": one.branch,
        "kind": one.kind,
        "piece": one.piece,
        "attempt": one.attempt,
        "startedAt": one.started_at,
        "progress": round(one.progress, 3),
        "speed": one.speed,
    }


def _failure(one: overview.Failure) -> dict[str, Json]:
    return {
        "code": one.code,
        "count": one.count,
        "message": one.message,
        "advice": one.hint,
        "lastAt": one.last_at,
        "mediaIds": list(one.media_ids),
    }
