"""Findings: what a check of the installation found, in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        about: what was looked at.
        status: `ok`, `warning` (something optional is missing) or `problem` (a run would fail).
        said: what was found.
        advice: what to do about it, or empty.
    """

    about: str
    status: str
    said: str
    advice: str = ""
