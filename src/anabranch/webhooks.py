"""Webhooks: tells addresses of changes, signed by Standard Webhooks, and writes down what they answered.

Source: the Standard Webhooks specification 1.0 (headers `webhook-id`, `webhook-timestamp`, `webhook-signature`).
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import httpx2
import structlog
from standardwebhooks import Webhook

from anabranch import clock, outbound, views
from anabranch.catalog import changes, keys, webhooks
from anabranch.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    import sqlalchemy as sa

    from anabranch.catalog.changes import Change
    from anabranch.catalog.webhooks import Delivery
    from anabranch.outbound import Network

Json = Any

_log = structlog.get_logger(__name__)

_TIMEOUT_S = 10.0
_KEPT_ANSWER_BYTES = 1000
# A day's worth of a busy server; more are handed over with the next change.
_HANDED_OVER_AT_ONCE = 500


async def announce(database: sa.Engine, tell: Callable[[list[str]], Awaitable[None]]) -> None:
    """Hand the deliveries that are due to the engine. Handing one over twice is fine: its id is the event's."""
    while waiting := await asyncio.to_thread(webhooks.waiting, database, _HANDED_OVER_AT_ONCE):
        await tell(waiting)
        await asyncio.to_thread(webhooks.hand_over, database, waiting)


class Sender:
    """Makes the attempts at deliveries.

    Args:
        database: holds them.
        networks: private networks that addresses may be in.
    """

    def __init__(self, database: sa.Engine, networks: Collection[Network]) -> None:
        self._database = database
        self._networks = networks

    async def attempt(self, delivery_id: str) -> str:
        """Tell the address once. `delivered`, `dropped` when nobody wants it any more, or `again`."""
        prepared = await asyncio.to_thread(self._prepare, delivery_id)
        if prepared is None:
            await asyncio.to_thread(webhooks.end_delivery, self._database, delivery_id, "dropped")
            return "dropped"
        delivery, change, secret = prepared
        body = json.dumps(compose(delivery, change)).encode()
        status_code, answer, error, took_ms = await self._post(delivery.url, change.id, body, secret)
        await asyncio.to_thread(
            webhooks.note_attempt,
            self._database,
            delivery_id,
            status_code=status_code,
            answer=answer,
            error=error,
            took_ms=took_ms,
        )
        _log.info("webhook attempted", delivery=delivery_id, status=status_code, error=error, took_ms=took_ms)
        if status_code is not None and 200 <= status_code < 300:
            await asyncio.to_thread(webhooks.end_delivery, self._database, delivery_id, "delivered")
            return "delivered"
        if status_code == 410 and delivery.endpoint_id is not None:
            # "Gone" is how an address says that it wants no more.
            await asyncio.to_thread(
                webhooks.change_endpoint, self._database, delivery.endpoint_id, {"status": "disabled"}
            )
            await asyncio.to_thread(webhooks.end_delivery, self._database, delivery_id, "dropped")
            return "dropped"
        return "again"

    async def give_up(self, delivery_id: str) -> str:
        """End a delivery that was never heard; it can be replayed."""
        await asyncio.to_thread(webhooks.end_delivery, self._database, delivery_id, "failed")
        return "failed"

    async def _post(
        self, url: str, message_id: str, body: bytes, secret: str
    ) -> tuple[int | None, str | None, str | None, int]:
        moment = clock.now()
        headers = {
            "accept-encoding": "identity",
            "content-type": "application/json",
            "user-agent": "anabranch-webhooks/1",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": Webhook(secret).sign(message_id, moment, body.decode()),
        }
        started = time.monotonic()
        status_code, answer, failure = None, b"", None
        try:
            # A redirect is not followed: the body goes to the address that was given, and to no other.
            async with (
                asyncio.timeout(_TIMEOUT_S),
                outbound.async_client(self._networks, httpx2.Timeout(_TIMEOUT_S)) as client,
                client.stream("POST", url, content=body, headers=headers) as response,
            ):
                status_code = response.status_code
                async for block in response.aiter_raw():
                    answer += block
                    if len(answer) >= _KEPT_ANSWER_BYTES:
                        break
        except SourceError as error:
            failure = str(error)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            # What was answered was heard, even if its body never ends.
            if status_code is None:
                failure = f"{type(error).__name__}: {str(error) or f'nothing within {_TIMEOUT_S:g} s'}"
        said = None if status_code is None else answer[:_KEPT_ANSWER_BYTES].decode("utf-8", "replace")
        return status_code, said, failure, int((time.monotonic() - started) * 1000)

    def _prepare(self, delivery_id: str) -> tuple[Delivery, Change, str] | None:
        delivery = webhooks.get_delivery(self._database, delivery_id)
        if delivery is None or delivery.status != "pending":
            return None
        change = changes.get(self._database, delivery.change_id)
        if change is None:
            return None
        if delivery.endpoint_id is None:
            return delivery, change, own_secret(self._database)
        endpoint = webhooks.get_endpoint(self._database, delivery.endpoint_id)
        if endpoint is None or endpoint.status != "active":
            return None
        return delivery, change, endpoint.secret


def own_secret(database: sa.Engine) -> str:
    """What signs webhooks to addresses that tasks name themselves."""
    return keys.secret(database, "webhook_secret", webhooks.new_secret)


def compose(delivery: Delivery, change: Change) -> dict[str, Json]:
    """The body of a delivery: an event to an endpoint; to a task's own address the task itself, with its type."""
    data = views.task(change.data) if change.type.startswith("task.") else change.data
    if delivery.endpoint_id is None:
        ending = "succeeded" if change.type == "task.completed" else change.type.rpartition(".")[2]
        return {**data, "type": f"job.{ending}", "event": change.type, "data": data}
    return {"id": change.id, "type": change.type, "timestamp": views.iso(change.created_at), "data": data}
