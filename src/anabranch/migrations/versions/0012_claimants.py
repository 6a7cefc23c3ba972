"""Remember which process works on a request with an Idempotency-Key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Nobody is said to work on what came before, so that it may be taken up when it is repeated."""
    op.add_column("answers", sa.Column("worker_id", sa.Text(), nullable=True))
