"""Clips: odd sources, generated with ffmpeg, each named after what is odd about it.

They are kept in `tests/.clips` under a hash of how they are made, so that they are made once.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from anabranch.media import ffmpeg
from tests import samples

_FOLDER = Path(__file__).parent / ".clips"
_FAST = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
_AAC = ("-c:a", "aac", "-b:a", "96k")


def make(name: str, *arguments: str) -> Path:
    """The clip that ffmpeg makes of these arguments; the output's name is added."""
    key = hashlib.sha256("\0".join((name, *arguments)).encode()).hexdigest()[:16]
    clip = _FOLDER / key / name
    if not clip.exists():
        clip.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_FOLDER) as scratch:
            partial = Path(scratch) / name
            ffmpeg.run(ffmpeg.find(), [*arguments, str(partial)], making=name, scratch=Path(scratch))
            # Two test processes may make the same one; whoever is last leaves the same bytes.
            os.replace(partial, clip)  # noqa: PTH105
    return clip


def _pattern(seconds: float, size: str = "320x240", rate: str = "25") -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}")


def _tone(seconds: float, channels: int = 1, frequency: int = 440) -> tuple[str, ...]:
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    expression = "|".join([f"0.2*sin({frequency}*2*PI*t)"] * channels)
    return ("-f", "lavfi", "-i", f"aevalsrc={expression}:c={layout}:s=48000:d={seconds}")


def plain(seconds: float = 2, size: str = "320x240", rate: str = "25", name: str = "plain.mp4") -> Path:
    """H.264 and AAC, nothing odd."""
    return make(name, *_pattern(seconds, size, rate), *_tone(seconds), *_FAST, *_AAC, "-shortest")


def numbered(seconds: float, rate: str = "25", gop: int = 250, name: str = "numbered.mp4") -> Path:
    """Each frame has its own brightness in each of 8 columns, one bit of its number a column; with sound."""
    # One pixel a column, and then wider: what is computed for each pixel takes seconds for many.
    picture = ("-f", "lavfi", "-i", f"color=black:s=8x2:r={rate}:d={seconds}")
    bits = "geq=lum='16+219*mod(floor(N/pow(2,X)),2)':cb=128:cr=128"
    filters = ("-vf", f"{bits},scale=320:96:flags=neighbor,setsar=1")
    closed = ("-g", str(gop), "-bf", "2", "-crf", "16")
    return make(name, *picture, *_tone(seconds), *filters, "-c:v", "libx264", "-preset", "veryfast", *closed, *_AAC)


def spoken(seconds: float = 10) -> Path:
    """A real street of 640x360, and a real voice: It was the best of times …"""
    inputs = ("-stream_loop", "-1", "-i", str(samples.bikes_mp4()), "-i", str(samples.speech_wav()))
    coded = ("-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-pix_fmt", "yuv420p", *_AAC)
    return make("spoken.mp4", *inputs, "-map", "0:v", "-map", "1:a", "-t", f"{seconds:g}", *coded)


def said(seconds: float = 12) -> Path:
    """The same voice alone."""
    return make("said.wav", "-i", str(samples.speech_wav()), "-t", f"{seconds:g}")


def no_audio() -> Path:
    return make("no_audio.mp4", *_pattern(2), *_FAST)


def silent(seconds: float, name: str = "silent.mp4", size: str = "320x240") -> Path:
    """Pictures that move, so that there is something to encode, and no sound."""
    return make(name, *_pattern(seconds, size), *_FAST)


def filtered(name: str, filters: str, seconds: float = 4) -> Path:
    """A moving pattern, made odd by filters."""
    return make(name, *_pattern(seconds), "-vf", filters, *_FAST)


def static(seconds: float = 2, size: str = "640x360") -> Path:
    """Television without a station: what no encoder can make small."""
    noise = ("-f", "lavfi", "-i", f"nullsrc=s={size}:r=25:d={seconds}", "-vf", "noise=alls=100:allf=t+u:all_seed=1")
    return make("static.mp4", *noise, *_FAST, "-crf", "12")


def audio_only() -> Path:
    return make("audio_only.m4a", *_tone(2), *_AAC)


def turned(degrees: int) -> Path:
    """A 320x240 picture to be shown turned clockwise."""
    upright = no_audio()
    # ffmpeg counts against the clock.
    return make(f"turned{degrees}.mp4", "-display_rotation:v:0", str(-degrees), "-i", str(upright), "-c", "copy")


def timecoded() -> Path:
    """Pictures with a time code, as cameras write it."""
    return make("timecoded.mxf", *_pattern(1), "-c:v", "mpeg2video", "-timecode", "01:00:00:00")


def odd_size() -> Path:
    coded = ("-vf", "format=yuv444p,scale=321:239,setsar=1", "-c:v", "libx264", "-preset", "ultrafast")
    return make("odd_size.mkv", *_pattern(1), *coded)


def variable_rate() -> Path:
    """Ten frames at 25 a second, a still of a second, ten more, and so on: 3 s."""
    keep = "select='lt(mod(n,35),10)'"
    return make("variable.mp4", *_pattern(3), "-vf", keep, "-fps_mode", "vfr", *_FAST)


def short() -> Path:
    return plain(0.8, name="short.mp4")


def one_frame() -> Path:
    return make("one_frame.mp4", *_pattern(1), "-frames:v", "1", *_FAST)


def anamorphic() -> Path:
    """Stored as 320x240, to be shown as 426x240."""
    return make("anamorphic.mp4", *_pattern(1), "-vf", "setsar=4/3", *_FAST)


def ten_bit() -> Path:
    deep = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le")
    return make("ten_bit.mp4", *_pattern(1), *deep)


def hdr(transfer: str = "smpte2084") -> Path:
    """Ten bit HEVC tagged as HDR."""
    tags = f"colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc:range=limited:log-level=none"
    coded = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-x265-params", tags)
    named = ("-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc", "-color_range", "tv")
    return make(f"hdr_{transfer}.mp4", *_pattern(1), *coded, *named, "-tag:v", "hvc1")


def cover_picture() -> Path:
    """Sound with an attached picture, as music files have."""
    cover = ("-f", "lavfi", "-i", "color=red:s=64x64:r=1:d=1")
    attached = (
        "-map",
        "0",
        "-map",
        "1",
        "-c:a",
        "aac",
        "-c:v",
        "mjpeg",
        "-frames:v",
        "1",
        "-disposition:v:0",
        "attached_pic",
    )
    return make("cover.m4a", *_tone(2), *cover, *attached)


def two_languages() -> Path:
    maps = ("-map", "0:v", "-map", "1:a", "-map", "2:a")
    tags = ("-metadata:s:a:0", "language=fra", "-metadata:s:a:1", "language=eng")
    chosen = ("-disposition:a:0", "0", "-disposition:a:1", "default")
    return make(
        "languages.mp4", *_pattern(1), *_tone(1), *_tone(1, frequency=880), *maps, *_FAST, *_AAC, *tags, *chosen
    )


def surround() -> Path:
    return make("surround.mp4", *_pattern(1), *_tone(1, channels=6), *_FAST, "-c:a", "aac")


def late_video() -> Path:
    """The sound begins at 0 and the picture one second later."""
    return make("late_video.mkv", "-itsoffset", "1", "-i", str(no_audio()), *_tone(3), "-c:v", "copy", *_AAC)


def late_audio() -> Path:
    late = ("-itsoffset", "1", *_tone(1))
    return make("late_audio.mkv", "-i", str(no_audio()), *late, "-map", "0:v", "-map", "1:a", "-c:v", "copy", *_AAC)


def offset() -> Path:
    """A transport stream whose clock begins at ten seconds."""
    return make("offset.ts", "-i", str(plain()), "-c", "copy", "-output_ts_offset", "10")


def long_audio() -> Path:
    return make("long_audio.mp4", *_pattern(1), *_tone(3), *_FAST, *_AAC)


def interlaced() -> Path:
    fields = ("-vf", "tinterlace=interleave_top,setfield=tff", "-flags", "+ildct+ilme", "-x264opts", "tff=1")
    return make("interlaced.mp4", *_pattern(1, rate="50"), *fields, *_FAST)


def damaged_tail() -> Path:
    """A film of four seconds whose file ends after about three."""
    whole = plain(4, name="whole.mkv")
    return _edited("damaged.mkv", whole.read_bytes()[: int(whole.stat().st_size * 0.75)])


def no_index() -> Path:
    """An MP4 file that ends before its index."""
    whole = plain()
    return _edited("no_index.mp4", whole.read_bytes()[: whole.stat().st_size // 2])


def empty_video() -> Path:
    """Sound and a picture track of no frames."""
    drop = ("-map", "0:v", "-map", "1:a", "-c:v", "copy", "-bsf:v", "noise=drop=1")
    return make("empty_video.mp4", "-i", str(no_audio()), *_tone(1), *drop, *_AAC)


def silence(seconds: float = 3) -> Path:
    return make("silence.wav", "-f", "lavfi", "-i", f"anullsrc=r=16000:cl=mono:d={seconds}", "-c:a", "pcm_s16le")


def noise(seconds: float = 6) -> Path:
    return make(
        "noise.wav", "-f", "lavfi", "-i", f"anoisesrc=r=16000:a=0.3:c=pink:d={seconds}:seed=1", "-c:a", "pcm_s16le"
    )


def music(seconds: float = 8) -> Path:
    """A tune over chords, half a second a note."""
    tune = "+".join(
        f"0.15*sin(2*PI*t*({base}*pow(2,floor(mod(t*2,{step}))*{leap}/12)))"
        for base, step, leap in ((262, 8, 2), (330, 6, 3), (392, 4, 5), (131, 2, 7))
    )
    return make("music.wav", "-f", "lavfi", "-i", f"aevalsrc='{tune}':s=16000:d={seconds}", "-c:a", "pcm_s16le")


def posing(text: str) -> Path:
    """A text that calls itself a film."""
    return _edited("posing.mp4", text.encode())


def _edited(name: str, data: bytes) -> Path:
    path = _FOLDER / hashlib.sha256(data).hexdigest()[:16] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
