"""Proofs: what shows that an address was made by this installation, and for what."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING
from urllib.parse import quote

from anabranch.catalog import keys

if TYPE_CHECKING:
    import sqlalchemy as sa


def of(database: sa.Engine, what: str, expires_s: int) -> str:
    """The proof of something until a time (Unix seconds; 0 for one that does not expire)."""
    secret = keys.secret(database, "link_secret", lambda: secrets.token_hex(32))
    digest = hmac.new(secret.encode(), f"{what}\n{expires_s}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:18]).decode()


def holds(database: sa.Engine, proof: str, what: str, expires_s: int) -> bool:
    """Whether it is the proof of this."""
    return hmac.compare_digest(proof.encode(), of(database, what, expires_s).encode())


def scope(key: str) -> str:
    """What a proof for a key is for: all of a media row, all of a task, or one source."""
    parts = key.split("/")
    return "/".join(parts[:2]) + "/" if parts[0] in ("media", "tasks") and len(parts) > 2 else key


def signed_path(database: sa.Engine, key: str, expires_s: int) -> str:
    """The path of an object, and of all beside it, that opens it until a time."""
    return f"/signed/{expires_s}-{of(database, scope(key), expires_s)}/{quote(key)}"
