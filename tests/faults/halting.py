"""Halting: the command line, halted for ever at one of its lines, so that it can be killed right there.

    python -m tests.faults.halting MODULE:FUNCTION MARKER serve …

It makes the file MARKER, and goes no further, where it comes to the function.
"""

from __future__ import annotations

import importlib
import sys
import threading
from pathlib import Path
from typing import Any

from anabranch.cli import main


def halt_at(place: str, marker: Path) -> None:
    """Put a function in the place of another that says that it was called, and does not return."""
    module, _, name = place.partition(":")

    def halted(*_: Any, **__: Any) -> None:
        marker.touch()
        threading.Event().wait()

    owner = importlib.import_module(module)
    assert callable(getattr(owner, name))
    setattr(owner, name, halted)


if __name__ == "__main__":
    halt_at(sys.argv[1], Path(sys.argv[2]))
    sys.argv[1:] = sys.argv[3:]
    main()
