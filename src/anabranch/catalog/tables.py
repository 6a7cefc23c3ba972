"""Tables of the catalog. A branch of an upload is a task; a task is done in pieces; a piece may take attempts."""

from __future__ import annotations

import sqlalchemy as sa

from anabranch.database import CONSTRAINT_NAMES, Number, Timestamp

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
    # what the client calls it and keeps with it
    sa.Column("title", sa.Text),
    sa.Column("alt", sa.Text),
    sa.Column("metadata", sa.JSON, nullable=False, server_default="{}"),
    # whether its files are served to signed addresses only
    sa.Column("private", sa.Boolean, nullable=False, server_default=sa.false()),
    # percent, 0 to 100; it never goes back
    sa.Column("progress", sa.Float, nullable=False, server_default="0"),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("updated_at", Timestamp, nullable=False, index=True),
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
    # name and weight of each piece of the plan, and whether it is optional, in order; null until planned
    sa.Column("pieces", sa.JSON(none_as_null=True)),
    sa.Column("output", sa.JSON(none_as_null=True)),
    sa.Column("error", sa.JSON(none_as_null=True)),
    # told when it ends
    sa.Column("webhook_url", sa.Text),
    # the run that does it, as the engine that drives it has it
    sa.Column("run_id", sa.Text),
    # how often what is published of it has changed, and up to which of these storage has it too
    sa.Column("edition", sa.Integer, nullable=False, server_default="0"),
    sa.Column("stored_edition", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("started_at", Timestamp),
    # null until it has ended; what has not, and what has lately, is found by it
    sa.Column("finished_at", Timestamp, index=True),
    sa.Column("updated_at", Timestamp, nullable=False, index=True),
)

# Beside the tasks, since it is large and only their work needs it.
plans = sa.Table(
    "plans",
    metadata,
    sa.Column("task_id", sa.Text, sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    # every piece with its arguments, in order
    sa.Column("pieces", sa.JSON, nullable=False),
    # what was seen in the source
    sa.Column("probe", sa.JSON, nullable=False),
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("task_id", sa.Text, sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("piece", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    # running, completed, failed, interrupted (given back before its end), or lost (its worker was, at it)
    sa.Column("status", sa.Text, nullable=False),
    # who made it
    sa.Column("worker_id", sa.Text),
    # fraction of the piece, 0 to 1
    sa.Column("progress", sa.Float, nullable=False),
    # media seconds made for each second of the clock
    sa.Column("speed", sa.Float),
    # what a completed one came to, for whoever asks for the piece again; of a running one, what it has come to so far
    sa.Column("result", sa.JSON(none_as_null=True)),
    sa.Column("error", sa.JSON(none_as_null=True)),
    sa.Column("started_at", Timestamp, nullable=False),
    sa.Column("ended_at", Timestamp, index=True),
    # what was run for it, to be pasted, and its last words; null until it has ended, and when nothing was run
    sa.Column("command", sa.Text),
    sa.Column("log", sa.Text),
)

# Pieces that wait to be done, or are being done. Whoever holds one is fenced by its worker and attempt.
work = sa.Table(
    "work",
    metadata,
    sa.Column("task_id", sa.Text, sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("piece", sa.Text, primary_key=True),
    # the places that it takes, and what else a worker must be able to do, separated by spaces
    sa.Column("needs", sa.Text, nullable=False),
    sa.Column("requires", sa.Text, nullable=False, server_default=""),
    # what is not in the task's row
    sa.Column("arguments", sa.JSON(none_as_null=True)),
    # what is due first goes first; then in the order of the plan
    sa.Column("due_at", Timestamp, nullable=False),
    sa.Column("place", sa.Integer, nullable=False),
    # who does it, and by which attempt; null while it waits
    sa.Column("worker_id", sa.Text, index=True),
    sa.Column("attempt", sa.Integer),
    # what the attempt failed of, until whoever asked for the piece has been told
    sa.Column("error", sa.JSON(none_as_null=True)),
    # how many workers were lost while they did it
    sa.Column("losses", sa.Integer, nullable=False, server_default="0"),
    # the room that it takes: in scratch, in storage, and for its source where that has to be fetched
    sa.Column("scratch_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("stored_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("source_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("asked_at", Timestamp, nullable=False),
)
# What nobody does, and nobody has to be told of.
WAITS = work.c.worker_id.is_(None) & work.c.error.is_(None)
sa.Index("ix_work_waiting", work.c.due_at, work.c.place, sqlite_where=WAITS, postgresql_where=WAITS)

# What stands under an address that lasts and changes: playlists and manifests, as they are now. Storage has copies.
published = sa.Table(
    "published",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("task_id", sa.Text, sa.ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    # of its task, with which it was written
    sa.Column("edition", sa.Integer, nullable=False),
)

# What clients may read and use as input: sources that were uploaded or imported, and the outputs of tasks.
files = sa.Table(
    "files",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("media_id", sa.Text, index=True),
    sa.Column("task_id", sa.Text, index=True),
    # source, or what a task made: source too when it is media itself, track for captions, intelligence for a transcript
    sa.Column("object", sa.Text, nullable=False),
    # video, image, audio or text
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    # waiting, ready, failed, or gone (a source that is not kept any more)
    sa.Column("status", sa.Text, nullable=False),
    # where its bytes are; null unless ready
    sa.Column("key", sa.Text, index=True),
    sa.Column("filesize", sa.BigInteger),
    # width, height, duration, codecs, as far as known
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("ref", sa.Text),
    sa.Column("folder", sa.Text),
    sa.Column("filename", sa.Text),
    sa.Column("metadata", sa.JSON, nullable=False),
    # the address that it was imported from
    sa.Column("original", sa.Text),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("updated_at", Timestamp, nullable=False),
)

# Uploads that come in parts. How much has come is the size of the partial file, never a number kept here.
uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("media_id", sa.Text, nullable=False),
    # null until the client says
    sa.Column("size_bytes", sa.BigInteger),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("expires_at", Timestamp, nullable=False),
    sa.Column("finished_at", Timestamp),
)

# What happened, in order: what streams resume from and webhooks tell.
changes = sa.Table(
    "changes",
    metadata,
    sa.Column("number", Number, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    # such as media.ready
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("media_id", sa.Text, index=True),
    sa.Column("task_id", sa.Text),
    # what it was about, as it was then
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
    # a number is never given twice, also when the newest row was deleted
    sqlite_autoincrement=True,
)

endpoints = sa.Table(
    "endpoints",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    # names of changes, `*` ends a prefix
    sa.Column("topics", sa.JSON, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    # active, paused (by its owner) or disabled (it answered 410)
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("updated_at", Timestamp, nullable=False),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("change_id", sa.Text, nullable=False, index=True),
    # null for the address that a task named itself
    sa.Column("endpoint_id", sa.Text, index=True),
    sa.Column("url", sa.Text, nullable=False),
    # pending, delivered, failed (all attempts were) or dropped (its endpoint is gone)
    sa.Column("status", sa.Text, nullable=False),
    # when the engine was told of it
    sa.Column("handed_over_at", Timestamp),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("ended_at", Timestamp),
)
sa.Index(
    "ix_deliveries_not_handed_over",
    deliveries.c.id,
    sqlite_where=deliveries.c.handed_over_at.is_(None),
    postgresql_where=deliveries.c.handed_over_at.is_(None),
)

delivery_attempts = sa.Table(
    "delivery_attempts",
    metadata,
    sa.Column("delivery_id", sa.Text, sa.ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    # what came back: a status and the beginning of the body, or why nothing did
    sa.Column("status_code", sa.Integer),
    sa.Column("answer", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("took_ms", sa.Integer, nullable=False),
    sa.Column("started_at", Timestamp, nullable=False),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    # its first characters, to tell it from others
    sa.Column("prefix", sa.Text, nullable=False),
    # SHA-256; a key has 128 random bits, so there is nothing to guess and nothing to salt
    sa.Column("hash", sa.Text, nullable=False, unique=True),
    # what it may; those of before there were any may do everything
    sa.Column("scopes", sa.JSON, nullable=False, server_default='["admin"]'),
    # null for as many as the settings say
    sa.Column("requests_per_minute", sa.Integer),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("last_used_at", Timestamp),
    sa.Column("revoked_at", Timestamp),
)

# Made once and kept: what signs addresses and calls.
secrets = sa.Table(
    "secrets",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
)

# What was said, whole. `transcripts_fts` beside it finds what is in it (`catalog/fulltext.py`).
transcripts = sa.Table(
    "transcripts",
    metadata,
    sa.Column("id", Number, primary_key=True),
    sa.Column("task_id", sa.Text, nullable=False, unique=True),
    sa.Column("media_id", sa.Text, index=True),
    sa.Column("language", sa.Text),
    sa.Column("text", sa.Text, nullable=False),
    # where in the text each segment begins, and its start and end in seconds
    sa.Column("segments", sa.JSON, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
)

# Answers to requests that carried an Idempotency-Key, for a day.
answers = sa.Table(
    "answers",
    metadata,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    # SHA-256 of method, path and body
    sa.Column("fingerprint", sa.Text, nullable=False),
    # null while the request is worked on
    sa.Column("status_code", sa.Integer),
    sa.Column("body", sa.JSON),
    sa.Column("created_at", Timestamp, nullable=False),
    # the process that works on it, or did
    sa.Column("worker_id", sa.Text),
)

# Steps that have failed when an engine elsewhere drives them, which does not tell how often it tried one.
step_attempts = sa.Table(
    "step_attempts",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    # SHA-1 of the step's name, as the SDKs compute it; `step` for the function between its steps
    sa.Column("step", sa.Text, primary_key=True),
    # null where only the hash is known
    sa.Column("name", sa.Text),
    # attempts that ended in an error and were to be followed by another
    sa.Column("failures", sa.Integer, nullable=False),
    # of the latest of them; null once an attempt has been completed
    sa.Column("error", sa.JSON(none_as_null=True)),
    # when the next one is due, as far as can be told; null when there is none
    sa.Column("due_at", Timestamp),
    sa.Column("updated_at", Timestamp, nullable=False),
)
