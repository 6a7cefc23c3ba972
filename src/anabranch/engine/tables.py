"""Tables of the engine: events received, runs they started, steps those runs took, places calls have."""

from __future__ import annotations

import sqlalchemy as sa

from anabranch.database import CONSTRAINT_NAMES, Timestamp

metadata = sa.MetaData(naming_convention=CONSTRAINT_NAMES)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, index=True),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("user", sa.JSON(none_as_null=True)),
    sa.Column("v", sa.Text),
    # when it happened, as the sender says, and when it came
    sa.Column("ts", Timestamp, nullable=False),
    sa.Column("received_at", Timestamp, nullable=False),
    # Senders make their own ids, so that only this lists events by their age.
    sa.Index("ix_events_received_at_id", "received_at", "id"),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text, sa.ForeignKey("events.id"), nullable=False, index=True),
    sa.Column("function_id", sa.Text, nullable=False, index=True),
    # queued (until due_at, or until its batch is full), running, completed, failed or cancelled
    sa.Column("status", sa.Text, nullable=False),
    # what the function returned, or the error that ended it
    sa.Column("output", sa.JSON),
    sa.Column("error", sa.JSON(none_as_null=True)),
    # the step of another run that invoked this one, or null
    sa.Column("parent_run_id", sa.Text),
    sa.Column("parent_step_id", sa.Text),
    # the run that this one does again, or null
    sa.Column("original_run_id", sa.Text),
    # the worker that drives it; one that has ended is driven by nobody
    sa.Column("driver", sa.Text),
    # the earliest time at which it may start
    sa.Column("due_at", Timestamp),
    # who goes first where runs wait for each other: the time it was created, less its priority
    sa.Column("rank", Timestamp),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("started_at", Timestamp),
    sa.Column("ended_at", Timestamp),
)
# Start-up asks which runs have not ended; ended ones are many and must not slow it.
sa.Index(
    "ix_runs_open",
    runs.c.function_id,
    sqlite_where=runs.c.ended_at.is_(None),
    postgresql_where=runs.c.ended_at.is_(None),
)
sa.Index(
    "ix_runs_driver",
    runs.c.driver,
    sqlite_where=runs.c.ended_at.is_(None),
    postgresql_where=runs.c.ended_at.is_(None),
)

# The events of a run that was started by more than one: a batch. `runs.event_id` is the first of them.
run_events = sa.Table(
    "run_events",
    metadata,
    sa.Column("run_id", sa.Text, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("event_id", sa.Text, sa.ForeignKey("events.id"), nullable=False, index=True),
)

# Which key a run came under, for each control that asks. What a control allows is counted from these rows.
run_keys = sa.Table(
    "run_keys",
    metadata,
    sa.Column("run_id", sa.Text, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    # idempotency, rate_limit, throttle, debounce, batch or singleton
    sa.Column("control", sa.Text, primary_key=True),
    sa.Column("function_id", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    # when it counted; for throttle the time from which the next start is on schedule
    sa.Column("at", Timestamp, nullable=False),
    sa.Index("ix_run_keys_control", "function_id", "control", "key", "at"),
)

# The calls that hold a place under a key or wait for one, where several processes share the limits: see `places.py`.
places = sa.Table(
    "places",
    metadata,
    sa.Column("call_id", sa.Text, primary_key=True),
    # a call has a row for each of its keys
    sa.Column("key", sa.Text, primary_key=True),
    # how many places there are under the key, as this call sees it
    sa.Column("capacity", sa.Integer, nullable=False),
    # all keys of the call with their capacities, as JSON: those who have the same wait in one queue
    sa.Column("limits", sa.Text, nullable=False),
    # who goes first; that of its run
    sa.Column("rank", Timestamp, nullable=False),
    # whose call it is; what workers have that do not live counts for nothing
    sa.Column("worker_id", sa.Text, nullable=False, index=True),
    # whether it was let in
    sa.Column("granted", sa.Boolean, nullable=False),
    sa.Index("ix_places_key_granted", "key", "granted"),
)

# Apps that other processes serve, as they registered.
apps = sa.Table(
    "apps",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("sdk", sa.Text),
    sa.Column("framework", sa.Text),
    # the entries of `functions` in the registration request
    sa.Column("functions", sa.JSON, nullable=False),
    sa.Column("updated_at", Timestamp, nullable=False),
)

steps = sa.Table(
    "steps",
    metadata,
    sa.Column("run_id", sa.Text, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    # SHA-1 of the step's name, as the SDKs compute it
    sa.Column("id", sa.Text, primary_key=True),
    # the step's own name, or for a wait the name of the event
    sa.Column("name", sa.Text, nullable=False),
    # StepRun, Sleep, WaitForEvent or InvokeFunction
    sa.Column("op", sa.Text, nullable=False),
    # pending, completed or failed
    sa.Column("status", sa.Text, nullable=False),
    # attempts that ended in an error; a process that dies does not use one up
    sa.Column("failures", sa.Integer, nullable=False),
    # what the step asks: the condition of a wait, the function and data of an invoke
    sa.Column("opts", sa.JSON),
    # when a sleep ends, a wait gives up, or a failed attempt is tried again
    sa.Column("due_at", Timestamp),
    # what the function sees when it asks again: {"data": …} or {"error": …}
    sa.Column("result", sa.JSON),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("ended_at", Timestamp),
)
# An event that comes in asks which steps wait for its name.
sa.Index(
    "ix_steps_waiting",
    steps.c.name,
    sqlite_where=sa.text("op = 'WaitForEvent' AND status = 'pending'"),
    postgresql_where=sa.text("op = 'WaitForEvent' AND status = 'pending'"),
)
