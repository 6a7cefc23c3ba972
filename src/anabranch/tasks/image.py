"""Image: one frame of a video as a picture, such as the poster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from anabranch.media import ffmpeg, opening, picture, still
from anabranch.media.fit import Fitted, FitWord, fit
from anabranch.tasks import Kind, Options, Output, Piece, capabilities
from anabranch.tasks.desk import StoredFile, check_picture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anabranch.media.probe import Probe, VideoTrack
    from anabranch.tasks.desk import Desk

Json = Any
Quality = Literal["very_low", "low", "medium", "high", "very_high"]

_TYPES = {"webp": "image/webp", "jpeg": "image/jpeg", "png": "image/png", "avif": "image/avif"}
_ENCODERS = {"webp": "libwebp", "jpeg": "mjpeg", "png": "png", "avif": "libsvtav1"}
# On each encoder's own scale: libwebp 0 to 100 (more is better), mjpeg 31 to 2 and AV1 63 to 0 (less is better).
_WEBP = {"very_low": 30, "low": 50, "medium": 75, "high": 85, "very_high": 95}
_JPEG = {"very_low": 20, "low": 10, "medium": 5, "high": 3, "very_high": 2}
_AVIF = {"very_low": 50, "low": 42, "medium": 34, "high": 28, "very_high": 20}
# Long enough for a fade or a pan to be seen, short enough for a face to keep still.
_GAP_S = 0.1
# The longer side of what is looked at, in pixels: a blur that shows in a poster shows in it as well.
_LOOK_SIDE = 320


class ImageOptions(Options):
    """Options of `image`.

    Attributes:
        start: which moment, in seconds; past the end it is the last frame. Chosen by looking when absent.
        width: in pixels; never more than the source has.
        height: in pixels; never more than the source has.
        fit: what to do when both are given and the shape differs.
        format: of the picture.
        quality: of the picture; png has none.
    """

    start: Annotated[float | None, Field(ge=0)] = None
    width: Annotated[int | None, Field(ge=16, le=8192)] = None
    height: Annotated[int | None, Field(ge=16, le=8192)] = None
    fit: FitWord = "contain"
    format: Annotated[
        Literal["webp", "jpeg", "png", "avif"], BeforeValidator(lambda value: {"jpg": "jpeg"}.get(value, value))
    ] = "jpeg"
    quality: Quality = "medium"


class Image(Kind[ImageOptions]):
    """A frame of a video as a picture."""

    name = "image"
    options = ImageOptions

    def plan(self, options: ImageOptions, probe: Probe) -> list[Piece]:
        """One piece, or none without a picture to take."""
        if probe.video is None:
            return []
        required = capabilities.encoders(_ENCODERS[options.format]) + picture.requires(probe.video)
        return [Piece("render", urgent=True, requires=required)]

    def perform(self, piece: Piece, options: ImageOptions, desk: Desk) -> dict[str, Json]:  # noqa: ARG002
        """Take the frame, verify the picture and store it."""
        video = desk.probe.video
        assert video is not None
        desk.ffmpeg.needs_encoder(_ENCODERS[options.format], f"A {options.format} picture")
        # avif is 4:2:0 and wants even sides; the others are free.
        fitted = fit(
            (video.display_width, video.display_height),
            options.width,
            options.height,
            options.fit,
            even=options.format == "avif",
        )
        file = desk.scratch / f"poster.{options.format}"
        start_s = options.start if options.start is not None else _best_moment(desk, video)
        _take(desk, video, start_s, fitted, options, file)
        check_picture(desk, file, fitted.size)
        stored = desk.save(file, f"poster.{options.format}", _TYPES[options.format])
        return {**stored.to_dict(), "width": fitted.size[0], "height": fitted.size[1]}

    def join(self, results: Sequence[dict[str, Json]], options: ImageOptions, desk: Desk) -> Output:  # noqa: ARG002
        """The picture."""
        mime = _TYPES[options.format]
        if not results:
            return Output("image", mime, None, reason="no_video_stream")
        (result,) = results
        stored = StoredFile(result["name"], result["key"], result["size_bytes"])
        facts = {"format": options.format, "width": result["width"], "height": result["height"]}
        return Output("image", mime, stored, (stored,), facts=facts)


def _take(desk: Desk, video: VideoTrack, start_s: float, fitted: Fitted, options: ImageOptions, file: Path) -> None:
    """Write the frame that is shown at `start_s`, or the last one."""
    rate = video.frame_rate
    number = min(int(start_s * rate), round(video.end_s * rate) - 1)
    moment_s = float(max(number, round(video.start_s * rate)) / rate)
    # fps puts frames on the grid, so that a frame shown for long is there at every moment of it.
    grid = f"fps=fps={rate}:start_time={moment_s:.6f},tpad=stop_mode=clone:stop=1"
    filters = ",".join([grid, *picture.upright(video, desk.ffmpeg), fitted.filters()])
    arguments = opening.arguments(desk.source, desk.probe, moment_s)
    arguments += ["-map", f"0:{video.index}", "-vf", filters, "-frames:v", "1", "-map_metadata", "-1"]
    arguments += [*_encoder(options), "-threads", str(desk.threads), str(file)]
    ffmpeg.run(desk.ffmpeg, arguments, making="the picture", scratch=desk.scratch, cancel=desk.cancel)


def _encoder(options: ImageOptions) -> list[str]:
    chosen = ["-c:v", _ENCODERS[options.format]]
    if options.format == "webp":
        return [*chosen, "-quality", str(_WEBP[options.quality]), "-f", "webp"]
    if options.format == "jpeg":
        # JPEG is full range by its own standard (JFIF).
        full = ["-pix_fmt", "yuvj420p", "-color_range", "pc", "-strict", "unofficial"]
        return [*chosen, "-q:v", str(_JPEG[options.quality]), *full, "-update", "1", "-f", "image2"]
    if options.format == "avif":
        return [*chosen, "-crf", str(_AVIF[options.quality]), "-preset", "8", "-still-picture", "1", "-f", "avif"]
    return [*chosen, "-pix_fmt", "rgb24", "-update", "1", "-f", "image2"]


def _best_moment(desk: Desk, video: VideoTrack) -> float:
    """A moment worth showing: of several, the one that scores best (`media/still.py`); the first of equals."""
    last_s = max(video.start_s, video.end_s - 1 / float(video.frame_rate))
    moments = still.moments(video.start_s, last_s, video.keyframes_s, _GAP_S)
    return max(moments, key=lambda moment_s: still.score(_look(desk, video, moment_s)))


def _look(desk: Desk, video: VideoTrack, moment_s: float) -> still.Look:
    """Look at the frame that is shown at a moment, and at those a little before and after it."""
    size = (video.display_width, video.display_height)
    small = fit(size, *((_LOOK_SIDE, None) if size[0] >= size[1] else (None, _LOOK_SIDE)))
    first_s = moment_s - _GAP_S
    # up: each is the frame that is shown at its moment, as in the poster; near would take a later one.
    grid = f"fps=fps=1/{_GAP_S}:start_time={first_s:.6f}:round=up,tpad=stop_mode=clone:stop=3"
    filters = ",".join([grid, *picture.upright(video, desk.ffmpeg), small.filters(), "scale=out_range=pc,format=gray"])
    file = desk.scratch / "look.gray"
    arguments = ["-threads", str(desk.threads), *opening.arguments(desk.source, desk.probe, first_s)]
    arguments += ["-map", f"0:{video.index}", "-vf", filters, "-frames:v", "3", "-f", "rawvideo", str(file)]
    ffmpeg.run(desk.ffmpeg, arguments, making="a look at a moment", scratch=desk.scratch, cancel=desk.cancel)
    raw, pixels = file.read_bytes(), small.size[0] * small.size[1]
    seen = [raw[start : start + pixels] for start in range(0, len(raw), pixels)]
    # A film that is damaged here has nothing to show.
    return still.look(seen[0], seen[1], seen[2], small.size[0]) if len(seen) == 3 else still.Look()
