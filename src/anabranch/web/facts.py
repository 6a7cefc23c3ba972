"""Facts: what is in a film, in the words of somebody who is no engineer. Pure."""

from __future__ import annotations

from fractions import Fraction
from math import gcd
from typing import Any

from anabranch import languages
from anabranch.web import words

Json = Any

_FORMATS = {
    "mov": "MP4 or QuickTime",
    "matroska": "Matroska or WebM",
    "mpegts": "MPEG transport stream",
    "avi": "AVI",
    "flv": "Flash Video",
    "ogg": "Ogg",
    "wav": "WAV",
    "mp3": "MP3",
    "flac": "FLAC",
    "asf": "Windows Media",
    "mxf": "MXF",
    "gif": "GIF",
}
_CODECS = {
    "h264": "H.264",
    "hevc": "HEVC (H.265)",
    "av1": "AV1",
    "vp8": "VP8",
    "vp9": "VP9",
    "mpeg2video": "MPEG-2",
    "mpeg4": "MPEG-4",
    "prores": "Apple ProRes",
    "dnxhd": "DNxHD",
    "mjpeg": "Motion JPEG",
    "aac": "AAC",
    "mp3": "MP3",
    "opus": "Opus",
    "vorbis": "Vorbis",
    "flac": "FLAC",
    "ac3": "Dolby Digital",
    "eac3": "Dolby Digital Plus",
    "alac": "Apple Lossless",
}
_CHANNELS = {1: "mono", 2: "stereo", 6: "5.1 surround", 8: "7.1 surround"}
# What people call a shape. A width that was rounded to whole pixels is a little off.
_SHAPES = {(16, 9): "16:9", (4, 3): "4:3", (9, 16): "9:16, upright", (3, 4): "3:4, upright", (1, 1): "square"}
_SHAPE_TOLERANCE = 0.01
# What people still read as a relation.
_LARGEST_TERM = 21


def of_source(record: dict[str, Json], probe: dict[str, Json] | None) -> list[tuple[str, str]]:
    """Each fact as its name and what is known of it."""
    found: list[tuple[str, str]] = []
    if record["durationS"] is not None:
        length = f"{words.duration(record['durationS'])} ({words.rounded(record['durationS'], 1)} seconds)"
        found.append(("Length", length))
    if record["width"]:
        found.append(("Picture", f"{record['width']} × {record['height']} pixels, {shape(record)}"))
    if probe is not None:
        found += _of_video(probe["video"]) if probe["video"] else [("Picture", "none: this is sound alone")]
        found += _of_audio(probe["audio"])
        found.append(("File", ", ".join([_format(probe["format"]), words.size(probe["size_bytes"])])))
        if probe["damaged"]:
            found.append(("Condition", "damaged: what could be read is used"))
    elif record["sizeBytes"]:
        found.append(("File", words.size(record["sizeBytes"])))
    return found


def shape(record: dict[str, Json]) -> str:
    """The relation of width and height, by its usual name if it has one."""
    ratio = record["width"] / record["height"]
    for (across, down), name in _SHAPES.items():
        if abs(ratio / (across / down) - 1) < _SHAPE_TOLERANCE:
            return name
    common = gcd(record["width"], record["height"])
    across, down = record["width"] // common, record["height"] // common
    return f"{across}:{down}" if across <= _LARGEST_TERM else f"{ratio:.2f}:1"


def _of_video(video: dict[str, Json]) -> list[tuple[str, str]]:
    rate = float(Fraction(video["frame_rate"]))
    frames = f"{rate:.3f}".rstrip("0").rstrip(".")
    motion = f"{'about ' if video['variable_rate'] else ''}{frames} frames a second"
    if video["variable_rate"]:
        motion += ", unevenly"
    if video["interlaced"]:
        motion += ", interlaced"
    coded = [_codec(video["codec"])]
    if video["bit_depth"] > 8:
        coded.append(f"{video['bit_depth']} bit")
    if video["color_transfer"] in ("smpte2084", "arib-std-b67"):
        coded.append("high dynamic range")
    if video["bitrate_kbps"]:
        coded.append(bitrate(video["bitrate_kbps"] * 1000))
    found = [("Motion", motion), ("Picture coded as", ", ".join(coded))]
    if video["rotation"]:
        found.append(("Turned", f"{video['rotation']}° clockwise"))
    return found


def _of_audio(tracks: list[dict[str, Json]]) -> list[tuple[str, str]]:
    if not tracks:
        return [("Sound", "none")]
    return [
        (f"Sound {number}" if len(tracks) > 1 else "Sound", _sound(track)) for number, track in enumerate(tracks, 1)
    ]


def _sound(track: dict[str, Json]) -> str:
    channels = _CHANNELS.get(track["channels"], f"{track['channels']} channels")
    said = [_codec(track["codec"]), channels, f"{track['sample_rate'] / 1000:g} kHz"]
    said += [languages.name(tag)] if (tag := languages.tag(track["language"])) else []
    said += [f"“{track['title']}”"] if track["title"] else []
    return ", ".join(said)


def bitrate(bits: float | None) -> str:
    """`812 kbit/s`, `5.8 Mbit/s`; empty when it is not known."""
    if not bits:
        return ""
    return f"{words.rounded(bits / 1e6, 1)} Mbit/s" if bits >= 999_500 else f"{words.rounded(bits / 1000, 0)} kbit/s"


def _format(name: str) -> str:
    first = name.partition(",")[0]
    return _FORMATS.get(first, first)


def _codec(name: str) -> str:
    return "uncompressed" if name.startswith("pcm_") else _CODECS.get(name, name)
