"""Animation: a short clip that loops, as GIF, WebP or a tiny MP4: what `video` makes, with defaults for a preview."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from anabranch.media.fit import FitWord  # noqa: TC001  (a model reads its types when it is made)
from anabranch.tasks import Kind, Options, Output, Piece
from anabranch.tasks.video import MOST_LOOP_BYTES, Video, VideoOptions, clip, plan_clip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anabranch.media.probe import Probe
    from anabranch.tasks.desk import Desk

Json = Any

_LENGTH_S = 3.0
# A film in a page's list is no wider; a tiny movie that was wider would not be tiny.
_MP4_WIDTH = 480
_VIDEO = Video()


class AnimationOptions(Options):
    """Options of `animation`, each as `video` has it.

    Attributes:
        format: mp4 is H.264 without sound, for a `<video muted loop>`.
        end: where it ends, in seconds; three seconds after `start` when absent.
        width: in pixels; an mp4 is at most 480 wide when neither width nor height is given.
        fps: frames a second; an mp4 has the source's own up to 30 when absent.
        max_bytes: what it may weigh; an mp4 is encoded to fit.
    """

    format: Literal["gif", "webp", "mp4"] = "gif"
    start: Annotated[float, Field(ge=0)] = 0.0
    end: Annotated[float | None, Field(gt=0)] = None
    width: Annotated[int | None, Field(ge=16, le=8192)] = None
    height: Annotated[int | None, Field(ge=16, le=8192)] = None
    fit: FitWord = "contain"
    fps: Annotated[int | None, Field(ge=1, le=60)] = None
    max_bytes: Annotated[int, Field(ge=10_000)] = MOST_LOOP_BYTES
    quality: Literal["very_low", "low", "medium", "high", "very_high"] = "medium"

    @model_validator(mode="after")
    def _check(self) -> AnimationOptions:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end ({self.end:g} s) must come after start ({self.start:g} s)")
        return self

    def as_video(self) -> VideoOptions:
        """The same for `video`."""
        end = self.end if self.end is not None else self.start + _LENGTH_S
        given = {**self.model_dump(), "end": end, "audio": False}
        if self.format == "mp4":
            given["max_bytes"] = None
            given["width"] = _MP4_WIDTH if self.width is None and self.height is None else self.width
        return VideoOptions(**given)


class Animation(Kind[AnimationOptions]):
    """A short clip that loops."""

    name = "animation"
    options = AnimationOptions

    def plan(self, options: AnimationOptions, probe: Probe) -> list[Piece]:
        """One piece, or none without a picture."""
        return plan_clip(options.as_video(), probe, preview=True)

    def perform(self, piece: Piece, options: AnimationOptions, desk: Desk) -> dict[str, Json]:  # noqa: ARG002
        """Encode the clip, verify the file and store it."""
        return clip(options.as_video(), desk, options.max_bytes if options.format == "mp4" else None)

    def join(self, results: Sequence[dict[str, Json]], options: AnimationOptions, desk: Desk) -> Output:
        """The clip."""
        return _VIDEO.join(results, options.as_video(), desk)
