"""Upload: a file on its way to a server, in parts (tus 1.0). It goes on where it was when the connection is lost."""

from __future__ import annotations

import base64
import mimetypes
import time
from typing import TYPE_CHECKING

from anabranch.cli.failures import Refused
from anabranch.errors import ResourceError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from anabranch.cli.client import Server

_VERSION = {"tus-resumable": "1.0.0"}
_PART = {**_VERSION, "content-type": "application/offset+octet-stream"}
_BLOCK_BYTES = 1 << 18
# A minute and a half altogether: as long as a server takes to be started again.
_WAITS_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0)


def upload(server: Server, path: Path, title: str | None, moved: Callable[[int, int], None]) -> str:
    """Upload a file, and return the id of the media row that it is now. `moved` hears how many bytes of how many.

    Raises:
        SourceError: `source_missing` or `source_unreadable`.
        AnabranchError: the server does not take it, or is gone for longer than it takes to start one again.
    """
    with _opened(path) as file:
        size = path.stat().st_size
        said = {"filename": path.name, "filetype": mimetypes.guess_type(path.name)[0] or "application/octet-stream"}
        if title:
            said["title"] = title
        wish = {**_VERSION, "upload-length": str(size), "upload-metadata": _metadata(said)}
        made = server.headers("POST", "/uploads", wish)
        # Only its name: the address may be one that others see the server under.
        place = f"/uploads/{made['location'].rpartition('/')[2]}"
        offset, finished, failures = 0, False, 0
        while not finished:
            before = offset
            try:
                if failures:
                    offset, finished = _state(server, place, size)
                    moved(offset, size)
                if not finished:
                    _send(server, place, file, offset, size, moved)
                    finished = True
            except (ResourceError, Refused) as error:
                failures = 1 if offset > before else failures + 1
                if not _passes(error) or failures > len(_WAITS_S):
                    raise
                time.sleep(_WAITS_S[failures - 1])
        return made["x-media-id"]


def _metadata(said: dict[str, str]) -> str:
    # A name on the disk may be of bytes that are no text.
    values = ((name, base64.b64encode(value.encode(errors="replace")).decode()) for name, value in said.items())
    return ",".join(f"{name} {value}" for name, value in values)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise SourceError("source_missing", f"There is no file {path}.", "Check the path.") from error
    except OSError as error:
        why = f"{path} cannot be read: {error.strerror}."
        raise SourceError("source_unreadable", why, "Check the path.") from error


def _state(server: Server, place: str, size: int) -> tuple[int, bool]:
    """How much the server has, and whether it has made media of it. Only an upload that is not finished expires."""
    headers = server.headers("HEAD", place, _VERSION)
    offset = int(headers["upload-offset"])
    return offset, offset == size and "upload-expires" not in headers


def _send(
    server: Server, place: str, file: BinaryIO, offset: int, size: int, moved: Callable[[int, int], None]
) -> None:
    """Send what the server does not have yet, all of it."""

    def blocks() -> Iterator[bytes]:
        at = offset
        file.seek(offset)
        while at < size:
            # Never more than was announced, even of a file that is still growing.
            block = file.read(min(_BLOCK_BYTES, size - at))
            if not block:
                raise SourceError("source_unreadable", f"{file.name} became shorter while it was sent.", "Repeat it.")
            yield block
            at += len(block)
            moved(at, size)

    headers = {**_PART, "upload-offset": str(offset), "content-length": str(size - offset)}
    server.headers("PATCH", place, headers, blocks())


def _passes(error: ResourceError | Refused) -> bool:
    """Whether it may go better in a moment: no connection, a server in trouble, or the old connection not yet ended."""
    if isinstance(error, Refused):
        return error.code in ("upload_locked", "offset_mismatch") or error.status in (500, 502, 503, 504)
    return True
