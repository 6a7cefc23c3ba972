from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from anabranch.tasks import Piece, turns

SECOND = 1000
HOUR = 3600 * SECOND


def piece(position_s: float = 0.0) -> Piece:
    return Piece("chunk", position_s=position_s)


def test_the_beginning_of_an_upload_goes_before_the_continuation_of_one_that_came_earlier() -> None:
    assert turns.due_ms(50 * SECOND, piece()) < turns.due_ms(0, piece(6.0))


def test_of_two_beginnings_the_one_that_came_first_goes_first() -> None:
    assert turns.due_ms(0, piece()) < turns.due_ms(1, piece())


def test_a_short_film_that_comes_soon_ends_before_a_long_one_goes_on() -> None:
    assert turns.due_ms(60 * SECOND, piece(54.0)) < turns.due_ms(0, piece(66.0))


@given(position_s=st.floats(0, 1e5), later_s=st.floats(0, 1e5), wait_ms=st.integers(1, 1 << 30))
def test_what_is_created_after_a_piece_is_due_never_passes_it(position_s: float, later_s: float, wait_ms: int) -> None:
    due = turns.due_ms(0, piece(position_s))
    assert due < turns.due_ms(due + wait_ms, piece(later_s))


def test_an_endless_stream_of_short_films_does_not_keep_a_long_one_from_its_end() -> None:
    """Short films come as fast as the machine encodes, for as long as it takes."""
    long = [turns.due_ms(0, piece(6.0 * number)) for number in range(100)]
    done_at = 0
    while long:
        short = turns.due_ms(done_at, piece())
        if long[0] < short:
            long.pop(0)
        done_at += 6 * SECOND
        assert done_at < 3 * HOUR


def test_urgent_pieces_take_no_core_from_the_others() -> None:
    assert "cpu" not in turns.places(turns.needs("image", Piece("render", urgent=True)), 1, 8 << 30)
    assert turns.places(turns.needs("adaptive_video", piece()), 1, 8 << 30) == {"cpu": 1}


def test_a_poster_does_not_wait_behind_previews() -> None:
    render = Piece("render", urgent=True)
    lanes = [turns.places(turns.needs(kind, render), 2, 8 << 30).keys() for kind in ("image", "video")]
    assert lanes[0].isdisjoint(lanes[1])


def test_what_is_not_urgent_gives_way_to_what_is() -> None:
    assert turns.nice("cpu") > turns.nice("urgent image") == 0


def test_of_chunks_that_keep_two_cores_busy_there_is_one_for_every_two() -> None:
    rungs = Piece("chunk", slot="rungs")
    for cores, at_once, threads in ((1, 1, 1), (2, 1, 2), (3, 1, 2), (8, 4, 2)):
        assert turns.places(turns.needs("adaptive_video", rungs), cores, 8 << 30) == {"cpu": cores, "rungs": at_once}
        assert turns.threads("rungs", cores) == threads
        assert turns.threads("cpu", cores) == 1


def test_speech_takes_a_core_and_no_more_memory_than_there_is_to_spare() -> None:
    speech = Piece("transcribe", slot="speech")
    assert turns.places(turns.needs("audio", speech), 1, 8 << 30) == {"cpu": 1, "speech": 1}
    # A core is left to whoever wants to watch.
    assert turns.places(turns.needs("audio", speech), 2, 8 << 30) == {"cpu": 2, "speech": 1}
    assert turns.places(turns.needs("audio", speech), 8, 8 << 30) == {"cpu": 8, "speech": 4}
    assert turns.places(turns.needs("audio", speech), 8, 1 << 30) == {"cpu": 8, "speech": 1}
