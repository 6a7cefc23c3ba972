"""Mutants: files that were broken, each by a number. The same number breaks the same file in the same way."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.fuzz import seeds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What headers are made to claim, by how many bytes a claim has.
_EXTREMES = {
    2: (0, 1, 0x7FFF, 0x8000, 0xFFFF, 16384),
    4: (0, 1, 2, 7, 0x7FFF, 0xFFFF, 10_000, 1_000_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF),
    8: (0, 1, 1 << 31, (1 << 32) - 1, 1 << 53, (1 << 63) - 1, 1 << 63, (1 << 64) - 1),
}
# Boxes of ISO/IEC 14496-12 whose numbers say how large, how long and how many.
_TOLD = b"mvhd tkhd mdhd stsd stts ctts stss stsz stsc stco elst mehd trex tfhd tfdt trun sidx avcC esds hdlr".split()
_INSIDE = b"moov trak mdia minf dinf stbl edts mvex moof traf udta meta".split()
# Elements of Matroska (RFC 9559) that hold others: Segment, Info, Tracks, TrackEntry, Video, Audio, Cluster,
# BlockGroup, Cues, CuePoint, SeekHead, Seek.
_MASTERS = (
    0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0, 0xE1, 0x1F43B675, 0xA0, 0x1C53BB6B, 0xBB, 0x114D9B74, 0x4DBB,
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A file that was broken.

    Attributes:
        number: by which it is made again.
        name: the seed's, such as `plain.mp4`.
        how: what was done to it, in order.
        data: its bytes.
    """

    number: int
    name: str
    how: tuple[str, ...]
    data: bytes


def mutant(number: int) -> Mutant:
    """The mutant of this number."""
    chance = random.Random(number)
    seed = chance.choice(seeds.every())
    data, how = bytearray(seed.read_bytes()), []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        breaking = chance.choice(_BREAKS)
        breaking(data, chance)
        how.append(breaking.__name__.strip("_"))
    return Mutant(number, seed.name, tuple(how), bytes(data))


def _truncate(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _flip_bits(data: bytearray, chance: random.Random) -> None:
    # Near the beginning, where headers are, or anywhere.
    reach = len(data) if chance.random() < 0.5 else min(len(data), 600)
    for _ in range(chance.choice((1, 2, 8, 64)) if reach else 0):
        data[chance.randrange(reach)] ^= 1 << chance.randrange(8)


def _splice(data: bytearray, chance: random.Random) -> None:
    other = chance.choice(seeds.every()).read_bytes()
    length = chance.choice((1, 4, 16, 188, 1024))
    start, at = chance.randrange(len(other)), chance.randrange(len(data) + 1)
    replaced = length if chance.random() < 0.5 else 0
    data[at : at + replaced] = other[start : start + length]


def _repeat_block(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data) + 1)
    block = data[start : start + chance.choice((4, 32, 188, 2048))]
    data[start:start] = block * chance.choice((1, 2, 50))


def _remove_block(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data) + 1)
    del data[start : start + chance.choice((1, 4, 32, 188, 2048))]


def _change_head(data: bytearray, chance: random.Random) -> None:
    length = chance.choice((4, 8, 12, 64, 400))
    data[:length] = chance.choice(seeds.every()).read_bytes()[:length]


def _claim_anything(data: bytearray, chance: random.Random) -> None:
    width = chance.choice((2, 4, 8))
    reach = min(len(data), chance.choice((64, 600, 1 << 20))) - width
    if reach > 0:
        _claim(data, chance.randrange(reach), width, chance)


def _claim_a_size(data: bytearray, chance: random.Random) -> None:
    """Overwrite the size of a box or an element, or of a chunk of RIFF."""
    boxes, elements = list(_boxes(data)), list(_elements(data))
    if boxes:
        start, _, _ = chance.choice(boxes)
        _claim(data, start, 4, chance, ">")
        if chance.random() < 0.3:
            # A size of 1 says that a size of 8 bytes follows the name.
            data[start : start + 4] = struct.pack(">I", 1)
            _claim(data, start + 8, 8, chance, ">")
    elif elements:
        _, at, start, _ = chance.choice(elements)
        width = start - at
        value = chance.choice((0, 1, (1 << 31) - 1, (1 << 32) - 1, (1 << 56) - 1, (1 << 63) - 1))
        marked = min(value, (1 << 7 * width) - 1) | 1 << 7 * width
        data[at:start] = marked.to_bytes(width, "big")
    elif data[:4] == b"RIFF" and len(data) > 24:
        found = [at for at in range(12, len(data) - 8, 2) if data[at : at + 4].isalnum()]
        _claim(data, chance.choice([0, *found]) + 4, 4, chance, "<")


def _claim_a_number(data: bytearray, chance: random.Random) -> None:
    """Overwrite a number in a header: how large, how long, how fast, how many."""
    boxes = [(start, end) for start, end, name in _boxes(data) if name in _TOLD and end - start > 16]
    numbers = [(start, end) for name, _, start, end in _elements(data) if name not in _MASTERS]
    elements = [(start, end) for start, end in numbers if 0 < end - start <= 8]
    if boxes:
        start, end = chance.choice(boxes)
        width = chance.choice((2, 4, 4, 8))
        places = range(start + 8, min(end, len(data)) - width + 1, 2)
        if places:
            _claim(data, chance.choice(places), width, chance, ">")
    elif elements:
        start, end = chance.choice(elements)
        width = end - start
        value = chance.choice(_EXTREMES[8]) & ((1 << 8 * width) - 1)
        data[start:end] = value.to_bytes(width, "big")
    else:
        _claim_anything(data, chance)


_BREAKS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _truncate,
    _flip_bits,
    _splice,
    _repeat_block,
    _remove_block,
    _change_head,
    _claim_anything,
    _claim_a_size,
    _claim_a_size,
    _claim_a_number,
    _claim_a_number,
    _claim_a_number,
)


def _claim(data: bytearray, at: int, width: int, chance: random.Random, order: str = "") -> None:
    value = chance.choice(_EXTREMES[width])
    form = {2: "H", 4: "I", 8: "Q"}[width]
    data[at : at + width] = struct.pack((order or chance.choice("<>")) + form, value)


def _boxes(data: bytearray, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, bytes]]:
    """Start, end and name of each box, the outer before those inside; nothing in what is no ISO media."""
    end = len(data) if end is None else end
    if start == 0 and bytes(data[4:8]) not in (b"ftyp", b"wide", b"free", b"moov", b"mdat"):
        return
    while start + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, start)
        if size < 8 or not name.isalnum():
            return
        yield start, min(start + size, end), name
        if name in _INSIDE:
            yield from _boxes(data, start + 8, min(start + size, end))
        start += size


def _elements(data: bytearray, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int, int]]:
    """Id, place of the size, start and end of what is inside, of each element; nothing in what is no Matroska."""
    end = len(data) if end is None else end
    if start == 0 and data[:4] != b"\x1a\x45\xdf\xa3":
        return
    while start < end:
        name_width = 9 - data[start].bit_length() if data[start] else 9
        at = start + name_width
        if at >= end or not data[at]:
            return
        width = 9 - data[at].bit_length()
        inside = at + width
        size = int.from_bytes(data[at:inside], "big") & ((1 << 7 * width) - 1)
        name = int.from_bytes(data[start:at], "big")
        yield name, at, inside, min(end, inside + size)
        if name in _MASTERS:
            yield from _elements(data, inside, min(end, inside + size))
        start = inside + size
