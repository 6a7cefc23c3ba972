"""Journal: the rows of the engine. Events that came, the runs they started, the results of their steps.

Whatever is acknowledged stands here first. A result is written once: who finds it already there, or its run
ended, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch import clock, pages
from anabranch.database import insert_once, notify
from anabranch.engine import admission
from anabranch.engine.events import (
    FUNCTION_CANCELLED,
    FUNCTION_FAILED,
    FUNCTION_FINISHED,
    FUNCTION_INVOKED,
    SCHEDULED,
    Event,
)
from anabranch.engine.expressions import holds
from anabranch.engine.tables import apps, events, run_events, runs, steps
from anabranch.workers import living

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from anabranch.engine.flow import Cancel
    from anabranch.engine.protocol import Function
    from anabranch.pages import Page

Json = Any

# What wakes when an app has registered, and when a worker has left its runs to others.
APPS = "apps"
ABANDONED = "abandoned"


class Superseded(Exception):  # noqa: N818  (not an error: the run is in good hands)
    """Another worker drives the run now, since this one was taken for lost."""


@dataclass(frozen=True)
class Run:
    """One execution of a function for one event.

    Attributes:
        event: what started it; of a batch the first.
        status: `queued`, `running`, `completed`, `failed` or `cancelled`.
        output: what the function returned.
        error: name, message and stack of what ended it.
        parent: the run and step that invoked it, or None.
        original: the run that this one does again, or None.
        due_at: the earliest time at which it may start (Unix milliseconds), or None.
        rank: who goes first where runs wait for each other; the lowest.
    """

    id: str
    function_id: str
    event: Event
    status: str
    output: Json
    error: dict[str, Json] | None
    parent: tuple[str, str] | None
    original: str | None
    due_at: int | None
    rank: int
    created_at: int
    started_at: int | None
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
    """What came of publishing events.

    Attributes:
        run_ids: new runs.
        woken: what somebody may be waiting for: steps as (run, step), queued runs as (run, "start").
        cancelled: runs that were ended.
    """

    run_ids: tuple[str, ...] = ()
    woken: tuple[tuple[str, str], ...] = ()
    cancelled: tuple[str, ...] = ()


NOTHING = Published()


def cancelled(run_id: str) -> tuple[str, str]:
    """What wakes whoever drives a run that was ended by somebody else."""
    return ("cancelled", run_id)


class Journal:
    """Reads and writes the engine's rows. Every method is one transaction.

    Args:
        database: holds them.
        driver: says which worker this is. New runs are its to drive, and what it does not drive it does not write to.
    """

    def __init__(self, database: sa.Engine, driver: Callable[[], str]) -> None:
        self._database = database
        self._driver = driver

    def publish(self, incoming: Iterable[Event], functions: Iterable[Function]) -> Published:
        """Record events, start what listens, end what they cancel, and fulfil the steps that wait for them."""
        registered, came = list(functions), list(incoming)
        with self._database.begin() as connection:
            admission.take_turns(connection, registered, *(event.name for event in came))
            published = _together([self._publish(connection, event, registered) for event in came])
            _notify(connection, published)
        return published

    def tick(self, function: Function, cron: str, moment_ms: int, functions: Iterable[Function]) -> Published:
        """Start a run of the function for a moment of its schedule, once."""
        event = Event(SCHEDULED, {"cron": cron}, id=f"{function.id} {cron} {moment_ms}", ts=moment_ms)
        registered = list(functions)
        with self._database.begin() as connection:
            admission.take_turns(connection, registered, SCHEDULED, also=function)
            if not self._record(connection, event):
                return NOTHING
            published = self._admit(connection, function, event, registered)
            _notify(connection, published)
        return published

    def _publish(self, connection: sa.Connection, event: Event, functions: Sequence[Function]) -> Published:
        if not self._record(connection, event):
            return NOTHING
        published = [self._cancel_by(connection, function, event, functions) for function in functions]
        published += [
            self._admit(connection, function, event, functions) for function in functions if _listens(function, event)
        ]
        published.append(Published(woken=tuple(self._fulfil(connection, event))))
        return _together(published)

    def _record(self, connection: sa.Connection, event: Event) -> bool:
        row = {**event.to_dict(), "user": event.user, "v": event.v, "received_at": clock.now_ms()}
        added = connection.execute(insert_once(self._database, events).values(row))
        return bool(added.rowcount)

    def _admit(
        self, connection: sa.Connection, function: Function, event: Event, functions: Sequence[Function]
    ) -> Published:
        admitted = admission.admit(connection, function, event, self._driver())
        published = [self._cancel(connection, run_id, functions) for run_id in admitted.cancel]
        if admitted.run_id is not None:
            key = (admitted.run_id, "start")
            published.append(Published((admitted.run_id,)) if admitted.new else Published(woken=(key,)))
        return _together(published)

    def _cancel_by(
        self, connection: sa.Connection, function: Function, event: Event, functions: Sequence[Function]
    ) -> Published:
        """End the runs of a function that an event cancels."""
        found = []
        for cancel in function.flow.cancel:
            if cancel.event == event.name:
                found += self._cancelled_by(connection, function, cancel, event)
        return _together([self._cancel(connection, run_id, functions) for run_id in found])

    def _cancelled_by(self, connection: sa.Connection, function: Function, cancel: Cancel, event: Event) -> list[str]:
        rows = connection.execute(
            _select_run().where(runs.c.function_id == function.id, runs.c.ended_at.is_(None)).order_by(runs.c.id)
        ).all()
        now = clock.now_ms()
        found = []
        for run in map(_read_run, rows):
            in_time = cancel.timeout_s is None or now - run.created_at <= cancel.timeout_s * 1000
            names = {"event": run.event.to_dict(), "async": event.to_dict()}
            if in_time and holds(cancel.condition, names):
                found.append(run.id)
        return found

    def cancel(self, run_id: str, functions: Iterable[Function], *, driven: bool = False) -> Published:
        """End a run that has not ended, and say so.

        Args:
            run_id: the run.
            functions: those that may listen to that.
            driven: whether it is for this worker to say, since it drives the run.

        Raises:
            Superseded: it is not.
        """
        registered = list(functions)
        with self._database.begin() as connection:
            admission.take_turns(connection, registered)
            if driven:
                self._check_driven(connection, run_id)
            published = self._cancel(connection, run_id, registered)
            _notify(connection, published)
        return published

    def _cancel(self, connection: sa.Connection, run_id: str, functions: Sequence[Function]) -> Published:
        ended = self._end(
            connection, run_id, "cancelled", None, {"name": "Cancelled", "message": "cancelled"}, functions
        )
        return _together([ended or NOTHING, Published(cancelled=(run_id,) if ended is not None else ())])

    def _fulfil(self, connection: sa.Connection, event: Event) -> list[tuple[str, str]]:
        waiting = connection.execute(
            sa.select(steps.c.run_id, steps.c.id, steps.c.opts, events.c.data, events.c.name, events.c.id)
            .select_from(steps.join(runs, runs.c.id == steps.c.run_id).join(events, events.c.id == runs.c.event_id))
            .where(steps.c.op == "WaitForEvent", steps.c.status == "pending", steps.c.name == event.name)
            # In the same order by everybody, so that no two wait for each other.
            .order_by(steps.c.run_id, steps.c.id)
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
            batches = sa.select(run_events.c.run_id).where(run_events.c.event_id == event_id)
            mine = (runs.c.event_id == event_id) | runs.c.id.in_(batches)
            rows = connection.execute(_select_run().where(mine).order_by(runs.c.id))
            return [_read_run(row) for row in rows]

    def runs(self, page: Page, *, statuses: Sequence[str] = (), function_ids: Sequence[str] = ()) -> pages.Found[Run]:
        """A page of runs."""
        found = _select_run()
        if statuses:
            found = found.where(runs.c.status.in_(statuses))
        if function_ids:
            found = found.where(runs.c.function_id.in_(function_ids))
        return pages.read(self._database, found, runs.c.id, page, _read_run)

    def events(self, page: Page, *, name: str | None = None) -> pages.Found[tuple[Event, int]]:
        """A page of events, each with when it came, in the order in which they came."""
        found = sa.select(events)
        if name is not None:
            found = found.where(events.c.name == name)

        def make(row: sa.Row[Any]) -> tuple[Event, int]:
            return _read_event(row), row.received_at

        return pages.read(self._database, found, events.c.id, page, make, age=events.c.received_at)

    def unfinished(self) -> list[str]:
        """Ids of the runs that have not ended, oldest first."""
        with self._database.connect() as connection:
            return list(
                connection.scalars(sa.select(runs.c.id).where(runs.c.ended_at.is_(None)).order_by(runs.c.created_at))
            )

    def adopt(self, most: int) -> list[str]:
        """Take over runs that no worker drives who lives: their ids, oldest first. Then those that were this one's."""
        with self._database.begin() as connection:
            abandoned = runs.c.driver.is_(None) | runs.c.driver.not_in(living())
            open_ = sa.select(runs.c.id).where(runs.c.ended_at.is_(None), abandoned).order_by(runs.c.created_at)
            # Two that adopt at once adopt different ones.
            found = list(connection.scalars(open_.limit(most).with_for_update(skip_locked=True)))
            if found:
                connection.execute(runs.update().where(runs.c.id.in_(found)).values(driver=self._driver()))
            mine = (runs.c.driver == self._driver()) & runs.c.ended_at.is_(None) & runs.c.id.not_in(found)
            return found + list(connection.scalars(sa.select(runs.c.id).where(mine).order_by(runs.c.created_at)))

    def let_go(self) -> None:
        """Leave the runs of this worker to whoever lives."""
        with self._database.begin() as connection:
            mine = (runs.c.driver == self._driver()) & runs.c.ended_at.is_(None)
            if connection.execute(runs.update().where(mine).values(driver=None)).rowcount:
                notify(connection, ABANDONED)

    def begin(self, run_id: str) -> Run | None:
        """Start a queued run whose time has come. The run as it then is, or None when there is none."""
        now = clock.now_ms()
        with self._database.begin() as connection:
            connection.execute(
                runs.update()
                .where(runs.c.id == run_id, runs.c.status == "queued", runs.c.due_at <= now)
                .values(status="running", started_at=now)
            )
            row = connection.execute(_select_run().where(runs.c.id == run_id)).one_or_none()
        return _read_run(row) if row else None

    def event(self, event_id: str) -> Event | None:
        """The event, or None."""
        with self._database.connect() as connection:
            row = connection.execute(sa.select(events).where(events.c.id == event_id)).one_or_none()
        return _read_event(row) if row else None

    def events_of(self, run: Run) -> list[Event]:
        """The events that a run is for: one, or those of its batch."""
        with self._database.connect() as connection:
            rows = connection.execute(
                sa.select(events)
                .join(run_events, run_events.c.event_id == events.c.id)
                .where(run_events.c.run_id == run.id)
                .order_by(run_events.c.position)
            )
            return [_read_event(row) for row in rows] or [run.event]

    def rerun(self, run_id: str, from_step: str | None) -> str | None:
        """Start a run anew for the same event. None when there is no such run, or no such step.

        Args:
            run_id: the run to do again.
            from_step: name or hashed id of a step. What was done before it, and beside it, is kept.
        """
        with self._database.begin() as connection:
            old = connection.execute(sa.select(runs).where(runs.c.id == run_id)).one_or_none()
            if old is None:
                return None
            kept: list[dict[str, Json]] = []
            if from_step is not None:
                done = [row._asdict() for row in connection.execute(sa.select(steps).where(steps.c.run_id == run_id))]
                target = next((step for step in done if from_step in (step["id"], step["name"])), None)
                if target is None:
                    return None
                kept = [
                    step
                    for step in done
                    if step["id"] != target["id"]
                    and step["created_at"] <= target["created_at"]
                    and step["status"] != "pending"
                ]
            new = admission.insert_run(connection, old.function_id, old.event_id, self._driver(), original=run_id)
            if kept:
                connection.execute(steps.insert(), [{**step, "run_id": new} for step in kept])
            for row in connection.execute(sa.select(run_events).where(run_events.c.run_id == run_id)).all():
                connection.execute(run_events.insert().values(**{**row._asdict(), "run_id": new}))
            return new

    def save_app(self, app_id: str, url: str, sdk: str | None, framework: str | None, functions: Json) -> None:
        """Remember an app and what it registered."""
        row = {"url": url, "sdk": sdk, "framework": framework, "functions": functions, "updated_at": clock.now_ms()}
        with self._database.begin() as connection:
            changed = connection.execute(apps.update().where(apps.c.id == app_id).values(row))
            if not changed.rowcount:
                connection.execute(insert_once(self._database, apps).values(id=app_id, **row))
            notify(connection, APPS)

    def apps(self) -> list[sa.Row[Any]]:
        """The apps that have registered."""
        with self._database.connect() as connection:
            return list(connection.execute(sa.select(apps).order_by(apps.c.id)))

    def steps(self, run_id: str) -> dict[str, Step]:
        """The steps of a run by hashed id."""
        with self._database.connect() as connection:
            rows = connection.execute(sa.select(steps).where(steps.c.run_id == run_id))
            return {row.id: _read_step(row) for row in rows}

    def retries(self, run_ids: Collection[str]) -> dict[str, tuple[int, int | None]]:
        """By run the failures of the step that has most of them, and when the next attempt at any is due, or None.

        A run without steps is left out. Without the results of the steps, which may be large: a status that is looked
        at often needs only this.
        """
        again = (steps.c.status == "pending") & (steps.c.failures > 0)
        due_at = sa.func.min(sa.case((again, steps.c.due_at)))
        asked = sa.select(steps.c.run_id, sa.func.max(steps.c.failures).label("failures"), due_at.label("due_at"))
        with self._database.connect() as connection:
            rows = connection.execute(asked.where(steps.c.run_id.in_(run_ids)).group_by(steps.c.run_id))
            return {row.run_id: (row.failures, row.due_at) for row in rows}

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
            for step in sorted(planned, key=lambda step: step.id)
        ]
        with self._database.begin() as connection:
            connection.execute(insert_once(self._database, steps), rows)
            found = connection.execute(
                sa.select(steps).where(steps.c.run_id == run_id, steps.c.id.in_([step.id for step in planned]))
            )
            return {row.id: _read_step(row) for row in found}

    def invoke(self, run_id: str, step_id: str, function_id: str, data: dict[str, Json]) -> tuple[Run, bool]:
        """The run that this step invoked, started now unless it was before. The flag says whether it is new."""
        event = Event(FUNCTION_INVOKED, data, id=f"{run_id}.{step_id}")
        with self._database.begin() as connection:
            new = self._record(connection, event)
            if new:
                admission.insert_run(connection, function_id, event.id, self._driver(), parent=(run_id, step_id))
            row = connection.execute(_select_run().where(runs.c.event_id == event.id)).one()
        return _read_run(row), new

    def settle(self, run_id: str, step_id: str, status: str, result: Json) -> bool:
        """Write a step's result, `completed` or `failed`. False when it has one already.

        Raises:
            Superseded: another worker drives the run.
        """
        with self._database.begin() as connection:
            self._check_driven(connection, run_id)
            return self._settle(connection, run_id, step_id, status, result)

    def _check_driven(self, connection: sa.Connection, run_id: str) -> None:
        """Hold the run's row, so that it stays with this worker until the transaction has ended."""
        drivers = sa.select(runs.c.driver).where(runs.c.id == run_id).with_for_update(read=True)
        if connection.scalar(drivers) != self._driver():
            raise Superseded(run_id)

    def _settle(self, connection: sa.Connection, run_id: str, step_id: str, status: str, result: Json) -> bool:
        changed = connection.execute(
            steps.update()
            .where(steps.c.run_id == run_id, steps.c.id == step_id, steps.c.status == "pending")
            .values(status=status, result=result, ended_at=clock.now_ms())
        )
        return bool(changed.rowcount)

    def fail_attempt(self, run_id: str, step_id: str, error: Mapping[str, Json], retry_at: int) -> int:
        """Note that an attempt at a step failed and when the next one is due. Returns the failures so far.

        Raises:
            Superseded: another worker drives the run.
        """
        with self._database.begin() as connection:
            self._check_driven(connection, run_id)
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
        functions: Iterable[Function] = (),
    ) -> Published | None:
        """End a run and tell whoever listens to ends, in one transaction. None when it had ended already.

        Raises:
            Superseded: another worker drives the run.
        """
        registered = list(functions)
        with self._database.begin() as connection:
            admission.take_turns(connection, registered)
            self._check_driven(connection, run_id)
            published = self._end(connection, run_id, status, output, error, registered)
            if published is not None:
                _notify(connection, published)
        return published

    def _end(
        self,
        connection: sa.Connection,
        run_id: str,
        status: str,
        output: Json,
        error: Mapping[str, Json] | None,
        functions: Sequence[Function],
    ) -> Published | None:
        changed = connection.execute(
            runs.update()
            .where(runs.c.id == run_id, runs.c.ended_at.is_(None))
            .values(status=status, output=output, error=error, ended_at=clock.now_ms())
        )
        if not changed.rowcount:
            return None
        notify(connection, run_id)
        names = {"completed": [], "failed": [FUNCTION_FAILED], "cancelled": [FUNCTION_CANCELLED]}[status]
        heard = [name for name in [*names, FUNCTION_FINISHED] if self._heard(connection, name, functions)]
        if not heard:
            return NOTHING
        run = _read_run(connection.execute(_select_run().where(runs.c.id == run_id)).one())
        # The end of what handles ends is not announced: it would start itself for ever.
        if run.event.name in (FUNCTION_FAILED, FUNCTION_FINISHED, FUNCTION_CANCELLED):
            return NOTHING
        told = {"function_id": run.function_id, "run_id": run.id, "event": run.event.to_dict()}
        told |= {"error": dict(error)} if error is not None else {"result": output}
        announced = [Event(name, told, id=f"{run.id}.{name.rpartition('.')[2]}") for name in heard]
        return _together([self._publish(connection, event, functions) for event in announced])

    def _heard(self, connection: sa.Connection, name: str, functions: Sequence[Function]) -> bool:
        """Whether anybody listens to events of this name, or waits for one."""
        if any(
            any(trigger.matches_name(name) for trigger in function.triggers)
            or any(cancel.event == name for cancel in function.flow.cancel)
            for function in functions
        ):
            return True
        waiting = (steps.c.op == "WaitForEvent") & (steps.c.status == "pending") & (steps.c.name == name)
        return bool(connection.scalar(sa.select(sa.exists().where(waiting))))


def _together(published: Sequence[Published]) -> Published:
    return Published(
        tuple(run_id for one in published for run_id in one.run_ids),
        tuple(key for one in published for key in one.woken),
        tuple(run_id for one in published for run_id in one.cancelled),
    )


def _notify(connection: sa.Connection, published: Published) -> None:
    """Wake who waits in other processes, when the caller's transaction is committed."""
    for key in published.woken:
        notify(connection, key)
    for run_id in published.cancelled:
        notify(connection, (run_id, "start"))
        notify(connection, cancelled(run_id))


def _listens(function: Function, event: Event) -> bool:
    return any(
        trigger.matches_name(event.name) and holds(trigger.expression, {"event": event.to_dict()})
        for trigger in function.triggers
    )


def _select_run() -> sa.Select[Any]:
    return sa.select(runs, *(column.label(f"of_event_{column.name}") for column in events.c)).join(
        events, events.c.id == runs.c.event_id
    )


def _read_event(row: sa.Row[Any]) -> Event:
    return Event(name=row.name, data=row.data, id=row.id, ts=row.ts, user=row.user, v=row.v)


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
        original=row.original_run_id,
        due_at=row.due_at,
        rank=row.created_at if row.rank is None else row.rank,
        created_at=row.created_at,
        started_at=row.started_at,
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
