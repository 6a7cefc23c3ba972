"""Fragmented MP4, as far as packaging needs it: where the fragments are, and what is in them.

Source: ISO/IEC 14496-12:2022, sections 8.8.7 (tfhd), 8.8.8 (trun) and 8.8.12 (tfdt).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from anabranch.errors import EncodeError

_NOT_SYNC = 0x00010000  # sample_is_non_sync_sample, section 8.8.3.1


@dataclass(frozen=True)
class Fragment:
    """A movie fragment: a moof box and the mdat after it.

    Attributes:
        data: its bytes.
        start: decode time of its first sample, in ticks of the track's time scale.
        duration: of its samples together, in ticks.
        samples: how many it has.
        begins_with_sync: whether a decoder can begin here.
        first_sample_end: bytes from the fragment's first to its first sample's last, all that showing it needs.
    """

    data: bytes
    start: int
    duration: int
    samples: int
    begins_with_sync: bool
    first_sample_end: int


@dataclass(frozen=True)
class Fragmented:
    """A fragmented file with one track.

    Attributes:
        init: everything before the first fragment (ftyp and moov).
        timescale: ticks a second.
        fragments: in order.
    """

    init: bytes
    timescale: int
    fragments: tuple[Fragment, ...]

    @property
    def samples(self) -> int:
        """How many samples all fragments have together."""
        return sum(fragment.samples for fragment in self.fragments)


def whole(data: bytes, start: int = 0) -> int:
    """Where the last fragment ends that is complete, in a file that is still being written; `start` for none."""
    reached = at = start
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > len(data):
            break
        at += size
        if name == b"mdat":
            reached = at
    return reached


def parse(data: bytes) -> Fragmented:
    """Read a fragmented file.

    Raises:
        EncodeError: `verify_failed` when it is not whole or not of this kind.
    """
    try:
        return _parse(data)
    except (struct.error, IndexError, ValueError) as error:
        raise EncodeError(
            "verify_failed", f"A fragmented MP4 file is not whole: {error}.", "The step is tried again."
        ) from error


def _parse(data: bytes) -> Fragmented:
    boxes = _boxes(data, 0, len(data))
    first = next((start for name, start, _ in boxes if name == b"moof"), None)
    if first is None:
        raise ValueError("it has no fragment")
    moov = next((start, end) for name, start, end in boxes if name == b"moov")
    fragments = []
    for (name, start, end), (after, _, after_end) in zip(boxes, [*boxes[1:], (b"", 0, 0)], strict=True):
        if name == b"moof":
            if after != b"mdat":
                raise ValueError("a fragment has no media data")
            fragments.append(_fragment(data, start, end, after_end))
    return Fragmented(data[:first], _timescale(data, *moov), tuple(fragments))


def _boxes(data: bytes, start: int, end: int) -> list[tuple[bytes, int, int]]:
    """Name, start and end of each box between two offsets."""
    found = []
    while start < end:
        size, name = struct.unpack_from(">I4s", data, start)
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start + 8)
        if size < 8 or start + size > end:
            raise ValueError(f"box {name!r} at {start} runs past the end")
        found.append((name, start, start + size))
        start += size
    return found


def _inside(data: bytes, start: int, end: int, *path: bytes) -> tuple[int, int]:
    """Start and end of the first box down a path of names."""
    for name in path:
        start, end = next((found, stop) for box, found, stop in _boxes(data, start + 8, end) if box == name)
    return start, end


def _timescale(data: bytes, start: int, end: int) -> int:
    mdhd, _ = _inside(data, start, end, b"trak", b"mdia", b"mdhd")
    # Two times of 4 bytes come before it, or of 8 bytes in version 1.
    (timescale,) = struct.unpack_from(">I", data, mdhd + (28 if data[mdhd + 8] == 1 else 20))
    return int(timescale)


def _fragment(data: bytes, start: int, end: int, media_end: int) -> Fragment:
    traf = _inside(data, start, end, b"traf")
    tfdt, _ = _inside(data, *traf, b"tfdt")
    (begin,) = struct.unpack_from(">Q" if data[tfdt + 8] == 1 else ">I", data, tfdt + 12)
    usual = _defaults(data, _inside(data, *traf, b"tfhd")[0])
    runs = [_run(data, box, usual) for name, box, _ in _boxes(data, traf[0] + 8, traf[1]) if name == b"trun"]
    return Fragment(
        data=data[start:media_end],
        start=begin,
        duration=sum(run.duration for run in runs),
        samples=sum(run.samples for run in runs),
        begins_with_sync=not runs[0].first_flags & _NOT_SYNC,
        first_sample_end=runs[0].offset + runs[0].first_size,
    )


@dataclass(frozen=True)
class _Usual:
    """What holds for the samples of a fragment whose run says nothing else; 0 where the header leaves it out."""

    duration: int
    size: int
    flags: int


@dataclass(frozen=True)
class _Run:
    """The samples of a run: how many, their duration together, and where and what the first one is."""

    samples: int
    duration: int
    offset: int
    first_size: int
    first_flags: int


def _defaults(data: bytes, tfhd: int) -> _Usual:
    (flags,) = struct.unpack_from(">I", data, tfhd + 8)
    offset = tfhd + 16
    values = {}
    for bit, size in ((0x01, 8), (0x02, 4), (0x08, 4), (0x10, 4), (0x20, 4)):
        if flags & bit:
            values[bit] = int.from_bytes(data[offset : offset + size], "big")
            offset += size
    return _Usual(values.get(0x08, 0), values.get(0x10, 0), values.get(0x20, 0))


def _run(data: bytes, trun: int, usual: _Usual) -> _Run:
    flags, count = struct.unpack_from(">II", data, trun + 8)
    flags &= 0xFFFFFF
    at = trun + 16
    # Counted from the fragment's first byte, since default-base-is-moof is set.
    (offset,) = struct.unpack_from(">i", data, at) if flags & 0x01 else (0,)
    at += 4 if flags & 0x01 else 0
    first_flags, first_size = usual.flags, usual.size
    if flags & 0x04:
        (first_flags,) = struct.unpack_from(">I", data, at)
        at += 4
    fields = [bit for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit]
    duration = 0 if 0x100 in fields else count * usual.duration
    for index in range(count):
        values = dict(zip(fields, struct.unpack_from(f">{len(fields)}I", data, at), strict=True))
        at += 4 * len(fields)
        duration += values.get(0x100, 0)
        if index == 0:
            first_flags, first_size = values.get(0x400, first_flags), values.get(0x200, first_size)
    return _Run(count, duration, offset, first_size, first_flags)
