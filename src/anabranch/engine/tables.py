"""Tables of the engine: events received, runs they started, steps those runs took."""

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
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text, sa.ForeignKey("events.id"), nullable=False, index=True),
    sa.Column("function_id", sa.Text, nullable=False, index=True),
    # running, completed, failed or cancelled
    sa.Column("status", sa.Text, nullable=False),
    # what the function returned, or the error that ended it
    sa.Column("output", sa.JSON),
    sa.Column("error", sa.JSON(none_as_null=True)),
    # the step of another run that invoked this one, or null
    sa.Column("parent_run_id", sa.Text),
    sa.Column("parent_step_id", sa.Text),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("ended_at", Timestamp),
)
# Start-up asks which runs have not ended; ended ones are many and must not slow it.
sa.Index(
    "ix_runs_running",
    runs.c.created_at,
    sqlite_where=runs.c.status == sa.literal_column("'running'"),
    postgresql_where=runs.c.status == sa.literal_column("'running'"),
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
