"""Protocol: what an engine and an Inngest SDK say to each other over HTTP. Pure: values in, values out.

An engine POSTs the event and the results of the steps that are done; the SDK calls the function and answers with
its return value (200), with the steps it met that are not done (206), or with an error. Source: Inngest's SDK
specification, sections 4 and 5.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from anabranch import clock
from anabranch.engine.flow import Flow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = Any

# The step id that means "call the function, not one of its steps".
WHOLE_FUNCTION = "step"


@dataclass(frozen=True)
class Trigger:
    """What starts a function: an event's name (`*` ends a prefix), and a CEL condition on it."""

    event: str
    expression: str | None = None

    def matches_name(self, name: str) -> bool:
        """Whether an event of this name can start the function."""
        return name == self.event or (self.event.endswith("*") and name.startswith(self.event[:-1]))


@dataclass(frozen=True)
class Function:
    """A function as its app registered it.

    Attributes:
        id: the app's id, a dash, and the function's own id.
        name: for people.
        url: where the SDK serves it, with `fnId` in the query.
        triggers: what starts it.
        retries: how often a failing step, or the function itself, is tried again.
        crons: the schedules that start it, as in `TZ=Europe/Paris 0 9 * * 1`.
        flow: when its runs may start, and how many at once.
    """

    id: str
    name: str
    url: str
    triggers: tuple[Trigger, ...] = ()
    retries: int = 3
    crons: tuple[str, ...] = ()
    flow: Flow = field(default_factory=Flow)

    @classmethod
    def from_registration(cls, config: Mapping[str, Json]) -> Function:
        """Read one entry of `functions` in a registration request.

        Raises:
            ValueError, KeyError, TypeError: it says something that makes no sense.
        """
        step = next(iter(config["steps"].values()))
        retries = step.get("retries") or {}
        return cls(
            id=config["id"],
            name=config.get("name") or config["id"],
            url=step["runtime"]["url"],
            triggers=tuple(
                Trigger(trigger["event"], trigger.get("expression"))
                for trigger in config.get("triggers") or []
                if trigger.get("event")
            ),
            # Inngest's own default when an app does not say.
            retries=retries.get("attempts", 3),
            crons=tuple(trigger["cron"] for trigger in config.get("triggers") or [] if trigger.get("cron")),
            flow=Flow.from_registration(config),
        )

    @property
    def max_attempts(self) -> int:
        """How often a step is tried at the most."""
        return self.retries + 1


@dataclass(frozen=True)
class Op:
    """A step that the function met and that is not done.

    Attributes:
        id: SHA-1 of the step's name.
        op: `StepPlanned`, `StepRun`, `StepError`, `StepFailed`, `Sleep`, `WaitForEvent` or `InvokeFunction`.
        name: the name that the op carries: for a sleep its end, for a wait the event's name.
        display_name: the step's own name.
        opts: what the op asks for.
        data: the step's result, of a `StepRun`.
        error: why it failed, of a `StepError` or `StepFailed`.
    """

    id: str
    op: str
    name: str
    display_name: str
    opts: dict[str, Json] = field(default_factory=dict)
    data: Json = None
    error: dict[str, Json] | None = None

    @property
    def races(self) -> bool:
        """Whether the function wants to go on as soon as any one of a parallel group is done."""
        return self.opts.get("parallelMode") == "race"


@dataclass(frozen=True)
class Returned:
    """The function, or the step that was asked for, came to an end."""

    output: Json


@dataclass(frozen=True)
class Met:
    """The function met steps that are not done.

    Attributes:
        ops: the steps.
        retriable: False when the answer says that what failed in it is not to be tried again.
    """

    ops: tuple[Op, ...]
    retriable: bool = True


@dataclass(frozen=True)
class Errored:
    """The function, or the step that was asked for, raised an error.

    Attributes:
        error: name, message and stack.
        retriable: whether trying again may help.
        retry_at_ms: when it asked to be tried again (Unix milliseconds), or None.
    """

    error: dict[str, Json]
    retriable: bool = True
    retry_at_ms: int | None = None


Answer = Returned | Met | Errored


def request_body(
    *,
    run_id: str,
    function_id: str,
    events: Sequence[Mapping[str, Json]],
    steps: Mapping[str, Json],
    attempt: int,
    max_attempts: int,
) -> bytes:
    """The body of a call. `steps` maps hashed ids to results, as in `steps.result`."""
    return json.dumps(
        {
            "event": events[0],
            "events": list(events),
            "steps": steps,
            "ctx": {
                "fn_id": function_id,
                "run_id": run_id,
                "attempt": attempt,
                "max_attempts": max_attempts,
                # A step is first announced and then asked for by id. So an error always has a step to
                # belong to, also one that an SDK reports as an error of the function.
                "disable_immediate_execution": True,
                "use_api": False,
                "stack": {"stack": list(steps), "current": len(steps)},
            },
            "version": 1,
            "use_api": False,
        }
    ).encode()


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """What an SDK answered. An answer that makes no sense is a retriable error, since a proxy may have spoken."""
    try:
        value = json.loads(body) if body else None
    except ValueError:
        value = None
        if status < 400:
            status = 502
    retriable = headers.get("x-inngest-no-retry", "").lower() != "true"
    if status == 206 and isinstance(value, list) and value and all(_is_op(entry) for entry in value):
        return Met(tuple(_read_op(entry) for entry in value), retriable)
    if status in (200, 201):
        return Returned(value)
    retry_after = headers.get("retry-after")
    return Errored(
        error=_read_error(value, status, body),
        retriable=retriable,
        retry_at_ms=_read_time(retry_after) if retry_after else None,
    )


def _is_op(entry: Json) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("id"), str) and isinstance(entry.get("op"), str)


def _read_op(entry: Mapping[str, Json]) -> Op:
    name = entry.get("name") or ""
    return Op(
        id=entry["id"],
        op=entry["op"],
        name=name,
        display_name=entry.get("displayName") or name or entry["id"],
        opts=entry.get("opts") or {},
        data=entry.get("data"),
        error=entry.get("error"),
    )


def _read_error(value: Json, status: int, body: bytes) -> dict[str, Json]:
    if isinstance(value, dict) and "message" in value:
        return error(str(value.get("name") or "Error"), str(value["message"])) | {"stack": value.get("stack")}
    said = body[:500].decode("utf-8", "replace")
    return error("Error", f"the app answered {status}: {said}")


def _read_time(text: str) -> int | None:
    """`Retry-After`: seconds, an HTTP date (RFC 9110 section 10.2.3), or ISO 8601 as SDKs send it."""
    if text.strip().isdigit():
        return clock.now_ms() + int(text) * 1000
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return _to_ms(read(text))
        except ValueError:
            continue
    return None


def read_instant(text: str) -> int:
    """The end of a sleep, ISO 8601, as Unix milliseconds."""
    return _to_ms(datetime.fromisoformat(text))


def _to_ms(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def error(name: str, message: str) -> dict[str, Json]:
    """An error of the engine's own, in the shape that SDKs use."""
    return {"name": name, "message": message, "stack": None}


def error_result(error: Mapping[str, Json]) -> dict[str, Json]:
    """A failed step's result, as the function sees it."""
    known: Sequence[str] = ("name", "message", "stack")
    return {"error": {key: error.get(key) for key in known}}
