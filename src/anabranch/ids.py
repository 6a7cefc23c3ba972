"""Ids: a prefix that says what it names, and a UUIDv7 in base 32, so that ids sort by age (the TypeID form)."""

from __future__ import annotations

import secrets

from anabranch import clock

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case


def new_id(prefix: str) -> str:
    """A new id such as `task_01h455vb4pex5vsknk084sn02q`. RFC 9562 section 5.7; TypeID specification 0.3."""
    milliseconds = clock.now_ms() & (1 << 48) - 1
    value = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return f"{prefix}_" + "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))
