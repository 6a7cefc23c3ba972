"""Capabilities: what a worker can do beside taking up places: encoders and filters of its ffmpeg, and speech.

A piece requires some of them by name: `encoder:libx265`, `filter:zscale`, `speech`. Workers pass what they cannot do,
and a task that none of them can do fails at once instead of waiting for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anabranch import workers
from anabranch.errors import AnabranchError, SetupError
from anabranch.media import speech

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import sqlalchemy as sa

    from anabranch.media.ffmpeg import Ffmpeg

Json = Any

SPEECH = "speech"


def encoders(*names: str) -> tuple[str, ...]:
    """What a piece requires that encodes with these."""
    return tuple(sorted({f"encoder:{name}" for name in names}))


def of(ffmpeg: Ffmpeg, speech_model: str | None, slots: int) -> dict[str, Json]:
    """What this machine can do, as other processes see it."""
    return {
        "slots": slots,
        "ffmpeg": ffmpeg.version,
        "encoders": sorted(ffmpeg.encoders),
        "filters": sorted(ffmpeg.filters),
        SPEECH: speech_model is not None or _is_shipped(),
    }


def can(capabilities: Mapping[str, Json], required: Iterable[str]) -> bool:
    """Whether somebody with these capabilities can do what requires those."""
    return all(_has(capabilities, one) for one in required)


def check(database: sa.Engine, required: Iterable[str], what: str) -> None:
    """Whether any of the workers can do something. Without any workers there is nobody to ask.

    Raises:
        SetupError: `no_capable_worker`, naming what they lack.
    """
    wanted = list(required)
    there = [row for row in workers.every(database) if row.capabilities] if wanted else []
    if not there or any(can(row.capabilities, wanted) for row in there):
        return
    lacking = [one for one in wanted if not any(can(row.capabilities, [one]) for row in there)] or wanted
    whom = "the worker" if len(there) == 1 else f"any of the {len(there)} workers"
    raise SetupError(
        "no_capable_worker",
        f"{what} needs {' and '.join(lacking)}; nothing of that kind is with {whom}.",
        "Start a worker that has it; `anabranch doctor` on its machine says what it lacks. Then try the task again.",
    )


def _has(capabilities: Mapping[str, Json], one: str) -> bool:
    what, _, name = one.partition(":")
    if what in ("encoder", "filter"):
        return name in capabilities.get(f"{what}s", ())
    return bool(capabilities.get(what))


def _is_shipped() -> bool:
    try:
        speech.shipped_model()
    except AnabranchError:
        return False
    return True
