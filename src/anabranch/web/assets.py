"""Assets: styles, modules and pictures of the page, at addresses that change when they do.

All are under one hash of everything, so that a module's relative imports lead to files of the same build.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi.responses import Response

from anabranch.api.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
# Smaller ones fit into a packet as they are.
_WORTH_PACKING_BYTES = 1400


@dataclass(frozen=True)
class Asset:
    """One file: its bytes as they are, and packed by gzip where that is shorter."""

    media_type: str
    plain: bytes
    packed: bytes | None


class Assets:
    """The files of a folder, read once: they are part of the program."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files: Mapping[str, Asset] = {
            path.relative_to(folder).as_posix(): _read(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix in _TYPES
        }
        whole = hashlib.sha256()
        for name, file in self._files.items():
            whole.update(name.encode() + hashlib.sha256(file.plain).digest())
        self.hash = whole.hexdigest()[:16]

    def url(self, name: str) -> str:
        """The path of a file.

        Raises:
            KeyError: there is none; `make setup` fetches the modules of others.
        """
        self._files[name]
        return f"/static/{self.hash}/{name}"

    def respond(self, asked_hash: str, name: str, accept_encoding: str) -> Response:
        """A file, for ever if it was asked for by this build's address.

        Raises:
            Problem: `not_found`.
        """
        file = self._files.get(name)
        if file is None:
            raise Problem("not_found", 404, f"The page has no file {name}.")
        # Someone who still has an older page gets on with the newer file, and asks again next time.
        for_ever = asked_hash == self.hash
        headers = {
            "cache-control": "public, max-age=31536000, immutable" if for_ever else "no-cache",
            "x-content-type-options": "nosniff",
            "cross-origin-resource-policy": "same-origin",
        }
        body = file.plain
        if file.packed is not None:
            headers["vary"] = "accept-encoding"
            if "gzip" in accept_encoding:
                body, headers["content-encoding"] = file.packed, "gzip"
        return Response(body, media_type=file.media_type, headers=headers)


def _read(path: Path) -> Asset:
    plain = path.read_bytes()
    packed = gzip.compress(plain, 6, mtime=0) if len(plain) > _WORTH_PACKING_BYTES and path.suffix != ".png" else None
    return Asset(_TYPES[path.suffix], plain, packed if packed and len(packed) < len(plain) else None)
