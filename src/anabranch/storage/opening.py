"""Opening: the storage that an address names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anabranch import buckets
from anabranch.storage.files import FileStorage
from anabranch.storage.objects import ObjectStorage

if TYPE_CHECKING:
    from anabranch.storage import Storage

# What somebody else may be writing right now; no file takes longer.
_LEFT_BEHIND_S = 24 * 3600


def open_storage(
    address: str | None, own_folder: Path, *, base_url: str | None = None, endpoint: str | None = None
) -> Storage:
    """The storage that an address names.

    Args:
        address: of a bucket, with or without a prefix; or a folder, which others may share. `own_folder` when None.
        own_folder: one that nobody else writes to.
        base_url: where the outputs are served.
        endpoint: where the object store is, when it is none of its makers' own.

    Raises:
        SetupError: `storage_refused`.
    """
    if address is not None and buckets.is_address(address):
        return ObjectStorage(buckets.place_of(address), base_url, endpoint)
    folder = FileStorage(Path(address) if address is not None else own_folder, base_url)
    folder.sweep(0 if address is None else _LEFT_BEHIND_S)
    return folder
