"""Stretches: a long recording cut into parts that are written down apart. Pure: the same length, the same cuts.

The cut itself is in a pause near its ideal place, and is found by whoever writes down the stretch before it and by
whoever writes down the one after it. Both look in the same window of the same sound, so they find the same pause
without asking each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

# Starting a process and loading the model takes a second; writing down five minutes takes twenty or more.
STRETCH_S = 300.0
# Up to here there is little to gain.
WHOLE_S = 480.0
# Each is a step of its own; what is longer has longer stretches.
MOST_STRETCHES = 100
# How far a cut may be from its ideal place. People who read or talk pause several times in half a minute.
REACH_S = 15.0


@dataclass(frozen=True)
class Window:
    """A part of the recording in which there is one cut.

    Attributes:
        start_s: where it begins, in seconds of the source.
        end_s: where it ends.
    """

    start_s: float
    end_s: float


@dataclass(frozen=True)
class Stretch:
    """A part of the recording that is written down in one go.

    Attributes:
        after: where to look for its beginning; None for the beginning of what is asked for.
        until: where to look for its end; None for the end of what is asked for.
        length_s: its length when both cuts are at their ideal places.
    """

    after: Window | None
    until: Window | None
    length_s: float


def cut(start_s: float, end_s: float) -> list[Stretch]:
    """The stretches of a recording between two times; a single one when it is short."""
    length_s = end_s - start_s
    if length_s <= WHOLE_S:
        return [Stretch(None, None, length_s)]
    count = min(MOST_STRETCHES, -int(-length_s // STRETCH_S))
    each_s = length_s / count
    # Less than half, so that two cuts never meet.
    reach_s = min(REACH_S, each_s / 4)
    ideals_s = [start_s + each_s * number for number in range(1, count)]
    windows = [Window(round(ideal_s - reach_s, 3), round(ideal_s + reach_s, 3)) for ideal_s in ideals_s]
    return [Stretch(after, until, each_s) for after, until in pairwise([None, *windows, None])]
