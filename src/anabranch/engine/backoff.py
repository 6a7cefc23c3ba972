"""Backoff: how long a failed attempt waits before the next one. Inngest's schedule, with its jitter."""

from __future__ import annotations

import random

_WAITS_S = (15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200)
_JITTER_S = 30


def wait_s(failures: int, scale: float = 1.0) -> float:
    """Seconds to wait after the given number of failures (at least 1), with up to 30 s of jitter, times `scale`."""
    base = _WAITS_S[min(failures, len(_WAITS_S)) - 1]
    # Not a secret: jitter only keeps runs that failed together from coming back together.
    return (base + random.uniform(0, _JITTER_S)) * scale  # noqa: S311
