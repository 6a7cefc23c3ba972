"""Journal: the rows of the engine. Events that came, the runs they started, the results of their steps.

Whatever is acknowledged stands here first. A result is written once: who finds it already there, or its run
ended, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch import clock
from anabranch.database import insert_once
from anabranch.engine.expressions import holds
from anabranch.engine.tables import events, runs, steps
from anabranch.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from anabranch.engine.protocol import Function

Json = Any


@dataclass(frozen=True)
class Event:
    """Something that happened. Functions that listen to its name are started by it.

    Attributes:
        name: such as `video/uploaded`.
        data: JSON object.
        id: its identity: an event that comes twice with the same id counts once. Made up when not given.
        ts: when it happened, Unix milliseconds.
        user: JSON object about the user, or None.
        v: the version of the data's shape, or None.
    """

    name: str
    data: dict[str, Json] = field(default_factory=dict)
    id: str = field(default_factory=lambda: new_id("evt"))
    ts: int = field(default_factory=clock.now_ms)
    user: dict[str, Json] | None = None
    v: str | None = None

    def to_dict(self) -> dict[str, Json]:
        """As a function sees it."""
        seen = {"id": self.id, "name": self.name, "data": self.data, "ts": self.ts}
        if self.user is not None:
            seen["user"] = self.user
        if self.v is not None:
            seen["v"] = self.v
        return seen


@dataclass(frozen=True)
class Run:
    """One execution of a function for one event.

    Attributes:
        status: `running`, `completed`, `failed` or `cancelled`.
        output: what the function returned.
        error: name, message and stack of what ended it.
        parent: the run and step that invoked it, or None.
    """

    id: str
    function_id: str
    event: Event
    status: str
    output: Json
    error: dict[str, Json] | None
    parent: tuple[str, str] | None
    created_at: int
    ended_at: int | None


@dataclass(frozen=True)
class Step:
    """A step of a run, done or not.

    Attributes:
        failures: attempts that ended in an error.
        due_at: when a sleep ends, a wait gives up or the next attempt starts; Unix milliseconds.
        result: `{"data": …}`, `{"error": …}` or null as the SDK is told; meaningless while `pending`.
    """

    id: str
    name: str
    op: str
    status: str
    failures: int
    opts: dict[str, Json]
    due_at: int | None
    result: Json


@dataclass(frozen=True)
class Published:
    """What came of publishing events: new runs, and waiting steps that one of the events fulfilled."""

    run_ids: tuple[str, ...]
    woken: tuple[tuple[str, str], ...]


class Journal:
    """Reads and writes the engine's rows. Every method is one transaction."""

    def __init__(self, database: sa.Engine) -> None:
        self._database = database

    def publish(self, incoming: Iterable[Event], functions: Iterable[Function]) -> Published:
        """Record events, start a run of every function that listens, and fulfil the steps that wait for them."""
        listeners = list(functions)
        with self._database.begin() as connection:
            return _together([self._publish(connection, event, listeners) for event in incoming])

    def _publish(self, connection: sa.Connection, event: Event, functions: Sequence[Function]) -> Published:
        if not self._record(connection, event):
            return Published((), ())
        started = tuple(
            self._start(connection, function.id, event, None) for function in functions if _listens(function, event)
        )
        return Published(started, tuple(self._fulfil(connection, event)))

    def _record(self, connection: sa.Connection, event: Event) -> bool:
        row = {**event.to_dict(), "user": event.user, "v": event.v, "received_at": clock.now_ms()}
        added = connection.execute(insert_once(self._database, events).values(row))
        return bool(added.rowcount)

    def _start(self, connection: sa.Connection, function_id: str, event: Event, parent: tuple[str, str] | None) -> str:
        run_id = new_id("run")
        parent_run_id, parent_step_id = parent or (None, None)
        connection.execute(
            runs.insert().values(
                id=run_id,
                event_id=event.id,
                function_id=function_id,
                status="running",
                parent_run_id=parent_run_id,
                parent_step_id=parent_step_id,
                created_at=clock.now_ms(),
            )
        )
        return run_id

    def _fulfil(self, connection: sa.Connection, event: Event) -> list[tuple[str, str]]:
        waiting = connection.execute(
            sa.select(steps.c.run_id, steps.c.id, steps.c.opts, events.c.data, events.c.name, events.c.id)
            .select_from(steps.join(runs, runs.c.id == steps.c.run_id).join(events, events.c.id == runs.c.event_id))
            .where(steps.c.op == "WaitForEvent", steps.c.status == "pending", steps.c.name == event.name)
        ).all()
        fulfilled = []
        for run_id, step_id, opts, data, name, event_id in waiting:
            # `event` is what started the run, `async` what has come now.
            names = {"event": {"id": event_id, "name": name, "data": data}, "async": event.to_dict()}
            if holds(opts.get("if"), names) and self._settle(
                connection, run_id, step_id, "completed", {"data": event.to_dict()}
            ):
                fulfilled.append((run_id, step_id))
        return fulfilled

    def run(self, run_id: str) -> Run | None:
        """The run, or None."""
        with self._database.connect() as connection:
            row = connection.execute(_select_run().where(runs.c.id == run_id)).one_or_none()
        return _read_run(row) if row else None

    def runs_of_event(self, event_id: str) -> list[Run]:
        """The runs that an event started, oldest first."""
        with self._database.connect() as connection:
            rows = connection.execute(_select_run().where(runs.c.event_id == event_id).order_by(runs.c.id))
            return [_read_run(row) for row in rows]

    def running(self) -> list[str]:
        """Ids of the runs that have not ended, oldest first."""
        with self._database.connect() as connection:
            return list(
                connection.scalars(sa.select(runs.c.id).where(runs.c.status == "running").order_by(runs.c.created_at))
            )

    def steps(self, run_id: str) -> dict[str, Step]:
        """The steps of a run by hashed id."""
        with self._database.connect() as connection:
            rows = connection.execute(sa.select(steps).where(steps.c.run_id == run_id))
            return {row.id: _read_step(row) for row in rows}

    def plan(self, run_id: str, planned: Sequence[Step]) -> dict[str, Step]:
        """Record steps that the function met. One that is there already stays as it is, its due time too."""
        now = clock.now_ms()
        rows = [
            {
                "run_id": run_id,
                "id": step.id,
                "name": step.name,
                "op": step.op,
                "status": "pending",
                "failures": 0,
                "opts": step.opts,
                "due_at": step.due_at,
                "created_at": now,
            }
            for step in planned
        ]
        with self._database.begin() as connection:
            connection.execute(insert_once(self._database, steps), rows)
            found = connection.execute(
                sa.select(steps).where(steps.c.run_id == run_id, steps.c.id.in_([step.id for step in planned]))
            )
            return {row.id: _read_step(row) for row in found}

    def invoke(self, run_id: str, step_id: str, function_id: str, data: dict[str, Json]) -> tuple[Run, bool]:
        """The run that this step invoked, started now unless it was before. The flag says whether it is new."""
        event = Event(name="inngest/function.invoked", data=data, id=f"{run_id}.{step_id}")
        with self._database.begin() as connection:
            new = self._record(connection, event)
            if new:
                self._start(connection, function_id, event, (run_id, step_id))
            row = connection.execute(_select_run().where(runs.c.event_id == event.id)).one()
        return _read_run(row), new

    def settle(self, run_id: str, step_id: str, status: str, result: Json) -> bool:
        """Write a step's result, `completed` or `failed`. False when it has one already."""
        with self._database.begin() as connection:
            return self._settle(connection, run_id, step_id, status, result)

    def _settle(self, connection: sa.Connection, run_id: str, step_id: str, status: str, result: Json) -> bool:
        changed = connection.execute(
            steps.update()
            .where(steps.c.run_id == run_id, steps.c.id == step_id, steps.c.status == "pending")
            .values(status=status, result=result, ended_at=clock.now_ms())
        )
        return bool(changed.rowcount)

    def fail_attempt(self, run_id: str, step_id: str, error: Mapping[str, Json], retry_at: int) -> int:
        """Note that an attempt at a step failed and when the next one is due. Returns the failures so far."""
        with self._database.begin() as connection:
            failures: int = connection.execute(
                steps.update()
                .where(steps.c.run_id == run_id, steps.c.id == step_id, steps.c.status == "pending")
                .values(failures=steps.c.failures + 1, due_at=retry_at, result={"error": dict(error)})
                .returning(steps.c.failures)
            ).scalar_one()
            return failures

    def end(
        self,
        run_id: str,
        status: str,
        *,
        output: Json = None,
        error: Mapping[str, Json] | None = None,
        announce: Event | None = None,
        functions: Iterable[Function] = (),
    ) -> Published | None:
        """End a run, and publish the event that says so, in one transaction. None when it had ended already."""
        with self._database.begin() as connection:
            changed = connection.execute(
                runs.update()
                .where(runs.c.id == run_id, runs.c.status == "running")
                .values(status=status, output=output, error=error, ended_at=clock.now_ms())
            )
            if not changed.rowcount:
                return None
            if announce is None:
                return Published((), ())
            return self._publish(connection, announce, list(functions))


def _together(published: Sequence[Published]) -> Published:
    return Published(
        tuple(run_id for one in published for run_id in one.run_ids),
        tuple(key for one in published for key in one.woken),
    )


def _listens(function: Function, event: Event) -> bool:
    return any(
        trigger.matches_name(event.name) and holds(trigger.expression, {"event": event.to_dict()})
        for trigger in function.triggers
    )


def _select_run() -> sa.Select[Any]:
    return sa.select(runs, *(column.label(f"of_event_{column.name}") for column in events.c)).join(
        events, events.c.id == runs.c.event_id
    )


def _read_run(row: sa.Row[Any]) -> Run:
    event = Event(
        name=row.of_event_name,
        data=row.of_event_data,
        id=row.of_event_id,
        ts=row.of_event_ts,
        user=row.of_event_user,
        v=row.of_event_v,
    )
    return Run(
        id=row.id,
        function_id=row.function_id,
        event=event,
        status=row.status,
        output=row.output,
        error=row.error,
        parent=(row.parent_run_id, row.parent_step_id) if row.parent_run_id else None,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def _read_step(row: sa.Row[Any]) -> Step:
    return Step(
        id=row.id,
        name=row.name,
        op=row.op,
        status=row.status,
        failures=row.failures,
        opts=row.opts or {},
        due_at=row.due_at,
        result=row.result,
    )
