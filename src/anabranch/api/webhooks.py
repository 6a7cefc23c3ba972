"""Webhook endpoints: who is told of what, what was told, and telling it again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

import fastapi
from fastapi import Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator

from anabranch import outbound, views
from anabranch.api.context import MayAdminister, Paged, Running, listed
from anabranch.api.idempotency import IdempotentRoute
from anabranch.api.problems import RESPONSES, Problem
from anabranch.api.tasks import Deleted
from anabranch.catalog import changes, webhooks

if TYPE_CHECKING:
    from anabranch.app import App

Json = Any

router = fastapi.APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=IdempotentRoute, responses=RESPONSES)

_ADDRESS = r"^https?://[^\s]+$"


class EndpointChange(BaseModel):
    """What to change of an endpoint."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "paused"}]})

    url: Annotated[str | None, Field(pattern=_ADDRESS, max_length=2000)] = None
    topics: Annotated[list[str] | None, Field(min_length=1, max_length=100)] = None
    status: Literal["active", "paused"] | None = None

    @field_validator("topics")
    @classmethod
    def _known(cls, topics: list[str] | None) -> list[str] | None:
        for topic in topics or []:
            if not any(changes.matches([topic], type_) for type_ in changes.TOPICS):
                raise ValueError(f"{topic!r} names nothing that happens; there are {', '.join(changes.TOPICS)}, and *")
        return topics


class EndpointRequest(EndpointChange):
    """An address to tell of changes."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": "https://example.com/hooks", "topics": ["media.*", "task.failed"]}]}
    )

    url: Annotated[str, Field(pattern=_ADDRESS, max_length=2000)]
    topics: Annotated[list[str], Field(min_length=1, max_length=100)] = ["*"]


class EndpointView(BaseModel):
    """An endpoint."""

    id: str
    object: str
    url: str
    topics: list[str]
    status: str
    secret: str = Field(
        description="Signs what is told (Standard Webhooks). Shown whole when made, then its beginning."
    )
    created_at: int
    updated_at: int


class DeliveryView(BaseModel):
    """One change on its way to one address."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: str
    change_id: str
    type: str | None
    url: str
    status: str = Field(description="pending, delivered, failed or dropped")
    attempts: list[dict[str, Any]]


class Replayed(BaseModel):
    """How many deliveries were begun again."""

    replayed: int


@router.post("/endpoints", status_code=201, operation_id="createEndpoint", response_model=EndpointView)
async def create_endpoint(body: EndpointRequest, app: Running, _: MayAdminister) -> JSONResponse:
    """Have an address told. Its secret is shown whole here, and never again."""
    outbound.check(body.url, app.settings.private_networks)
    endpoint = await asyncio.to_thread(webhooks.create_endpoint, app.database, body.url, body.topics)
    return JSONResponse({**_show(endpoint), "secret": endpoint.secret}, 201)


@router.get("/endpoints", operation_id="listEndpoints", response_model=list[EndpointView])
def list_endpoints(request: fastapi.Request, app: Running, _: MayAdminister, page: Paged) -> JSONResponse:
    """The endpoints."""
    found = webhooks.list_endpoints(app.database, page)
    return listed(request, [_show(one) for one in found.rows], page, has_more=found.has_more)


@router.get("/endpoints/{endpoint_id}", operation_id="getEndpoint", response_model=EndpointView)
def get_endpoint(endpoint_id: str, app: Running, _: MayAdminister) -> JSONResponse:
    """One endpoint."""
    return JSONResponse(_show(_find(app, endpoint_id)))


@router.patch("/endpoints/{endpoint_id}", operation_id="updateEndpoint", response_model=EndpointView)
def update_endpoint(endpoint_id: str, body: EndpointChange, app: Running, _: MayAdminister) -> JSONResponse:
    """Change an endpoint, pause it, or make one active again that had answered 410."""
    _find(app, endpoint_id)
    if body.url is not None:
        outbound.check(body.url, app.settings.private_networks)
    webhooks.change_endpoint(app.database, endpoint_id, body.model_dump(exclude_none=True))
    return JSONResponse(_show(_find(app, endpoint_id)))


@router.delete("/endpoints/{endpoint_id}", operation_id="deleteEndpoint", response_model=Deleted)
def delete_endpoint(endpoint_id: str, app: Running, _: MayAdminister) -> JSONResponse:
    """Tell it nothing any more; what was on its way is dropped."""
    _find(app, endpoint_id)
    webhooks.delete_endpoint(app.database, endpoint_id)
    return JSONResponse({"id": endpoint_id, "deleted": True, "message": f"{endpoint_id} is told nothing any more."})


@router.post("/endpoints/{endpoint_id}/replay", operation_id="replayEndpoint", response_model=Replayed)
async def replay_endpoint(
    endpoint_id: str,
    app: Running,
    _: MayAdminister,
    since: Annotated[int, Query(ge=0, le=2**53, description="Unix milliseconds.")],
) -> JSONResponse:
    """Tell it again all that it was told of since a time."""
    await asyncio.to_thread(_find, app, endpoint_id)
    count = await asyncio.to_thread(webhooks.replay, app.database, endpoint_id=endpoint_id, since_ms=since)
    await app.announce()
    return JSONResponse({"replayed": count})


@router.get("/deliveries", operation_id="listDeliveries", response_model=list[DeliveryView])
def list_deliveries(
    request: fastapi.Request,
    app: Running,
    _: MayAdminister,
    page: Paged,
    endpoint_id: str | None = None,
    status: Annotated[Literal["pending", "delivered", "failed", "dropped"] | None, Query()] = None,
) -> JSONResponse:
    """What was told to whom, newest first, with every attempt."""
    found = webhooks.list_deliveries(app.database, page, endpoint_id=endpoint_id, status=status)
    return listed(request, [_show_delivery(app, one) for one in found.rows], page, has_more=found.has_more)


@router.get("/deliveries/{delivery_id}", operation_id="getDelivery", response_model=DeliveryView)
def get_delivery(delivery_id: str, app: Running, _: MayAdminister) -> JSONResponse:
    """One delivery, with every attempt."""
    return JSONResponse(_show_delivery(app, _find_delivery(app, delivery_id)))


@router.post("/deliveries/{delivery_id}/replay", operation_id="replayDelivery", response_model=Replayed)
async def replay_delivery(delivery_id: str, app: Running, _: MayAdminister) -> JSONResponse:
    """Tell it again, as a delivery of its own."""
    await asyncio.to_thread(_find_delivery, app, delivery_id)
    count = await asyncio.to_thread(webhooks.replay, app.database, delivery_id=delivery_id)
    await app.announce()
    return JSONResponse({"replayed": count})


def _find(app: App, endpoint_id: str) -> webhooks.Endpoint:
    endpoint = webhooks.get_endpoint(app.database, endpoint_id)
    if endpoint is None:
        raise Problem("endpoint_not_found", 404, f"There is no endpoint {endpoint_id}.")
    return endpoint


def _find_delivery(app: App, delivery_id: str) -> webhooks.Delivery:
    delivery = webhooks.get_delivery(app.database, delivery_id)
    if delivery is None:
        raise Problem("delivery_not_found", 404, f"There is no delivery {delivery_id}.")
    return delivery


def _show(endpoint: webhooks.Endpoint) -> dict[str, Json]:
    return {**vars(endpoint), "object": "webhook_endpoint", "secret": f"{endpoint.secret[:10]}***"}


def _show_delivery(app: App, delivery: webhooks.Delivery) -> dict[str, Json]:
    change = changes.get(app.database, delivery.change_id)
    return {
        **vars(delivery),
        "object": "delivery",
        "type": change.type if change else None,
        "created": views.iso(delivery.created_at),
        "attempts": webhooks.attempts_at(app.database, delivery.id),
    }
