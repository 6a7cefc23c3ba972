"""Alembic's entry: runs the migrations on the connection that `upgrade` holds."""

from __future__ import annotations

from alembic import context

from anabranch.migrations import METADATA, TABLES

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=list(METADATA),
    # SQLite changes a table by making it anew.
    render_as_batch=True,
    # Whoever embeds this may keep tables of their own in the same database.
    include_name=lambda name, kind, _parents: kind != "table" or name in TABLES,
)
with context.begin_transaction():
    context.run_migrations()
