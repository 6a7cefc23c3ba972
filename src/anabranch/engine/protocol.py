"""Protocol: what an engine and an Inngest SDK say to each other over HTTP. Pure: values in, values out.

An engine POSTs the event and the results of the steps that are done; the SDK calls the function and answers with
its return value (200), with the steps it met that are not done (206), or with an error. Source: Inngest's SDK
specification, sections 4 and 5.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from anabranch import clock
from anabranch.engine.durations import read_duration_s
from anabranch.engine.flow import Flow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = Any

# The step id that means "call the function, not one of its steps".
WHOLE_FUNCTION = "step"

# What an app may answer, and what all results of a run may come to. Inngest allows a run as much.
MOST_BYTES = 32 << 20
# How deep lists and objects may lie in one another. Python gives up at a thousand, less those that it is in already.
_DEEPEST = 200
# What is kept of what an app says of an error.
_LONGEST_TEXT = 10_000
# An id is a SHA-1.
_LONGEST_NAME = 500
# What no database takes, in an id that is looked for again.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


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
            id=_text(config["id"]),
            name=_text(config.get("name") or config["id"]),
            url=_text(step["runtime"]["url"]),
            triggers=tuple(
                Trigger(_text(trigger["event"]), trigger.get("expression"))
                for trigger in config.get("triggers") or []
                if trigger.get("event")
            ),
            # Inngest's own default when an app does not say.
            retries=int(retries.get("attempts", 3)),
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
        value = _read_json(body) if body else None
    except ValueError:
        value = None
        if status < 400:
            status = 502
    retriable = headers.get("x-inngest-no-retry", "").lower() != "true"
    if status == 206 and isinstance(value, list) and value:
        try:
            return Met(tuple(_read_op(entry) for entry in value), retriable)
        except (ValueError, TypeError, KeyError) as why:
            said = f"the app answered with a step that makes no sense: {type(why).__name__}: {str(why)[:500]}"
            return Errored(error("UnreadableStep", said), retriable)
    if status in (200, 201):
        return Returned(value)
    retry_after = headers.get("retry-after")
    return Errored(
        error=_read_error(value, status, body),
        retriable=retriable,
        retry_at_ms=_read_time(retry_after) if retry_after else None,
    )


def _read_json(body: bytes) -> Json:
    """What a body says.

    Raises:
        ValueError: it is no JSON, or lies too deep.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    try:
        value = json.loads(body, parse_constant=refuse)
    except RecursionError:
        raise ValueError("it lies too deep") from None
    # It costs as much as reading does, and few answers have enough in them to lie deep.
    if body.count(b"[") + body.count(b"{") > _DEEPEST:
        _check_depth(value)
    return value


def _check_depth(value: Json) -> None:
    layer = [value]
    for _ in range(_DEEPEST):
        inside = (one.values() if isinstance(one, dict) else one for one in layer if isinstance(one, dict | list))
        layer = [one for each in inside for one in each]
        if not layer:
            return
    raise ValueError("it lies too deep")


def _read_op(entry: Json) -> Op:
    """A step as an app tells of it.

    Raises:
        ValueError, TypeError, KeyError: it makes no sense.
    """
    if not isinstance(entry, dict):
        raise TypeError(f"a step is an object, got {str(entry)[:100]!r}")
    id_, op, name = _text(entry["id"]), _text(entry["op"]), _text(entry.get("name") or "")
    if not 0 < len(id_) <= _LONGEST_NAME or id_ == WHOLE_FUNCTION:
        raise ValueError(f"a step cannot have the id {id_[:100]!r}")
    opts, told = entry.get("opts") or {}, entry.get("error")
    if not isinstance(opts, dict):
        raise TypeError(f"opts is an object, got {str(opts)[:100]!r}")
    met = Op(
        id=id_,
        op=op,
        name=name,
        display_name=_text(entry.get("displayName") or name or id_)[:_LONGEST_TEXT],
        opts=opts,
        data=entry.get("data"),
        error=None if told is None else _shaped(told),
    )
    _check_opts(met)
    return met


def _check_opts(op: Op) -> None:
    """Look at what an op asks for, so that whoever settles it need not."""
    if op.op == "Sleep":
        read_instant(op.name)
    elif op.op == "WaitForEvent":
        if not _text(op.opts.get("event") or op.name):
            raise ValueError("a wait names its event")
        read_duration_s(_text(op.opts["timeout"]))
    elif op.op == "InvokeFunction":
        _text(op.opts["function_id"])
        if op.opts.get("timeout"):
            read_duration_s(_text(op.opts["timeout"]))
        payload = op.opts.get("payload") or {}
        if not isinstance(payload, dict) or not isinstance(payload.get("data") or {}, dict):
            raise TypeError(f"payload and its data are objects, got {str(payload)[:100]!r}")


def _text(value: Json) -> str:
    if not isinstance(value, str) or _UNSTORABLE.search(value):
        raise TypeError(f"a text was expected, got {str(value)[:100]!r}")
    return value


def _read_error(value: Json, status: int, body: bytes) -> dict[str, Json]:
    if isinstance(value, dict) and "message" in value:
        return _shaped(value)
    said = body[:500].decode("utf-8", "replace")
    return error("Error", f"the app answered {status}: {said}")


def _shaped(told: Json) -> dict[str, Json]:
    """An error as an app tells of it, in the shape that SDKs use."""
    if not isinstance(told, dict):
        return error("Error", str(told)[:_LONGEST_TEXT])
    name, message, stack = told.get("name"), told.get("message"), told.get("stack")
    made = error(str(name or "Error")[:_LONGEST_NAME], str(message or "")[:_LONGEST_TEXT])
    return made | {"stack": None if stack is None else str(stack)[:_LONGEST_TEXT]}


def _read_time(text: str) -> int | None:
    """`Retry-After`: seconds, an HTTP date (RFC 9110 section 10.2.3), or ISO 8601 as SDKs send it."""
    for read in (_after_seconds, datetime.fromisoformat, parsedate_to_datetime):
        try:
            return _to_ms(read(text))
        except (ValueError, TypeError, OverflowError):
            continue
    return None


def _after_seconds(text: str) -> datetime:
    return clock.now() + timedelta(seconds=int(text))


def read_instant(text: str) -> int:
    """The end of a sleep, ISO 8601, as Unix milliseconds.

    Raises:
        ValueError: it is none.
    """
    try:
        return _to_ms(datetime.fromisoformat(text))
    except OverflowError as error:
        raise ValueError(f"no moment: {text!r}") from error


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
