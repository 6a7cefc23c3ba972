"""Admission: what an event makes of a function: a run, a part of one that waits, or nothing.

In this order: idempotency and the rate limit may drop the event; a singleton may drop it or cancel the run before;
debounce and batch may join it to a run that is queued; throttle and the event's own time say when a run may start.
Every answer is counted from the rows of earlier runs, so that it is the same after a restart. Nobody else may add such
rows between the counting and the writing: transactions that may start runs of the same functions take turns.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch import clock
from anabranch.database import serialize
from anabranch.engine.events import FUNCTION_CANCELLED, FUNCTION_FAILED, FUNCTION_FINISHED
from anabranch.engine.expressions import holds, value_of
from anabranch.engine.tables import run_events, run_keys, runs
from anabranch.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anabranch.engine.events import Event
    from anabranch.engine.flow import Batch, Debounce, Flow, Throttle
    from anabranch.engine.protocol import Function

Json = Any

_DAY_MS = 24 * 3600 * 1000
_MAX_PRIORITY_S = 600


@dataclass(frozen=True)
class Admitted:
    """What came of it.

    Attributes:
        run_id: the run that the event has started or joined; None when it was dropped.
        new: whether the run is new.
        cancel: runs that have to make way.
    """

    run_id: str | None
    new: bool = False
    cancel: tuple[str, ...] = ()


def take_turns(
    connection: sa.Connection, functions: Sequence[Function], *names: str, also: Function | None = None
) -> None:
    """Wait until no other transaction admits to the functions that events of these names may start.

    Call it first in the transaction. The ends of runs are always among the names: what is admitted may cancel a run,
    and who listens to that is started too.
    """
    heard = (*names, FUNCTION_FAILED, FUNCTION_FINISHED, FUNCTION_CANCELLED)
    counted = {
        function.id
        for function in functions
        if _counts(function.flow)
        and (function is also or any(trigger.matches_name(name) for trigger in function.triggers for name in heard))
    }
    serialize(connection, *(f"admission {function_id}" for function_id in counted))


def _counts(flow: Flow) -> bool:
    return any((flow.idempotency, flow.rate_limit, flow.singleton, flow.debounce, flow.batch, flow.throttle))


def admit(connection: sa.Connection, function: Function, event: Event, driver: str) -> Admitted:
    """Start a run of the function for an event, as its flow control allows; a worker is to drive it."""
    flow = function.flow
    names = {"event": event.to_dict()}
    now = clock.now_ms()
    keys: dict[str, tuple[str, int]] = {}
    if flow.idempotency:
        key = _text(value_of(flow.idempotency, names))
        if _count(connection, function, "idempotency", key, since=now - _DAY_MS):
            return Admitted(None)
        keys["idempotency"] = key, now
    if flow.rate_limit:
        key = _text(value_of(flow.rate_limit.key, names))
        since = now - _ms(flow.rate_limit.period_s)
        if _count(connection, function, "rate_limit", key, since=since) >= flow.rate_limit.limit:
            return Admitted(None)
        keys["rate_limit"] = key, now
    cancel: tuple[str, ...] = ()
    if flow.singleton:
        key = _text(value_of(flow.singleton.key, names))
        before = _open(connection, function, "singleton", key)
        if before and flow.singleton.mode == "skip":
            return Admitted(None)
        cancel = tuple(before)
        keys["singleton"] = key, now
    due_at = event.ts if event.ts > now else None
    if flow.debounce:
        key = _text(value_of(flow.debounce.key, names))
        queued = _queued(connection, function, "debounce", key)
        if queued is not None:
            _put_off(connection, queued, flow.debounce, event, now)
            return Admitted(queued.id, cancel=tuple(one for one in cancel if one != queued.id))
        keys["debounce"] = key, now
        due_at = now + _ms(flow.debounce.period_s)
    batched = flow.batch is not None and holds(flow.batch.condition, names)
    if flow.batch and batched:
        key = _text(value_of(flow.batch.key, names))
        queued = _queued(connection, function, "batch", key)
        if queued is not None:
            _join(connection, queued, flow.batch, event, now)
            return Admitted(queued.id, cancel=cancel)
        keys["batch"] = key, now
        due_at = now + _ms(flow.batch.timeout_s) if flow.batch.max_size > 1 else None
    if flow.throttle:
        key = _text(value_of(flow.throttle.key, names))
        at, on_schedule = _next_start(connection, function, flow.throttle, key, due_at or now)
        due_at = at if at > now else due_at
        keys["throttle"] = key, on_schedule
    rank = _rank(function, names, now)
    run_id = insert_run(connection, function.id, event.id, driver, due_at=due_at, rank=rank)
    for control, (key, at) in keys.items():
        connection.execute(
            run_keys.insert().values(run_id=run_id, control=control, function_id=function.id, key=key, at=at)
        )
    if batched:
        connection.execute(run_events.insert().values(run_id=run_id, position=0, event_id=event.id))
    return Admitted(run_id, new=True, cancel=cancel)


def insert_run(
    connection: sa.Connection,
    function_id: str,
    event_id: str,
    driver: str,
    *,
    parent: tuple[str, str] | None = None,
    original: str | None = None,
    due_at: int | None = None,
    rank: int | None = None,
) -> str:
    """Insert a run for a worker to drive, that may start at `due_at`, or at once. Returns its id."""
    now = clock.now_ms()
    run_id = new_id("run")
    parent_run_id, parent_step_id = parent or (None, None)
    connection.execute(
        runs.insert().values(
            id=run_id,
            event_id=event_id,
            function_id=function_id,
            status="running" if due_at is None else "queued",
            driver=driver,
            parent_run_id=parent_run_id,
            parent_step_id=parent_step_id,
            original_run_id=original,
            due_at=due_at,
            rank=now if rank is None else rank,
            created_at=now,
            started_at=now if due_at is None else None,
        )
    )
    return run_id


def limits_of(function: Function, event: Mapping[str, Json]) -> dict[str, int]:
    """The places that a call of the function takes: how many there are, by key."""
    places = {}
    for concurrency in function.flow.concurrency:
        if concurrency.limit <= 0:
            continue
        whose = function.id if concurrency.scope == "fn" else concurrency.scope
        value = _text(value_of(concurrency.key, {"event": event}))
        places[f"{whose} {concurrency.key or ''} {value}"] = concurrency.limit
    return places


def _rank(function: Function, names: Mapping[str, Json], now: int) -> int:
    ahead = value_of(function.flow.priority, names)
    if isinstance(ahead, bool) or not isinstance(ahead, int | float):
        return now
    return now - int(max(-_MAX_PRIORITY_S, min(_MAX_PRIORITY_S, ahead)) * 1000)


def _text(value: Json) -> str:
    """A key as text: 1 and "1" are two keys."""
    return json.dumps(value, sort_keys=True, default=str)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _here(function: Function, control: str, key: str) -> sa.ColumnElement[bool]:
    return (run_keys.c.function_id == function.id) & (run_keys.c.control == control) & (run_keys.c.key == key)


def _count(connection: sa.Connection, function: Function, control: str, key: str, *, since: int) -> int:
    counted = sa.select(sa.func.count()).select_from(run_keys)
    return connection.scalar(counted.where(_here(function, control, key), run_keys.c.at > since)) or 0


def _open(connection: sa.Connection, function: Function, control: str, key: str) -> list[str]:
    """The runs under this key that have not ended."""
    found = sa.select(runs.c.id).join(run_keys, run_keys.c.run_id == runs.c.id)
    return list(connection.scalars(found.where(_here(function, control, key), runs.c.ended_at.is_(None))))


def _queued(connection: sa.Connection, function: Function, control: str, key: str) -> sa.Row[Any] | None:
    """The run under this key that has not started, if there is one. It does not start before this transaction ends."""
    found = sa.select(runs).join(run_keys, run_keys.c.run_id == runs.c.id).with_for_update(of=runs)
    return connection.execute(found.where(_here(function, control, key), runs.c.status == "queued")).first()


def _put_off(connection: sa.Connection, queued: sa.Row[Any], debounce: Debounce, event: Event, now: int) -> None:
    due_at = now + _ms(debounce.period_s)
    if debounce.timeout_s is not None:
        due_at = min(due_at, queued.created_at + _ms(debounce.timeout_s))
    connection.execute(runs.update().where(runs.c.id == queued.id).values(event_id=event.id, due_at=due_at))


def _join(connection: sa.Connection, queued: sa.Row[Any], batch: Batch, event: Event, now: int) -> None:
    count = sa.select(sa.func.count()).select_from(run_events).where(run_events.c.run_id == queued.id)
    size = connection.scalar(count) or 0
    connection.execute(run_events.insert().values(run_id=queued.id, position=size, event_id=event.id))
    if size + 1 >= batch.max_size:
        # Started here and now, so that the next event opens a batch of its own.
        connection.execute(runs.update().where(runs.c.id == queued.id).values(status="running", started_at=now))


def _next_start(
    connection: sa.Connection, function: Function, throttle: Throttle, key: str, earliest: int
) -> tuple[int, int]:
    """When the next run may start, and from when on the one after it is on schedule.

    The generic cell rate algorithm (ITU-T I.371): starts are due an interval apart, and may be ahead of that by a
    burst.
    """
    latest = sa.select(sa.func.max(run_keys.c.at)).where(_here(function, "throttle", key))
    on_schedule = connection.scalar(latest) or earliest
    interval = throttle.period_s * 1000 / throttle.limit
    start = max(earliest, int(on_schedule - interval * (throttle.burst - 1)))
    return start, int(max(start, on_schedule) + interval)
