"""Alembic's entry: runs the migrations on the connection that `upgrade` holds."""

from __future__ import annotations

from alembic import context

from anabranch.catalog import tables as catalog
from anabranch.engine import tables as engine
from anabranch.migrations import TABLES

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[catalog.metadata, engine.metadata],
    # SQLite changes a table by making it anew.
    render_as_batch=True,
    # DBOS keeps its tables in the same database; a generated migration would drop them.
    include_name=lambda name, kind, _parents: kind != "table" or name in TABLES,
)
with context.begin_transaction():
    context.run_migrations()
