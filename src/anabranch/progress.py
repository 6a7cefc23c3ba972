"""Progress: what a run is doing, read from the catalog's rows and drawn in the terminal, a bar for each branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from anabranch.catalog import attempts, tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy as sa
    from rich.console import RenderableType

_MARKS = {"completed": ("✓", "green"), "failed": ("✗", "red"), "cancelled": ("✗", "yellow")}


@dataclass(frozen=True)
class Lane:
    """One branch as it stands.

    Attributes:
        name: its step id.
        status: of its task.
        percent: 0 to 100.
        pieces_done: finished pieces.
        pieces: all pieces; 0 until planned.
        speed: media seconds made a second, by all its running pieces together.
        failures: attempts that failed.
        note: why it ended as it did, or what went wrong last.
    """

    name: str
    status: str
    percent: float
    pieces_done: int
    pieces: int
    speed: float
    failures: int
    note: str


def lanes(database: sa.Engine, media_id: str, names: Sequence[str]) -> list[Lane]:
    """The branches of a media row, in the order of `names`."""
    found = {task.ref: task for task in tasks.of_media(database, media_id)}
    return [_lane(database, name, found.get(name)) for name in names]


def _lane(database: sa.Engine, name: str, task: tasks.Task | None) -> Lane:
    if task is None:
        return Lane(name, "queued", 0.0, 0, 0, 0.0, 0, "")
    rows = attempts.of_task(database, task.id)
    pieces = {piece["name"] for piece in task.pieces or []}
    done = {row.piece for row in rows if row.status == "completed"} & pieces
    note = (task.output or {}).get("reason") or (task.error or {}).get("code") or ""
    return Lane(
        name=name,
        status=task.status,
        percent=task.progress,
        pieces_done=len(done),
        pieces=len(pieces),
        speed=sum(row.speed or 0.0 for row in rows if row.status == "running"),
        failures=sum(row.status == "failed" for row in rows),
        note=note,
    )


def draw(title: str, drawn: Sequence[Lane]) -> RenderableType:
    """The branches as bars."""
    table = Table.grid(padding=(0, 1))
    for lane in drawn:
        mark, colour = _MARKS.get(lane.status, ("•", "cyan"))
        table.add_row(
            Text(mark, style=colour),
            lane.name,
            ProgressBar(total=100, completed=lane.percent, width=28, complete_style=colour, finished_style=colour),
            f"{lane.percent:3.0f}%",
            Text(_detail(lane), style="dim"),
        )
    return Group(Text(title, style="bold"), table)


def _detail(lane: Lane) -> str:
    parts = []
    if lane.pieces > 1:
        parts.append(f"{lane.pieces_done}/{lane.pieces} pieces")
    if lane.status == "processing" and lane.speed:
        parts.append(f"{lane.speed:.1f}x")
    if lane.failures:
        again = ", trying again" if lane.status == "processing" else ""
        parts.append(f"{lane.failures} failed{again}")
    if lane.note:
        parts.append(lane.note)
    return ", ".join(parts)
