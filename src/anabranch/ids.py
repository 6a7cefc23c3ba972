"""Ids: a prefix that says what it names, and a UUIDv7 in base 32, so that ids sort by age (the TypeID form)."""

from __future__ import annotations

import hashlib
import secrets

from anabranch import clock

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case


def new_id(prefix: str) -> str:
    """A new id such as `task_01h455vb4pex5vsknk084sn02q`. RFC 9562 section 5.7; TypeID specification 0.3."""
    return _id(prefix, clock.now_ms(), secrets.randbits(74))


def seeded_id(prefix: str, created_ms: int, seed: str) -> str:
    """The id that this seed always gives, in the place that its time gives it."""
    return _id(prefix, created_ms, int.from_bytes(hashlib.sha256(seed.encode()).digest()) & (1 << 74) - 1)


def _id(prefix: str, created_ms: int, entropy: int) -> str:
    milliseconds = created_ms & (1 << 48) - 1
    value = milliseconds << 80 | 0x7 << 76 | entropy >> 62 << 64 | 0b10 << 62 | entropy & (1 << 62) - 1
    return f"{prefix}_" + "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))
