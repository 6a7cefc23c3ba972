"""The probe's child process: reads a hostile file with PyAV and prints one JSON line about it.

Nothing is decoded but the first picture; everything else is told by packets, since headers lie and packets are
what ffmpeg will read. Lines before the last are signs of life.
"""

from __future__ import annotations

import json
import struct
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error

from anabranch.limits import Limits

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

# Demuxers that read one file of media. Playlists (hls, dash, concat), scripts, devices and picture sequences
# would read other files, or the network, on behalf of whoever made the file.
_DEMUXERS = (
    "3gp,aac,ac3,aiff,amr,ape,asf,avi,caf,dv,eac3,flac,flv,gif,gxf,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mp3,mpeg,mpegts,"
    "mpegvideo,mxf,nut,ogg,rm,tta,w64,wav,webm,wv,yuv4mpegpipe"
)
_OPEN_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": _DEMUXERS}
_RATES = tuple(
    Fraction(rate)
    for rate in ("24000/1001", "24", "25", "30000/1001", "30", "48000/1001", "48", "50", "60000/1001", "60")
)
# More frames a second than a display shows cost time and bits, and nobody sees them.
_MAX_RATE = Fraction(60)
_MIN_RATE = Fraction(1)
# The most that any codec of sound has is some 400 a second.
_MOST_PACKETS_A_SECOND = 1000
# As long as the segments that will be made of it.
_PEAK_S = 6
_COLOR_RANGES = {1: "tv", 2: "pc"}
# ITU-T H.273 tables 2 to 4, as FFmpeg names them.
_PRIMARIES = {1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 9: "bt2020", 12: "smpte432"}
_TRANSFERS = {1: "bt709", 6: "smpte170m", 13: "iec61966-2-1", 14: "bt2020-10", 16: "smpte2084", 18: "arib-std-b67"}
_SPACES = {0: "gbr", 1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020nc", 10: "bt2020c"}


class Unusable(Exception):  # noqa: N818  (becomes a SourceError in the parent)
    """The file is not usable; carries the code, message and hint."""


@dataclass
class _Seen:
    """What the packets of one track told."""

    frames: int = 0
    start: int | None = None
    # Before anything that a file can say.
    end: int = -(1 << 63)
    bytes: int = 0
    last_pts: int | None = None
    keyframes: list[int] = field(default_factory=list)
    pts: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    closed: bool = True


def main() -> None:
    """Probe the file that is named on the command line, within the limits that follow it."""
    path, limits = Path(sys.argv[1]), Limits(**json.loads(sys.argv[2]))
    try:
        answer = _probe(path, limits)
    except Unusable as unusable:
        code, message, hint = unusable.args
        answer = {"error": {"code": code, "message": message, "hint": hint}}
    print(json.dumps(answer), flush=True)


def _probe(path: Path, limits: Limits) -> dict[str, Any]:
    with _open(path) as container:
        if len(container.streams) > limits.streams:
            raise Unusable(
                "too_many_streams",
                *_beyond(path, f"has {len(container.streams)} streams", str(limits.streams), "STREAMS"),
            )
        video = _main_video(container)
        audio = [stream for stream in container.streams.audio if stream.codec_context is not None]
        if video is not None:
            _check_size(path, video.width, video.height, limits)
        seen, damaged = _read_packets(
            path, container, [stream for stream in (video, *audio) if stream is not None], limits
        )
        zero_s = Fraction(container.start_time or 0, av.time_base)
        shown = _describe_video(path, video, seen[video.index], zero_s, limits) if video is not None else None
        if shown is None and video is not None:
            damaged = damaged or seen[video.index].frames > 0
        sounding = [stream for stream in audio if seen[stream.index].frames]
        heard = [_describe_audio(stream, seen[stream.index], zero_s) for stream in sounding]
        heard.sort(key=lambda track: not track["default"])
        format_name = container.format.name.split(",")[0]
    if shown is None and not heard:
        raise Unusable(
            "no_tracks",
            f"{path.name} has neither pictures nor sound that can be read.",
            "Its tracks are empty or in a format that is not known; export it again as MP4.",
        )
    ends = [track["end_s"] for track in ([shown] if shown else []) + heard]
    return {
        "format": format_name,
        "zero_s": float(zero_s),
        "duration_s": max(ends),
        "size_bytes": path.stat().st_size,
        "video": shown,
        "audio": heard,
        "damaged": damaged,
    }


def _open(path: Path) -> InputContainer:
    try:
        return av.open(str(path), options=_OPEN_OPTIONS, metadata_errors="replace")
    except av.error.FFmpegError as error:
        raise _why_not(path, error) from None


def _why_not(path: Path, error: av.error.FFmpegError) -> Unusable:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] in (b"ftyp", b"mdat", b"wide", b"free", b"skip"):
        return Unusable(
            "truncated",
            f"{path.name} has no index (moov box): its end is missing.",
            "The recording or the upload was cut short; upload the complete file.",
        )
    return Unusable(
        "not_media",
        f"{path.name} is not a video or sound recording that can be read ({error.strerror}).",
        "Give a file that holds the media itself, such as MP4, MOV, MKV, WebM, MP3 or WAV.",
    )


def _beyond(path: Path, what: str, most: str, setting: str) -> tuple[str, str]:
    """What is said of a file that is beyond a limit, and what to do about it."""
    said = f"{path.name} {what}; {most} are taken here at the most."
    return said, f"Whoever runs this server may raise ANABRANCH_MAX_{setting}."


def _check_size(path: Path, width: int, height: int, limits: Limits) -> None:
    if width * height > limits.pixels:
        what = f"has pictures of {width}x{height}, {width * height:,} pixels"
        raise Unusable("picture_too_large", *_beyond(path, what, f"{limits.pixels:,}", "PIXELS"))


def _main_video(container: InputContainer) -> VideoStream | None:
    """The track people mean: not a cover picture, the default one, else the largest."""
    attached = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    found = [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & attached
    ]
    default = av.stream.Disposition.default
    found.sort(key=lambda stream: (bool(stream.disposition & default), stream.width * stream.height), reverse=True)
    return found[0] if found else None


def _read_packets(
    path: Path, container: InputContainer, streams: list[Any], limits: Limits
) -> tuple[dict[int, _Seen], bool]:
    seen = {stream.index: _Seen() for stream in streams}
    damaged = False
    last_sign = time.monotonic()
    packets = container.demux(streams)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            break
        except av.error.FFmpegError:
            damaged = True
            break
        if time.monotonic() - last_sign > 1:
            last_sign = time.monotonic()
            print("reading", flush=True)
        # Some demuxers find streams while they read, and give what they find.
        track = seen.get(packet.stream.index)
        damaged = damaged or packet.is_corrupt or track is None
        # An edit list marks packets that are decoded but not shown.
        pts = packet.pts if packet.pts is not None else packet.dts
        if packet.size == 0 or pts is None or packet.is_discard or track is None:
            continue
        _note(track, packet, pts)
        # What is noted of each takes memory, and there is no end to what a file can claim.
        if track.frames > _MOST_PACKETS_A_SECOND * limits.duration_s:
            most = f"{_MOST_PACKETS_A_SECOND * limits.duration_s:,.0f}"
            raise Unusable("frame_rate_too_high", *_beyond(path, "has more packets in a track", most, "DURATION_S"))
    return seen, damaged


def _note(track: _Seen, packet: Any, pts: int) -> None:
    track.frames += 1
    track.bytes += packet.size
    track.start = pts if track.start is None else min(track.start, pts)
    track.end = max(track.end, pts + (packet.duration or 0))
    if packet.stream.type == "video":
        track.pts.append(pts)
        track.sizes.append(packet.size)
        if packet.is_keyframe:
            track.keyframes.append(pts)
        # A picture that comes after a keyframe and is shown before it may need what came before that.
        elif not track.keyframes or pts < track.keyframes[-1]:
            track.closed = False


def _describe_video(
    path: Path, stream: VideoStream, seen: _Seen, zero_s: Fraction, limits: Limits
) -> dict[str, Any] | None:
    frame = _first_frame(path, stream.index, limits)
    if frame is None or seen.start is None:
        return None
    # A decoder may know better than the container.
    _check_size(path, frame.width, frame.height, limits)
    context = stream.codec_context
    base = stream.time_base or Fraction(1, av.time_base)
    rate, variable = _frame_rate(sorted(seen.pts), base, stream)
    _check_rate(path, seen, base, limits)
    end = max(seen.end, max(seen.pts) + round(1 / rate / base))
    ratio = _pixel_ratio(stream)
    rotation, mirrored = _orientation(frame)
    shown_width, shown_height = _shown_size(frame.width, frame.height, ratio, rotation)
    seconds = float((end - seen.start) * base)
    return {
        "index": stream.index,
        "codec": context.name,
        "width": frame.width,
        "height": frame.height,
        "sample_aspect_ratio": str(ratio),
        "rotation": rotation,
        "mirrored": mirrored,
        "display_width": shown_width,
        "display_height": shown_height,
        "frame_rate": str(rate),
        "variable_rate": variable,
        "frames": seen.frames,
        "start_s": float(seen.start * base - zero_s),
        "end_s": float(end * base - zero_s),
        "keyframes_s": [round(float(pts * base - zero_s), 6) for pts in sorted(seen.keyframes)],
        "pixel_format": frame.format.name,
        "bit_depth": max(component.bits for component in frame.format.components),
        "color_transfer": _TRANSFERS.get(int(frame.color_trc), "unknown"),
        "color_primaries": _PRIMARIES.get(int(frame.color_primaries), "unknown"),
        "color_space": _SPACES.get(int(frame.colorspace), "unknown"),
        "color_range": _COLOR_RANGES.get(int(frame.color_range), "unknown"),
        "interlaced": bool(frame.interlaced_frame),
        "bitrate_kbps": round(seen.bytes * 8 / 1000 / seconds, 1) if seconds else 0.0,
        "peak_kbps": round(_peak_kbps(seen, base), 1),
        "closed_gops": seen.closed,
    }


def _check_rate(path: Path, seen: _Seen, base: Fraction, limits: Limits) -> None:
    seconds = (max(seen.pts) - min(seen.pts)) * base
    # Of a few frames nobody can say how fast they come.
    if seen.frames > limits.frame_rate and seen.frames > limits.frame_rate * seconds:
        what = f"has {seen.frames:,} pictures in {float(seconds):.2f} seconds"
        raise Unusable("frame_rate_too_high", *_beyond(path, what, f"{limits.frame_rate} a second", "FRAME_RATE"))


def _peak_kbps(seen: _Seen, base: Fraction) -> float:
    """The largest bit rate of any stretch of `_PEAK_S` seconds, or of the whole when it is shorter."""
    ticks = max(1, round(_PEAK_S / base))
    packets = sorted(zip(seen.pts, seen.sizes, strict=True))
    most, inside, first = 0, 0, 0
    for pts, size in packets:
        inside += size
        while packets[first][0] <= pts - ticks:
            inside -= packets[first][1]
            first += 1
        most = max(most, inside)
    return most * 8 / 1000 / float(min(ticks, max(1, seen.end - packets[0][0])) * base)


def _first_frame(path: Path, index: int, limits: Limits) -> VideoFrame | None:
    """The first picture that can be decoded, or None."""
    with av.open(str(path), options=_OPEN_OPTIONS, metadata_errors="replace") as container:
        stream = container.streams[index]
        stream.codec_context.options = {"max_pixels": str(limits.pixels)}
        try:
            return next((frame for frame in container.decode(stream) if isinstance(frame, av.VideoFrame)), None)
        except av.error.FFmpegError:
            return None


def _frame_rate(pts: list[int], base: Fraction, stream: Any) -> tuple[Fraction, bool]:
    """The constant rate that the track is put on, and whether its frames stray from that grid."""
    gaps = [later - earlier for earlier, later in pairwise(pts) if later > earlier]
    rate = Fraction(stream.average_rate or 25)
    if gaps:
        # Motion happens at the usual gap; a few long ones (a slide that stays) only pull the average down. Gaps
        # near the usual one are averaged, since containers round times to milliseconds.
        usual = Counter(gaps).most_common(1)[0][0]
        near = [gap for gap in gaps if abs(gap - usual) <= max(2, usual / 10)]
        chosen = near if len(near) * 2 > len(gaps) else gaps
        rate = 1 / (Fraction(sum(chosen), len(chosen)) * base)
    rate = _snap(min(max(rate, _MIN_RATE), _MAX_RATE))
    step = 1 / rate / base
    stray = any(abs((value - pts[0]) - round((value - pts[0]) / step) * step) > step / 4 for value in pts)
    return rate, stray or (bool(gaps) and max(gaps) > step * Fraction(3, 2))


def _snap(rate: Fraction) -> Fraction:
    """The standard rate within half a percent, else the rate itself with a small denominator."""
    nearest = min(_RATES, key=lambda standard: abs(standard - rate))
    # 24 and 23.976 are 0.1 % apart; the nearest one is meant.
    return nearest if abs(nearest - rate) / nearest < Fraction(1, 200) else rate.limit_denominator(1001)


def _pixel_ratio(stream: Any) -> Fraction:
    ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    # Beyond this it is a broken header rather than a lens.
    return Fraction(ratio) if ratio and Fraction(1, 8) <= Fraction(ratio) <= 8 else Fraction(1)


def _orientation(frame: VideoFrame) -> tuple[int, bool]:
    """Clockwise turn in degrees, and whether the picture is flipped left to right after turning."""
    sides: Any = frame.side_data
    matrix = next((data for data in sides if data.type.name == "DISPLAYMATRIX"), None)
    if matrix is None:
        return 0, False
    # ISO/IEC 14496-12 section 6.2.2: a, b, u, c, d, v, x, y, w in 16.16 fixed point, native byte order here.
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    if abs(a) >= abs(b):
        return (0 if a >= 0 else 180), mirrored
    return (90 if b > 0 else 270), mirrored


def _shown_size(width: int, height: int, ratio: Fraction, rotation: int) -> tuple[int, int]:
    """Size in square pixels as a player shows it; even, since 4:2:0 needs it. Never shrinks but by an odd pixel."""
    wide, high = (width * ratio, Fraction(height)) if ratio >= 1 else (Fraction(width), height / ratio)
    if rotation in (90, 270):
        wide, high = high, wide
    return max(2, wide // 2 * 2), max(2, high // 2 * 2)


def _describe_audio(stream: Stream, seen: _Seen, zero_s: Fraction) -> dict[str, Any]:
    context: Any = stream.codec_context
    base = stream.time_base or Fraction(1, av.time_base)
    return {
        "index": stream.index,
        "codec": context.name,
        "channels": context.channels,
        "sample_rate": context.sample_rate,
        "language": stream.metadata.get("language", "und"),
        "title": stream.metadata.get("title", ""),
        "default": bool(stream.disposition & av.stream.Disposition.default),
        "start_s": float((seen.start or 0) * base - zero_s),
        "end_s": float(seen.end * base - zero_s),
    }


if __name__ == "__main__":
    main()
