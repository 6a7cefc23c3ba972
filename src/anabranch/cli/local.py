"""Local commands: what needs no server. One run, and checks of the installation and of what was made."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.table import Table
from rich.text import Text

from anabranch.cli import output
from anabranch.cli.loading import loading
from anabranch.cli.options import AsJson
from anabranch.errors import SourceError

if TYPE_CHECKING:
    from anabranch.media.conformance import Finding


def run(
    source: Annotated[
        str, typer.Argument(metavar="FILE_OR_URL", help="A media file, or its address: http(s), s3, gs or az.")
    ],
    folder: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for the outputs; named after the source by default."),
    ] = None,
    as_json: AsJson = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Log each step to standard error.")] = False,
) -> None:
    """Make HLS, poster, GIF and transcript of a file.

    A run that was stopped or killed goes on when the same command is given again.
    """
    # Here and not above: the engine takes seconds to import, and --help should not.
    with loading():
        from anabranch.once import run_once

    log_to_stderr(verbose)
    folder = folder or Path(f"{_stem(source)}.anabranch")
    record = asyncio.run(run_once(_address(source), folder, quiet=as_json or verbose))
    if as_json:
        output.print_json(record)
    else:
        _print_record(record, folder)
    if record["status"] == "failed":
        raise typer.Exit(1)


def _print_record(record: dict[str, Any], folder: Path) -> None:
    console = output.console()
    # Where there is no terminal the bars end without a line break.
    console.print()
    styles = {"ready": "green", "degraded": "yellow", "failed": "red"}
    console.print(Text(record["status"], style=f"bold {styles.get(record['status'], 'cyan')}"), record["id"])
    said = [(name, record[name] or "none") for name in record if name.endswith("Url") and name != "sourceUrl"]
    if record["durationS"] is not None:
        shape = f", {record['width']}x{record['height']}" if record["width"] else ""
        said.append(("source", f"{record['durationS']:.1f} s{shape}, {record['sizeBytes']:,} bytes"))
    for rendition in record["renditions"]:
        size = f"{rendition['width']}x{rendition['height']}"
        said.append((rendition["name"], f"{size}, {rendition['averageBps'] / 1000:,.0f} kbit/s"))
    console.print(output.facts(said), soft_wrap=True)
    console.print(Text(f"Everything is in {folder}; media.json is the record.", style="dim"))
    if record["error"]:
        output.errors().print(Text(f"{record['error']['code']}: {record['error']['message']}", style="red"))


def doctor(
    as_json: AsJson = False,
) -> None:
    """Check ffmpeg, speech model, disk, database and storage, and say what to do about what is missing."""
    from anabranch import doctor as examination
    from anabranch.settings import read_settings

    found = examination.examine(read_settings())
    if as_json:
        output.print_json([vars(finding) for finding in found])
    else:
        marks = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}
        table = Table.grid(padding=(0, 1))
        for finding in found:
            mark, colour = marks[finding.status]
            advice = f"\n{finding.advice}" if finding.advice else ""
            table.add_row(Text(mark, style=colour), Text(finding.about), Text(f"{finding.said}{advice}"))
        output.show(table)
    if any(finding.status == "problem" for finding in found):
        raise typer.Exit(1)


def check(
    master: Annotated[str, typer.Argument(metavar="MASTER", help="A multivariant playlist: a path, or http(s).")],
    as_json: AsJson = False,
) -> None:
    """Check an HLS package against RFC 8216bis and Apple's authoring rules, segments and all."""
    from anabranch.media import conformance

    address = master if "://" in master else Path(master).absolute().as_uri()
    try:
        found = conformance.check(address, conformance.fetcher(address))
    except OSError as error:
        reason = error.strerror or str(error)
        raise SourceError("source_unreadable", f"{master} cannot be read: {reason}.", "Check the address.") from error
    errors = sum(finding.severity == "error" for finding in found)
    if as_json:
        output.print_json([vars(finding) for finding in found])
    else:
        _print_findings(found)
        print(f"{errors} errors, {len(found) - errors} warnings")
    if errors:
        raise typer.Exit(1)


def _print_findings(found: list[Finding]) -> None:
    marks = {"warning": ("!", "yellow"), "error": ("✗", "red")}
    table = Table.grid(padding=(0, 1))
    for finding in found:
        mark, colour = marks[finding.severity]
        table.add_row(Text(mark, style=colour), finding.rule, Text(f"{finding.where}\n{finding.what}"))
    output.show(table)


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


def log_to_stderr(verbose: bool) -> None:
    """What is printed is for programs; what is logged goes beside it, and little of it unless it is asked for."""
    import logging

    import structlog

    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=logging.CRITICAL)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
