"""Seeds: small files of many containers and codecs, of a few frames each, from which mutants are made."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tests import clips

if TYPE_CHECKING:
    from pathlib import Path

_PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.32")
_TONE = ("-f", "lavfi", "-i", "sine=440:r=44100:d=0.32")
# Nothing that names a version or a moment: the same mutants everywhere.
_EXACT = ("-threads", "1", "-fflags", "+bitexact", "-flags", "+bitexact", "-map_metadata", "-1")
_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "4")
_AAC = ("-c:a", "aac", "-b:a", "32k")

# What is in each, by its name. The picture is input 0 and the sound input 1, where there are both.
_MADE: dict[str, tuple[str, ...]] = {
    "plain.mp4": (*_PICTURE, *_TONE, *_H264, "-bf", "2", *_AAC),
    "silent.mp4": (*_PICTURE, *_H264),
    "fragmented.mp4": (*_PICTURE, *_TONE, *_H264, *_AAC, "-movflags", "+frag_keyframe+empty_moov"),
    "hevc.mp4": (*_PICTURE, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:pools=1"),
    "av1.mp4": (*_PICTURE, "-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "lp=1"),
    "mjpeg.mov": (*_PICTURE, *_TONE, "-c:v", "mjpeg", "-c:a", "pcm_s16be"),
    "prores.mov": (*_PICTURE, "-frames:v", "2", "-c:v", "prores_ks"),
    "mpeg4.3gp": (*_PICTURE, "-c:v", "mpeg4", "-an"),
    "sound.m4a": (*_TONE, *_AAC),
    "h264.mkv": (*_PICTURE, *_TONE, *_H264, "-c:a", "libvorbis"),
    "ffv1.mkv": (*_PICTURE, "-frames:v", "2", "-c:v", "ffv1"),
    "vp8.webm": (*_PICTURE, *_TONE, "-c:v", "libvpx", "-c:a", "libopus"),
    "vp9.webm": (*_PICTURE, *_TONE, "-c:v", "libvpx-vp9", "-cpu-used", "8", "-c:a", "libopus"),
    "h264.ts": (*_PICTURE, *_TONE, *_H264, *_AAC),
    "mpeg2.ts": (*_PICTURE, *_TONE, "-c:v", "mpeg2video", "-c:a", "mp2"),
    "mpeg1.mpg": (*_PICTURE, *_TONE, "-c:v", "mpeg1video", "-c:a", "mp2"),
    "mpeg4.avi": (*_PICTURE, *_TONE, "-c:v", "mpeg4", "-c:a", "libmp3lame"),
    "raw.avi": (*_PICTURE, "-frames:v", "2", "-c:v", "rawvideo", "-pix_fmt", "yuv420p"),
    "h264.flv": (*_PICTURE, *_TONE, *_H264, *_AAC),
    "sorenson.flv": (*_PICTURE, "-c:v", "flv", "-an"),
    "theora.ogg": (*_PICTURE, *_TONE, "-c:v", "libtheora", "-c:a", "libvorbis"),
    "opus.ogg": (*_TONE, "-c:a", "libopus"),
    "tone.mp3": (*_TONE, "-c:a", "libmp3lame"),
    "tone.wav": (*_TONE, "-c:a", "pcm_s16le", "-ar", "8000"),
    "adpcm.wav": (*_TONE, "-c:a", "adpcm_ms"),
    "tone.flac": (*_TONE, "-c:a", "flac"),
    "tone.aac": (*_TONE, *_AAC),
    "tone.ac3": (*_TONE, "-c:a", "ac3"),
    "tone.aiff": (*_TONE, "-c:a", "pcm_s16be"),
    "tone.caf": (*_TONE, "-c:a", "pcm_s16be"),
    "tone.wv": (*_TONE, "-c:a", "wavpack"),
    "tone.wma": (*_TONE, "-c:a", "wmav2"),
    "moving.gif": (*_PICTURE, "-r", "12.5"),
    "raw.h264": (*_PICTURE, *_H264),
    "vp8.ivf": (*_PICTURE, "-c:v", "libvpx"),
    "mpeg4.nut": (*_PICTURE, *_TONE, "-c:v", "mpeg4", "-c:a", "mp2"),
    "pictures.y4m": (*_PICTURE, "-frames:v", "2", "-pix_fmt", "yuv420p"),
    "mpeg2.mxf": (*_PICTURE, "-c:v", "mpeg2video"),
}


@cache
def every() -> tuple[Path, ...]:
    """All of them, in an order that does not change."""
    made = [clips.make(name, *given, *_EXACT) for name, given in _MADE.items()]
    plain = made[0]
    copied = (*_EXACT, "-c", "copy")
    made += [
        clips.make("turned.mp4", "-display_rotation:v:0", "-90", "-i", str(plain), *copied),
        # Begins between two keyframes, so that an edit list hides what comes before.
        clips.make("edited.mp4", "-ss", "0.1", "-i", str(plain), *copied),
        clips.make("offset.ts", "-i", str(plain), *copied, "-output_ts_offset", "95000"),
    ]
    return tuple(made)
