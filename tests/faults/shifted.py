"""Shifted: the command line, with a clock that somebody sets while it runs.

    python -m tests.faults.shifted FILE worker …

The clock is as many seconds ahead as FILE says; right while there is none.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace

from anabranch import clock
from anabranch.cli import main


def shift_by(file: Path) -> None:
    """Have the project's clock ask a file how wrong it is."""

    def now_s() -> float:
        try:
            return time.time() + float(file.read_text())
        except (FileNotFoundError, ValueError):
            return time.time()

    vars(clock)["time"] = SimpleNamespace(time=now_s)


if __name__ == "__main__":
    shift_by(Path(sys.argv[1]))
    sys.argv[1:] = sys.argv[2:]
    main()
