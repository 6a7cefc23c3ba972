"""Estimate: how much room a piece takes, before it is begun. Pure: the same plan, the same numbers.

Each is the most that a piece should come to, and some are several times what it does. Where the plan has a bit rate, it
counts: those of the rungs and of the sound, as long as the piece lasts. Where quality is constant and the size
is whatever that costs, there is a bound by pixels, and one by the source. What is made from a file is a little larger
than that for its own bookkeeping. A piece that comes to more than was thought fails for want of room as before, is
tried again, and nothing is half-written.

    scratch  what stands in the piece's own folder at once: what an encoder writes, and its parts on the way to storage
    stored   what it puts into storage, which may be on the same disk
    source   the source, where it has to be fetched; whoever has it already does not count it
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anabranch.catalog.work import Need
from anabranch.media.fit import fit
from anabranch.media.ladder import Rung
from anabranch.media.sound import heard, main_track
from anabranch.tasks.adaptive_video import AdaptiveVideoOptions, sound
from anabranch.tasks.animation import AnimationOptions
from anabranch.tasks.audio import AudioOptions
from anabranch.tasks.kinds import kind_named
from anabranch.tasks.thumbnails import ThumbnailsOptions
from anabranch.tasks.video import LOOPS, VideoOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anabranch.media.probe import Probe, VideoTrack
    from anabranch.tasks import Piece

Json = Any

# Logs, indices, playlists: what every piece may write beside.
_BESIDE = 256 << 10
# A movie that is a preview has this as its cap.
_TINY_BPS = 800_000
# What a second of something takes for its boxes, at the most: a fragment of each track every two seconds.
_BOXES_BPS = 16_000
# A cap holds over the two seconds of the encoder's buffer; one of AV1 is less strict.
_BUFFER_S, _OVER_CAP = 2.0, 1.3
# Sound has its rate from the first second to the last; the encoder's own parts come on top.
_OVER_RATE = 1.1
# Bytes for a pixel of a picture: png keeps all three colours, others a fraction of one.
_PNG, _PICTURE = 3.5, 0.75
# And of pictures that move: a GIF has one index for a pixel, of which much repeats; at constant quality it is less.
_GIF, _WEBP, _FILM = 1.0, 0.3, 0.2
# A codec that is half as good as the source's, at a higher quality.
_OVER_SOURCE = 3
# What a reader of speech is given: 16 kHz, 16 bits. And what comes of it, as text with the times of words.
_SPEECH_BPS, _TEXT_BPS = 32_000, 4_000
# Nothing is known of other kinds: a few times their source.
_UNKNOWN = 3


def of_plan() -> int:
    """Scratch of looking into a source."""
    return _BESIDE


def of_piece(kind: str, piece: Piece, options: Mapping[str, Json], probe: Probe, *, travels: bool) -> Need:
    """The room that a piece takes.

    Args:
        kind: of its task.
        piece: of the plan.
        options: of its task.
        probe: what is in the source.
        travels: whether the source has to be fetched to be read.

    Raises:
        OptionError: the task is of a kind that is not known here.
    """
    read = kind_named(kind).read_options(options)
    scratch, stored = _sizes(kind, piece, read, probe)
    source = probe.size_bytes if travels else 0
    return Need(round(scratch) + _BESIDE, round(stored) + _BESIDE, source)


def of_join(kind: str, pieces: Sequence[Piece], probe: Probe) -> Need:
    """The room that joining takes: of a package its smallest rung and its sound are read back into scratch."""
    if kind != "adaptive_video":
        return Need(_BESIDE, _BESIDE)
    chunks = [[_of_rung(piece, rung, probe) for rung in _rungs(piece)] for piece in pieces]
    sounds = [_of_sound(probe, piece.arguments["track"]) for piece in pieces if "track" in piece.arguments]
    # Playlists have a line or two for each second of each rendition.
    texts = 400 * probe.duration_s
    read_back = sum(min(sizes) for sizes in chunks if sizes) + sum(sounds)
    return Need(round(read_back + texts) + _BESIDE, round(texts) + _BESIDE)


def _sizes(kind: str, piece: Piece, options: Any, probe: Probe) -> tuple[float, float]:
    """Scratch and stored bytes."""
    if isinstance(options, AdaptiveVideoOptions):
        return _package(piece, probe)
    if isinstance(options, ThumbnailsOptions):
        return _sheet(options, probe)
    if kind in ("audio", "speech", "subtitles"):
        return _audio(piece, options if isinstance(options, AudioOptions) else options.as_audio(), probe)
    if isinstance(options, AnimationOptions):
        tiny = options.max_bytes if options.format == "mp4" else None
        return _clip(options.as_video(), probe, tiny)
    if isinstance(options, VideoOptions):
        return _clip(options, probe, None)
    if kind == "image":
        pixels = _pixels(probe.video, options.width, options.height, options.fit)
        made = pixels * (_PNG if options.format == "png" else _PICTURE)
        # It is decoded again, to a byte for each pixel, and small ones are looked at before.
        return made + pixels + 3 * 320 * 320, made
    if kind == "import":
        return probe.size_bytes, probe.size_bytes
    if kind == "probe":
        described = 64 * len(probe.video.keyframes_s) if probe.video else 0
        return described, described
    return _UNKNOWN * probe.size_bytes, _UNKNOWN * probe.size_bytes


def _package(piece: Piece, probe: Probe) -> tuple[float, float]:
    if piece.name == "storyboard":
        return _sheet(ThumbnailsOptions(), probe)
    if "track" in piece.arguments:
        made = _of_sound(probe, piece.arguments["track"])
    else:
        made = sum(_of_rung(piece, rung, probe) for rung in _rungs(piece))
    # What the encoder has written stands there while its segments are cut out of it.
    return 2 * made, made


def _rungs(piece: Piece) -> list[Rung]:
    return [Rung.from_dict(rung) for rung in piece.arguments.get("rungs", ())]


def _of_rung(piece: Piece, rung: Rung, probe: Probe) -> float:
    assert probe.video is not None
    cut = piece.arguments["chunk"]
    length_s = float((cut["end"] - cut["start"]) / probe.video.frame_rate)
    kbps = max(rung.maxrate_kbps, probe.video.peak_kbps if rung.copied else 0.0)
    over = 1.0 if rung.codec == "h264" else _OVER_CAP
    return kbps * 125 * over * (length_s + _BUFFER_S) + _BOXES_BPS / 8 * length_s


def _of_sound(probe: Probe, number: int) -> float:
    kbps = sound.KBPS[min(2, heard(probe)[number].channels)]
    return kbps * 125 * _OVER_RATE * probe.duration_s + _BOXES_BPS / 8 * probe.duration_s


def _sheet(options: ThumbnailsOptions, probe: Probe) -> tuple[float, float]:
    video = probe.video
    if video is None:
        return 0, 0
    length_s = video.end_s - video.start_s
    count = max(1.0, length_s / (options.interval or max(1.0, length_s / 100)) + 1)
    # The last row may not be full.
    pixels = (count + options.columns) * _pixels(video, options.width, None)
    made = pixels * (_PNG if options.format == "png" else _PICTURE)
    return made + pixels, made


def _audio(piece: Piece, options: AudioOptions, probe: Probe) -> tuple[float, float]:
    track = main_track(probe)
    if track is None:
        return 0, 0
    end_s = min(options.end if options.end is not None else track.end_s, track.end_s)
    length_s = max(0.0, end_s - options.start)
    if options.is_text:
        windows = [window for window in piece.arguments.values() if window]
        looked_at_s = sum(window["end_s"] - window["start_s"] for window in windows)
        # A stretch is as long as its windows let it be; without any it is the whole.
        spoken_s = min(length_s, piece.weight + looked_at_s) if windows else length_s
        text = spoken_s * _TEXT_BPS
        return (spoken_s + looked_at_s) * _SPEECH_BPS + 2 * text, text
    if options.format in ("wav", "flac"):
        made = length_s * track.sample_rate * min(2, track.channels) * 4
    else:
        made = length_s * _OVER_RATE * (options.bitrate or 256_000) / 8
    return made, made


def _clip(options: VideoOptions, probe: Probe, tiny_bytes: int | None) -> tuple[float, float]:
    video = probe.video
    if video is None:
        return 0, 0
    end_s = min(options.end if options.end is not None else video.end_s, video.end_s)
    # One that begins after the end of the film is taken from before it.
    length_s = end_s - options.start if options.start < video.end_s else (options.end or end_s) - options.start
    rate = float(video.frame_rate)
    frames = max(1.0, length_s * (min(float(options.fps), rate) if options.fps else rate))
    pixels = frames * _pixels(video, options.width, options.height, options.fit)
    if options.format in LOOPS:
        # Without a size that was asked for they have a side of 1280 at the most, and every n-th frame.
        thinned = 1.0 if options.fps else min(1.0, 12.5 / rate)
        shrunk = min(1.0, 1280 / max(video.display_width, video.display_height)) ** 2
        pixels *= thinned * (shrunk if options.width is None and options.height is None else 1.0)
        made = pixels * (_GIF if options.format == "gif" else _WEBP)
        return made, made
    made = min(pixels * _FILM, _OVER_SOURCE * probe.size_bytes)
    if tiny_bytes is not None:
        made = min(made, tiny_bytes, _TINY_BPS / 8 * (length_s + _BUFFER_S))
    made += 256_000 / 8 * length_s if options.audio else 0
    return made, made


def _pixels(video: VideoTrack | None, width: int | None, height: int | None, how: Any = "contain") -> float:
    """How many a picture has that is made of the video."""
    if video is None:
        return 0
    wide, high = fit((video.display_width, video.display_height), width, height, how).size
    return wide * high
