"""Driver: walks through runs as an Inngest server does, by the protocol alone. It shares nothing with the engine."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2
import jcs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

Json = Any
T = TypeVar("T")

# What a run may have at Inngest.
MOST_STEPS = 1000
LARGEST_OUTPUT_BYTES = 4 << 20
LARGEST_STATE_BYTES = 32 << 20


@dataclass(frozen=True)
class Answer:
    """What an app answers to a call."""

    status: int
    body: Json
    no_retry: bool = False


class FailedError(Exception):
    """A run or a step has failed for good."""

    def __init__(self, error: Json) -> None:
        super().__init__(str(error))
        self.error = error if isinstance(error, dict) else {"message": str(error), "name": "Error"}


class Driver:
    """Takes events and drives the runs that they start, many at once. Waits and sleeps take no time."""

    def __init__(self, call: Callable[[str, str, dict[str, Json]], Awaitable[Answer]]) -> None:
        self.call = call
        self._tasks: set[asyncio.Task[None]] = set()
        self._seen: set[str] = set()
        self.functions: dict[str, Json] = {}
        self.events: list[Json] = []
        # By run: the results of its steps.
        self.steps: dict[str, dict[str, Json]] = {}

    def calls_by(self, call: Callable[[str, str, dict[str, Json]], Awaitable[Answer]]) -> None:
        """Reach the app in another way."""
        self.call = call

    def register(self, configs: Iterable[Json]) -> None:
        """Know the functions of an app."""
        self.functions |= {config["id"]: config for config in configs}

    def send(self, events: Iterable[Json]) -> list[str]:
        """Take events; one that came before starts nothing again."""
        ids = []
        for event in events:
            event.setdefault("id", secrets.token_hex(8))
            ids.append(event["id"])
            if event["id"] in self._seen:
                continue
            self._seen.add(event["id"])
            self.events.append(event)
            for function_id, config in self.functions.items():
                if any(_starts(trigger, event) for trigger in config["triggers"]):
                    task = asyncio.get_running_loop().create_task(self._start(function_id, event))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
        return ids

    async def settled(self) -> None:
        """Return once nothing is driven any more."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def stop(self) -> None:
        """Drive nothing any more."""
        for task in self._tasks:
            task.cancel()

    async def _start(self, function_id: str, event: Json) -> None:
        with contextlib.suppress(FailedError):
            await self.run(function_id, event)

    async def run(self, function_id: str, event: Json) -> Json:
        """What a run of the function returns."""
        run_id = _ulid()
        try:
            return await self._run(function_id, event, run_id)
        except FailedError as failure:
            told = {"function_id": function_id, "run_id": run_id, "event": event, "error": failure.error}
            self.send([{"name": "inngest/function.failed", "data": told}])
            raise

    async def _run(self, function_id: str, event: Json, run_id: str) -> Json:
        steps = self.steps[run_id] = {}
        parallel = False
        while True:
            answer = await self._attempted(function_id, "step", event, run_id, steps, parallel)
            if answer.status == 200:
                return answer.body
            ops = answer.body
            parallel = parallel or len(ops) > 1
            settled = await asyncio.gather(*(self._settle(function_id, op, event, run_id, dict(steps)) for op in ops))
            steps |= {op["id"]: result for op, result in zip(ops, settled, strict=True)}
            assert len(steps) <= MOST_STEPS
            assert len(json.dumps(steps)) <= LARGEST_STATE_BYTES

    async def _settle(self, function_id: str, op: Json, event: Json, run_id: str, steps: Json) -> Json:
        if op["op"] == "StepRun":
            return _kept(op)
        if op["op"] == "StepFailed":
            return {"error": op["error"]}
        if op["op"] == "Sleep":
            return {"data": None}
        if op["op"] == "InvokeFunction":
            invoked = {"name": "inngest/function.invoked", "id": secrets.token_hex(8), "ts": int(time.time() * 1000)}
            try:
                data = {**op["opts"]["payload"]["data"], "_inngest": {"fn_id": op["opts"]["function_id"]}}
                return {"data": await self.run(op["opts"]["function_id"], {**invoked, "data": data})}
            except FailedError as failure:
                return {"error": failure.error}
        assert op["op"] == "StepPlanned", op
        try:
            answer = await self._attempted(function_id, op["id"], event, run_id, steps, parallel=True)
        except FailedError as failure:
            return {"error": failure.error}
        (done,) = answer.body
        return {"error": done["error"]} if done["op"] == "StepFailed" else _kept(done)

    async def _attempted(
        self, function_id: str, step: str, event: Json, run_id: str, steps: Json, parallel: bool
    ) -> Answer:
        """The first answer that is no failure which is to be followed by another attempt."""
        (config,) = self.functions[function_id]["steps"].values()
        most = config.get("retries", {}).get("attempts", 3) + 1
        error: Json = None
        for attempt in range(most):
            context = {
                "run_id": run_id,
                "attempt": attempt,
                "max_attempts": most,
                "disable_immediate_execution": parallel,
                "stack": {"stack": list(steps), "current": len(steps)},
            }
            body = {"ctx": context, "event": event, "events": [event], "steps": steps, "use_api": False, "version": 1}
            answer = await self.call(function_id, step, body)
            if answer.status in (200, 206):
                failed = [op for op in answer.body if op["op"] == "StepError"] if answer.status == 206 else []
                if not failed:
                    return answer
                error = failed[0]["error"]
            else:
                error = answer.body
            if answer.no_retry:
                break
        raise FailedError(error)


def http(url: str, key: str) -> Callable[[str, str, dict[str, Json]], Awaitable[Answer]]:
    """Calls an app at an address, signed as Inngest signs, and believes signed answers only."""
    client = httpx2.AsyncClient(timeout=120, trust_env=False)

    async def call(function_id: str, step: str, body: dict[str, Json]) -> Answer:
        answer = await client.post(
            url, params={"fnId": function_id, "stepId": step}, content=json.dumps(body), headers=signed(body, key)
        )
        assert answer.status_code not in (401, 403), answer.text
        header = answer.headers.get("x-inngest-signature", "")
        moment = re.search(r"t=(\d+)", header)
        assert moment, answer.text
        assert header.endswith(_mac(answer.content, moment[1], key))
        return Answer(answer.status_code, answer.json(), answer.headers.get("x-inngest-no-retry") == "true")

    return call


async def in_thread(work: Callable[[], T]) -> T:
    """What `work` gives, which waits for what this process answers meanwhile."""
    return await asyncio.to_thread(work)


async def in_band(url: str, key: str) -> Json:
    """What an app at an address says that its functions are."""
    body = {"url": url}
    headers = {**signed(body, key), "x-inngest-sync-kind": "in_band"}
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.put(url, content=json.dumps(body), headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["functions"]


def signed(body: Json, key: str) -> dict[str, str]:
    """The headers of a call."""
    moment = str(int(time.time()))
    signature = f"t={moment}&s={_mac(jcs.canonicalize(body), moment, key)}"
    return {"content-type": "application/json", "x-inngest-signature": signature, "x-inngest-server-kind": "cloud"}


def _mac(body: bytes, moment: str, key: str) -> str:
    secret = re.sub(r"^signkey-\w+-", "", key).encode()
    return hmac.new(secret, body + moment.encode(), hashlib.sha256).hexdigest()


def _kept(op: Json) -> Json:
    assert op["op"] == "StepRun", op
    assert len(json.dumps(op["data"])) <= LARGEST_OUTPUT_BYTES
    return {"data": op["data"]}


def _starts(trigger: Json, event: Json) -> bool:
    if trigger.get("event") != event["name"]:
        return False
    # The only condition that these functions have.
    asked = re.fullmatch(r"event\.data\.function_id == '([\w-]+)'", trigger.get("expression") or "")
    return asked is None or event["data"]["function_id"] == asked[1]


def _ulid() -> str:
    """Run ids at Inngest are ULIDs."""
    digits, number = "0123456789ABCDEFGHJKMNPQRSTVWXYZ", int(time.time() * 1000) << 80 | secrets.randbits(80)
    return "".join(digits[number >> 5 * place & 31] for place in reversed(range(26)))
