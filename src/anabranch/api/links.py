"""Links: addresses of what is in storage. Open ones for all, and signed ones that expire.

A signed address carries its proof in the path, `/signed/<expires>-<proof>/media/<id>/…`, and the proof is for all
that begins with `media/<id>/`. So the relative addresses in a playlist are signed too, and no playlist is rewritten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from anabranch import clock
from anabranch.api.problems import Problem
from anabranch.catalog import proofs
from anabranch.tasks.sources import STORED

if TYPE_CHECKING:
    from anabranch.app import App

# How long an address lives that a private media's record shows.
SHOWN_S = 3600


def open_link(app: App, key: str) -> str:
    """The address of an object that everybody may read."""
    return f"{app.settings.base_url}/outputs/{quote(key)}"


def signed_link(app: App, key: str, expires_in_s: int = SHOWN_S) -> str:
    """An address of an object, and of all beside it, that expires."""
    expires_s = clock.now_ms() // 1000 + expires_in_s
    return f"{app.settings.base_url}{proofs.signed_path(app.database, key, expires_s)}"


def check_signature(app: App, token: str, key: str) -> None:
    """Whether a token opens an object.

    Raises:
        Problem: `signature_expired` or `signature_invalid`.
    """
    expires, _, proof = token.partition("-")
    if not expires.isascii() or not expires.isdigit() or len(expires) > 12:
        raise _invalid()
    if not proofs.holds(app.database, proof, proofs.scope(key), int(expires)):
        raise _invalid()
    if int(expires) < clock.now_ms() // 1000:
        raise Problem("signature_expired", 403, "The address has expired. Ask for a new one.")


def upload_link(app: App, media_id: str, filename: str, expires_s: int) -> str:
    """An address to which the bytes of a media row can be PUT until it expires."""
    proof = proofs.of(app.database, f"PUT {media_id}", expires_s)
    place = f"{app.settings.base_url}/uploads/direct/{media_id}/{quote(filename, safe='')}"
    return f"{place}?expiry={expires_s}&signature={proof}"


def check_upload(app: App, media_id: str, expires_s: int, proof: str) -> None:
    """Whether the holder of a proof may PUT the bytes of a media row.

    Raises:
        Problem: `signature_expired` or `signature_invalid`.
    """
    if not proofs.holds(app.database, proof, f"PUT {media_id}", expires_s):
        raise _invalid()
    if expires_s < clock.now_ms() // 1000:
        raise Problem("signature_expired", 403, "The address has expired. Ask for a new one.")


def own_key(app: App, address: str) -> str | None:
    """The key of an address of this server's own outputs, or None for an address elsewhere."""
    base = urlsplit(app.settings.base_url or "")
    there = urlsplit(address)
    if (there.scheme, there.netloc) != (base.scheme, base.netloc):
        return None
    path = unquote(there.path.removeprefix(base.path)).lstrip("/")
    where, _, rest = path.partition("/")
    if where == "outputs":
        return rest
    if where == "signed":
        token, _, key = rest.partition("/")
        check_signature(app, token, key)
        return key
    return None


def shown(app: App, address: str | None, *, private: bool) -> str | None:
    """The address of something stored, as a client is given it."""
    if address is None:
        return None
    key = address.removeprefix(STORED) if address.startswith(STORED) else own_key(app, address)
    return address if key is None else of_key(app, key, private=private)


def of_key(app: App, key: str, *, private: bool) -> str:
    """The address of an object, as a client is given it."""
    # A source is its owner's: it is never open.
    return signed_link(app, key) if private or key.startswith("sources/") else open_link(app, key)


def _invalid() -> Problem:
    return Problem("signature_invalid", 403, "The address is not signed by this server, or was changed.")
