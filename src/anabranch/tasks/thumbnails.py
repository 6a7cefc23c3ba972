"""Thumbnails: a storyboard. Small pictures of every few seconds on one sheet, and a WebVTT index of what is where."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from anabranch.errors import OptionError
from anabranch.media import captions, ffmpeg, opening, picture
from anabranch.media.fit import fit
from anabranch.tasks import Kind, Options, Output, Piece
from anabranch.tasks.desk import StoredFile, check_picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anabranch.media.probe import Probe, VideoTrack
    from anabranch.tasks.desk import Desk

Json = Any

_TYPES = {"jpeg": "image/jpeg", "png": "image/png"}
# A sheet of a hundred pictures is a few hundred kilobytes: what a player may load before it is asked to.
_USUAL = 100
_MOST = 400
# Of longer films only keyframes are decoded: the picture is a second or two off, and it takes a tenth of the time.
_WHOLE_UP_TO_S = 120


class ThumbnailsOptions(Options):
    """Options of `thumbnails`.

    Attributes:
        width: of each picture, in pixels; never more than the source has.
        interval: seconds from one to the next; as many as make a hundred pictures, and at least one, when absent.
        columns: pictures in a row of the sheet.
        format: of the sheet.
    """

    width: Annotated[int, Field(ge=16, le=640)] = 160
    interval: Annotated[float | None, Field(gt=0)] = None
    columns: Annotated[int, Field(ge=1, le=20)] = 10
    format: Literal["jpeg", "png"] = "jpeg"


class Thumbnails(Kind[ThumbnailsOptions]):
    """A storyboard."""

    name = "thumbnails"
    options = ThumbnailsOptions

    def plan(self, options: ThumbnailsOptions, probe: Probe) -> list[Piece]:
        """One piece, or none without a picture.

        Raises:
            OptionError: `invalid_option`, the interval would make too many pictures.
        """
        if probe.video is None:
            return []
        _, count = _grid(options, probe.video)
        if count > _MOST:
            raise OptionError(
                "invalid_option",
                f'Options of thumbnails: "interval" {options.interval} makes {count} of them; {_MOST} is the most.',
                "Give a longer one.",
            )
        return [Piece("render", weight=probe.duration_s)]

    def perform(self, piece: Piece, options: ThumbnailsOptions, desk: Desk) -> dict[str, Json]:  # noqa: ARG002
        """Make the sheet and the index, verify the sheet, and store both."""
        video = desk.probe.video
        assert video is not None
        interval_s, count = _grid(options, video)
        fitted = fit((video.display_width, video.display_height), options.width, None)
        columns = min(options.columns, count)
        rows = math.ceil(count / columns)
        file = desk.scratch / f"storyboard.{options.format}"
        filters = [
            # Rounded to the nearest, each is the frame in the middle of the seconds that it stands for.
            f"[0:{video.index}]fps=fps=1/{interval_s:.6f}:start_time={video.start_s:.6f}:round=near:eof_action=pass",
            f"tpad=stop_mode=clone:stop={count}",
            f"trim=end_frame={count}",
            *picture.upright(video, desk.ffmpeg),
            fitted.filters(),
            f"tile={columns}x{rows}",
        ]
        if options.format == "jpeg":
            filters.append("format=yuvj420p")
        few = [] if video.end_s - video.start_s <= _WHOLE_UP_TO_S else ["-skip_frame", "nokey"]
        arguments = ["-threads", str(desk.threads), *few, *opening.arguments(desk.source, desk.probe, video.start_s)]
        arguments += ["-filter_complex_threads", "1", "-filter_complex", ",".join(filters), "-frames:v", "1"]
        arguments += ["-strict", "unofficial", "-q:v", "5", "-update", "1", "-f", "image2", str(file)]
        ffmpeg.run(desk.ffmpeg, arguments, making="the storyboard", scratch=desk.scratch, cancel=desk.cancel)
        width, height = fitted.size
        check_picture(desk, file, (width * columns, height * rows))
        sheet = desk.save(file, file.name, _TYPES[options.format])
        index = desk.scratch / "storyboard.vtt"
        index.write_text(_index(sheet.key.rpartition("/")[2], count, interval_s, video, (width, height), columns))
        stored = desk.save(index, index.name, "text/vtt")
        facts = {"width": width, "height": height, "count": count, "interval": interval_s, "columns": columns}
        return {"files": [stored.to_dict(), sheet.to_dict()], "facts": facts}

    def join(self, results: Sequence[dict[str, Json]], options: ThumbnailsOptions, desk: Desk) -> Output:  # noqa: ARG002
        """The index, and the sheet beside it."""
        if not results:
            return Output("text", "text/vtt", None, reason="no_video_stream")
        (result,) = results
        files = tuple(StoredFile(entry["name"], entry["key"], entry["size_bytes"]) for entry in result["files"])
        return Output("text", "text/vtt", files[0], files, facts={"format": options.format, **result["facts"]})


def _grid(options: ThumbnailsOptions, video: VideoTrack) -> tuple[float, int]:
    """Seconds from one picture to the next, and how many there are."""
    length_s = video.end_s - video.start_s
    interval_s = options.interval if options.interval is not None else max(1.0, length_s / _USUAL)
    return interval_s, max(1, math.ceil(length_s / interval_s - 1e-6))


def _index(name: str, count: int, interval_s: float, video: VideoTrack, size: tuple[int, int], columns: int) -> str:
    """WebVTT whose cues name a rectangle of the sheet (Media Fragments URI 1.0, section 4.2.2)."""
    lines = ["WEBVTT", ""]
    for number in range(count):
        start_s = video.start_s + number * interval_s
        end_s = min(start_s + interval_s, video.end_s)
        left, top = number % columns * size[0], number // columns * size[1]
        place = f"{name}#xywh={left},{top},{size[0]},{size[1]}"
        lines += [f"{captions.moment(start_s)} --> {captions.moment(end_s)}", place, ""]
    return "\n".join(lines)
