"""Tables of the catalog. A branch of an upload is a task; a task is done in pieces; a piece may take attempts."""

from __future__ import annotations

import sqlalchemy as sa

from anabranch.database import CONSTRAINT_NAMES, Timestamp

metadata = sa.MetaData(naming_convention=CONSTRAINT_NAMES)

media = sa.Table(
    "media",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    # processing, ready, degraded (an optional branch failed for good) or failed
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("source_url", sa.Text, nullable=False),
    sa.Column("duration_s", sa.Float),
    sa.Column("width", sa.Integer),
    sa.Column("height", sa.Integer),
    sa.Column("size_bytes", sa.BigInteger),
    sa.Column("hls_url", sa.Text),
    sa.Column("poster_url", sa.Text),
    sa.Column("gif_url", sa.Text),
    sa.Column("transcription_url", sa.Text),
    sa.Column("renditions", sa.JSON, nullable=False),
    sa.Column("error", sa.JSON(none_as_null=True)),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("updated_at", Timestamp, nullable=False),
)

tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("media_id", sa.Text, index=True),
    # what the client calls it; for a branch of the fan-out, its step id
    sa.Column("ref", sa.Text),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("input", sa.Text, nullable=False, index=True),
    sa.Column("options", sa.JSON, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    # queued, processing, completed, failed or cancelled
    sa.Column("status", sa.Text, nullable=False),
    # percent, 0 to 100; it never goes back
    sa.Column("progress", sa.Float, nullable=False),
    # name and weight of each piece of the plan, in order; null until planned
    sa.Column("pieces", sa.JSON(none_as_null=True)),
    sa.Column("output", sa.JSON(none_as_null=True)),
    sa.Column("error", sa.JSON(none_as_null=True)),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("started_at", Timestamp),
    sa.Column("finished_at", Timestamp),
    sa.Column("updated_at", Timestamp, nullable=False),
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("task_id", sa.Text, sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("piece", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    # running, completed, failed, or interrupted (its process died)
    sa.Column("status", sa.Text, nullable=False),
    # fraction of the piece, 0 to 1
    sa.Column("progress", sa.Float, nullable=False),
    # media seconds made for each second of the clock
    sa.Column("speed", sa.Float),
    # what a completed one came to, for whoever asks for the piece again
    sa.Column("result", sa.JSON(none_as_null=True)),
    sa.Column("error", sa.JSON(none_as_null=True)),
    sa.Column("started_at", Timestamp, nullable=False),
    sa.Column("ended_at", Timestamp),
)
