"""The command line: what a person types."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import structlog
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anabranch.errors import AnabranchError, OptionError, SourceError
from anabranch.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from anabranch.media.conformance import Finding

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
    for name in [name for name in record if name.endswith("Url") and name != "sourceUrl"]:
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


@cli.command()
def check(
    master: Annotated[str, typer.Argument(metavar="MASTER", help="A multivariant playlist: a path, or http(s).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
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
        print(json.dumps([vars(finding) for finding in found], indent=2))
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
    Console(highlight=False).print(table)


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Interface to listen on.", envvar="ANABRANCH_HOST")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", envvar="ANABRANCH_PORT")] = None,
    app_urls: Annotated[
        list[str] | None, typer.Option("--app", help="Address where another app serves Inngest functions.")
    ] = None,
) -> None:
    """Serve the API, drive the functions and do the tasks, in one process. The first API key is printed once."""
    from anabranch.server import serve as serve_until_stopped

    _log_for_machines()
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    asyncio.run(serve_until_stopped(read_settings(**given), app_urls or []))


keys_cli = typer.Typer(help="Keys of the API, and the signing key of functions.", no_args_is_help=True)
cli.add_typer(keys_cli, name="keys")


@keys_cli.command("create")
def create_key(name: Annotated[str, typer.Argument(help="What it is for, for people.")]) -> None:
    """Make a key of the API and print it, this once."""
    from anabranch.catalog import keys

    with _database() as database:
        _, text = keys.create(database, name)
    print(text)


@keys_cli.command("list")
def list_keys() -> None:
    """List the keys of the API by what is known of them; the keys themselves are not kept."""
    from anabranch import views
    from anabranch.catalog import keys

    table = Table("id", "name", "begins with", "made", "last used", "revoked", box=None)
    with _database() as database:
        for key in keys.every(database):
            moments = [views.iso(moment) or "" for moment in (key.created_at, key.last_used_at, key.revoked_at)]
            table.add_row(key.id, key.name, key.prefix, *moments)
    Console(highlight=False, width=160).print(table)


@keys_cli.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="Its id, from the list.")]) -> None:
    """End a key at once."""
    from anabranch.catalog import keys

    with _database() as database:
        revoked = keys.revoke(database, key_id)
    if not revoked:
        raise OptionError("key_not_found", f"There is no key {key_id} that could be revoked.", "See: keys list.")


@keys_cli.command("signing")
def show_signing_key() -> None:
    """Print the signing key, to be given to apps as INNGEST_SIGNING_KEY."""
    from anabranch.app import signing_key

    with _database() as database:
        print(signing_key(read_settings(), database))


@contextmanager
def _database() -> Iterator[sa.Engine]:
    """The database of the settings, which a server may have open at the same time."""
    from anabranch import migrations
    from anabranch.database import open_database

    settings = read_settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    database = open_database(settings.database)
    migrations.upgrade(database)
    try:
        yield database
    finally:
        database.dispose()


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


def _log_for_machines() -> None:
    """Log a JSON object a line, with what each is about: request, run, step, task, attempt."""
    logging.basicConfig(level=logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def main() -> None:
    """Run the command line; an error of the project's own is told in a line, with its code."""
    try:
        cli()
    except AnabranchError as error:
        _errors.print(Text(f"{error.code}: {error}", style="red"))
        sys.exit(1)
