"""Say of each key what it may, and how often. Those that there are may go on doing everything."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. A process of the version before that makes a key meanwhile makes one for everything, too."""
    op.add_column("api_keys", sa.Column("scopes", sa.JSON(), nullable=False, server_default='["admin"]'))
    op.add_column("api_keys", sa.Column("requests_per_minute", sa.Integer(), nullable=True))
