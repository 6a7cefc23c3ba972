"""Operations: whether the server lives, whether it can work, and how much it does."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Any

import fastapi
import sqlalchemy as sa
import structlog
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily

from anabranch.api.context import Running
from anabranch.api.problems import RESPONSES, Problem
from anabranch.catalog.tables import deliveries, media, tasks
from anabranch.engine.tables import runs
from anabranch.tasks.workshop import KEPT_FREE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anabranch.app import App

Json = Any
_log = structlog.get_logger(__name__)

router = fastapi.APIRouter(tags=["operations"], responses=RESPONSES)


@router.get("/health", operation_id="health")
async def health() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


@router.get("/ready", operation_id="ready")
async def ready(app: Running) -> JSONResponse:
    """Whether work can be taken: the database answers, and there is room on the disk."""
    try:
        await asyncio.to_thread(_ask, app)
    except sa.exc.SQLAlchemyError as error:
        # Everybody may ask this, and where the database is and as whom is not everybody's.
        _log.warning("database is away", error=str(error)[:300])
        raise Problem("database_failed", 503, "The database does not answer.", retryable=True) from None
    free = shutil.disk_usage(app.settings.home).free
    if free < KEPT_FREE_BYTES:
        raise Problem("disk_full", 503, f"{free >> 20} MiB are free at {app.settings.home}.", retryable=True)
    return JSONResponse({"status": "ready", "disk_free_bytes": free})


@router.get(
    "/metrics",
    operation_id="metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
def metrics(app: Running, request: fastapi.Request) -> Response:
    """Numbers for Prometheus, counted from rows when they are asked for, so that they are right after a restart."""
    registry = CollectorRegistry()
    registry.register(Rows(app))
    Gauge("anabranch_disk_free_bytes", "Free at the home folder.", registry=registry).set(
        shutil.disk_usage(app.settings.home).free
    )
    body = generate_latest(registry) + generate_latest(request.app.state.requests)
    return Response(body, media_type=CONTENT_TYPE_LATEST)


class Rows:
    """Counts rows by their status."""

    def __init__(self, app: App) -> None:
        self._app = app

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One family for each table."""
        counted: list[tuple[str, sa.Table, tuple[str, ...]]] = [
            ("media", media, ("status",)),
            ("tasks", tasks, ("kind", "status")),
            ("runs", runs, ("function_id", "status")),
            ("webhook_deliveries", deliveries, ("status",)),
        ]
        with self._app.database.connect() as connection:
            for name, table, labels in counted:
                family = GaugeMetricFamily(
                    f"anabranch_{name}", f"Rows of {name}, by {', '.join(labels)}.", labels=labels
                )
                columns = [table.c[label] for label in labels]
                for *values, count in connection.execute(sa.select(*columns, sa.func.count()).group_by(*columns)):
                    family.add_metric([str(value) for value in values], count)
                yield family


def _ask(app: App) -> None:
    with app.database.connect() as connection:
        connection.execute(sa.select(1))
