"""Speech: what is said, with the time of each word. What `audio` makes of the format json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from anabranch.tasks import Kind, Options, Output, Piece
from anabranch.tasks.audio import Audio, AudioOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anabranch.media.probe import Probe
    from anabranch.tasks.desk import Desk

Json = Any

_AUDIO = Audio()


class SpeechOptions(Options):
    """Options of `speech`, each as `audio` has it."""

    language: Annotated[str | None, Field(pattern="^[a-z]{2,3}$")] = None
    start: Annotated[float, Field(ge=0)] = 0.0
    end: Annotated[float | None, Field(gt=0)] = None

    def as_audio(self) -> AudioOptions:
        """The same for `audio`."""
        return AudioOptions(format="json", **self.model_dump())


class Speech(Kind[SpeechOptions]):
    """What is said."""

    name = "speech"
    options = SpeechOptions

    def plan(self, options: SpeechOptions, probe: Probe) -> list[Piece]:
        """As of `audio`."""
        return _AUDIO.plan(options.as_audio(), probe)

    def perform(self, piece: Piece, options: SpeechOptions, desk: Desk) -> dict[str, Json]:
        """Transcribe, and store the text."""
        return _AUDIO.perform(piece, options.as_audio(), desk)

    def join(self, results: Sequence[dict[str, Json]], options: SpeechOptions, desk: Desk) -> Output:
        """The text, and what goes with it."""
        return _AUDIO.join(results, options.as_audio(), desk)
