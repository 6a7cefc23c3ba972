"""Limits: what a source may be like, and what a child process that reads it may use. Pure."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

_MEMORY_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def default_memory_bytes() -> int:
    """Half of this machine's memory, and not less than an encode of 4K needs."""
    return max(2 << 30, _MEMORY_BYTES // 2)


@dataclass(frozen=True)
class Limits:
    """What whoever runs this takes from strangers.

    Attributes:
        duration_s: how long a source may be, in seconds.
        pixels: how many pixels its pictures may have, width times height.
        frame_rate: how many pictures a second.
        streams: how many streams of any kind.
        memory_bytes: how much memory a child process may have of its own.
        output_bytes: how large a file may be that it writes.
        child_s: how long it may run, in seconds.
    """

    duration_s: float = 12 * 3600.0
    # 8K, 8192 by 4320.
    pixels: int = 35_389_440
    # The fastest that telephones record at.
    frame_rate: int = 960
    streams: int = 64
    memory_bytes: int = default_memory_bytes()
    output_bytes: int = 50_000_000_000
    child_s: float = 24 * 3600.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON, for a child process."""
        return asdict(self)
