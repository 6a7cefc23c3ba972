"""Let several processes share the work: who lives, who drives a run, who does a piece, and what is published."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them. Attempts that were being made are nobody's, so their pieces are asked for again."""
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("home", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("capabilities", sa.JSON(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("free_bytes", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_index("ix_workers_status", "workers", ["status"])
    op.create_table(
        "work",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("piece", sa.Text(), nullable=False),
        sa.Column("needs", sa.Text(), nullable=False),
        sa.Column("requires", sa.Text(), server_default="", nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_work_task_id_tasks"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "piece", name=op.f("pk_work")),
    )
    waits = sa.text("worker_id IS NULL AND error IS NULL")
    op.create_index("ix_work_waiting", "work", ["due_at", "place"], sqlite_where=waits, postgresql_where=waits)
    op.create_index(op.f("ix_work_worker_id"), "work", ["worker_id"])
    op.create_table(
        "published",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_published_task_id_tasks"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_published")),
    )
    op.create_index(op.f("ix_published_task_id"), "published", ["task_id"])
    op.add_column("attempts", sa.Column("worker_id", sa.Text(), nullable=True))
    op.add_column("tasks", sa.Column("edition", sa.Integer(), server_default="0", nullable=False))
    op.add_column("tasks", sa.Column("stored_edition", sa.Integer(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("driver", sa.Text(), nullable=True))
    open_ = sa.text("ended_at IS NULL")
    op.create_index("ix_runs_driver", "runs", ["driver"], sqlite_where=open_, postgresql_where=open_)
    op.execute("UPDATE attempts SET status = 'interrupted', ended_at = started_at WHERE status = 'running'")
