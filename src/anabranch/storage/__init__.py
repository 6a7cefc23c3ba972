"""Storage: a few verbs over keys. Everything else in the project holds keys and never paths or addresses.

A key is a relative path of names separated by single slashes, such as
`media/med_01/task_02/720p/00003.1.m4s`. Keys carry the attempt that wrote them, so nothing is ever written over but
playlists, which grow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Stored:
    """What is known of an object.

    Attributes:
        size_bytes: its size.
        version: another one once the object was written over.
    """

    size_bytes: int
    version: str


class Storage(Protocol):
    """Where outputs live. A reader sees all of an object or nothing of it.

    Whatever is asked of a storage elsewhere may raise `storage_unavailable` (a ResourceError, once it has been tried a
    few times) or `storage_refused` (a SetupError: no bucket, or no right to it).
    """

    def put(self, key: str, source: Path, content_type: str) -> None:
        """Store the file `source` under `key`, over what was there; durable and whole when it returns.

        `source` may be moved away, unless it is an object itself (`local`): then there are two of it.

        Raises:
            ResourceError: `disk_full`, or `storage_unavailable`.
        """

    def open(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to, not including, `end` (all to the end when None), in pieces.

        Raises:
            FinalError: `object_missing`.
        """

    def stat(self, key: str) -> Stored | None:
        """What is known of the object, or None when there is none."""

    def exists(self, key: str) -> bool:
        """Whether there is an object under `key`."""

    def delete(self, key: str) -> None:
        """Remove the object; deleting twice is fine."""

    def delete_all(self, keys: Iterable[str]) -> None:
        """Remove many objects; those that are gone already are fine."""

    def copy(self, source_key: str, key: str, content_type: str) -> None:
        """Store what is under `source_key` under `key` as well.

        Raises:
            FinalError: `object_missing`.
            ResourceError: `disk_full`, or `storage_unavailable`.
        """

    def url(self, key: str) -> str:
        """An address at which the object can be read."""

    def signed_url(self, key: str, lifetime_s: int) -> str | None:
        """An address that reads the object past this server for a while, or None where there is no such thing."""

    def local(self, key: str, folder: Path) -> Path:
        """The object as a file of this machine, for tools that read files. It is only to be read.

        Args:
            key: of the object.
            folder: where it is kept if it has to be fetched; several callers may ask for it at once.

        Raises:
            FinalError: `object_missing`.
            ResourceError: `disk_full`, or `storage_unavailable`.
        """

    def forget(self, key: str, folder: Path) -> None:
        """Remove what `local` fetched into `folder`; the object stays."""

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with `prefix`, in no particular order. For sweeping and exporting."""

    def size_bytes(self) -> int:
        """How much room all of it takes."""
