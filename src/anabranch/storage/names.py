"""Names: which keys there may be. The same for every storage, so that one can take over what another holds."""

from __future__ import annotations

import re

from anabranch.errors import FinalError

# What is not whole yet; in a folder it stands beside its place.
PARTIAL = ".partial"
_NAME = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_KEY = re.compile(rf"{_NAME}(/{_NAME})*")
# With what is written behind it, it has to be the name of a file.
_LONGEST_ID = 128


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


def check_id(given: object) -> str:
    """Take only ids that can be a part of a key, from whoever may choose one.

    Raises:
        FinalError: `invalid_id`.
    """
    if isinstance(given, str) and len(given) <= _LONGEST_ID and re.fullmatch(_NAME, given):
        return given
    raise FinalError(
        "invalid_id",
        f"{str(given)[:_LONGEST_ID]!r} cannot be an id.",
        f"Ids are of letters, digits, dots, dashes and underscores, {_LONGEST_ID} at the most, and begin with no dot.",
    )


def missing(key: str, where: object) -> FinalError:
    """What is said of an object that is not there."""
    return FinalError("object_missing", f"There is no object {key} in {where}.", "It may have been deleted.")
