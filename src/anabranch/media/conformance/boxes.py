"""Boxes: what a track says it is, and when its samples are, read from fragmented MP4.

It shares nothing with `media/fmp4.py`, so that a mistake there is not made here as well. Source: ISO/IEC 14496-12 (the
boxes), 14496-15 (avcC, hvcC), 14496-14 (esds), and AV1's binding to it (av1C).
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_SYNC = 0x00010000
_VISUAL_HEAD, _AUDIO_HEAD = 78, 28


@dataclass(frozen=True)
class Track:
    """A track, as an initialisation section tells of it.

    Attributes:
        kind: `vide` or `soun`.
        timescale: ticks a second.
        codec: its RFC 6381 name.
        width: at which its pictures are shown, in square pixels; 0 for sound.
        height: likewise.
        channels: of sound; 0 for pictures.
        defaults: duration, size and flags of a sample that says nothing of its own.
        skipped: ticks at the beginning of its media that are not played.
    """

    kind: str
    timescale: int
    codec: str
    width: int
    height: int
    channels: int
    defaults: tuple[int, int, int]
    skipped: int


@dataclass(frozen=True)
class Part:
    """A movie fragment. Times are in ticks; those that are shown are counted from where playing begins.

    Attributes:
        start: decode time of its first sample.
        duration: of its samples together.
        samples: how many.
        shown: when its first sample that is shown is.
        syncs: when its sync samples are shown.
        begins_with_sync: whether the first sample is one.
        usual_duration: what most of its samples last.
        first_end: where the bytes of its first sample end, counted like the data that it was read from.
        end: where it ends; past the data when that was cut short.
    """

    start: int
    duration: int
    samples: int
    shown: int
    syncs: tuple[int, ...]
    begins_with_sync: bool
    usual_duration: int
    first_end: int
    end: int


@dataclass(frozen=True)
class _Sample:
    duration: int
    size: int
    flags: int
    offset: int


def read_init(data: bytes) -> Track:
    """Read an initialisation section.

    Raises:
        ValueError: with a sentence, when it is none.
    """
    try:
        return _track(data)
    except (struct.error, IndexError, KeyError, StopIteration) as error:
        raise ValueError(f"It is not a whole initialisation section ({type(error).__name__}: {error}).") from error


def read_parts(data: bytes, track: Track, *, is_cut: bool = False) -> list[Part]:
    """Read the fragments of a segment; a range of one may be cut short.

    Raises:
        ValueError: with a sentence, when it is not whole.
    """
    try:
        return list(_parts(data, track, is_cut))
    except (struct.error, IndexError, KeyError, StopIteration) as error:
        raise ValueError(f"It is not whole ({type(error).__name__}: {error}).") from error


def _boxes(data: bytes, start: int, end: int, *, is_cut: bool = False) -> Iterator[tuple[str, int, int]]:
    """Name, start of the content, and end of each box between two offsets."""
    while start < end:
        size, name = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", data, start + 8), 16
        label = name.decode("latin-1")
        if size < head or (start + size > end and not is_cut):
            raise ValueError(f"Box {label!r} at byte {start} runs past the end.")
        yield label, start + head, start + size
        start += size


def _only(data: bytes, start: int, end: int, *path: str) -> tuple[int, int]:
    """The content of the first box down a path of names."""
    for wanted in path:
        inside = {name: (at, stop) for name, at, stop in reversed(list(_boxes(data, start, end)))}
        if wanted not in inside:
            raise ValueError(f"It has no box {'/'.join(path)}.")
        start, end = inside[wanted]
    return start, end


def _track(data: bytes) -> Track:
    moov = _only(data, 0, len(data), "moov")
    traks = [(at, stop) for name, at, stop in _boxes(data, *moov) if name == "trak"]
    if len(traks) != 1:
        raise ValueError(f"It has {len(traks)} tracks; a rendition of a package has one.")
    (trak,) = traks
    handler, _ = _only(data, *trak, "mdia", "hdlr")
    kind = data[handler + 8 : handler + 12].decode("latin-1")
    stsd, end = _only(data, *trak, "mdia", "minf", "stbl", "stsd")
    name, entry, entry_end = next(_boxes(data, stsd + 8, end))
    trex, _ = _only(data, *moov, "mvex", "trex")
    width, height = _size(data, entry, entry_end) if kind == "vide" else (0, 0)
    return Track(
        kind=kind,
        timescale=_timescale(data, _only(data, *trak, "mdia", "mdhd")[0]),
        codec=_codec(data, name, entry, entry_end),
        width=width,
        height=height,
        channels=struct.unpack_from(">H", data, entry + 16)[0] if kind == "soun" else 0,
        defaults=struct.unpack_from(">III", data, trex + 12),
        skipped=_skipped(data, trak),
    )


def _timescale(data: bytes, mdhd: int) -> int:
    (ticks,) = struct.unpack_from(">I", data, mdhd + (20 if data[mdhd] == 1 else 12))
    if not ticks:
        raise ValueError("Its time scale is 0.")
    return int(ticks)


def _size(data: bytes, entry: int, end: int) -> tuple[int, int]:
    width, height = struct.unpack_from(">HH", data, entry + 24)
    shape = {name: at for name, at, _ in _boxes(data, entry + _VISUAL_HEAD, end)}.get("pasp")
    across, down = struct.unpack_from(">II", data, shape) if shape is not None else (1, 1)
    return round(width * Fraction(across, down)), height


def _skipped(data: bytes, trak: tuple[int, int]) -> int:
    """Where the first edit that is not empty begins in the media."""
    try:
        elst, _ = _only(data, *trak, "edts", "elst")
    except ValueError:
        return 0
    (count,) = struct.unpack_from(">I", data, elst + 4)
    wide = data[elst] == 1
    for number in range(count):
        at = elst + 8 + number * (20 if wide else 12)
        (time,) = struct.unpack_from(">q" if wide else ">i", data, at + (8 if wide else 4))
        if time >= 0:
            return int(time)
    return 0


def _codec(data: bytes, name: str, entry: int, end: int) -> str:
    inside = {box: at for box, at, _ in _boxes(data, entry + (_AUDIO_HEAD if name in _SOUND else _VISUAL_HEAD), end)}
    if name in ("avc1", "avc3"):
        return f"{name}.{data[inside['avcC'] + 1 : inside['avcC'] + 4].hex()}"
    if name in ("hvc1", "hev1"):
        return f"{name}.{_hevc(data[inside['hvcC'] :])}"
    if name == "av01":
        return f"av01.{_av1(data[inside['av1C'] :])}"
    if name == "mp4a":
        return f"mp4a.{_aac(data[inside['esds'] + 4 :])}"
    return {"Opus": "opus", "fLaC": "flac"}.get(name, name)


_SOUND = {"mp4a", "Opus", "fLaC", "ac-3", "ec-3"}


def _hevc(record: bytes) -> str:
    space, tier, profile = record[1] >> 6, record[1] >> 5 & 1, record[1] & 31
    flags = sum(1 << bit for bit in range(32) if int.from_bytes(record[2:6], "big") >> (31 - bit) & 1)
    constraints = "".join(f".{byte:X}" for byte in record[6:12].rstrip(b"\0"))
    return f"{' ABC'[space].strip()}{profile}.{flags:X}.{'LH'[tier]}{record[12]}{constraints}"


def _av1(record: bytes) -> str:
    is_high, is_twelve = record[2] >> 6 & 1, record[2] >> 5 & 1
    depth = 12 if is_high and is_twelve else 10 if is_high else 8
    return f"{record[1] >> 5}.{record[1] & 31:02}{'MH'[record[2] >> 7]}.{depth:02}"


def _aac(descriptors: bytes) -> str:
    """Object types from the decoder's configuration: 40 is MPEG-4 sound, the number after it its kind."""
    at, object_type = 0, 0
    while at < len(descriptors):
        kind, at = descriptors[at], at + 1
        while descriptors[at] & 0x80:
            at += 1
        at += 1
        if kind == 3:  # ES_Descriptor: an id of two bytes and flags, which ffmpeg leaves at 0
            at += 3
        elif kind == 4:  # DecoderConfigDescriptor
            object_type, at = descriptors[at], at + 13
        elif kind == 5:  # DecoderSpecificInfo: the kind is in its first five bits
            return f"{object_type:x}.{descriptors[at] >> 3}"
    raise ValueError("Its sound has no decoder configuration.")


def _parts(data: bytes, track: Track, is_cut: bool) -> Iterator[Part]:
    head: tuple[int, int] | None = None
    head_at = before = 0
    for name, at, end in _boxes(data, 0, len(data), is_cut=is_cut):
        if name == "moof":
            head, head_at = (at, end), before
        elif name == "mdat":
            if head is None:
                raise ValueError(f"The media data at byte {before} has no header before it.")
            yield _part(data, head, head_at, end, track)
            head = None
        before = end
    if head is not None:
        raise ValueError("It ends with a header that has no media data.")


def _part(data: bytes, moof: tuple[int, int], moof_at: int, end: int, track: Track) -> Part:
    traf = _only(data, *moof, "traf")
    tfdt, _ = _only(data, *traf, "tfdt")
    (start,) = struct.unpack_from(">Q" if data[tfdt] == 1 else ">I", data, tfdt + 4)
    usual = _usual(data, _only(data, *traf, "tfhd")[0], track.defaults)
    runs = [_run(data, at, usual) for name, at, _ in _boxes(data, *traf) if name == "trun"]
    samples = [sample for _, run in runs for sample in run]
    if not samples:
        raise ValueError("A fragment has no samples.")
    if moof_at + runs[0][0] + sum(sample.size for sample in samples) > end:
        raise ValueError("A fragment's samples run past its media data.")
    shown, syncs, time = [], [], start
    for sample in samples:
        shown.append(time + sample.offset - track.skipped)
        if not sample.flags & _NOT_SYNC:
            syncs.append(shown[-1])
        time += sample.duration
    return Part(
        start=start,
        duration=time - start,
        samples=len(samples),
        shown=min(shown),
        syncs=tuple(syncs),
        begins_with_sync=not samples[0].flags & _NOT_SYNC,
        usual_duration=Counter(sample.duration for sample in samples).most_common(1)[0][0],
        first_end=moof_at + runs[0][0] + samples[0].size,
        end=end,
    )


def _usual(data: bytes, tfhd: int, defaults: tuple[int, int, int]) -> tuple[int, int, int]:
    """Duration, size and flags of a sample, unless its run says otherwise."""
    flags = int.from_bytes(data[tfhd : tfhd + 4], "big")
    at = tfhd + 8 + (8 if flags & 0x01 else 0) + (4 if flags & 0x02 else 0)
    values = list(defaults)
    for number, bit in enumerate((0x08, 0x10, 0x20)):
        if flags & bit:
            (values[number],) = struct.unpack_from(">I", data, at)
            at += 4
    return values[0], values[1], values[2]


def _run(data: bytes, trun: int, usual: tuple[int, int, int]) -> tuple[int, list[_Sample]]:
    """Where a run's data begins, counted from its fragment's header, and its samples."""
    flags, count = struct.unpack_from(">II", data, trun)
    is_signed = flags >> 24 == 1
    offset, first_flags, at = 0, None, trun + 8
    if flags & 0x01:
        (offset,), at = struct.unpack_from(">i", data, at), at + 4
    if flags & 0x04:
        (first_flags,), at = struct.unpack_from(">I", data, at), at + 4
    bits = [bit for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit]
    form = struct.Struct(">" + "".join("i" if bit == 0x800 and is_signed else "I" for bit in bits))
    samples = []
    for number in range(count):
        said = dict(zip(bits, form.unpack_from(data, at), strict=True))
        at += form.size
        own_flags = first_flags if number == 0 and first_flags is not None else usual[2]
        samples.append(
            _Sample(
                said.get(0x100, usual[0]), said.get(0x200, usual[1]), said.get(0x400, own_flags), said.get(0x800, 0)
            )
        )
    return offset, samples
