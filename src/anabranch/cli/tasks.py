"""Task commands: list, show, cancel."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.text import Text

from anabranch.cli import completion, failures, output
from anabranch.cli.options import DEFAULT_URL, AsJson, Key, Limit, Url, in_path

Json = Any


class Status(StrEnum):
    """What a task may be."""

    WAITING = "waiting"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


cli = typer.Typer(help="Tasks: one output of one source.", no_args_is_help=True)


@cli.command("ls")
def list_tasks(
    status: Annotated[list[Status] | None, typer.Option(help="Only these; may be repeated.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only these kinds; may be repeated.")] = None,
    media: Annotated[
        str | None, typer.Option(autocompletion=completion.media_ids, help="Only those of a media row.")
    ] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """List tasks, the newest first."""
    from anabranch.cli.client import Server

    with Server(url, key) as server:
        rows = server.rows("/tasks", limit, status=status, kind=kind, media_id=media)
    if as_json:
        output.print_json(rows)
        return
    table = output.table("id", "status", "kind", "made", "what", gives_way=["what"])
    for row in rows:
        shown = output.status(row["status"], row["progress"])
        made = output.when(output.moment_ms(row["created"]))
        table.add_row(row["id"], shown, output.printable(row["kind"]), made, output.words(_what(row)))
    output.show(table)


@cli.command("show")
def show_task(
    task_id: Annotated[str, typer.Argument(metavar="ID", autocompletion=completion.task_ids, help="A task id.")],
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Show a task: what it makes of what, how far it is, and what came of it."""
    from anabranch.cli.client import Server

    with Server(url, key) as server:
        row = server.get(f"/tasks/{in_path(task_id)}")
    if as_json:
        output.print_json(row)
        return
    output.show(Text.assemble(output.status(row["status"], row["progress"]), " ", row["id"]))
    said = [(name, row[name]) for name in ("kind", "url", "ref", "media_id", "run_id", "output_url")]
    said += [(f"option {name}", value) for name, value in row["options"].items()]
    said += [(name, output.moment(output.moment_ms(row[name]))) for name in ("created", "updated")]
    said += [("waits", output.words(row["waiting_for"]["message"], "yellow"))] if row.get("waiting_for") else []
    last = output.error_line(row["last_error"])
    said += [("error", output.words(last or row["error"], "red")) if row["error"] else ("last error", last)]
    output.show(output.facts(said))


@cli.command("cancel")
def cancel_task(
    task_ids: Annotated[list[str], typer.Argument(metavar="ID", autocompletion=completion.task_ids, help="Task ids.")],
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Cancel tasks: what is encoded for them is stopped, and what they wrote is removed."""
    from anabranch.cli.client import Server

    with Server(url, key) as server:
        rows, code = failures.each(task_ids, lambda one: server.post(f"/tasks/{in_path(one)}/cancel"))
    output.show_each(rows, lambda row: (Text(row["id"]), output.status(row["status"])), as_json=as_json)
    failures.leave(code)


def _what(row: Json) -> str:
    """What a task belongs to, or what went wrong with it."""
    if row["error"]:
        return f"{row['error_code']}: {row['error']}"
    return " ".join(filter(None, (row["ref"], row["media_id"]))) or str(row["url"])
