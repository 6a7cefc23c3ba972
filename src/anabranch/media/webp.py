"""WebP: what moves in one, read from the file's own chunks (RFC 9649, section 2.7.1). Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Moving:
    """A WebP that moves.

    Attributes:
        size: width and height in pixels.
        shown_ms: how long each frame is shown, in milliseconds.
    """

    size: tuple[int, int]
    shown_ms: tuple[int, ...]


def read(data: bytes) -> Moving | None:
    """What moves in the file; None when it is a single picture, or no WebP."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    size: tuple[int, int] | None = None
    shown_ms = []
    start = 12
    while start + 8 <= len(data):
        name, length = data[start : start + 4], _number(data, start + 4, 4)
        if name == b"VP8X":
            size = (_number(data, start + 12, 3) + 1, _number(data, start + 15, 3) + 1)
        elif name == b"ANMF" and start + 8 + length <= len(data):
            shown_ms.append(_number(data, start + 20, 3))
        # A chunk of odd length is followed by a byte of padding.
        start += 8 + length + length % 2
    return Moving(size, tuple(shown_ms)) if size and shown_ms else None


def _number(data: bytes, start: int, length: int) -> int:
    return int.from_bytes(data[start : start + length], "little")
