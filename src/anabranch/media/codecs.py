"""Codecs: how each video codec is encoded for an adaptive package, and what it is called in playlists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anabranch.errors import EncodeError
from anabranch.media import chunks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from anabranch.media.ladder import Rung

ENCODERS = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1"}
QUALITIES = ("very_low", "low", "medium", "high", "very_high")
# Constant quality of each encoder; the rung's maxrate caps what hard pictures may cost. 23 is x264's default, and
# the others are near it in likeness (docs/benchmarks.md).
_CRF = {
    "h264": dict(zip(QUALITIES, (32, 28, 23, 20, 17), strict=True)),
    "hevc": dict(zip(QUALITIES, (34, 30, 26, 23, 20), strict=True)),
    "av1": dict(zip(QUALITIES, (50, 43, 35, 30, 24), strict=True)),
}
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower")
# SVT-AV1 counts its presets, from slow 0 to fast 13.
_SVT_PRESETS = dict(zip(PRESETS, (12, 11, 10, 9, 8, 7, 5, 4), strict=True))
# So far ahead of a keyframe's time that rounding cannot put it on the frame before or after.
_A_LITTLE_EARLIER = 0.25


def arguments(rung: Rung, rate: Fraction, keys: Sequence[int], *, quality: str, preset: str, threads: int) -> list[str]:
    """Arguments that encode a rung with a closed group of pictures at each of `keys`, as fragmented MP4.

    Args:
        rung: what is encoded.
        rate: frames a second.
        keys: the frames at which a group begins; the same for every rung, so that a player may switch there.
        quality: one of `QUALITIES`.
        preset: one of `PRESETS`.
        threads: how many the encoder may use.
    """
    build = {"h264": _h264, "hevc": _hevc, "av1": _av1}[rung.codec]
    coded = build(rung, _gop(rate, keys), preset, threads)
    # SVT-AV1 has its cap among its own parameters.
    cap = ("-maxrate", f"{rung.maxrate_kbps}k", "-bufsize", f"{2 * rung.maxrate_kbps}k")
    capped = () if rung.codec == "av1" else cap
    forced = _forced(rate, keys) if _gop(rate, keys) is None else []
    return [*coded, "-crf", str(_CRF[rung.codec][quality]), *capped, *forced, *container(rate)]


def container(rate: Fraction) -> list[str]:
    """Arguments for the container of a rung: CMAF, a fragment a group."""
    # frag_discont: times go on from the chunk before instead of starting at 0. delay_moov and the edit list take back
    # the delay of reordered frames, so that pictures meet their sound. write_tmcd: the time code of a camera would be
    # a track of its own, and a rendition has one.
    return [
        *("-f", "mp4", "-movflags", "+frag_keyframe+delay_moov+default_base_moof+frag_discont", "-use_editlist", "1"),
        *("-brand", "cmfc", "-video_track_timescale", str(timescale(rate)), "-write_tmcd", "0"),
    ]


# Ticks in a frame are whole at any rate, and fine enough for players that round to milliseconds.
_TICKS_A_FRAME = 1000


def timescale(rate: Fraction) -> int:
    """Ticks a second of a video track."""
    return rate.numerator * (_TICKS_A_FRAME if rate.denominator == 1 else 1)


def _gop(rate: Fraction, keys: Sequence[int]) -> int | None:
    """The usual frames of a group when `keys` are evenly so far apart, else None."""
    gop = chunks.gop_frames(rate)
    even = all(key == keys[0] + number * gop for number, key in enumerate(keys))
    return gop if even else None


def _forced(rate: Fraction, keys: Sequence[int]) -> list[str]:
    times = ",".join(f"{float((key - _A_LITTLE_EARLIER) / rate):.6f}" for key in keys if key > 0)
    return ["-forced-idr", "1", *(["-force_key_frames", times] if times else [])]


def _h264(rung: Rung, gop: int | None, preset: str, threads: int) -> list[str]:
    every = ["-g", str(gop), "-keyint_min", str(gop)] if gop else ["-g", "100000"]
    return [
        *("-c:v", "libx264", "-preset", preset, "-profile:v", "high", "-level:v", rung.level),
        *(*every, "-sc_threshold", "0", "-threads:v", str(threads)),
    ]


def _hevc(rung: Rung, gop: int | None, preset: str, threads: int) -> list[str]:  # noqa: ARG001
    every = f"keyint={gop}:min-keyint={gop}" if gop else "keyint=-1"
    # info=0: the encoder's name and settings would stand in every header.
    fixed = "scenecut=0:open-gop=0:repeat-headers=0:info=0:log-level=error"
    workers = f"pools={threads if threads > 1 else 'none'}:frame-threads=1"
    # hvc1 keeps the parameter sets in the header alone, as Apple's players want it.
    return ["-c:v", "libx265", "-preset", preset, "-tag:v", "hvc1", "-x265-params", f"{every}:{fixed}:{workers}"]


def _av1(rung: Rung, gop: int | None, preset: str, threads: int) -> list[str]:
    # irefresh-type=2: a group begins with a keyframe proper. mbr caps constant quality.
    fixed = f"scd=0:irefresh-type=2:mbr={rung.maxrate_kbps}:lp={threads}"
    return [
        *("-c:v", "libsvtav1", "-preset", str(_SVT_PRESETS[preset]), "-g", str(gop or 100000)),
        *("-svtav1-params", fixed),
    ]


def codec_string(init: bytes) -> str:
    """The RFC 6381 name of a video track, such as `avc1.64001f`, from its initialisation section.

    Source: ISO/IEC 14496-15 (AVC section 5.3.3, HEVC annex E.3) and the AV1 binding to ISOBMFF, section 5.

    Raises:
        EncodeError: `verify_failed` when it is none of H.264, HEVC and AV1.
    """
    for box, read in ((b"avcC", _avc_name), (b"hvcC", _hevc_name), (b"av1C", _av1_name)):
        at = init.find(box)
        if at >= 0 and len(init) >= at + 4 + 13:
            return read(init[at + 4 :])
    raise EncodeError("verify_failed", "A video track is neither H.264, HEVC nor AV1.", "The step is tried again.")


def _avc_name(record: bytes) -> str:
    return f"avc1.{record[1:4].hex()}"


def _hevc_name(record: bytes) -> str:
    space = ("", "A", "B", "C")[record[1] >> 6]
    tier, profile = "LH"[record[1] >> 5 & 1], record[1] & 0x1F
    # Its bits are told from the last to the first.
    compatible = int(f"{int.from_bytes(record[2:6], 'big'):032b}"[::-1], 2)
    constraints = record[6:12].rstrip(b"\0")
    parts = [f"hvc1.{space}{profile}", f"{compatible:X}", f"{tier}{record[12]}", *(f"{byte:X}" for byte in constraints)]
    return ".".join(parts)


def _av1_name(record: bytes) -> str:
    profile, level = record[1] >> 5, record[1] & 0x1F
    tier, deep = "MH"[record[2] >> 7], record[2] >> 6 & 1
    return f"av01.{profile}.{level:02}{tier}.{10 if deep else 8:02}"
