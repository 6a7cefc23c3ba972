"""Media commands: upload, list, watch, repair, delete."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from anabranch.cli import completion, failures, output, record
from anabranch.cli.options import DEFAULT_URL, AsJson, Key, Limit, Url, in_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anabranch.cli.client import Server

Json = Any


class Status(StrEnum):
    """What a media row may be."""

    WAITING = "waiting"
    PROCESSING = "processing"
    READY = "ready"
    DEGRADED = "degraded"
    FAILED = "failed"


class Broken(StrEnum):
    """What a media row with failed branches may be."""

    DEGRADED = "degraded"
    FAILED = "failed"


cli = typer.Typer(help="Media rows: an upload and all that becomes of it.", no_args_is_help=True)
_Ids = Annotated[list[str], typer.Argument(metavar="ID", autocompletion=completion.media_ids, help="Media ids.")]


@cli.command("ls")
def list_media(
    status: Annotated[list[Status] | None, typer.Option(help="Only these; may be repeated.")] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """List media, the newest first."""
    from anabranch.cli.client import Server

    with Server(url, key) as server:
        rows = server.rows("/media", limit, status=status)
    if as_json:
        output.print_json(rows)
        return
    if not rows and not status:
        output.errors().print("There is no media yet. `anabranch media add FILE` uploads some.")
    table = output.table("id", "status", "title", "length", "made", gives_way=["title"])
    for row in rows:
        shown = output.status(row["status"], row["percent"])
        title, length = output.words(row["title"]), output.length(row["durationS"])
        table.add_row(row["id"], shown, title, length, output.when(row["createdAt"]))
    output.show(table)


@cli.command("show")
def show_media(
    media_id: Annotated[str, typer.Argument(metavar="ID", autocompletion=completion.media_ids, help="A media id.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on showing it until it has ended.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Show a media row: how far each branch is, and where its parts are.

    With --follow it ends with 1 if the media failed.
    """
    from anabranch.cli.client import Server

    with Server(url, key) as server:
        row = record.follow(server, media_id, quiet=as_json) if follow else server.get(f"/media/{in_path(media_id)}")
    if as_json:
        output.print_json(row)
    else:
        record.show(row)
    failures.leave(1 if follow and row["status"] == "failed" else 0)


@cli.command("timeline")
def show_timeline(
    media_id: Annotated[str, typer.Argument(metavar="ID", autocompletion=completion.media_ids, help="A media id.")],
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Show how each branch was done: its pieces, and every attempt at each of them."""
    from anabranch.cli import timeline
    from anabranch.cli.client import Server

    with Server(url, key) as server:
        seen = server.get(f"/media/{in_path(media_id)}/timeline")
    if as_json:
        output.print_json(seen)
    else:
        timeline.show(seen)


@cli.command("add")
def add_media(
    sources: Annotated[list[str], typer.Argument(metavar="FILE_OR_URL", help="Media files, or addresses of some.")],
    title: Annotated[str | None, typer.Option(help="What it is called; the file's name by default.")] = None,
    wait: Annotated[bool, typer.Option("-w", "--wait", help="Wait until all of it has ended.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Upload files, or have the server fetch addresses. An upload goes on after a lost connection.

    With --wait it ends with 1 if any of them failed.
    """
    from anabranch.cli.client import Server

    if title and len(sources) > 1:
        raise typer.BadParameter("one title for several sources; add them one by one.", param_hint="--title")
    rows: list[Json] = []
    with Server(url, key) as server:

        def add(source: str) -> str:
            media_id = _add(server, source, title)
            if not as_json:
                output.show(Text(media_id), output.words(source))
            return media_id

        added, code = failures.each(sources, add)
        for media_id in added:
            row = record.follow(server, media_id, quiet=as_json) if wait else server.get(f"/media/{in_path(media_id)}")
            rows.append(row)
            if wait and not as_json:
                record.show(row)
    if as_json:
        output.print_json(rows)
    failures.leave(code or (1 if wait and any(row["status"] == "failed" for row in rows) else 0))


def _add(server: Server, source: str, title: str | None) -> str:
    """Give the server a source, and return the id of the media row that it becomes."""
    if "://" in source:
        return str(server.post("/media", {"url": source, "title": title})["id"])
    from anabranch.cli.upload import upload

    path = Path(source)
    with _bar(path.name) as moved:
        return upload(server, path, title, moved)


@contextmanager
def _bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar, to be told how many bytes are there, of how many. It is gone at the end: what is left are the ids."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=output.errors(), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(output.printable(name))
        yield lambda there, size: progress.update(task, completed=there, total=size)


@cli.command("retry")
def retry_media(
    media_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", autocompletion=completion.media_ids, help="Media ids.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All media that failed or are degraded.")] = False,
    branch: Annotated[
        str | None,
        typer.Option(autocompletion=completion.branches, help="This branch alone; of an ID also a good one."),
    ] = None,
    status: Annotated[list[Broken] | None, typer.Option(help="With --all: only these.")] = None,
    error_code: Annotated[str | None, typer.Option(help="With --all: only what failed with this code.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Do again the branches that failed: of some media rows, or of all that match."""
    from anabranch.cli.client import Server

    if bool(media_ids) == all_:
        raise typer.BadParameter("give media ids, or --all.", param_hint="ID")
    if media_ids and (status or error_code):
        raise typer.BadParameter("--status and --error-code choose among --all.", param_hint="ID")
    retried: dict[str, list[str]] = {}
    code = 0
    with Server(url, key) as server:
        if all_:
            answer = server.post("/media/retry", status=status, branch=branch, error_code=error_code)
            retried = answer["media"]
        else:
            which = "" if branch is None else f"/branches/{in_path(branch)}"
            answers, code = failures.each(
                media_ids or [], lambda one: server.post(f"/media/{in_path(one)}{which}/retry")["media"]
            )
            for answer in answers:
                retried |= answer
    if as_json:
        output.print_json({"media": retried})
    else:
        for media_id, names in retried.items():
            output.show(Text(media_id), output.words(", ".join(names)))
        if not retried and not code:
            output.errors().print("Nothing there has failed; there is nothing to do again.")
    failures.leave(code)


@cli.command("delete")
def delete_media(
    media_ids: _Ids,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask. Without a terminal it never does.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Delete media rows with every byte of them. What is being done for them is stopped."""
    from anabranch.cli.client import Server

    if not yes and sys.stdin.isatty() and sys.stderr.isatty():
        typer.confirm(f"Delete {', '.join(media_ids)}, with all that was made of it?", abort=True, err=True)
    with Server(url, key) as server:
        answers, code = failures.each(media_ids, lambda one: server.delete(f"/media/{in_path(one)}"))
    output.show_each(answers, lambda answer: [output.words(answer["message"])], as_json=as_json)
    failures.leave(code)
