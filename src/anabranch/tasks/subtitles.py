"""Subtitles: what is said, as captions to read. What `audio` makes of the formats vtt and srt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from anabranch.tasks import Kind, Options, Output, Piece
from anabranch.tasks.audio import Audio, AudioOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anabranch.media.probe import Probe
    from anabranch.tasks.desk import Desk

Json = Any

_AUDIO = Audio()


class SubtitlesOptions(Options):
    """Options of `subtitles`, each as `audio` has it."""

    format: Literal["vtt", "srt"] = "vtt"
    language: Annotated[str | None, Field(pattern="^[a-z]{2,3}$")] = None
    start: Annotated[float, Field(ge=0)] = 0.0
    end: Annotated[float | None, Field(gt=0)] = None

    def as_audio(self) -> AudioOptions:
        """The same for `audio`."""
        return AudioOptions(**self.model_dump())


class Subtitles(Kind[SubtitlesOptions]):
    """Captions of what is said."""

    name = "subtitles"
    options = SubtitlesOptions

    def plan(self, options: SubtitlesOptions, probe: Probe) -> list[Piece]:
        """As of `audio`."""
        return _AUDIO.plan(options.as_audio(), probe)

    def perform(self, piece: Piece, options: SubtitlesOptions, desk: Desk) -> dict[str, Json]:
        """Transcribe, and store the captions."""
        return _AUDIO.perform(piece, options.as_audio(), desk)

    def join(self, results: Sequence[dict[str, Json]], options: SubtitlesOptions, desk: Desk) -> Output:
        """The captions."""
        return _AUDIO.join(results, options.as_audio(), desk)
