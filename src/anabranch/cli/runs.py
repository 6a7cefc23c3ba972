"""Run commands: what the engine does, by function. List, show with steps, cancel."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.text import Text

from anabranch.cli import completion, failures, output
from anabranch.cli.options import DEFAULT_URL, AsJson, Key, Limit, Url, in_path

Json = Any


class Status(StrEnum):
    """What a run may be."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


cli = typer.Typer(help="Runs: functions at work, and the steps that they took.", no_args_is_help=True)


@cli.command("ls")
def list_runs(
    status: Annotated[list[Status] | None, typer.Option(help="Only these; may be repeated.")] = None,
    function: Annotated[str | None, typer.Option(help="Only those of this function.")] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """List runs, the newest first."""
    from anabranch.cli.client import Server

    with Server(url, key) as server:
        rows = server.rows("/v1/runs", limit, status=status, function=function)
    if as_json:
        output.print_json(rows)
        return
    table = output.table("id", "status", "function", "made", "took", "what", gives_way=["function", "what"])
    for row in rows:
        made = output.moment_ms(row["created_at"])
        what = output.words(_error(row), "red")
        table.add_row(row["id"], _status(row), output.words(row["function_id"]), output.when(made), _took(row), what)
    output.show(table)


@cli.command("show")
def show_run(
    run_id: Annotated[str, typer.Argument(metavar="ID", autocompletion=completion.run_ids, help="A run id.")],
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Show a run and its steps: which are done, which have failed how often, and when they are tried again."""
    from anabranch.cli.client import Server

    with Server(url, key) as server:
        row = server.get(f"/v1/runs/{in_path(run_id)}")["data"]
    if as_json:
        output.print_json(row)
        return
    output.show(Text.assemble(_status(row), " ", row["id"]))
    said = [(name, row[name]) for name in ("function_id", "event_id", "parent_run_id", "original_run_id")]
    moments = ("created_at", "due_at", "run_started_at", "ended_at")
    said += [(name, output.moment(output.moment_ms(row[name]))) for name in moments]
    said += [("error", _error(row))]
    output.show(output.facts(said))
    if row["steps"]:
        table = output.table("step", "status", "failed", "does", "result", gives_way=["result"])
        for step in row["steps"]:
            failed = str(step["failures"] or "")
            result = output.words("" if step["result"] is None else json.dumps(step["result"]))
            name = output.printable(step["name"] or step["id"])
            table.add_row(name, output.status(step["status"]), failed, step["op"], result)
        output.show("")
        output.show(table)


@cli.command("cancel")
def cancel_run(
    run_ids: Annotated[list[str], typer.Argument(metavar="ID", autocompletion=completion.run_ids, help="Run ids.")],
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Cancel runs. Of an upload, its branches end too."""
    from anabranch.cli.client import Server

    with Server(url, key) as server:
        rows, code = failures.each(run_ids, lambda one: server.delete(f"/v1/runs/{in_path(one)}")["data"])
    output.show_each(rows, lambda row: (Text(row["id"]), _status(row)), as_json=as_json)
    failures.leave(code)


def _status(row: Json) -> Text:
    return output.status(row["status"].lower())


def _took(row: Json) -> str:
    started, ended = output.moment_ms(row["run_started_at"]), output.moment_ms(row["ended_at"])
    return "" if started is None or ended is None else f"{(ended - started) / 1000:.1f} s"


def _error(row: Json) -> str:
    """The error that ended a run, in the words of whichever SDK wrote it."""
    error = row["error"]
    if not isinstance(error, dict):
        return str(error or "")
    return str(error.get("message") or error.get("name") or json.dumps(error))
