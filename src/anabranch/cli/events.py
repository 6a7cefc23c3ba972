"""Events: a live tail of what happens to media and tasks."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from anabranch.cli import completion, output
from anabranch.cli.options import DEFAULT_URL, AsJson, Key, Url, in_path
from anabranch.clock import iso

if TYPE_CHECKING:
    from anabranch.cli.tail import Event

Json = Any

_LONGEST_NAME = len("media.transcript.ready")


def events(
    since: Annotated[
        int | None, typer.Option(min=0, help="The number after which to begin; 0 is the beginning. Now, by default.")
    ] = None,
    media: Annotated[
        str | None, typer.Option(autocompletion=completion.media_ids, help="Only one media row, with its progress.")
    ] = None,
    type_: Annotated[
        list[str] | None, typer.Option("--type", help="Only these, like media.ready or task.*; may be repeated.")
    ] = None,
    count: Annotated[int | None, typer.Option("-n", "--count", min=1, help="End after as many.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Print what happens, as it happens. A lost connection is made again, and nothing is missed.

    With --json each is an object in a line of its own. Of one media row, it begins with what has happened before.
    """
    from anabranch.cli import tail
    from anabranch.cli.client import Server

    told = 0
    path = f"/media/{in_path(media)}/events" if media else "/events"
    with Server(url, key) as server:
        for event in tail.follow(server, path, since, output.errors().print):
            if type_ and not any(_matches(event.name, topic) for topic in type_):
                continue
            if as_json:
                output.print_json_line(_as_object(event))
            else:
                output.show(_line(event))
            told += 1
            if told == count or (media and event.name == "media.deleted"):
                break


def _matches(name: str, topic: str) -> bool:
    return name == topic or (topic.endswith("*") and name.startswith(topic[:-1]))


def _as_object(event: Event) -> Json:
    """An event as an object: a change as it is, and the progress in the same members."""
    change = event.data
    if event.name == "progress":
        change = {"type": "progress", "media_id": change["id"], "task_id": None, "data": change}
    return {"number": event.number, **change}


def _line(event: Event) -> Text:
    seen = _as_object(event)
    data = seen["data"]
    at = seen.get("created_at") or data.get("updatedAt")
    line = Text()
    line.append(f"{event.number:>6}  ", style="dim")
    line.append(f"{_clock(at)}  ", style="dim")
    line.append(output.status(event.name).plain.ljust(_LONGEST_NAME), style=output.status(event.name).style)
    line.append(output.printable(f"  {seen['task_id'] or seen['media_id'] or ''}  {_gist(event.name, data)}").rstrip())
    return line


def _clock(moment_ms: int | None) -> str:
    """The time of day for people, the whole of it in UTC for pipes."""
    if moment_ms is None:
        return ""
    if not sys.stdout.isatty():
        return iso(moment_ms)
    return datetime.fromtimestamp(moment_ms / 1000).astimezone().strftime("%H:%M:%S")


def _gist(name: str, data: Json) -> str:
    """What of the row is worth a line: of media its title, of tasks their kind, how far it is, what went wrong."""
    error = data.get("error") or data.get("last_error")
    parts = [data.get("title") or data.get("kind") or data.get("message") or ""]
    if name == "progress":
        parts.append(f"{data['status']}, {data['percent']:.0f}%")
    if error and data.get("status") in ("failed", "degraded", "cancelled"):
        parts.append(output.error_line(error))
    return "  ".join(part for part in parts if part)
