"""Transcripts: what was said in every source, to be searched, with the time of each hit.

The whole text of a transcript is one entry of a full-text index, so that a phrase is found also where it runs from one
segment into the next. Where in the text a hit is says in which segment, and so when.
"""

from __future__ import annotations

import bisect
import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from anabranch import clock
from anabranch.catalog import fulltext
from anabranch.catalog.fulltext import Term
from anabranch.catalog.tables import transcripts
from anabranch.database import serialize
from anabranch.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anabranch.catalog.fulltext import Span

Segment = tuple[float, float, str]

_MATCHES_SHOWN = 5
# Letters around a hit, so that it can be read in its sentence.
_AROUND = 60
_MOST_TERMS = 32
# With more than this many hits the ranking of all of them is what costs; the newest of them are ranked.
_RANKED = 2000


@dataclass(frozen=True)
class Match:
    """A place in a transcript.

    Attributes:
        start_s: when the segment begins in which it is said, in seconds.
        end_s: when the segment ends in which it ends.
        snippet: what is said around it; HTML, with `<mark>` around the words found.
    """

    start_s: float
    end_s: float
    snippet: str


@dataclass(frozen=True)
class Hit:
    """A transcript in which something was found.

    Attributes:
        match_count: how many places there are in it.
        matches: the first of them.
    """

    media_id: str | None
    task_id: str
    language: str | None
    match_count: int
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class Found:
    """The hits of a search, best first, and how many there are in all."""

    total: int
    hits: tuple[Hit, ...]


def put(
    database: sa.Engine, task_id: str, media_id: str | None, language: str | None, segments: Sequence[Segment]
) -> None:
    """Keep a transcript, in place of the one that the media row had; see `enter`."""
    with database.begin() as connection:
        enter(connection, task_id, media_id, language, segments)


def enter(
    connection: sa.Connection, task_id: str, media_id: str | None, language: str | None, segments: Sequence[Segment]
) -> None:
    """Keep a transcript, in place of the one that the media row had. Part of the caller's transaction.

    Args:
        connection: of the transaction.
        task_id: the task that made it.
        media_id: the media row that it is of, or None.
        language: ISO 639-1, or None.
        segments: start and end in seconds, and what is said.
    """
    text, places = "", []
    for start_s, end_s, said in segments:
        # The marks of a hit must not be in the text itself.
        clean = re.sub(r"[\x00-\x1f]+", " ", said).strip()
        if clean:
            text = f"{text} {clean}" if text else clean
            places.append([len(text) - len(clean), start_s, end_s])
    serialize(connection, f"transcript {media_id or task_id}")
    mine = transcripts.c.task_id == task_id
    connection.execute(
        transcripts.delete().where(mine if media_id is None else mine | (transcripts.c.media_id == media_id))
    )
    transcript_id = connection.execute(
        transcripts.insert()
        .values(
            task_id=task_id,
            media_id=media_id,
            language=language,
            text=text,
            segments=places,
            created_at=clock.now_ms(),
        )
        .returning(transcripts.c.id)
    ).scalar_one()
    fulltext.index_of(connection.engine).put(connection, transcript_id, text)


def remove(database: sa.Engine, task_id: str) -> None:
    """Forget the transcript that a task made."""
    with database.begin() as connection:
        connection.execute(transcripts.delete().where(transcripts.c.task_id == task_id))


def search(database: sa.Engine, q: str, *, limit: int = 20, offset: int = 0, media_id: str | None = None) -> Found:
    """The transcripts in which all of `q` is said.

    Args:
        database: holds the catalog.
        q: words; `"…"` is a phrase, `…*` the beginning of a word; anything else is text.
        limit: how many hits at the most.
        offset: how many to pass over.
        media_id: only in this media row.

    Raises:
        OptionError: `invalid_query`, nothing in it can be searched for.
    """
    index, asked = fulltext.index_of(database), terms(q)
    found = index.matching(asked)
    (one,) = found.selected_columns
    if media_id is not None:
        found = found.join(transcripts, transcripts.c.id == one).where(transcripts.c.media_id == media_id)
    with database.connect() as connection:
        total = connection.scalar(found.with_only_columns(sa.func.count())) or 0
        # What nearly every transcript has tells none from another; the newest come first then, and cost no ranking.
        few = media_id is not None or total <= _RANKED
        page = index.best_first(found, asked) if few else found.order_by(one.desc())
        ids = list(connection.scalars(page.limit(limit).offset(offset)))
        hits = _hits(connection, index, asked, ids)
    return Found(total, tuple(hits[one] for one in ids if one in hits))


def spoken_in(database: sa.Engine, q: str) -> sa.Select[tuple[str | None]]:
    """The ids of the media rows in which all of `q` is said.

    Raises:
        OptionError: `invalid_query`.
    """
    found = fulltext.index_of(database).matching(terms(q))
    return sa.select(transcripts.c.media_id).where(transcripts.c.id.in_(found))


def first_matches(database: sa.Engine, q: str, media_ids: Sequence[str]) -> dict[str, Match]:
    """By media id, the first place in each of these rows at which `q` is said; none for a row in which it is not."""
    index, asked = fulltext.index_of(database), terms(q)
    with database.connect() as connection:
        theirs = connection.scalars(sa.select(transcripts.c.id).where(transcripts.c.media_id.in_(media_ids)))
        hits = _hits(connection, index, asked, list(theirs))
    return {hit.media_id: hit.matches[0] for hit in hits.values() if hit.media_id is not None}


def terms(q: str) -> list[Term]:
    """What is looked for: words and phrases, and whether each is the beginning of a word.

    Raises:
        OptionError: `invalid_query`.
    """
    found = []
    for phrase, word in re.findall(r'"([^"]*)"?|([^\s"]+)', q.replace("\0", " ")):
        said = phrase or word
        # Without a letter or digit the index has nothing to look for.
        if not any(character.isalnum() for character in said):
            continue
        is_beginning = word.endswith("*")
        found.append(Term(said.rstrip("*") if is_beginning else said, is_beginning))
    if not found or len(found) > _MOST_TERMS:
        raise OptionError(
            "invalid_query",
            f"{q[:100]!r} has nothing to search for." if not found else f"More than {_MOST_TERMS} words.",
            'Give words, "a phrase", or the beginning of a word and a star.',
        )
    return found


def _hits(
    connection: sa.Connection, index: fulltext.Index, asked: Sequence[Term], ids: Sequence[int]
) -> dict[int, Hit]:
    places = index.places(connection, asked, ids)
    rows = connection.execute(sa.select(transcripts).where(transcripts.c.id.in_(places))).all()
    return {row.id: _hit(row, places[row.id]) for row in rows}


def _hit(row: sa.Row[Any], spans: Sequence[Span]) -> Hit:
    matches = [_match(row.text, span, spans, row.segments) for span in _apart(spans)]
    return Hit(row.media_id, row.task_id, row.language, len(spans), tuple(matches))


def _apart(spans: Sequence[Span]) -> list[Span]:
    """The first hits that are not in each other's snippets."""
    found: list[Span] = []
    for span in spans:
        if not found or span[0] > found[-1][1] + _AROUND:
            found.append(span)
        if len(found) == _MATCHES_SHOWN:
            break
    return found


def _match(text: str, span: Span, spans: Sequence[Span], segments: Sequence[Sequence[float]]) -> Match:
    starts = [segment[0] for segment in segments]
    first = segments[max(0, bisect.bisect_right(starts, span[0]) - 1)]
    last = segments[max(0, bisect.bisect_right(starts, span[1] - 1) - 1)]
    begin, end = _widened(text, span)
    pieces, position = [], begin
    for start, stop in spans:
        if start >= begin and stop <= end:
            pieces += [html.escape(text[position:start]), "<mark>", html.escape(text[start:stop]), "</mark>"]
            position = stop
    pieces.append(html.escape(text[position:end]))
    snippet = ("… " if begin else "") + "".join(pieces).strip() + (" …" if end < len(text) else "")
    return Match(first[1], last[2], snippet)


def _widened(text: str, span: Span) -> Span:
    """The span with some of what is around it, from word to word."""
    begin, end = max(0, span[0] - _AROUND), min(len(text), span[1] + _AROUND)
    if begin:
        space = text.find(" ", begin, span[0])
        begin = span[0] if space < 0 else space + 1
    if end < len(text):
        space = text.rfind(" ", span[1], end)
        end = span[1] if space < 0 else space
    return begin, end
