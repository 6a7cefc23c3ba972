"""Events: what happened, and who listens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from anabranch import clock
from anabranch.ids import new_id

Json = Any

FUNCTION_INVOKED = "inngest/function.invoked"
FUNCTION_FAILED = "inngest/function.failed"
FUNCTION_FINISHED = "inngest/function.finished"
FUNCTION_CANCELLED = "inngest/function.cancelled"
SCHEDULED = "inngest/scheduled.timer"


@dataclass(frozen=True)
class Event:
    """Something that happened. Functions that listen to its name are started by it.

    Attributes:
        name: such as `video/uploaded`.
        data: JSON object.
        id: its identity: an event that comes twice with the same id counts once. Made up when not given.
        ts: when it happened, Unix milliseconds; what it starts waits until then.
        user: JSON object about the user, or None.
        v: the version of the data's shape, or None.
    """

    name: str
    data: dict[str, Json] = field(default_factory=dict)
    id: str = field(default_factory=lambda: new_id("evt"))
    ts: int = field(default_factory=clock.now_ms)
    user: dict[str, Json] | None = None
    v: str | None = None

    def to_dict(self) -> dict[str, Json]:
        """As a function sees it."""
        seen = {"id": self.id, "name": self.name, "data": self.data, "ts": self.ts}
        if self.user is not None:
            seen["user"] = self.user
        if self.v is not None:
            seen["v"] = self.v
        return seen
