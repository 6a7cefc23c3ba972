"""The command line: what a person types. A file for each thing that commands are about."""

from __future__ import annotations

import sys

import typer

from anabranch.cli import events, failures, local, media, moving, runs, serve, sweep, tasks, worker
from anabranch.errors import AnabranchError

cli = typer.Typer(
    name="anabranch",
    help="One upload fans out into HLS, poster, GIF and transcript, and rejoins in one media record.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_HERE, _THERE = "On this machine", "Of a server, here or elsewhere"


@cli.callback()
def _main() -> None:
    """One upload fans out into HLS, poster, GIF and transcript, and rejoins in one media record."""


for _command in (local.run, local.doctor, local.check, serve.serve, worker.worker, sweep.sweep):
    cli.command(rich_help_panel=_HERE)(_command)
cli.command("migrate-data", rich_help_panel=_HERE)(moving.migrate_data)
cli.add_typer(serve.keys_cli, name="keys", rich_help_panel=_HERE)
cli.add_typer(media.cli, name="media", rich_help_panel=_THERE)
cli.add_typer(tasks.cli, name="task", rich_help_panel=_THERE)
cli.add_typer(runs.cli, name="runs", rich_help_panel=_THERE)
cli.command(rich_help_panel=_THERE)(events.events)


def main() -> None:
    """Run the command line; an error of the project's own is told in a line, with its code."""
    try:
        cli()
    except AnabranchError as error:
        failures.tell(error)
        sys.exit(failures.exit_code(error))
