"""Loops: frame rate and size of a picture that moves, and what to try next when it is too large. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

# Below 8 a motion is a row of stills. Up to 15 likeness rises as fast as bytes do (docs/benchmarks.md), so what is
# usual is a choice of bytes.
SLOWEST_FPS = 8
_USUAL_FPS = Fraction(25, 2)
# A GIF frame is shown for whole hundredths of a second, and browsers show one of less than two for ten.
FASTEST_GIF_FPS = 50
# The longer side, in pixels: as small as gestures can be told at, and as small as anything can.
_SMALL_SIDE, _SMALLEST_SIDE = 240, 160
# An encode of a long loop takes seconds; three looks at real sizes come as near as anybody needs.
_MOST_TRIES = 4
# A try aims below what is allowed, each one further: small pictures cost more a pixel, and few frames more a frame.
_MARGINS = (1.08, 1.2, 1.6)


@dataclass(frozen=True)
class Shape:
    """What an encode is to come to.

    Attributes:
        rate: frames a second.
        scale: width and height, as a share of those that were asked for.
    """

    rate: Fraction
    scale: float = 1.0


def even_rate(source: Fraction, most: Fraction = _USUAL_FPS) -> Fraction:
    """The rate at which every n-th frame of the source is shown: no more than `most`, but not below 8.

    Frames that are left out evenly keep a motion even; 10 of 25 would make it stumble.
    """
    every = math.ceil(source / most)
    if source / every < SLOWEST_FPS:
        every = max(1, math.floor(source / SLOWEST_FPS))
    return source / every


def smaller(tried: Shape, number: int, excess: float, source: Fraction, side: int) -> Shape | None:
    """What to try after an encode that came out too large; None when it did not, or nothing is left to try.

    Fewer pixels first, until the longer side has 240: shown at the same size, half the pixels cost less likeness than a
    third of the frames, and save more bytes (docs/benchmarks.md). Then fewer frames, down to 8 a second; then fewer
    pixels again, down to 160.

    Args:
        tried: what the encode was.
        number: how many were made before it.
        excess: how many times larger it is than it may be.
        source: frames a second of the source.
        side: the longer side of the picture that was asked for, in pixels.
    """
    if excess <= 1 or number + 1 >= _MOST_TRIES:
        return None
    left = excess * _MARGINS[number]
    scale = _reduced(tried.scale, left, _SMALL_SIDE / side)
    left *= (scale / tried.scale) ** 2
    rate = min(tried.rate, even_rate(source, max(tried.rate / Fraction(max(1.0, left)), Fraction(1))))
    left *= float(rate / tried.rate)
    shape = Shape(rate, _reduced(scale, left, _SMALLEST_SIDE / side))
    return None if shape == tried else shape


def _reduced(scale: float, excess: float, least: float) -> float:
    """The scale at which there are `excess` times fewer pixels; not below `least`, and never more than it was."""
    return min(scale, max(least, scale / math.sqrt(max(1.0, excess))))
