"""Video: a clip as one file, MP4, MOV or WebM with sound, or a GIF or WebP that loops."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from anabranch.errors import EncodeError, OptionError
from anabranch.media import ffmpeg, loops, opening, picture, sound, webp
from anabranch.media.fit import Fitted, FitWord, fit
from anabranch.media.probe import probe
from anabranch.tasks import Kind, Options, Output, Piece, capabilities
from anabranch.tasks.desk import StoredFile, check_picture

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
_ENCODERS = {
    "mp4": ("libx264", "aac"),
    "mov": ("libx264", "aac"),
    "webm": ("libvpx-vp9", "libopus"),
    "gif": ("gif",),
    "webp": ("libwebp_anim",),
}
_CODECS = {"mp4": "h264", "mov": "h264", "webm": "vp9"}
# x264's scale ends at 51, VP9's at 63, and WebP's runs the other way, 0 to 100.
_CRF = {"very_low": 32, "low": 28, "medium": 23, "high": 20, "very_high": 17}
_VP9_CRF = {"very_low": 44, "low": 38, "medium": 33, "high": 29, "very_high": 24}
_WEBP = {"very_low": 20, "low": 40, "medium": 65, "high": 80, "very_high": 90}
# What a preview may weigh. Chats and mail show pictures of up to about 5 MB at once, and pages want less; three seconds
# of film at 480 pixels come to 2 to 3 MB, so most are left as they are.
MOST_LOOP_BYTES = 3_000_000
# A minute of GIF is tens of megabytes; nobody means that.
_LONGEST_GIF_S = 60
_LARGEST_GIF_SIDE = 1280
# A longer loop takes so long that nobody waits for it as for a preview.
_LONGEST_URGENT_S = 10
# A movie that is a preview: as smooth as film, and coarser than one that is watched, since it is small on the page.
_TINY_FPS = 30
_TINY_CRF = 5
# Half of what a slow phone loads (1.6 Mbit/s by Lighthouse), so that it plays while it loads.
_TINY_KBPS = 800
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
        fps: frames a second, never more than the source has. When absent the source's own; for gif and webp every n-th
            of its frames, so that there are 12.5 at most.
        max_bytes: what a gif or webp may weigh: one that is larger is made again with fewer pixels, then fewer frames.
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
    max_bytes: Annotated[int | None, Field(ge=10_000)] = None
    quality: Literal["very_low", "low", "medium", "high", "very_high"] = "medium"
    codec: Literal["h264", "vp9"] | None = None
    audio: bool = True

    @model_validator(mode="after")
    def _check(self) -> VideoOptions:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end ({self.end:g} s) must come after start ({self.start:g} s)")
        if self.codec is not None and self.codec != _CODECS.get(self.format):
            raise ValueError(f"codec {self.codec} does not go with format {self.format}")
        if self.max_bytes is not None and self.format not in LOOPS:
            raise ValueError(f"max_bytes does not go with format {self.format}, only with {' and '.join(LOOPS)}")
        return self

    @property
    def most_bytes(self) -> int | None:
        """What the file may weigh; None when there is no end to it."""
        return (self.max_bytes or MOST_LOOP_BYTES) if self.format in LOOPS else None


class Video(Kind[VideoOptions]):
    """A clip of a video as one file."""

    name = "video"
    options = VideoOptions

    def plan(self, options: VideoOptions, probe: Probe) -> list[Piece]:
        """One piece, or none without a picture."""
        return plan_clip(options, probe, preview=options.format in LOOPS)

    def perform(self, piece: Piece, options: VideoOptions, desk: Desk) -> dict[str, Json]:  # noqa: ARG002
        """Encode the clip, verify the file and store it."""
        return clip(options, desk)

    def join(self, results: Sequence[dict[str, Json]], options: VideoOptions, desk: Desk) -> Output:  # noqa: ARG002
        """The clip."""
        kind = "image" if options.format in LOOPS else "video"
        mime = _TYPES[options.format]
        if not results:
            return Output(kind, mime, None, reason="no_video_stream")
        (result,) = results
        stored = StoredFile(result["name"], result["key"], result["size_bytes"])
        facts = {name: value for name, value in result.items() if name not in stored.to_dict()}
        return Output(kind, mime, stored, (stored,), facts={"format": options.format, **facts})


def plan_clip(options: VideoOptions, probe: Probe, *, preview: bool) -> list[Piece]:
    """One piece, or none without a picture. A preview goes before other work.

    Raises:
        OptionError: `gif_too_long`, a preview would last more than a minute.
    """
    if probe.video is None:
        return []
    start_s, end_s = span(options, probe.video)
    if preview and end_s - start_s > _LONGEST_GIF_S:
        raise OptionError(
            "gif_too_long",
            f"A {options.format} that loops for {end_s - start_s:.0f} s was asked for; {_LONGEST_GIF_S} s is the most.",
            "Give start and end, or make a video of format mp4.",
        )
    urgent = preview and end_s - start_s <= _LONGEST_URGENT_S
    required = capabilities.encoders(*_ENCODERS[options.format]) + picture.requires(probe.video)
    return [Piece("render", weight=end_s - start_s, urgent=urgent, requires=required)]


def clip(options: VideoOptions, desk: Desk, tiny_bytes: int | None = None) -> dict[str, Json]:
    """Encode a clip, verify the file, store it and say what it came to.

    Args:
        options: what was asked for.
        desk: where it is done.
        tiny_bytes: for a movie that is a preview: what it may weigh.
    """
    video = desk.probe.video
    assert video is not None
    start_s, end_s = span(options, video)
    file = desk.scratch / f"clip.{options.format}"
    made = _search(options, desk, video, tiny_bytes, file)
    size = made.fitted.size
    if options.format == "webp":
        made_s = _verify_webp(desk, file, size, end_s - start_s, made.rate)
    else:
        made_s = _verify(desk, file, size, end_s - start_s)
    name = f"{'preview' if options.format in LOOPS or tiny_bytes else 'video'}.{options.format}"
    stored = desk.save(file, name, _TYPES[options.format])
    most = options.most_bytes or tiny_bytes
    facts = {"width": size[0], "height": size[1], "duration": made_s, "fps": round(float(made.rate), 3)}
    guarded = {"within_max_bytes": stored.size_bytes <= most} if most else {}
    return {**stored.to_dict(), **facts, **guarded}


@dataclass(frozen=True)
class _Encode:
    """One try.

    Attributes:
        rate: frames a second.
        fitted: how the picture gets its size.
        number: how many tries there were before it.
        tiny_bytes: as for `clip`.
    """

    rate: Fraction
    fitted: Fitted
    number: int
    tiny_bytes: int | None


def _search(options: VideoOptions, desk: Desk, video: VideoTrack, tiny_bytes: int | None, file: Path) -> _Encode:
    """Encode the clip, and again until it weighs no more than it may or there is nothing left to try; the last try."""
    shape, number = loops.Shape(_rate(options, video, tiny=tiny_bytes is not None)), 0
    side = max(_fitted(options, video).size)
    while True:
        encode = _Encode(shape.rate, _fitted(options, video, shape.scale), number, tiny_bytes)
        _encode(options, desk, encode, file)
        excess = file.stat().st_size / options.most_bytes if options.most_bytes else 0.0
        smaller = loops.smaller(shape, number, excess, video.frame_rate, side)
        if smaller is None:
            return encode
        shape, number = smaller, number + 1


def _encode(options: VideoOptions, desk: Desk, encode: _Encode, file: Path) -> None:
    video = desk.probe.video
    assert video is not None
    frames = _length(options, video, encode.rate)

    def report(progress: ffmpeg.Progress) -> None:
        # By frames: with -copyts ffmpeg counts the time from its own first report on.
        done = min(1.0, progress.frame / frames)
        # Of what may have to be made again, each try is half of what the one before it left.
        share = 1 - (1 - done / 2) / 2**encode.number if options.most_bytes else done
        desk.on_progress(share, progress.speed)

    build = {"gif": _gif_arguments, "webp": _webp_arguments}.get(options.format, _movie_arguments)
    arguments = build(options, desk, video, encode, file)
    making = f"the {options.format}"
    ffmpeg.run(desk.ffmpeg, arguments, making=making, scratch=desk.scratch, on_progress=report, cancel=desk.cancel)


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


def _rate(options: VideoOptions, video: VideoTrack, *, tiny: bool) -> Fraction:
    """Frames a second, before anything turns out too large."""
    asked = Fraction(options.fps) if options.fps else None
    if options.format == "gif" and asked:
        asked = min(asked, Fraction(loops.FASTEST_GIF_FPS))
    if asked:
        return min(asked, video.frame_rate)
    if options.format in LOOPS:
        return loops.even_rate(video.frame_rate)
    return loops.even_rate(video.frame_rate, Fraction(_TINY_FPS)) if tiny else video.frame_rate


def _fitted(options: VideoOptions, video: VideoTrack, scale: float = 1.0) -> Fitted:
    """How the picture gets its size: as was asked for, or a share of that."""
    size = (video.display_width, video.display_height)
    width, height = options.width, options.height
    if options.format in LOOPS and width is None and height is None:
        width, height = (_LARGEST_GIF_SIDE, None) if size[0] >= size[1] else (None, _LARGEST_GIF_SIDE)
    even = options.format != "gif"
    whole = fit(size, width, height, options.fit, even=even)
    if scale == 1:
        return whole
    wide, high = (max(2, round(side * scale)) for side in whole.size)
    both = width is not None and height is not None
    return fit(size, wide, high if both else None, options.fit, even=even)


def _length(options: VideoOptions, video: VideoTrack, rate: Fraction) -> int:
    """How many frames the clip has."""
    start_s, end_s = span(options, video)
    return max(1, round((end_s - start_s) * float(rate)))


def _frames(options: VideoOptions, video: VideoTrack, rate: Fraction) -> str:
    """Filters from the decoder to the frames of the clip, on a constant grid whose time 0 is its start."""
    start_s, _ = span(options, video)
    # pass: a clip shorter than one frame of the grid still has one.
    grid = f"fps=fps={rate}:start_time={start_s:.6f}:eof_action=pass,tpad=stop_mode=clone:stop=2"
    return f"[0:{video.index}]{grid},setpts=PTS-STARTPTS,trim=end_frame={_length(options, video, rate)}"


def _pictures(options: VideoOptions, desk: Desk, video: VideoTrack, encode: _Encode) -> str:
    """Filters from the decoder to the pictures of the clip."""
    frames = _frames(options, video, encode.rate)
    return ",".join([frames, *picture.upright(video, desk.ffmpeg), encode.fitted.filters()])


def _gif_arguments(options: VideoOptions, desk: Desk, video: VideoTrack, encode: _Encode, file: Path) -> list[str]:
    start_s, _ = span(options, video)
    graph = (
        f"{_pictures(options, desk, video, encode)},split[a][b];"
        # One palette for the clip, weighed by what moves: what stands still needs few colours.
        "[a]palettegen=stats_mode=diff[palette];"
        # A fixed pattern keeps still areas still, and halves the bands of no dither for 3 % more bytes. Error diffusion
        # makes them crawl; coarser patterns show; a palette for each frame costs a sixth more (docs/benchmarks.md).
        "[b][palette]paletteuse=dither=bayer:bayer_scale=5:diff_mode=rectangle"
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


def _webp_arguments(options: VideoOptions, desk: Desk, video: VideoTrack, encode: _Encode, file: Path) -> list[str]:
    desk.ffmpeg.needs_encoder("libwebp_anim", "A webp that moves")
    start_s, _ = span(options, video)
    arguments = ["-threads", str(desk.threads), *opening.arguments(desk.source, desk.probe, start_s)]
    return [
        *arguments,
        *("-filter_complex_threads", "1", "-filter_complex", _pictures(options, desk, video, encode)),
        *("-c:v", "libwebp_anim", "-quality", str(_WEBP[options.quality]), "-compression_level", "2"),
        *("-loop", "0", "-f", "webp", str(file)),
    ]


def _movie_arguments(options: VideoOptions, desk: Desk, video: VideoTrack, encode: _Encode, file: Path) -> list[str]:
    start_s, end_s = span(options, video)
    graph = f"{_pictures(options, desk, video, encode)}[v]"
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
        *_h264(options, encode.tiny_bytes, end_s - start_s),
        *("-threads:v", str(desk.threads), "-map_metadata", "-1"),
        # faststart moves the index to the front, so that playing can begin before the download ends.
        *("-movflags", "+faststart", "-f", options.format, str(file)),
    ]


def _h264(options: VideoOptions, tiny_bytes: int | None, length_s: float) -> list[str]:
    if tiny_bytes is None:
        return ["-c:v", "libx264", "-preset", "veryfast", "-crf", str(_CRF[options.quality])]
    # What is in the buffer at the start comes on top: a second's worth. A twentieth is left for the container.
    most_kbps = max(1, min(_TINY_KBPS, int(tiny_bytes * 8 * 0.95 / (length_s + 1) / 1000)))
    return [
        # Of so few pixels it takes half a second more than veryfast, and a tenth fewer bytes at the same likeness.
        *("-c:v", "libx264", "-preset", "medium", "-crf", str(_CRF[options.quality] + _TINY_CRF)),
        *("-maxrate", f"{most_kbps}k", "-bufsize", f"{most_kbps}k"),
    ]


def _verify_webp(desk: Desk, file: Path, size: tuple[int, int], length_s: float, rate: Fraction) -> float:
    """Check the file, and say how long it lasts. The probe's reader knows no WebP that moves."""
    moving = webp.read(file.read_bytes())
    if moving is None:
        # The encoder makes a single picture of frames that are all the same.
        check_picture(desk, file, size)
        return length_s
    made_s = sum(moving.shown_ms) / 1000
    _compare(file, moving.size, made_s, size, length_s, rate)
    return made_s


def _verify(desk: Desk, file: Path, size: tuple[int, int], length_s: float) -> float:
    """Check the file, and say how long it lasts."""
    made = probe(file, desk.sandbox, desk.cancel)
    shown = (made.video.width, made.video.height) if made.video else None
    _compare(file, shown, made.duration_s, size, length_s, made.video.frame_rate if made.video else None)
    return made.duration_s


def _compare(
    file: Path,
    shown: tuple[int, int] | None,
    made_s: float,
    size: tuple[int, int],
    length_s: float,
    rate: Fraction | None,
) -> None:
    slack_s = _TOLERANCE_S + (1 / float(rate) if rate else 0)
    if shown != size or abs(made_s - length_s) > slack_s:
        raise EncodeError(
            "verify_failed",
            f"{file.name} should be {size[0]}x{size[1]} and last {length_s:.2f} s; "
            f"it is {shown} and lasts {made_s:.2f} s.",
            "The step is tried again.",
        )
