"""Output: tables for people, JSON for programs. What a person wrote elsewhere cannot steer the terminal here."""

from __future__ import annotations

import json
import os
import sys
import time
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from anabranch.clock import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Json = Any

# No line of a pipe is cut or folded: what reads it wants whole ids, one row a line.
_WIDE = 100_000
# Controls, and bytes of a name that are no text.
_NO_TEXT = ("Cc", "Cs")
# What makes text run the other way, from there on or for a while.
_TURNS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_COLOURS = {
    "ready": "green",
    "completed": "green",
    "playable": "green",
    "degraded": "yellow",
    "cancelled": "yellow",
    "interrupted": "yellow",
    "lost": "yellow",
    "failed": "red",
    "processing": "cyan",
    "running": "cyan",
    "waiting": "dim",
    "queued": "dim",
    "created": "dim",
}


def console() -> Console:
    """Where results go."""
    return _console(sys.stdout, stderr=False)


def errors() -> Console:
    """Where everything else goes."""
    return _console(sys.stderr, stderr=True)


def _console(stream: TextIO, *, stderr: bool) -> Console:
    return Console(
        stderr=stderr,
        highlight=False,
        width=None if stream.isatty() else _WIDE,
        # Rich would keep bold and dim; https://no-color.org is asked for by people who want none of it.
        color_system=None if os.environ.get("NO_COLOR") else "auto",
    )


def show(*shown: RenderableType) -> None:
    """Print results. In a pipe no line ends with the blanks that a column is filled up with."""
    if sys.stdout.isatty():
        # Lines longer than the terminal are left to it: an address that it wraps can be copied whole.
        console().print(*shown, soft_wrap=True)
        return
    with (wide := console()).capture() as captured:
        wide.print(*shown)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()), flush=True)


def show_each(rows: Sequence[Json], parts: Callable[[Json], Sequence[RenderableType]], *, as_json: bool) -> None:
    """What came of each of several things: a line of its parts, or all of it as one document."""
    if as_json:
        print_json(rows)
        return
    for row in rows:
        show(*parts(row))


def print_json(document: Json) -> None:
    """One document, to be read by a program."""
    print(json.dumps(document, indent=2))


def print_json_line(document: Json) -> None:
    """One of many, each in a line, to be read while more come."""
    print(json.dumps(document, separators=(",", ":")), flush=True)


def printable(text: object) -> str:
    """Words from elsewhere without what a terminal would obey: escapes, line breaks, changes of direction."""
    return "".join(map(_printable, str(text)))


def _printable(one: str) -> str:
    if one in "\t\r\n":
        return " "
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(one) in _NO_TEXT or one in _TURNS else one


def words(text: object, style: str = "") -> Text:
    """Words from elsewhere as a cell that gives way when the terminal is narrow."""
    return Text("" if text is None else printable(text), style=style, no_wrap=True, overflow="ellipsis")


def status(word: str, percent: float | None = None) -> Text:
    """A status in its colour, and how far it is while that changes."""
    text = Text(printable(word), style=_COLOURS.get(word.lower().rpartition(".")[2], ""))
    if percent is not None and word in ("processing", "running"):
        text.append(f" {percent:.0f}%")
    return text


def error_line(error: Json) -> str:
    """An error of a row as a line, or nothing."""
    return f"{error['code']}: {error['message']}" if isinstance(error, dict) else str(error or "")


def table(*headers: str, gives_way: Sequence[str] = ()) -> Table:
    """A table without lines, whose columns `gives_way` are cut when the terminal is narrow; the others never are."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in headers:
        made.add_column(header, no_wrap=header not in gives_way, overflow="ellipsis" if header in gives_way else "fold")
    return made


def facts(named: Sequence[tuple[str, object]]) -> Group:
    """Names and what there is to say of each, line by line; those of which there is nothing are left out."""
    said = [(printable(name), value) for name, value in named if value is not None and str(value)]
    column = max((len(name) for name, _ in said), default=0) + 2
    return Group(*(Text.assemble((name.ljust(column), "dim"), _value(value)) for name, value in said))


def _value(value: object) -> Text:
    return value if isinstance(value, Text) else Text(printable(value))


def length(seconds: float | None) -> str:
    """A duration as players show it."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def when(moment_ms: int | None) -> str:
    """A moment: for people how long ago it is, for pipes the moment itself, in UTC."""
    if moment_ms is None:
        return ""
    if not sys.stdout.isatty():
        return iso(moment_ms)
    seconds = time.time() - moment_ms / 1000
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(int(seconds), 0)} s"


def moment(moment_ms: int | None) -> str:
    """A moment: for people by their clock, and how long ago it is; for pipes in UTC."""
    if moment_ms is None:
        return ""
    if not sys.stdout.isatty():
        return iso(moment_ms)
    local = datetime.fromtimestamp(moment_ms / 1000, UTC).astimezone()
    seconds = time.time() - moment_ms / 1000
    return f"{local:%Y-%m-%d %H:%M:%S}" + (f", {when(moment_ms)} ago" if seconds >= 0 else "")


def moment_ms(text: str | None) -> int | None:
    """Unix milliseconds of an ISO 8601 time."""
    return None if text is None else round(datetime.fromisoformat(text).timestamp() * 1000)
