"""Full text: which transcripts have the words, and where. FTS5 on SQLite, a GIN index on Postgres; the same answers.

SQLite cuts text into words itself (`unicode61` without diacritics). For Postgres that is done here, the same way, for
its own parser knows other words: the words stand in a row beside the transcript, and in a `tsvector` that finds the
rows which have all of them. Its positions end at 16,383, an hour and a half of speech, so that they only rank; whether
words are a phrase is seen in the text.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY, TSVECTOR

from anabranch.catalog.tables import transcripts

if TYPE_CHECKING:
    from collections.abc import Sequence

# Where in a text something is: its first character, and the one behind its last.
Span = tuple[int, int]

_OPEN, _CLOSE = "\x01", "\x02"
# Longer ones than Postgres takes, and nobody says them.
_LONGEST_WORD = 500
# Of a word that is said often; they only rank.
_POSITIONS_KEPT = 64
_LAST_POSITION = 16383


class Term(NamedTuple):
    """What is looked for: a word or phrase, and whether its end is the beginning of a word."""

    said: str
    is_beginning: bool


class Index(Protocol):
    """What finds the transcripts that have all of some terms."""

    def put(self, connection: sa.Connection, transcript_id: int, text: str) -> None:
        """Enter a transcript. It is taken out when its row is deleted."""

    def matching(self, terms: Sequence[Term]) -> sa.Select[Any]:
        """The ids of the transcripts that have them all, in a column `id`."""

    def best_first(self, found: sa.Select[Any], terms: Sequence[Term]) -> sa.Select[Any]:
        """The same ids as `matching` found, ordered."""

    def places(self, connection: sa.Connection, terms: Sequence[Term], ids: Sequence[int]) -> dict[int, list[Span]]:
        """By id of those among these that have them all, where in its text; those that overlap are one."""


def index_of(database: sa.Engine) -> Index:
    """The index that this database has."""
    return _POSTGRES if database.dialect.name == "postgresql" else _SQLITE


class _Fts5:
    """SQLite's FTS5. Triggers tell it what changes."""

    _table = sa.table("transcripts_fts", sa.column("rowid", sa.Integer), sa.column("rank", sa.Float))

    def put(self, connection: sa.Connection, transcript_id: int, text: str) -> None:
        pass

    def matching(self, terms: Sequence[Term]) -> sa.Select[Any]:
        # FTS5's language (SQLite FTS5, section 3). Whatever a person types is text, and no syntax.
        asked = " ".join(f'"{term.said}"{"*" if term.is_beginning else ""}' for term in terms)
        found = sa.text("transcripts_fts MATCH :match").bindparams(match=asked)
        return sa.select(self._table.c.rowid.label("id")).select_from(self._table).where(found)

    def best_first(self, found: sa.Select[Any], _: Sequence[Term]) -> sa.Select[Any]:
        return found.order_by(self._table.c.rank)

    def places(self, connection: sa.Connection, terms: Sequence[Term], ids: Sequence[int]) -> dict[int, list[Span]]:
        marked = sa.literal_column("highlight(transcripts_fts, 0, char(1), char(2))", sa.Text)
        found = self.matching(terms).add_columns(marked).where(self._table.c.rowid.in_(ids))
        return {row_id: _spans(text) for row_id, text in connection.execute(found)}


class _Words:
    """A table of words on Postgres, and a function that looks into it by its index and never reads all of it."""

    _table = sa.table(
        "transcripts_fts",
        sa.column("id", sa.BigInteger),
        sa.column("vector", TSVECTOR),
        sa.column("words", sa.Text),
    )

    def put(self, connection: sa.Connection, transcript_id: int, text: str) -> None:
        found = words(text)
        row = {"id": transcript_id, "vector": _vector(found), "words": f" {' '.join(found)} "}
        connection.execute(self._table.insert().values(row))

    def matching(self, terms: Sequence[Term]) -> sa.Select[Any]:
        cut = [(words(term.said), term.is_beginning) for term in terms]
        phrases = [f" {' '.join(said)}{'' if is_beginning else ' '}" for said, is_beginning in cut if len(said) > 1]
        asked = sa.func.transcripts_matching(_query(terms), sa.literal(phrases, ARRAY(sa.Text)))
        matching = asked.table_valued(sa.column("id", sa.BigInteger), name="matching")
        return sa.select(matching.c.id).select_from(matching)

    def best_first(self, found: sa.Select[Any], terms: Sequence[Term]) -> sa.Select[Any]:
        (one,) = found.selected_columns
        # 1: a long transcript says everything often, which makes it no better.
        rank = sa.func.ts_rank(self._table.c.vector, _query(terms), 1)
        return found.join(self._table, self._table.c.id == one).order_by(rank.desc(), one)

    def places(self, connection: sa.Connection, terms: Sequence[Term], ids: Sequence[int]) -> dict[int, list[Span]]:
        found = connection.execute(sa.select(transcripts.c.id, transcripts.c.text).where(transcripts.c.id.in_(ids)))
        return {row_id: places for row_id, text in found if (places := find(text, terms))}


_SQLITE, _POSTGRES = _Fts5(), _Words()


def words(text: str) -> list[str]:
    """The words of a text as they are looked for: in small letters, without diacritics."""
    return [_folded(word) for word in _WORD.findall(text)]


def find(text: str, terms: Sequence[Term]) -> list[Span]:
    """Where in a text the terms are, nowhere unless it has them all; those that overlap are one."""
    cut = [(_folded(match.group()), match.span()) for match in _WORD.finditer(text)]
    of_terms = [_of_term([word for word, _ in cut], term) for term in terms]
    if not all(of_terms):
        return []
    merged: list[tuple[int, int]] = []
    for first, last in sorted(place for of_term in of_terms for place in of_term):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return [(cut[first][1][0], cut[last][1][1]) for first, last in merged]


def _of_term(cut: Sequence[str], term: Term) -> list[tuple[int, int]]:
    """The first and the last word of each place that has the term."""
    said = words(term.said)
    *before, last = said
    length = len(said)
    return [
        (place, place + length - 1)
        for place in range(len(cut) - length + 1)
        if (cut[place + length - 1].startswith(last) if term.is_beginning else cut[place + length - 1] == last)
        and list(cut[place : place + length - 1]) == before
    ]


# The diacritics that may stand within a word, which unicode61 leaves out. All others end it.
_DIACRITICS = "".join(map(chr, [*range(0x300, 0x305), *range(0x306, 0x30D), 0x30F, 0x311, 0x31B, *range(0x323, 0x329),
                                0x32D, 0x32E, 0x330, 0x331]))  # fmt: skip
_WORD = re.compile(rf"[^\W_](?:[^\W_]|[{_DIACRITICS}])*")


def _folded(word: str) -> str:
    small = word.lower() if word.isascii() else "".join(map(_fold, word))
    return small[:_LONGEST_WORD]


@functools.lru_cache(maxsize=4096)
def _fold(letter: str) -> str:
    if letter in _DIACRITICS:
        return ""
    small = letter.casefold()
    if len(small) > 1:
        small = letter.lower()[:1]
    base = small
    while (parts := unicodedata.decomposition(base)) and not parts.startswith("<"):
        base = chr(int(parts.split()[0], 16))
    # Only of Latin letters; in other alphabets a letter with a mark is a letter of its own.
    return base if base.isascii() and base.isalpha() else small


def _vector(found: Sequence[str]) -> str:
    """Words in the notation of a tsvector. They are letters and digits, so nothing has to be escaped."""
    positions: dict[str, list[str]] = {}
    for place, word in enumerate(found, start=1):
        of_word = positions.setdefault(word, [])
        if len(of_word) < _POSITIONS_KEPT and place <= _LAST_POSITION:
            of_word.append(str(place))
    return " ".join(f"'{word}':{','.join(places)}" if places else f"'{word}'" for word, places in positions.items())


def _query(terms: Sequence[Term]) -> sa.ColumnElement[Any]:
    """The rows that have all words of all terms, in the notation of a tsquery."""
    asked = []
    for term in terms:
        said = [f"'{word}'" for word in words(term.said)]
        asked += [*said[:-1], said[-1] + (":*" if term.is_beginning else "")]
    return sa.cast(sa.literal(" & ".join(asked), sa.Text), TSQUERY)


def _spans(marked: str) -> list[Span]:
    """Where in a text the marks were."""
    found, position = [], 0
    for number, part in enumerate(re.split(f"[{_OPEN}{_CLOSE}]", marked)):
        if number % 2:
            found.append((position, position + len(part)))
        position += len(part)
    return found
