"""Still: how well a moment of a film would do as its poster, judged by a small grey picture. Pure.

A score is the product of four numbers, so that a moment is as good as what is worst about it:

- lit: 1 for a mean brightness between a fifth and four fifths of the range, falling to 0 at black and at white.
- spread: the standard deviation of the brightness; 1 from 40 levels of 255 on. A uniform picture has none.
- sharp: the logarithm of the variance of the Laplacian. Blur takes it away: out of focus, or moving fast.
- calm: how little the picture differs from the one shortly before or after it, whichever is nearer. Just before or
  after a cut one of the two is near; within a fade, a flash or a pan neither is.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# A change of so many levels halves the score; film grain makes 2 to 4.
_RESTLESS = 12.0
_FULL_SPREAD = 40.0
# Where the mean brightness is as it should be, and where it is black or white.
_DARK, _DIM, _BRIGHT, _WHITE = 12.0, 51.0, 204.0, 243.0
# Moments to look at: from a twentieth of the film to before its last quarter, which tells the end.
_MOMENTS = 10
_FIRST, _LAST = 0.05, 0.75
# So that of several frames none of which will do, such as black ones, the best is still found.
_LEAST = 0.001


@dataclass(frozen=True)
class Look:
    """What is seen in a picture; nothing at all, by default.

    Attributes:
        mean: its brightness, 0 to 255.
        spread: standard deviation of the brightness.
        sharpness: variance of the Laplacian.
        change: mean difference to the picture before or after it, whichever is smaller.
    """

    mean: float = 0.0
    spread: float = 0.0
    sharpness: float = 0.0
    change: float = 0.0


def moments(first_s: float, last_s: float, keyframes_s: Sequence[float], gap_s: float) -> list[float]:
    """Moments worth looking at, ascending, each with room for a look `gap_s` before it.

    Where a keyframe is near, the look begins at it: nothing is decoded to get there.

    Args:
        first_s: time of the first frame.
        last_s: time of the last frame.
        keyframes_s: times of the keyframes.
        gap_s: from a moment to its neighbours, in seconds.
    """
    length_s = last_s - first_s
    step_s = length_s * (_LAST - _FIRST) / (_MOMENTS - 1)
    begins = [first_s + length_s * _FIRST + number * step_s for number in range(_MOMENTS)]
    return sorted({_near(begin_s, keyframes_s, step_s / 2) + gap_s for begin_s in begins})


def _near(moment_s: float, keyframes_s: Sequence[float], within_s: float) -> float:
    nearest_s = min(keyframes_s, key=lambda key_s: abs(key_s - moment_s), default=moment_s)
    return nearest_s if abs(nearest_s - moment_s) <= within_s else moment_s


def look(before: bytes, picture: bytes, after: bytes, width: int) -> Look:
    """Look at a picture of `width` bytes a row, one byte a pixel, and at its neighbours in time."""
    mean, variance = _moments(Counter(picture))
    _, sharpness = _moments(_laplacian(picture, width))
    change = min(_difference(picture, before), _difference(picture, after))
    return Look(mean, math.sqrt(variance), sharpness, change)


def score(seen: Look) -> float:
    """How well it would do; more is better, and there is no scale to it."""
    rising = (seen.mean - _DARK) / (_DIM - _DARK)
    falling = (_WHITE - seen.mean) / (_WHITE - _BRIGHT)
    lit = max(_LEAST, min(1.0, rising, falling))
    spread = max(_LEAST, min(1.0, seen.spread / _FULL_SPREAD))
    sharp = max(_LEAST, math.log1p(seen.sharpness))
    calm = 1 / (1 + seen.change / _RESTLESS)
    return lit * spread * sharp * calm


def _moments(counts: Counter[int]) -> tuple[float, float]:
    """Mean and variance."""
    total = counts.total()
    if not total:
        return 0.0, 0.0
    mean = sum(value * count for value, count in counts.items()) / total
    return mean, sum((value - mean) ** 2 * count for value, count in counts.items()) / total


def _laplacian(picture: bytes, width: int) -> Counter[int]:
    """How often each value of it occurs. Every other row is enough, and costs half."""
    counts: Counter[int] = Counter()
    for start in range(width, len(picture) - width, 2 * width):
        row = picture[start : start + width]
        above, below = picture[start - width : start], picture[start + width : start + 2 * width]
        neighbours = zip(row[1:-1], row, row[2:], above[1:], below[1:], strict=False)
        counts.update(4 * here - left - right - up - down for here, left, right, up, down in neighbours)
    return counts


def _difference(one: bytes, other: bytes) -> float:
    # Every seventh pixel tells enough; seven divides few widths, so these are of every column.
    pairs = list(zip(one[::7], other[::7], strict=True))
    return sum(abs(a - b) for a, b in pairs) / max(1, len(pairs))
