from __future__ import annotations

import random

import pytest

from anabranch.media import still

WIDTH, HEIGHT = 64, 36


def picture(level: int = 128, contrast: int = 60, cell: int = 4, shift: int = 0) -> bytes:
    """A chessboard: brightness around `level`, fields of `cell` pixels."""
    return bytes(
        level + (contrast if ((column + shift) // cell + row // cell) % 2 else -contrast)
        for row in range(HEIGHT)
        for column in range(WIDTH)
    )


def blurred(sharp: bytes) -> bytes:
    """Each pixel the mean of the nine around it in its row."""
    return bytes(sum(sharp[max(0, at - 4) : at + 5]) // len(sharp[max(0, at - 4) : at + 5]) for at in range(len(sharp)))


def score(before: bytes, shown: bytes, after: bytes) -> float:
    return still.score(still.look(before, shown, after, WIDTH))


GOOD = picture()


@pytest.mark.parametrize(
    "worse",
    [
        bytes(WIDTH * HEIGHT),
        b"\xff" * (WIDTH * HEIGHT),
        b"\x80" * (WIDTH * HEIGHT),
        picture(level=14, contrast=10),
        picture(level=240, contrast=10),
        picture(contrast=6),
        blurred(GOOD),
    ],
    ids=["black", "white", "uniform", "nearly black", "nearly white", "faded", "blurred"],
)
def test_a_clear_picture_is_better(worse: bytes) -> None:
    assert score(GOOD, GOOD, GOOD) > 1.2 * score(worse, worse, worse)


def test_of_two_moments_the_calmer_is_better() -> None:
    moving = score(picture(shift=2), GOOD, picture(shift=-2))
    assert moving < 0.5 * score(GOOD, GOOD, GOOD)


def test_a_cut_right_before_or_after_takes_nothing_away() -> None:
    other = picture(level=80, cell=9)
    assert score(other, GOOD, GOOD) == score(GOOD, GOOD, other) == score(GOOD, GOOD, GOOD)


def test_a_dark_scene_is_better_than_a_black_one_and_a_clear_night_than_a_faded_day() -> None:
    night = picture(level=45, contrast=30)
    assert score(night, night, night) > 10 * score(*[picture(level=8, contrast=3)] * 3)
    assert score(night, night, night) > score(*[picture(level=128, contrast=4)] * 3)


def test_a_look_measures_what_it_says() -> None:
    noise = random.Random(1).randbytes(WIDTH * HEIGHT)
    seen = still.look(noise, noise, bytes(WIDTH * HEIGHT), WIDTH)
    assert seen.mean == pytest.approx(127.5, abs=4)
    assert seen.spread == pytest.approx(256 / 12**0.5, abs=3)
    # Of independent pixels the variance is (16 + 4) times theirs.
    assert seen.sharpness == pytest.approx(20 * seen.spread**2, rel=0.1)
    assert seen.change == 0


def test_moments_keep_to_the_keyframes_near_them_and_away_from_the_end() -> None:
    keyframes = [2.0 * number for number in range(51)]
    moments = still.moments(0, 100, keyframes, 0.1)
    assert len(moments) == 10
    assert moments == sorted(moments)
    assert all(round(moment_s - 0.1, 6) in keyframes for moment_s in moments)
    assert moments[0] == pytest.approx(5.1, abs=1)
    assert moments[-1] == pytest.approx(75.1, abs=1)


def test_where_no_keyframe_is_near_moments_are_spread_all_the_same() -> None:
    assert len(still.moments(1, 31, [1.0], 0.1)) == 10
    assert still.moments(3, 3, [3.0], 0.1) == [3.1]
    assert len(still.moments(0, 5, [], 0.1)) == 10
