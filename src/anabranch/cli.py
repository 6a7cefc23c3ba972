"""The command line: what a person types."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import structlog
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anabranch.errors import AnabranchError, SourceError
from anabranch.settings import read_settings

cli = typer.Typer(
    name="anabranch",
    help="One upload fans out into HLS, poster, GIF and transcript, and rejoins in one media record.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_errors = Console(stderr=True, highlight=False)


@cli.callback()
def _main() -> None:
    """One upload fans out into HLS, poster, GIF and transcript, and rejoins in one media record."""


@cli.command()
def run(
    source: Annotated[str, typer.Argument(metavar="FILE_OR_URL", help="A media file, or an http(s) address of one.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for the outputs; named after the source by default."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the media record as JSON, and nothing else.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Log each step to standard error.")] = False,
) -> None:
    """Make HLS, poster, GIF and transcript of a file.

    A run that was stopped or killed goes on when the same command is given again.
    """
    # Here and not above: the engine takes seconds to import, and --help should not.
    from anabranch.once import run_once

    _log_to_stderr(verbose)
    folder = output or Path(f"{_stem(source)}.anabranch")
    record = asyncio.run(run_once(_address(source), folder, quiet=as_json or verbose))
    if as_json:
        print(json.dumps(record, indent=2))
    else:
        _print_record(record, folder)
    if record["status"] == "failed":
        raise typer.Exit(1)


def _print_record(record: dict[str, Any], folder: Path) -> None:
    console = Console(highlight=False)
    # Where there is no terminal the bars end without a line break.
    console.print()
    styles = {"ready": "green", "degraded": "yellow", "failed": "red"}
    console.print(Text(record["status"], style=f"bold {styles.get(record['status'], 'cyan')}"), record["id"])
    facts = Table.grid(padding=(0, 2))
    for name in ("hlsUrl", "posterUrl", "gifUrl", "transcriptionUrl"):
        facts.add_row(Text(name, style="dim"), record[name] or "none")
    if record["durationS"] is not None:
        shape = f", {record['width']}x{record['height']}" if record["width"] else ""
        facts.add_row(Text("source", style="dim"), f"{record['durationS']:.1f} s{shape}, {record['sizeBytes']:,} bytes")
    for rendition in record["renditions"]:
        size = f"{rendition['width']}x{rendition['height']}"
        rate = f"{rendition['averageBps'] / 1000:,.0f} kbit/s"
        facts.add_row(Text(rendition["name"], style="dim"), f"{size}, {rate}")
    console.print(facts)
    console.print(Text(f"Everything is in {folder}; media.json is the record.", style="dim"))
    if record["error"]:
        _errors.print(Text(f"{record['error']['code']}: {record['error']['message']}", style="red"))


@cli.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check ffmpeg, speech model, disk and database, and say what to do about what is missing."""
    from anabranch import doctor as examination

    found = examination.examine(read_settings())
    if as_json:
        print(json.dumps([vars(finding) for finding in found], indent=2))
    else:
        marks = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}
        table = Table.grid(padding=(0, 1))
        for finding in found:
            mark, colour = marks[finding.status]
            advice = f"\n{finding.advice}" if finding.advice else ""
            table.add_row(Text(mark, style=colour), finding.about, f"{finding.said}{advice}")
        Console(highlight=False).print(table)
    if any(finding.status == "problem" for finding in found):
        raise typer.Exit(1)


def _address(source: str) -> str:
    """A path is made absolute, so that a run that goes on elsewhere still finds it."""
    if "://" in source:
        return source
    path = Path(source)
    if not path.exists():
        raise SourceError("source_missing", f"There is no file {source}.", "Check the path.")
    return str(path.absolute())


def _stem(source: str) -> str:
    return Path(urlsplit(source).path if "://" in source else source).stem or "media"


def _log_to_stderr(verbose: bool) -> None:
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=logging.CRITICAL)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def main() -> None:
    """Run the command line; an error of the project's own is told in a line, with its code."""
    try:
        cli()
    except AnabranchError as error:
        _errors.print(Text(f"{error.code}: {error}", style="red"))
        sys.exit(1)
