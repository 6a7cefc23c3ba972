"""Errors: what went wrong, with which thing, and what to do next.

    AnabranchError
    ├── FinalError       trying again cannot help; the step is given up at once
    │   ├── SourceError      the bytes or address that the user gave
    │   ├── OptionError      a task option that is unknown, impossible or contradictory
    │   └── SetupError       this installation lacks something: an encoder, a model, a writable folder
    └── RetriableError   the same call may well succeed later
        ├── EncodeError      a media tool failed or its output did not verify
        └── ResourceError    disk, network or time ran out

A code is a promise: it is written to the database, shown to clients and documented in docs/errors.md. Which
class an error has decides one thing only: whether the step is tried again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class AnabranchError(Exception):
    """An error with a stable `code`, a `message` that says what and which, and a `hint` that says what next."""

    retryable: bool = True

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(code, message, hint)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    def to_dict(self) -> dict[str, object]:
        """The error as stored in a task row and answered to clients."""
        return {"code": self.code, "message": str(self), "retryable": self.retryable, "hint": self.hint}


def without_hint(error: Mapping[str, Any]) -> str:
    """What an error, as it is stored and answered, says went wrong, without what to do about it."""
    return str(error.get("message") or "").removesuffix(error.get("hint") or "").rstrip()


class FinalError(AnabranchError):
    """Trying again cannot help."""

    retryable = False


class SourceError(FinalError):
    """The source cannot be used: missing, empty, not media, or without the track that is needed."""


class OptionError(FinalError):
    """A task option is unknown, impossible or contradicts another; the message names it."""


class SetupError(FinalError):
    """This installation lacks something; the hint says how to get it."""


class RetriableError(AnabranchError):
    """The same call may succeed later.

    Attributes:
        retry_after_s: how long whoever refused asked to be left alone, or None.
    """

    retry_after_s: float | None = None


class EncodeError(RetriableError):
    """A media tool failed, or what it made did not verify."""


class ResourceError(RetriableError):
    """Disk, network or time ran out."""
