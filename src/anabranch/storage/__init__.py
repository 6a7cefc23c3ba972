"""Storage: five verbs over keys. Everything else in the project holds keys and never paths or addresses.

A key is a relative path of names separated by single slashes, such as
`media/med_01/task_02/720p/00003.1.m4s`. Keys carry the attempt that wrote them, so nothing is ever written over but
playlists, which grow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Stored:
    """What is known of an object without reading it.

    Attributes:
        size_bytes: its size.
        version: another one whenever the object was written again.
    """

    size_bytes: int
    version: str


class Storage(Protocol):
    """Where outputs live. A reader sees all of an object or nothing of it."""

    def put(self, key: str, source: Path, content_type: str) -> None:
        """Store the file `source` under `key`, over what was there; durable when it returns.

        `source` may be moved away, unless it is an object itself (`path`): then there are two of it.

        Raises:
            ResourceError: `disk_full`, or `storage_unavailable`.
        """

    def open(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to, not including, `end` (all to the end when None), in pieces.

        Raises:
            FinalError: `object_missing`.
        """

    def exists(self, key: str) -> bool:
        """Whether there is an object under `key`."""

    def stat(self, key: str) -> Stored | None:
        """Size and version of the object, or None when there is none."""

    def delete(self, key: str) -> None:
        """Remove the object; deleting twice is fine."""

    def url(self, key: str) -> str:
        """An address at which the object can be read."""

    def path(self, key: str) -> Path:
        """The object as a file of this machine, for tools that read files."""

    def local(self, key: str, folder: Path) -> Path:
        """The object as a file of this machine; in `folder` when it had to be fetched.

        Raises:
            FinalError: `object_missing`.
        """

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with `prefix`, in no particular order. For sweeping and exporting."""
