"""Keep what was run for each attempt, and its last words."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("attempts", sa.Column("command", sa.Text(), nullable=True))
    op.add_column("attempts", sa.Column("log", sa.Text(), nullable=True))
