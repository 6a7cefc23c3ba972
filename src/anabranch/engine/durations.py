"""Durations: as SDKs write them, such as `1h30m` or `500ms`."""

from __future__ import annotations

import re

_UNITS_S = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
# Beyond a hundred years a moment is a mistake, and soon no number that a database takes.
_LONGEST_S = 100 * 366 * 86400


def read_duration_s(text: str) -> float:
    """A duration in seconds.

    Raises:
        ValueError: it is not one, or is longer than a hundred years.
    """
    parts = re.findall(r"(\d+)(ms|[wdhms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"not a duration: {text!r}")
    seconds = sum(int(number) * _UNITS_S[unit] for number, unit in parts)
    if seconds > _LONGEST_S:
        raise ValueError(f"longer than a hundred years: {text!r}")
    return float(seconds)
