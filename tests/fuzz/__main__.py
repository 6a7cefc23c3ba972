"""One mutant, tried alone: `python -m tests.fuzz NUMBER`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.fuzz import mutants
from tests.fuzz.test_media import look


def main(number: int) -> None:
    made = mutants.mutant(number)
    print(f"{made.name}, {len(made.data)} bytes: {', '.join(made.how)}")
    with tempfile.TemporaryDirectory() as folder:
        print(look(number, Path(folder)))
        for log in Path(folder).rglob("*.log"):
            print(log.read_text()[-3000:])


if __name__ == "__main__":
    main(int(sys.argv[1]))
