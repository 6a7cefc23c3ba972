"""Finding: media rows by what they are called, and by what is said in them."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from anabranch.catalog import transcripts
from anabranch.catalog.tables import media
from anabranch.database import has_text

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Hit:
    """Why a row was found.

    Attributes:
        snippet: what is said, else the title; HTML, with `<mark>` around the words found.
        at_s: when it is said, in seconds; None when only the title has it.
    """

    snippet: str
    at_s: float | None


def about(database: sa.Engine, q: str) -> sa.ColumnElement[bool]:
    """Whether a media row's title has all of `q`, or all of it is said there.

    Raises:
        OptionError: `invalid_query`.
    """
    # A part of a word will do in a title: people type while they look at what it brings.
    in_title = [has_text(media.c.title, said) for said, _ in transcripts.terms(q)]
    return sa.and_(*in_title) | media.c.id.in_(transcripts.spoken_in(database, q))


def hits(database: sa.Engine, q: str, media_ids: Sequence[str]) -> dict[str, Hit]:
    """By media id, why each of these rows was found."""
    spoken = transcripts.first_matches(database, q, media_ids)
    found = {media_id: Hit(match.snippet, match.start_s) for media_id, match in spoken.items()}
    with database.connect() as connection:
        titles = connection.execute(sa.select(media.c.id, media.c.title).where(media.c.id.in_(media_ids)))
        for media_id, title in titles:
            found.setdefault(media_id, Hit(_marked(title or "", q), None))
    return found


def _marked(title: str, q: str) -> str:
    words = sorted((said for said, _ in transcripts.terms(q)), key=len, reverse=True)
    parts = re.split("(" + "|".join(map(re.escape, words)) + ")", title, flags=re.IGNORECASE)
    # What stands between two parts is what was found.
    return "".join(
        f"<mark>{html.escape(part)}</mark>" if number % 2 else html.escape(part) for number, part in enumerate(parts)
    )
