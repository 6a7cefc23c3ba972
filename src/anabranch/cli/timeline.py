"""Timeline: the attempts at each piece of a media row, and when they were made beside each other."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rich.text import Text

from anabranch.cli import output

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = Any

_WIDTH = 32


def show(seen: Json) -> None:
    """Print a timeline: a line for each attempt, and for each piece that waits for its first."""
    drawn = sys.stdout.isatty()
    began = min((attempt["startedAt"] for _, _, attempt in _attempts(seen) if attempt), default=seen["now"])
    ended = max((_end(seen, attempt) for _, _, attempt in _attempts(seen) if attempt), default=seen["now"])
    when = [f"{(ended - began) / 1000:.1f} s"] if drawn else []
    columns = ("branch", "piece", "try", "status", "began", "took", "speed", *when, "what")
    table = output.table(*columns, gives_way=["what"])
    for lane, piece, attempt in _attempts(seen):
        names = [output.printable(lane["branch"]), output.printable(piece["name"])]
        if attempt is None:
            table.add_row(*names, "", output.status("waiting"))
            continue
        status = output.status(attempt["status"], attempt["progress"] * 100)
        start, end = attempt["startedAt"], _end(seen, attempt)
        took = f"{(end - start) / 1000:.1f} s"
        speed = f"{attempt['speed']:.1f}x" if attempt["speed"] else ""
        bar = [_bar(start - began, end - began, ended - began, status)] if drawn else []
        what = output.words(output.error_line(attempt["error"]), "red")
        table.add_row(*names, str(attempt["attempt"]), status, output.when(start), took, speed, *bar, what)
    output.show(table)


def _attempts(seen: Json) -> Iterator[tuple[Json, Json, Json | None]]:
    """Each attempt with its lane and piece, those of tasks that were replaced first; None for a piece without any."""
    for newest in seen["lanes"]:
        for lane in (*newest["earlier"], newest):
            for piece in lane["pieces"]:
                for attempt in piece["attempts"] or [None]:
                    # Of a task that was replaced nothing waits any more.
                    if attempt or lane is newest:
                        yield lane, piece, attempt


def _end(seen: Json, attempt: Json) -> int:
    """When an attempt ended, or now."""
    return int(attempt["endedAt"] or seen["now"])


def _bar(start: int, end: int, whole: int, status: Text) -> Text:
    """Where in the whole an attempt was made; however short, it is seen."""
    scale = _WIDTH / max(whole, 1)
    first = min(round(start * scale), _WIDTH - 1)
    length = max(1, min(round(end * scale), _WIDTH) - first)
    return Text.assemble(" " * first, ("━" * length, status.style), " " * (_WIDTH - first - length))
