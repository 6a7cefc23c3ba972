"""The functions behind a real socket, signed as Inngest signs: what an Inngest server sees of them."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import fastapi
import httpx2
import inngest
import inngest.fast_api
import jcs
import pytest
import uvicorn

from anabranch.app import build_functions
from anabranch.catalog import media
from anabranch.settings import Settings
from tests import clips
from tests.working import at_work

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import sqlalchemy as sa

SIGNING_KEY = "signkey-test-12345678"


async def quiet(*_: object) -> None:
    """Nobody is to be told of anything."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, sa.Engine]]:
    """The address of the functions, in cloud mode, and the database they work on."""
    settings = Settings(home=tmp_path)
    working = at_work(settings)
    parts = working.__enter__()
    client = inngest.Inngest(
        app_id="anabranch", is_production=True, signing_key=SIGNING_KEY, logger=logging.getLogger("x")
    )
    functions = build_functions(client, parts.database, parts.orders, quiet, quiet, settings)
    app = fastapi.FastAPI()
    inngest.fast_api.serve(app, client, functions.all)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}/api/inngest", parts.database
    server.should_exit = True
    thread.join()
    working.__exit__(None, None, None)


class Server:
    """As much of an Inngest server as it takes to walk through one run: sign, call, remember, call again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.calls = 0

    def call(self, function: str, step: str, body: dict[str, Any], key: str = SIGNING_KEY) -> httpx2.Response:
        self.calls += 1
        moment = str(int(time.time()))
        secret = key.removeprefix("signkey-test-").encode()
        signed = hmac.new(secret, jcs.canonicalize(body) + moment.encode(), hashlib.sha256).hexdigest()
        return httpx2.post(
            self.url,
            params={"fnId": f"anabranch-{function}", "stepId": step},
            content=json.dumps(body).encode(),
            headers={"x-inngest-signature": f"t={moment}&s={signed}", "x-inngest-server-kind": "cloud"},
            timeout=60,
        )

    def run(self, function: str, event: dict[str, Any], run_id: str) -> Any:
        """What a run of the function returns, its steps done one after another."""
        steps: dict[str, Any] = {}
        while True:
            answer = self.call(function, "step", self._body(event, run_id, steps))
            if answer.status_code == 200:
                return answer.json()
            assert answer.status_code == 206, answer.text
            for op in answer.json():
                steps[op["id"]] = self._settle(function, op, event, run_id, steps)

    def _settle(self, function: str, op: dict[str, Any], event: dict[str, Any], run_id: str, steps: Any) -> Any:
        if op["op"] == "InvokeFunction":
            child = op["opts"]["function_id"].removeprefix("anabranch-")
            invoked = {"name": "inngest/function.invoked", "data": op["opts"]["payload"]["data"]}
            return {"data": self.run(child, invoked, f"{run_id}x{op['id'][:6]}")}
        assert op["op"] == "StepPlanned", op
        answer = self.call(function, op["id"], self._body(event, run_id, steps))
        (done,) = answer.json()
        assert done["op"] == "StepRun", answer.text
        return {"data": done["data"]}

    def _body(self, event: dict[str, Any], run_id: str, steps: Any) -> dict[str, Any]:
        context = {"run_id": run_id, "attempt": 0, "disable_immediate_execution": True, "stack": {"stack": []}}
        return {"ctx": context, "event": event, "events": [event], "steps": steps, "use_api": False}


@pytest.mark.slow
def test_the_same_functions_run_when_an_inngest_server_drives_them(served: tuple[str, Any]) -> None:
    url, database = served
    data = {"mediaId": "med_1", "sourceUrl": str(clips.plain())}
    record = Server(url).run("fanout-adaptive-streaming", {"name": "video/uploaded", "data": data}, "01RUN")
    assert record["status"] == "ready"
    assert media.record(database, "med_1") == record


def test_a_call_with_another_key_is_turned_away(served: tuple[str, Any]) -> None:
    url, _ = served
    body = {"ctx": {}, "event": {"name": "video/uploaded", "data": {}}, "events": [], "steps": {}}
    answer = Server(url).call("fanout-adaptive-streaming", "step", body, key="signkey-test-87654321")
    assert answer.status_code == 401
