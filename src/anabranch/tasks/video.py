"""Video: a clip as one file, MP4, MOV or WebM with sound, or a GIF or WebP that loops."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from anabranch.errors import EncodeError, OptionError
from anabranch.media import ffmpeg, opening, picture, sound
from anabranch.media.fit import Fitted, FitWord, fit
from anabranch.media.probe import probe
from anabranch.tasks import Kind, Options, Output, Piece
from anabranch.tasks.desk import StoredFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anabranch.media.probe import Probe, VideoTrack
    from anabranch.tasks.desk import Desk

Json = Any

_TYPES = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "gif": "image/gif",
    "webp": "image/webp",
}
# Pictures that move and loop, without sound.
LOOPS = ("gif", "webp")
_CODECS = {"mp4": "h264", "mov": "h264", "webm": "vp9"}
# x264's scale ends at 51, VP9's at 63, and WebP's runs the other way, 0 to 100.
_CRF = {"very_low": 32, "low": 28, "medium": 23, "high": 20, "very_high": 17}
_VP9_CRF = {"very_low": 44, "low": 38, "medium": 33, "high": 29, "very_high": 24}
_WEBP = {"very_low": 20, "low": 40, "medium": 65, "high": 80, "very_high": 90}
# A GIF frame is shown for whole hundredths of a second, so this rate is exact; and eyes take it for motion.
_GIF_FPS = 10
# A minute of GIF is tens of megabytes; nobody means that.
_LONGEST_GIF_S = 60
_LARGEST_GIF_SIDE = 1280
# A longer loop takes so long that nobody waits for it as for a preview.
_LONGEST_URGENT_S = 10
# How far a file may be from the length that was asked for.
_TOLERANCE_S = 0.1


class VideoOptions(Options):
    """Options of `video`.

    Attributes:
        format: mp4 and mov hold H.264 and AAC, webm VP9 and Opus; gif and webp loop without sound.
        start: where the clip begins, in seconds.
        end: where it ends, in seconds; the end of the source when absent.
        width: in pixels; never more than the source has.
        height: in pixels; never more than the source has.
        fit: what to do when both are given and the shape differs.
        fps: frames a second; the source's own, or 10 for gif and webp, when absent. Never more than the source has.
        quality: constant quality of the encode; a GIF has none.
        codec: of the pictures; h264 in mp4 and mov, vp9 in webm.
        audio: whether the sound is kept.
    """

    format: Literal["mp4", "mov", "webm", "gif", "webp"] = "mp4"
    start: Annotated[float, Field(ge=0)] = 0.0
    end: Annotated[float | None, Field(gt=0)] = None
    width: Annotated[int | None, Field(ge=16, le=8192)] = None
    height: Annotated[int | None, Field(ge=16, le=8192)] = None
    fit: FitWord = "contain"
    fps: Annotated[int | None, Field(ge=1, le=60)] = None
    quality: Literal["very_low", "low", "medium", "high", "very_high"] = "medium"
    codec: Literal["h264", "vp9"] | None = None
    audio: bool = True

    @model_validator(mode="after")
    def _check(self) -> VideoOptions:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end ({self.end:g} s) must come after start ({self.start:g} s)")
        if self.codec is not None and self.codec != _CODECS.get(self.format):
            raise ValueError(f"codec {self.codec} does not go with format {self.format}")
        return self


class Video(Kind[VideoOptions]):
    """A clip of a video as one file."""

    name = "video"
    options = VideoOptions

    def plan(self, options: VideoOptions, probe: Probe) -> list[Piece]:
        """One piece, or none without a picture."""
        if probe.video is None:
            return []
        start_s, end_s = span(options, probe.video)
        if options.format in LOOPS and end_s - start_s > _LONGEST_GIF_S:
            raise OptionError(
                "gif_too_long",
                f"A {options.format} of {end_s - start_s:.0f} s was asked for; {_LONGEST_GIF_S} s is the most.",
                "Give start and end, or choose format mp4.",
            )
        urgent = options.format in LOOPS and end_s - start_s <= _LONGEST_URGENT_S
        return [Piece("render", weight=end_s - start_s, urgent=urgent)]

    def perform(self, piece: Piece, options: VideoOptions, desk: Desk) -> dict[str, Json]:  # noqa: ARG002
        """Encode the clip, verify the file and store it."""
        video = desk.probe.video
        assert video is not None
        start_s, end_s = span(options, video)
        file = desk.scratch / f"clip.{options.format}"
        fitted = _fitted(options, video)

        def report(progress: ffmpeg.Progress) -> None:
            desk.on_progress(progress.out_time_s / (end_s - start_s), progress.speed)

        build = {"gif": _gif_arguments, "webp": _webp_arguments}.get(options.format, _movie_arguments)
        ffmpeg.run(
            desk.ffmpeg,
            build(options, desk, video, fitted, file),
            making=f"the {options.format}",
            scratch=desk.scratch,
            on_progress=report,
            cancel=desk.cancel,
        )
        # No reader here knows a WebP that moves; its first picture is looked at.
        made_s = end_s - start_s
        if options.format == "webp":
            _verify_webp(file, fitted.size)
        else:
            made_s = _verify(desk, file, fitted.size, end_s - start_s).duration_s
        name = f"{'preview' if options.format in LOOPS else 'video'}.{options.format}"
        stored = desk.save(file, name, _TYPES[options.format])
        return {**stored.to_dict(), "width": fitted.size[0], "height": fitted.size[1], "duration": made_s}

    def join(self, results: Sequence[dict[str, Json]], options: VideoOptions, desk: Desk) -> Output:  # noqa: ARG002
        """The clip."""
        kind = "image" if options.format in LOOPS else "video"
        mime = _TYPES[options.format]
        if not results:
            return Output(kind, mime, None, reason="no_video_stream")
        (result,) = results
        stored = StoredFile(result["name"], result["key"], result["size_bytes"])
        facts = {name: result[name] for name in ("width", "height", "duration")}
        return Output(kind, mime, stored, (stored,), facts={"format": options.format, **facts})


def span(options: VideoOptions, video: VideoTrack) -> tuple[float, float]:
    """Start and end of the clip in seconds: what was asked for, as far as the source has it.

    A source that ends before `start` gives as much as was asked for from its end; better than nothing to show.
    """
    end_s = min(options.end if options.end is not None else video.end_s, video.end_s)
    start_s = options.start
    if start_s >= video.end_s:
        length_s = (options.end or video.end_s + start_s) - start_s
        start_s = max(0.0, video.end_s - length_s)
        end_s = video.end_s
    return start_s, end_s


def _fitted(options: VideoOptions, video: VideoTrack) -> Fitted:
    size = (video.display_width, video.display_height)
    width, height = options.width, options.height
    if options.format in LOOPS and width is None and height is None:
        width, height = (_LARGEST_GIF_SIDE, None) if size[0] >= size[1] else (None, _LARGEST_GIF_SIDE)
    return fit(size, width, height, options.fit, even=options.format != "gif")


def _frames(options: VideoOptions, video: VideoTrack, rate: Fraction) -> str:
    """Filters from the decoder to the frames of the clip, on a constant grid whose time 0 is its start."""
    start_s, end_s = span(options, video)
    length = max(1, round((end_s - start_s) * float(rate)))
    # pass: a clip shorter than one frame of the grid still has one.
    grid = f"fps=fps={rate}:start_time={start_s:.6f}:eof_action=pass,tpad=stop_mode=clone:stop=2"
    return f"[0:{video.index}]{grid},setpts=PTS-STARTPTS,trim=end_frame={length}"


def _gif_arguments(options: VideoOptions, desk: Desk, video: VideoTrack, fitted: Fitted, file: Path) -> list[str]:
    rate = min(Fraction(options.fps or _GIF_FPS), video.frame_rate)
    start_s, _ = span(options, video)
    parts = [_frames(options, video, rate), *picture.upright(video, desk.ffmpeg), fitted.filters()]
    graph = (
        f"{','.join(parts)},split[a][b];"
        # One palette for the clip, weighed by what moves: what stands still needs few colours.
        "[a]palettegen=stats_mode=diff[palette];"
        # A fixed pattern keeps still areas still; error diffusion makes them crawl, and the file a fifth larger at no
        # better likeness (docs/benchmarks.md).
        "[b][palette]paletteuse=dither=bayer:bayer_scale=4:diff_mode=rectangle"
    )
    arguments = ["-threads", str(desk.threads), *opening.arguments(desk.source, desk.probe, start_s)]
    return [
        *arguments,
        "-filter_complex_threads",
        "1",
        "-filter_complex",
        graph,
        "-loop",
        "0",
        "-f",
        "gif",
        str(file),
    ]


def _webp_arguments(options: VideoOptions, desk: Desk, video: VideoTrack, fitted: Fitted, file: Path) -> list[str]:
    desk.ffmpeg.needs_encoder("libwebp_anim", "A webp that moves")
    rate = min(Fraction(options.fps or _GIF_FPS), video.frame_rate)
    start_s, _ = span(options, video)
    parts = [_frames(options, video, rate), *picture.upright(video, desk.ffmpeg), fitted.filters()]
    arguments = ["-threads", str(desk.threads), *opening.arguments(desk.source, desk.probe, start_s)]
    return [
        *arguments,
        *("-filter_complex_threads", "1", "-filter_complex", ",".join(parts)),
        *("-c:v", "libwebp_anim", "-quality", str(_WEBP[options.quality]), "-compression_level", "2"),
        *("-loop", "0", "-f", "webp", str(file)),
    ]


def _movie_arguments(options: VideoOptions, desk: Desk, video: VideoTrack, fitted: Fitted, file: Path) -> list[str]:
    start_s, end_s = span(options, video)
    rate = min(Fraction(options.fps), video.frame_rate) if options.fps else video.frame_rate
    graph = ",".join([_frames(options, video, rate), *picture.upright(video, desk.ffmpeg), fitted.filters()]) + "[v]"
    arguments = ["-threads", str(desk.threads), *opening.arguments(desk.source, desk.probe, start_s)]
    track = sound.main_track(desk.probe) if options.audio else None
    if track is not None:
        graph += f";[0:{track.index}]{sound.on_time(track, start_s, end_s)}[a]"
    arguments += ["-filter_complex_threads", "1", "-filter_complex", graph, "-map", "[v]"]
    if track is not None:
        encoder = "libopus" if options.format == "webm" else "aac"
        arguments += ["-map", "[a]", "-c:a", encoder, "-b:a", "128k", "-ac", str(min(2, track.channels))]
    if options.format == "webm":
        desk.ffmpeg.needs_encoder("libvpx-vp9", "Video as webm")
        return [
            *arguments,
            # b:v 0 makes crf mean constant quality; good with cpu-used 4 is a few times slower than x264 veryfast.
            *("-c:v", "libvpx-vp9", "-crf", str(_VP9_CRF[options.quality]), "-b:v", "0"),
            *("-deadline", "good", "-cpu-used", "4", "-pix_fmt", "yuv420p"),
            *("-threads:v", str(desk.threads), "-map_metadata", "-1", "-f", "webm", str(file)),
        ]
    return [
        *arguments,
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", str(_CRF[options.quality])),
        *("-threads:v", str(desk.threads), "-map_metadata", "-1"),
        # faststart moves the index to the front, so that playing can begin before the download ends.
        *("-movflags", "+faststart", "-f", options.format, str(file)),
    ]


def _verify_webp(file: Path, size: tuple[int, int]) -> None:
    """Read the canvas from the file's own header (RFC 9649, section 2.7.1)."""
    head = file.read_bytes()[:30]
    animated = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20] & 0x02
    canvas = (int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1)
    if not animated or canvas != size:
        raise EncodeError(
            "verify_failed",
            f"{file.name} should move and be {size[0]}x{size[1]}; it is {canvas[0]}x{canvas[1]}.",
            "The step is tried again.",
        )


def _verify(desk: Desk, file: Path, size: tuple[int, int], length_s: float) -> Probe:
    made = probe(file, desk.scratch, desk.cancel)
    shown = (made.video.width, made.video.height) if made.video else None
    slack_s = _TOLERANCE_S + (1 / float(made.video.frame_rate) if made.video else 0)
    if shown != size or abs(made.duration_s - length_s) > slack_s:
        raise EncodeError(
            "verify_failed",
            f"{file.name} should be {size[0]}x{size[1]} and last {length_s:.2f} s; "
            f"it is {shown} and lasts {made.duration_s:.2f} s.",
            "The step is tried again.",
        )
    return made
