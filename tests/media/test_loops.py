from __future__ import annotations

from fractions import Fraction

import pytest

from anabranch.media.loops import Shape, even_rate, smaller


@pytest.mark.parametrize(
    ("source", "rate"),
    [
        (Fraction(25), 12.5), (Fraction(50), 12.5), (Fraction(24), 12), (Fraction(30), 10), (Fraction(60), 12),
        (Fraction(30000, 1001), 9.99), (Fraction(24000, 1001), 11.988), (Fraction(120), 12),
        (Fraction(20), 10), (Fraction(18), 9), (Fraction(15), 15), (Fraction(13), 13),
        (Fraction(12), 12), (Fraction(5), 5), (Fraction(1, 2), 0.5),
    ],
)  # fmt: skip
def test_a_loop_shows_every_nth_frame_of_its_source(source: Fraction, rate: float) -> None:
    assert float(even_rate(source)) == pytest.approx(rate, abs=0.001)
    assert (source / even_rate(source)).denominator == 1


def test_what_is_not_too_large_is_left_alone() -> None:
    assert smaller(Shape(Fraction(25, 2)), 0, 1.0, Fraction(25), 480) is None


def test_pixels_go_before_frames() -> None:
    tried = Shape(Fraction(25, 2))
    first = smaller(tried, 0, 2.0, Fraction(25), 480)
    assert first is not None
    assert first.rate == tried.rate
    assert first.scale == pytest.approx(1 / (2.0 * 1.08) ** 0.5)
    second = smaller(tried, 0, 5.0, Fraction(25), 480)
    assert second == Shape(Fraction(25, 3), 240 / 480)


def test_there_is_a_floor_and_nothing_below_it() -> None:
    floor = smaller(Shape(Fraction(25, 2)), 0, 1000, Fraction(25), 480)
    assert floor == Shape(Fraction(25, 3), 160 / 480)
    assert smaller(floor, 1, 300, Fraction(25), 480) is None


def test_what_was_asked_for_below_the_floor_is_kept() -> None:
    assert smaller(Shape(Fraction(5)), 0, 9, Fraction(25), 120) is None
    assert smaller(Shape(Fraction(5)), 0, 1000, Fraction(25), 320) == Shape(Fraction(5), 0.5)


@pytest.mark.parametrize("source", [Fraction(24), Fraction(25), Fraction(30), Fraction(60), Fraction(17)])
@pytest.mark.parametrize("excess", [1.01, 1.3, 2, 3.5, 8, 40, 1000])
@pytest.mark.parametrize("power", [0.6, 0.85, 1.0])
def test_four_encodes_are_enough_however_bytes_follow_pixels(source: Fraction, excess: float, power: float) -> None:
    """Bytes as a power of pixels and frames, as encoders have it; less than 1 since detail is lost last."""
    start = shape = Shape(even_rate(source))
    tries, now = 1, excess
    while (following := smaller(shape, tries - 1, now, source, 1280)) is not None:
        assert following.rate <= shape.rate
        assert following.scale <= shape.scale
        shape, tries = following, tries + 1
        now = excess * (shape.scale**2 * float(shape.rate / start.rate)) ** power
    assert tries <= 4
    floor = shape.scale == 160 / 1280 and shape.rate < 1.5 * 8
    assert now <= 1 or floor
