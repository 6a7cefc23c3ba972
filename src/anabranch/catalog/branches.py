"""Branches: the arms of the fan-out, and what each gives to the media row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = Any


@dataclass(frozen=True)
class Branch:
    """An arm of the fan-out: a step that has a task done.

    Attributes:
        step_id: name of the step; a promise, for runs in progress are found by it.
        column: which address of the media row it gives.
        kind: kind of task.
        options: options of the task.
        topics: what is told when it is done.
        usable_topic: what is told as soon as the first part of it is of use, or None.
        share: its part of the percent of the whole; they add up to 1.
        required: whether the media is of no use without it; the others only make it `degraded`.
    """

    step_id: str
    column: str
    kind: str
    topics: tuple[str, ...]
    share: float
    options: dict[str, Json] = field(default_factory=dict)
    required: bool = False
    usable_topic: str | None = None


BRANCHES = (
    Branch(
        "hls-package",
        "hls_url",
        "adaptive_video",
        ("media.rendition.ready",),
        0.7,
        {"format": "hls"},
        required=True,
        usable_topic="media.playable",
    ),
    Branch(
        "poster-image",
        "poster_url",
        "image",
        ("media.poster.ready",),
        0.05,
        {"start": 2, "width": 1280, "format": "webp"},
    ),
    Branch(
        "gif-preview",
        "gif_url",
        "video",
        ("media.preview.ready",),
        0.05,
        {"start": 1, "end": 4, "width": 480, "format": "gif"},
    ),
    Branch(
        "audio-transcription",
        "transcription_url",
        "audio",
        ("media.transcript.ready",),
        0.2,
        {"format": "json", "language": "en"},
    ),
)


def named(step_id: str | None) -> Branch | None:
    """The branch of this name, or None."""
    return next((branch for branch in BRANCHES if branch.step_id == step_id), None)
