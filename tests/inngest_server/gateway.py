"""Gateway: an Inngest server for tests: its event API, and Connect over a real WebSocket to real workers.

It speaks what the SDK's protobuf says. Who executes a request holds a lease of it, and when that ends the request goes
to another worker. Nothing that a worker does is assumed: it is sent, acknowledged, extended, replied or flushed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
import secrets
import socket
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import uvicorn
from inngest.connect._internal import connect_pb2 as pb
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.inngest_server.driver import Answer, Driver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request

Json = Any

SIGNING_KEY = "signkey-test-0123456789abcdef"
EVENT_KEY = "an-event-key"
# A worker extends each second; one that is gone is noticed after this.
_LEASE_S = 4.0
_STATUSES = {pb.DONE: 200, pb.NOT_COMPLETED: 206, pb.ERROR: 500}


@dataclass(eq=False)
class Worker:
    """A connection of a worker."""

    socket: WebSocket
    instance_id: str
    concurrency: int
    paused: bool = False
    heartbeats: int = 0


@dataclass(eq=False)
class Held:
    """A request that a worker executes."""

    id: str
    instance_id: str
    function_id: str
    step: str
    answer: asyncio.Future[Answer]
    lease_id: str = field(default_factory=lambda: secrets.token_hex(8))
    until: float = field(default_factory=lambda: time.monotonic() + _LEASE_S)
    acknowledged: bool = False


class Gateway:
    """The server. Use `running`."""

    def __init__(self) -> None:
        self.driver = Driver(self.call)
        self.workers: list[Worker] = []
        self.held: dict[str, Held] = {}
        self.connections: list[str] = []
        self.lost = 0
        self.flushed = 0
        self.refuses_events = False
        # How often it still answers as one that is away, when asked for a connection.
        self.away = 0
        self._tokens: dict[str, str] = {}
        self._changed = asyncio.Condition()
        self.url = ""

    def app(self) -> Starlette:
        """Its routes."""
        return Starlette(
            routes=[
                Route("/e/{key}", self._events, methods=["POST"]),
                Route("/v0/connect/start", self._start, methods=["POST"]),
                Route("/v0/connect/flush", self._flush, methods=["POST"]),
                WebSocketRoute("/gateway", self._connected),
            ]
        )

    async def call(self, function_id: str, step: str, body: dict[str, Json]) -> Answer:
        """Have a worker execute a step; another one when the first does not keep its lease."""
        while True:
            worker = await self._free()
            held = Held(secrets.token_hex(8), worker.instance_id, function_id, step, asyncio.Future())
            self.held[held.id] = held
            try:
                await self._tell(worker, pb.GATEWAY_EXECUTOR_REQUEST, _request(held, body))
                while (left := held.until - time.monotonic()) > 0:
                    done, _ = await asyncio.wait([held.answer], timeout=left)
                    if done:
                        return held.answer.result()
                # One that was never acknowledged was on its way when the worker paused or its connection ended.
                self.lost += held.acknowledged
            finally:
                del self.held[held.id]

    async def until(self, look: Callable[[], Any], seconds: float = 60) -> Any:
        """What `look` gives, as soon as it gives something."""
        deadline = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < deadline, "waited in vain"
            await asyncio.sleep(0.02)
        return found

    async def drop(self) -> None:
        """Lose all connections, as when a gateway dies."""
        for worker in list(self.workers):
            await worker.socket.close(1011)

    async def close_gently(self) -> None:
        """Tell all workers that this gateway closes."""
        for worker in list(self.workers):
            await self._tell(worker, pb.GATEWAY_CLOSING)

    async def _free(self) -> Worker:
        """The ready worker that executes least."""
        async with self._changed:
            await self._changed.wait_for(lambda: any(not one.paused for one in self.workers))
        busy = [held.instance_id for held in self.held.values()]
        return min((one for one in self.workers if not one.paused), key=lambda one: busy.count(one.instance_id))

    async def _events(self, request: Request) -> Response:
        if request.path_params["key"] != EVENT_KEY or self.refuses_events:
            return JSONResponse({"error": "Event key not found", "status": 401}, 401)
        events = await request.json()
        return JSONResponse({"ids": self.driver.send(events), "status": 200})

    async def _start(self, request: Request) -> Response:
        if not _knows_key(request):
            return Response(status_code=401)
        if self.away:
            self.away -= 1
            return Response(status_code=503)
        connection_id = secrets.token_hex(8)
        self._tokens[connection_id] = secrets.token_hex(8)
        answer = pb.StartResponse(
            connection_id=connection_id,
            gateway_endpoint=self.url.replace("http", "ws") + "/gateway",
            gateway_group="test",
            session_token=self._tokens[connection_id],
            sync_token="sync",
        )
        return Response(answer.SerializeToString(), media_type="application/protobuf")

    async def _flush(self, request: Request) -> Response:
        if not _knows_key(request):
            return Response(status_code=401)
        reply = pb.SDKResponse.FromString(await request.body())
        self.flushed += 1
        self._settle(reply)
        return Response(pb.FlushResponse(request_id=reply.request_id).SerializeToString())

    async def _connected(self, websocket: WebSocket) -> None:
        await websocket.accept(subprotocol="v0.connect.inngest.com")
        worker = Worker(websocket, "", 0)
        await self._tell(worker, pb.GATEWAY_HELLO)
        try:
            hello = pb.ConnectMessage.FromString(await websocket.receive_bytes())
            while hello.kind != pb.WORKER_CONNECT:
                # One that comes back may extend a lease before it has said who it is.
                hello = pb.ConnectMessage.FromString(await websocket.receive_bytes())
            told = pb.WorkerConnectRequestData.FromString(hello.payload)
            assert told.auth_data.session_token == self._tokens[told.connection_id]
            for one in told.apps:
                self.driver.register(json.loads(one.functions))
            worker.instance_id, worker.concurrency = told.instance_id, told.max_worker_concurrency
            ready = pb.GatewayConnectionReadyData(heartbeat_interval="10s", extend_lease_interval="1s")
            await self._tell(worker, pb.GATEWAY_CONNECTION_READY, ready)
            async with self._changed:
                self.workers.append(worker)
                self.connections.append(worker.instance_id)
                self._changed.notify_all()
            while True:
                await self._hear(worker, pb.ConnectMessage.FromString(await websocket.receive_bytes()))
        except (WebSocketDisconnect, RuntimeError):
            # RuntimeError: this side closed it.
            pass
        finally:
            if worker in self.workers:
                self.workers.remove(worker)

    async def _hear(self, worker: Worker, message: Any) -> None:
        if message.kind == pb.WORKER_PAUSE:
            worker.paused = True
        elif message.kind == pb.WORKER_HEARTBEAT:
            worker.heartbeats += 1
            await self._tell(worker, pb.GATEWAY_HEARTBEAT)
        elif message.kind == pb.WORKER_REQUEST_ACK:
            held = self.held.get(pb.WorkerRequestAckData.FromString(message.payload).request_id)
            if held is not None:
                held.acknowledged = True
        elif message.kind == pb.WORKER_REQUEST_EXTEND_LEASE:
            await self._extend(worker, pb.WorkerRequestExtendLeaseData.FromString(message.payload))
        elif message.kind == pb.WORKER_REPLY:
            reply = pb.SDKResponse.FromString(message.payload)
            self._settle(reply)
            await self._tell(worker, pb.WORKER_REPLY_ACK, pb.WorkerReplyAckData(request_id=reply.request_id))

    async def _extend(self, worker: Worker, asked: Any) -> None:
        held = self.held.get(asked.request_id)
        answer = pb.WorkerRequestExtendLeaseAckData(request_id=asked.request_id, function_slug=asked.function_slug)
        if held is not None and held.lease_id == asked.lease_id:
            held.lease_id, held.until = secrets.token_hex(8), time.monotonic() + _LEASE_S
            answer.new_lease_id = held.lease_id
        await self._tell(worker, pb.WORKER_REQUEST_EXTEND_LEASE_ACK, answer)

    def _settle(self, reply: Any) -> None:
        held = self.held.get(reply.request_id)
        if held is not None and not held.answer.done():
            held.answer.set_result(Answer(_STATUSES[reply.status], json.loads(reply.body), reply.no_retry))

    async def _tell(self, worker: Worker, kind: Any, said: Any = None) -> None:
        payload = said.SerializeToString() if said is not None else b""
        # When it is gone, what it holds is another's once its lease ends.
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await worker.socket.send_bytes(pb.ConnectMessage(kind=kind, payload=payload).SerializeToString())


@asynccontextmanager
async def running() -> AsyncIterator[Gateway]:
    """A server on a free port."""
    gateway = Gateway()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        gateway.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(gateway.app(), log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield gateway
        finally:
            gateway.driver.stop()
            server.should_exit = True
            await serving


def _request(held: Held, body: dict[str, Json]) -> Any:
    payload = json.dumps(body).encode()
    return pb.GatewayExecutorRequestData(
        request_id=held.id,
        account_id="account",
        env_id="env",
        app_id="app",
        app_name=held.function_id.partition("-")[0],
        function_id=held.function_id,
        function_slug=held.function_id,
        step_id=held.step,
        request_payload=payload,
        run_id=body["ctx"]["run_id"],
        lease_id=held.lease_id,
        job_id="job",
    )


def _knows_key(request: Request) -> bool:
    hashed = hashlib.sha256(bytes.fromhex(SIGNING_KEY.rpartition("-")[2])).hexdigest()
    shown = re.sub(r"^Bearer (signkey-\w+-)?", "", request.headers.get("authorization", ""))
    return secrets.compare_digest(shown, hashed)
