"""Let pieces wait for room, and remember at which of them workers were lost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. What was asked for before says nothing of its room: it is begun wherever some is left."""
    op.add_column("work", sa.Column("losses", sa.Integer(), nullable=False, server_default="0"))
    for name in ("scratch_bytes", "stored_bytes", "source_bytes"):
        op.add_column("work", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("workers", sa.Column("offer", sa.JSON(none_as_null=True), nullable=True))
