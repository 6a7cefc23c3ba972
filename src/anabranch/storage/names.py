"""Names: which keys there may be. The same for every storage, so that one can take over what another holds."""

from __future__ import annotations

import re

from anabranch.errors import FinalError

# What is not whole yet; in a folder it stands beside its place.
PARTIAL = ".partial"
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


def check_key(key: str) -> None:
    """Take only keys that lead neither out of a folder nor to a hidden file.

    Raises:
        FinalError: `invalid_key`.
    """
    if not _KEY.fullmatch(key) or key.endswith(PARTIAL):
        raise FinalError(
            "invalid_key",
            f"{key!r} is not a storage key.",
            "Keys are names of letters, digits, dots, dashes and underscores, joined by single slashes.",
        )


def missing(key: str, where: object) -> FinalError:
    """What is said of an object that is not there."""
    return FinalError("object_missing", f"There is no object {key} in {where}.", "It may have been deleted.")
