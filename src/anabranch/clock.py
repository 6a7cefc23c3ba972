"""Clock: the one place that asks what time it is, so that a test can hold it still."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The current time, in UTC with a zone."""
    return datetime.fromtimestamp(time.time(), UTC)


def now_ms() -> int:
    """Unix time in milliseconds, as event timestamps are given."""
    return int(time.time() * 1000)


def iso(moment_ms: int) -> str:
    """A moment as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(moment_ms // 1000, UTC).isoformat().replace("+00:00", "Z")
