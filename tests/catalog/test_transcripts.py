"""Search over transcripts, on a real database."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anabranch.catalog import fulltext, transcripts
from anabranch.database import open_database
from anabranch.errors import OptionError
from tests.databases import put_migrated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import sqlalchemy as sa

MOON = [
    (0.0, 2.5, "We choose to go to the moon"),
    (2.5, 5.0, "in this decade and do the other things,"),
    (5.0, 9.0, "not because they are easy, but because they are hard & < long."),
]
CAFE = [(0.0, 1.0, "Un café s'il vous plaît"), (60.0, 61.5, "The moon is made of cheese")]


@pytest.fixture
def spoken(database: sa.Engine) -> sa.Engine:
    transcripts.put(database, "task_moon", "med_moon", "en", MOON)
    transcripts.put(database, "task_cafe", None, "fr", CAFE)
    return database


@pytest.fixture
def both(tmp_path: Path, postgres: sa.Engine) -> Iterator[tuple[sa.Engine, sa.Engine]]:
    opened = open_database(put_migrated(tmp_path / "a.db"))
    yield opened, postgres
    opened.dispose()


def ids(database: sa.Engine, q: str) -> set[str]:
    return {hit.task_id for hit in transcripts.search(database, q).hits}


def test_words_are_found_wherever_they_are_said_together(spoken: sa.Engine) -> None:
    assert ids(spoken, "moon") == {"task_moon", "task_cafe"}
    assert ids(spoken, "moon hard") == {"task_moon"}
    assert ids(spoken, "MOON Cheese") == {"task_cafe"}
    assert ids(spoken, "mars") == set()
    assert ids(spoken, "cafe plait") == {"task_cafe"}


def test_a_hit_says_when_it_is_said(spoken: sa.Engine) -> None:
    (hit,) = transcripts.search(spoken, "cheese").hits
    (match,) = hit.matches
    assert (match.start_s, match.end_s, hit.match_count, hit.media_id) == (60.0, 61.5, 1, None)
    assert "made of <mark>cheese</mark>" in match.snippet


def test_a_phrase_is_found_also_from_one_segment_into_the_next(spoken: sa.Engine) -> None:
    (hit,) = transcripts.search(spoken, '"the moon in this"').hits
    assert (hit.matches[0].start_s, hit.matches[0].end_s) == (0.0, 5.0)
    assert "<mark>the moon in this</mark>" in hit.matches[0].snippet
    assert ids(spoken, '"moon the"') == set()


def test_the_beginning_of_a_word_is_found_by_a_star(spoken: sa.Engine) -> None:
    assert ids(spoken, "dec*") == {"task_moon"}
    assert ids(spoken, "dec") == set()


def test_a_snippet_is_html_with_nothing_of_the_speakers_in_it(spoken: sa.Engine) -> None:
    (hit,) = transcripts.search(spoken, "hard").hits
    assert "<mark>hard</mark> &amp; &lt; long." in hit.matches[0].snippet


def test_pages_and_one_film_alone(spoken: sa.Engine) -> None:
    assert transcripts.search(spoken, "moon", limit=1).total == 2
    first, second = (transcripts.search(spoken, "moon", limit=1, offset=n).hits[0].task_id for n in (0, 1))
    assert {first, second} == {"task_moon", "task_cafe"}
    found = transcripts.search(spoken, "moon", media_id="med_moon")
    assert (found.total, [hit.media_id for hit in found.hits]) == (1, ["med_moon"])


def test_a_transcript_that_is_made_again_takes_the_place_of_the_one_before(database: sa.Engine) -> None:
    transcripts.put(database, "task_1", "med_1", "en", [(0.0, 1.0, "first words")])
    transcripts.put(database, "task_2", "med_1", "en", [(0.0, 1.0, "second words")])
    assert ids(database, "words") == {"task_2"}
    assert ids(database, "first") == set()
    transcripts.remove(database, "task_2")
    assert ids(database, "words") == set()


def test_words_that_everybody_says_are_found_newest_first(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcripts, "_RANKED", 3)
    for number in range(5):
        transcripts.put(database, f"task_{number}", None, "en", [(0.0, 1.0, "the same")])
    found = transcripts.search(database, "the", limit=2, offset=1)
    assert (found.total, [hit.task_id for hit in found.hits]) == (5, ["task_3", "task_2"])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(q=st.text() | st.text(alphabet="abc \"*()^:-+{}ANDORTNE\0'é😀"))
def test_no_query_breaks_the_search(spoken: sa.Engine, q: str) -> None:
    try:
        transcripts.search(spoken, q)
    except OptionError as error:
        assert error.code == "invalid_query"


@given(text=st.text(min_size=1))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_text_breaks_a_snippet(spoken: sa.Engine, text: str) -> None:
    transcripts.put(spoken, "task_any", None, None, [(0.0, 1.0, text), (1.0, 2.0, "xyzzy " + text)])
    (hit,) = transcripts.search(spoken, "xyzzy").hits
    assert "<mark>xyzzy</mark>" in hit.matches[0].snippet
    assert hit.matches[0].start_s == 1.0
    transcripts.remove(spoken, "task_any")


WORDS = st.sampled_from(
    ["moon", "Moon", "mo", "on", "café", "cafe\u0301", "CAFE", "é", "don't", "1969", "a-b", "ж", "月面"]
)
SAID = st.lists(WORDS, max_size=30).map(" ".join)
ASKED = st.lists(
    st.one_of(
        WORDS,
        WORDS.map(lambda word: f"{word[:2]}*"),
        st.lists(WORDS, min_size=1, max_size=3).map(lambda words: f'"{" ".join(words)}"'),
    ),
    min_size=1,
    max_size=3,
).map(" ".join)


@pytest.mark.slow
@given(said=st.lists(SAID, min_size=1, max_size=4), asked=st.lists(ASKED, min_size=5, max_size=5))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_same_is_found_in_the_same_places_on_every_database(
    both: tuple[sa.Engine, sa.Engine], said: list[str], asked: list[str]
) -> None:
    for database in both:
        for number in range(5):
            transcripts.remove(database, f"task_{number}")
        for number, text in enumerate(said):
            segments = [(float(at), at + 1.0, word) for at, word in enumerate(text.split())]
            transcripts.put(database, f"task_{number}", f"med_{number}", None, segments)
    for q in asked:
        first, second = (transcripts.search(database, q) for database in both)
        assert first.total == second.total, q
        assert {hit.task_id: hit for hit in first.hits} == {hit.task_id: hit for hit in second.hits}, q


def test_words_are_the_same_on_every_database(both: tuple[sa.Engine, sa.Engine]) -> None:
    # What letters there were when the tables of SQLite were made, and a little before. Private ones nobody says.
    letters = [
        chr(code) for code in range(1, 0x3100) if unicodedata.ucd_3_2_0.category(chr(code)) not in ("Cn", "Cs", "Co")
    ]
    with both[0].begin() as connection:
        connection.exec_driver_sql("CREATE VIRTUAL TABLE seen USING fts5vocab(transcripts_fts, 'instance')")
    transcripts.put(both[0], "task_1", None, None, [(0.0, 1.0, f"x{letter}y {letter}z") for letter in letters])
    with both[0].connect() as connection:
        text = connection.exec_driver_sql("SELECT text FROM transcripts").scalar_one()
        seen = connection.exec_driver_sql("SELECT term FROM seen ORDER BY offset").scalars().all()
    other = {*seen} ^ {*fulltext.words(text)}
    # SQLite takes these two marks of Mongolian for letters, and one letter has two diacritics of which it knows one.
    assert {word for word in other if not set(word) & set("\u1885\u1886\u01e0\u01e1")} <= {"x", "y", "z", "xay", "az"}


def test_a_phrase_of_common_words_is_found_late_in_a_long_transcript(database: sa.Engine) -> None:
    said = [(float(at), at + 1.0, "the more they say the less") for at in range(5000)]
    transcripts.put(database, "task_1", "med_1", "en", [*said, (5000.0, 5001.0, "the end of the night")])
    (hit,) = transcripts.search(database, '"less the end of the"').hits
    assert (hit.match_count, hit.matches[0].start_s, hit.matches[0].end_s) == (1, 4999.0, 5001.0)
    assert ids(database, '"the the"') == set()
    assert ids(database, '"say the end"') == set()
