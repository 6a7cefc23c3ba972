"""Search over transcripts, on a real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anabranch import migrations
from anabranch.catalog import transcripts
from anabranch.database import open_database
from anabranch.errors import OptionError

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


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    opened = open_database(f"sqlite:///{tmp_path_factory.mktemp('search') / 'a.db'}")
    migrations.upgrade(opened)
    transcripts.put(opened, "task_moon", "med_moon", "en", MOON)
    transcripts.put(opened, "task_cafe", None, "fr", CAFE)
    yield opened
    opened.dispose()


def ids(database: sa.Engine, q: str) -> set[str]:
    return {hit.task_id for hit in transcripts.search(database, q).hits}


def test_words_are_found_wherever_they_are_said_together(database: sa.Engine) -> None:
    assert ids(database, "moon") == {"task_moon", "task_cafe"}
    assert ids(database, "moon hard") == {"task_moon"}
    assert ids(database, "MOON Cheese") == {"task_cafe"}
    assert ids(database, "mars") == set()
    assert ids(database, "cafe plait") == {"task_cafe"}


def test_a_hit_says_when_it_is_said(database: sa.Engine) -> None:
    (hit,) = transcripts.search(database, "cheese").hits
    (match,) = hit.matches
    assert (match.start_s, match.end_s, hit.match_count, hit.media_id) == (60.0, 61.5, 1, None)
    assert "made of <mark>cheese</mark>" in match.snippet


def test_a_phrase_is_found_also_from_one_segment_into_the_next(database: sa.Engine) -> None:
    (hit,) = transcripts.search(database, '"the moon in this"').hits
    assert (hit.matches[0].start_s, hit.matches[0].end_s) == (0.0, 5.0)
    assert "<mark>the moon in this</mark>" in hit.matches[0].snippet
    assert ids(database, '"moon the"') == set()


def test_the_beginning_of_a_word_is_found_by_a_star(database: sa.Engine) -> None:
    assert ids(database, "dec*") == {"task_moon"}
    assert ids(database, "dec") == set()


def test_a_snippet_is_html_with_nothing_of_the_speakers_in_it(database: sa.Engine) -> None:
    (hit,) = transcripts.search(database, "hard").hits
    assert "<mark>hard</mark> &amp; &lt; long." in hit.matches[0].snippet


def test_pages_and_one_film_alone(database: sa.Engine) -> None:
    assert transcripts.search(database, "moon", limit=1).total == 2
    first, second = (transcripts.search(database, "moon", limit=1, offset=n).hits[0].task_id for n in (0, 1))
    assert {first, second} == {"task_moon", "task_cafe"}
    found = transcripts.search(database, "moon", media_id="med_moon")
    assert (found.total, [hit.media_id for hit in found.hits]) == (1, ["med_moon"])


def test_a_transcript_that_is_made_again_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    opened = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    migrations.upgrade(opened)
    transcripts.put(opened, "task_1", "med_1", "en", [(0.0, 1.0, "first words")])
    transcripts.put(opened, "task_2", "med_1", "en", [(0.0, 1.0, "second words")])
    assert ids(opened, "words") == {"task_2"}
    assert ids(opened, "first") == set()
    transcripts.remove(opened, "task_2")
    assert ids(opened, "words") == set()
    opened.dispose()


def test_words_that_everybody_says_are_found_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcripts, "_RANKED", 3)
    opened = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    migrations.upgrade(opened)
    for number in range(5):
        transcripts.put(opened, f"task_{number}", None, "en", [(0.0, 1.0, "the same")])
    found = transcripts.search(opened, "the", limit=2, offset=1)
    assert (found.total, [hit.task_id for hit in found.hits]) == (5, ["task_3", "task_2"])
    opened.dispose()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(q=st.text() | st.text(alphabet="abc \"*()^:-+{}ANDORTNE\0'é😀"))
def test_no_query_breaks_the_search(database: sa.Engine, q: str) -> None:
    try:
        transcripts.search(database, q)
    except OptionError as error:
        assert error.code == "invalid_query"


@given(text=st.text(min_size=1))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_text_breaks_a_snippet(database: sa.Engine, text: str) -> None:
    transcripts.put(database, "task_any", None, None, [(0.0, 1.0, text), (1.0, 2.0, "xyzzy " + text)])
    (hit,) = transcripts.search(database, "xyzzy").hits
    assert "<mark>xyzzy</mark>" in hit.matches[0].snippet
    assert hit.matches[0].start_s == 1.0
    transcripts.remove(database, "task_any")
