"""Make transcripts searchable on Postgres, and let its numbers go on past two thousand million."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from anabranch.catalog import fulltext

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# The planner takes the table for small, since the words are beside it, and would read them all. What a function sets
# counts for what it asks alone.
_MATCHING = """
CREATE FUNCTION transcripts_matching(asked tsquery, phrases text[]) RETURNS TABLE (id bigint)
LANGUAGE sql STABLE SET enable_seqscan = off AS $$
  SELECT entry.id FROM transcripts_fts AS entry
  WHERE entry.vector @@ asked
    AND NOT EXISTS (SELECT FROM unnest(phrases) AS one(phrase) WHERE strpos(entry.words, one.phrase) = 0)
$$
"""


def upgrade() -> None:
    """Create the index, and widen the numbers. SQLite has both."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    for table, column in (("changes", "number"), ("transcripts", "id")):
        op.alter_column(table, column, type_=sa.BigInteger(), existing_type=sa.Integer())
        op.execute(f"ALTER SEQUENCE {table}_{column}_seq AS bigint")
    op.create_table(
        "transcripts_fts",
        sa.Column("id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("vector", TSVECTOR(), nullable=False),
        # Compared with what is asked by their bytes.
        sa.Column("words", sa.Text(collation="C"), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["transcripts.id"], name=op.f("fk_transcripts_fts_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transcripts_fts")),
    )
    # Not compressed: a phrase is looked for in the words of every transcript that has them.
    for column in ("vector", "words"):
        op.execute(f"ALTER TABLE transcripts_fts ALTER COLUMN {column} SET STORAGE EXTERNAL")
    # Entered at once: what waits to be entered is read by every search.
    op.create_index(
        op.f("ix_transcripts_fts_vector"),
        "transcripts_fts",
        ["vector"],
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    )
    op.execute(_MATCHING)
    index = fulltext.index_of(connection.engine)
    for transcript_id in connection.scalars(sa.text("SELECT id FROM transcripts ORDER BY id")).all():
        text = connection.scalar(sa.text("SELECT text FROM transcripts WHERE id = :id"), {"id": transcript_id})
        index.put(connection, transcript_id, text)
