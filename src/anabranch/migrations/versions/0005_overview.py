"""Let what goes on, what has ended lately, and what has come lately be found without reading all there ever was."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the indexes."""
    op.create_index(op.f("ix_tasks_finished_at"), "tasks", ["finished_at"], unique=False)
    op.create_index(op.f("ix_tasks_updated_at"), "tasks", ["updated_at"], unique=False)
    op.create_index(op.f("ix_media_updated_at"), "media", ["updated_at"], unique=False)
    op.create_index(op.f("ix_attempts_ended_at"), "attempts", ["ended_at"], unique=False)
    op.create_index("ix_events_received_at_id", "events", ["received_at", "id"], unique=False)
