"""Animation: a short clip that loops, as GIF or WebP. What `video` makes, with the defaults of a preview."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from anabranch.media.fit import FitWord  # noqa: TC001  (a model reads its types when it is made)
from anabranch.tasks import Kind, Options, Output, Piece
from anabranch.tasks.video import Video, VideoOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anabranch.media.probe import Probe
    from anabranch.tasks.desk import Desk

Json = Any

_LENGTH_S = 3.0
_VIDEO = Video()


class AnimationOptions(Options):
    """Options of `animation`, each as `video` has it.

    Attributes:
        end: where it ends, in seconds; three seconds after `start` when absent.
    """

    format: Literal["gif", "webp"] = "gif"
    start: Annotated[float, Field(ge=0)] = 0.0
    end: Annotated[float | None, Field(gt=0)] = None
    width: Annotated[int | None, Field(ge=16, le=8192)] = None
    height: Annotated[int | None, Field(ge=16, le=8192)] = None
    fit: FitWord = "contain"
    fps: Annotated[int | None, Field(ge=1, le=60)] = None
    quality: Literal["very_low", "low", "medium", "high", "very_high"] = "medium"

    @model_validator(mode="after")
    def _check(self) -> AnimationOptions:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end ({self.end:g} s) must come after start ({self.start:g} s)")
        return self

    def as_video(self) -> VideoOptions:
        """The same for `video`."""
        given = self.model_dump()
        return VideoOptions(**{**given, "end": self.end if self.end is not None else self.start + _LENGTH_S})


class Animation(Kind[AnimationOptions]):
    """A short clip that loops."""

    name = "animation"
    options = AnimationOptions

    def plan(self, options: AnimationOptions, probe: Probe) -> list[Piece]:
        """One piece, or none without a picture."""
        return _VIDEO.plan(options.as_video(), probe)

    def perform(self, piece: Piece, options: AnimationOptions, desk: Desk) -> dict[str, Json]:
        """Encode the clip, verify the file and store it."""
        return _VIDEO.perform(piece, options.as_video(), desk)

    def join(self, results: Sequence[dict[str, Json]], options: AnimationOptions, desk: Desk) -> Output:
        """The clip."""
        return _VIDEO.join(results, options.as_video(), desk)
