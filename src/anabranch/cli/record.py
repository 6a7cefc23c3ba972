"""Record: a media row as people see it, once or for as long as it changes."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from anabranch.cli import output
from anabranch.cli.failures import Refused
from anabranch.cli.options import in_path

if TYPE_CHECKING:
    from rich.console import RenderableType

    from anabranch.cli.client import Server

Json = Any

ENDED = ("ready", "degraded", "failed")
_BAR_WIDTH = 12
# Where there is room for the ids of tasks.
_WIDE = 110


def show(row: Json) -> None:
    """Print a media row."""
    said: list[tuple[str, object]] = []
    if row["status"] not in ENDED and row["playable"]:
        said.append(("playable", "yes, from its beginning on"))
    said += [(name, row[name]) for name in row if name.endswith("Url") and name != "sourceUrl"]
    if row["durationS"] is not None:
        shape = f", {row['width']}x{row['height']}" if row["width"] else ""
        said.append(("source", f"{output.length(row['durationS'])}{shape}, {row['sizeBytes'] or 0:,} bytes"))
    said += [(one["name"], _rendition(one)) for one in row["renditions"]]
    said += [("made", output.moment(row["createdAt"])), ("error", output.words(output.error_line(row["error"]), "red"))]
    output.show(_title(row))
    output.show(output.facts(said))
    if row["branches"]:
        output.show("")
        output.show(_branches(row, bars=sys.stdout.isatty(), width=output.console().width))


def follow(server: Server, media_id: str, *, quiet: bool) -> Json:
    """The media row as it is when it has ended. Until then its branches are drawn, where somebody looks.

    Raises:
        Refused: it is deleted meanwhile, or there is none.
    """
    from anabranch.cli import tail

    row = server.get(f"/media/{in_path(media_id)}")
    console = output.errors()
    drawn = sys.stderr.isatty() and not quiet
    with Live(_live(row, console.width), console=console, transient=True) if drawn else nullcontext() as live:
        for event in tail.follow(server, f"/media/{in_path(media_id)}/events", None, console.print):
            if event.name == "media.deleted":
                raise Refused("media_not_found", f"{media_id} was deleted.", "", 404)
            if event.name != "progress":
                continue
            row = event.data
            if live is not None:
                live.update(_live(row, console.width))
            if row["status"] in ENDED:
                return row
    raise AssertionError("a stream is followed until something ends it")


def _live(row: Json, width: int) -> RenderableType:
    return Group(_title(row), _branches(row, bars=True, width=width))


def _title(row: Json) -> Text:
    return Text.assemble(output.status(row["status"], row["percent"]), " ", row["id"], " ", output.words(row["title"]))


def _rendition(one: Json) -> str:
    size = f"{one['width']}x{one['height']}" if one.get("width") else ""
    rate = f"{one['averageBps'] / 1000:,.0f} kbit/s" if one.get("averageBps") else ""
    return ", ".join(filter(None, (size, rate)))


def _branches(row: Json, *, bars: bool, width: int) -> RenderableType:
    tasks = width >= _WIDE
    ids = ["task"] if tasks else []
    table = output.table("branch", "status", "done", "try", *ids, "what", gives_way=["what"])
    for one in row["branches"]:
        percent = f"{one['progress']:.0f}%"
        shown = output.status(one["status"])
        drawn = ProgressBar(
            total=100,
            completed=one["progress"],
            width=_BAR_WIDTH,
            complete_style=shown.style,
            finished_style=shown.style,
        )
        attempt = f"{one['attempt']}/{one['maxAttempts']}" if one.get("maxAttempts") else str(one.get("attempt", ""))
        ids = [one["taskId"]] if tasks else []
        table.add_row(one["name"], shown, drawn if bars else percent, attempt, *ids, _what(one))
    return table


def _what(branch: Json) -> Text:
    """Why a branch is as it is: what ended it, when it is tried again after what, or why there was nothing to do."""
    if branch["error"] and branch["status"] == "failed":
        return Text(output.printable(output.error_line(branch["error"])), style="red")
    if branch.get("nextRetryAt"):
        seconds = max(0, round(branch["nextRetryAt"] / 1000 - time.time()))
        last = output.error_line(branch.get("lastError"))
        return Text(output.printable(f"again in {seconds} s, after {last}"), style="yellow")
    if branch.get("waitingFor"):
        return output.words(branch["waitingFor"]["message"], "yellow")
    return output.words(branch.get("reason"))
