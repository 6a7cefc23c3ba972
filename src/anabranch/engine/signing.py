"""Signing: how an engine and an app prove to each other who they are. Inngest's SDK specification, section 4.1.

A signing key is `signkey-`, an environment, a dash, and hex digits. Calls and answers carry an HMAC-SHA256 of the
canonical JSON (RFC 8785) and the time; an app that registers shows the SHA-256 of the key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from urllib.parse import parse_qs

import jcs

from anabranch import clock

HEADER = "x-inngest-signature"
# How far the clocks of both sides may differ, as the SDKs have it.
_LEEWAY_S = 300


def new_signing_key() -> str:
    """A key such as `signkey-prod-…`, of 32 random bytes."""
    return f"signkey-prod-{secrets.token_hex(32)}"


def sign(body: bytes, key: str) -> str:
    """The value of the signature header for a call with this JSON body."""
    moment = clock.now_ms() // 1000
    return f"t={moment}&s={_mac(jcs.canonicalize(json.loads(body)), moment, key)}"


def is_signed(body: bytes, header: str | None, key: str) -> bool:
    """Whether an answer carries a good signature of no great age. Answers are signed as the bytes that they are."""
    fields = parse_qs(header or "")
    moment, found = fields.get("t", [""])[0], fields.get("s", [""])[0]
    if not moment.isdigit() or abs(clock.now_ms() // 1000 - int(moment)) > _LEEWAY_S:
        return False
    return hmac.compare_digest(_mac(body, int(moment), key), found)


def knows_key(authorization: str | None, key: str) -> bool:
    """Whether an `Authorization` header shows the hash of the key, as SDKs do."""
    shown = (authorization or "").removeprefix("Bearer ").strip()
    hashed = hashlib.sha256(bytes.fromhex(_secret(key))).hexdigest()
    return hmac.compare_digest(_secret(shown), hashed)


def _mac(body: bytes, moment: int, key: str) -> str:
    return hmac.new(_secret(key).encode(), body + str(moment).encode(), hashlib.sha256).hexdigest()


def _secret(key: str) -> str:
    return re.sub(r"^signkey-\w+-", "", key)
