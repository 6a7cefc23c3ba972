"""Moving: takes an installation to another database and another storage."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from anabranch.cli import output
from anabranch.cli.options import AsJson
from anabranch.errors import OptionError, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from anabranch.moving.move import Report, Watch
    from anabranch.settings import Settings

Json = Any

_LINE_EVERY_S = 5
_SHOWN = 20


def migrate_data(
    to_database: Annotated[str, typer.Option(metavar="URL", help="Address of the new database.")],
    to_storage: Annotated[str, typer.Option(metavar="ADDRESS", help="The new storage.")],
    from_database: Annotated[
        str | None, typer.Option(metavar="URL", help="The database to move; that of the settings by default.")
    ] = None,
    from_storage: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The storage to move; that of the settings by default.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be moved, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Move all rows and objects to another database and storage, and compare both sides.

    The server has to be stopped. A move that was interrupted goes on when the same command is given again.
    """
    from anabranch.moving import move as moving
    from anabranch.ownership import own_home
    from anabranch.settings import read_settings
    from anabranch.storage.opening import open_storage

    settings = read_settings()
    address = from_database or settings.database
    _check_there(address)
    for given in (from_storage, to_storage):
        _check_storage(given)
    own_folder, endpoint = settings.home / "storage", settings.storage_endpoint
    source_storage = open_storage(from_storage or settings.storage, own_folder, endpoint=endpoint)
    target_storage = open_storage(to_storage, own_folder, base_url=settings.outputs_url, endpoint=endpoint)
    scratch = settings.home / "moving"
    with own_home(settings.home), _opened(address) as database, _watching(quiet=as_json) as watch:
        source = moving.Place(database, source_storage)
        if dry_run:
            there = _is_there(to_database)
            with _opened(to_database, as_it_is=True) if there else _nothing() as target:
                report = moving.look(source, target, target_storage, scratch, watch)
        else:
            _make_room(to_database)
            with _opened(to_database, as_it_is=True) as target:
                report = moving.move(source, moving.Place(target, target_storage), scratch, watch)
    if as_json:
        output.print_json(_document(report))
    else:
        _print_report(report, settings)
    if not report.equal:
        raise typer.Exit(1)


def _check_storage(address: str | None) -> None:
    from anabranch import buckets

    if address is not None and "://" in address and not buckets.is_address(address):
        raise OptionError(
            "invalid_option", f"{address} is no storage that can be opened.", "Name a folder, or s3://BUCKET/PREFIX."
        )


@contextmanager
def _opened(url: str, *, as_it_is: bool = False) -> Iterator[sa.Engine]:
    from anabranch import migrations
    from anabranch.database import open_database

    database = open_database(url)
    try:
        if not as_it_is:
            migrations.upgrade(database)
        yield database
    finally:
        database.dispose()


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


def _is_there(url: str) -> bool:
    """Whether a database of SQLite has a file, which opening it would make. Of another one nobody knows yet."""
    file = _file(url)
    return file is None or file.is_file()


def _check_there(url: str) -> None:
    if not _is_there(url):
        raise SetupError(
            "database_unavailable",
            f"There is no database {url} to be moved.",
            "Name the folder with ANABRANCH_HOME, or the database with --from-database.",
        )


def _make_room(url: str) -> None:
    """Make the folder of a database of SQLite."""
    file = _file(url)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)


def _file(url: str) -> Path | None:
    """Where a database of SQLite is."""
    import sqlalchemy as sa

    found = sa.make_url(url)
    return Path(found.database or "") if found.get_backend_name() == "sqlite" else None


@contextmanager
def _watching(*, quiet: bool) -> Iterator[Watch]:
    """Bars in a terminal, else a line now and then."""
    if quiet or not sys.stderr.isatty():
        yield _Lines(quiet=quiet)
        return
    columns = (TextColumn("{task.description:<10}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, TimeRemainingColumn(), console=output.errors()) as progress:
        bars: dict[str, Any] = {}

        def watch(stage: str, done: int, of: int | None) -> None:
            if stage not in bars:
                bars[stage] = progress.add_task(stage, total=of)
            progress.update(bars[stage], completed=done, total=of)

        yield watch
        for bar in progress.tasks:
            progress.update(bar.id, completed=bar.total or 1, total=bar.total or 1)


class _Lines:
    """Says how far it is when a stage begins, and every few seconds."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._stage = ""
        self._said_at = 0.0

    def __call__(self, stage: str, done: int, of: int | None) -> None:
        now = time.monotonic()
        if self._quiet or (stage == self._stage and now - self._said_at < _LINE_EVERY_S):
            return
        self._stage, self._said_at = stage, now
        unit = "bytes" if stage == "objects" else "rows"
        print(stage if of is None else f"{stage} {done:,} of {of:,} {unit}", file=sys.stderr, flush=True)


def _document(report: Report) -> Json:
    return {
        "dryRun": report.dry_run,
        "equal": report.equal,
        "objects": {
            "source": {"count": report.source.count, "bytes": report.source.size_bytes},
            "target": {"count": report.target.count, "bytes": report.target.size_bytes},
            "copied": report.copied,
            "copiedBytes": report.copied_bytes,
            "removed": report.removed,
            "missing": report.missing,
            "differing": report.differing,
        },
        "rows": report.to_move,
        "tables": [
            {
                "table": one.table,
                "source": vars(one.source),
                "target": vars(one.target),
                "replaced": one.replaced,
                "equal": one.source == one.target,
            }
            for one in report.tables
        ],
    }


def _print_report(report: Report, settings: Settings) -> None:
    if report.dry_run:
        _print_plan(report)
        return
    table = output.table("", "source", "target", "SHA-256", "")
    for one in report.tables:
        same = one.source == one.target
        mark = output.words("equal" if same else "differs", "green" if same else "red")
        table.add_row(one.table, f"{one.source.rows:,}", f"{one.target.rows:,}", one.target.digest[:16], mark)
    mark = output.words("differs" if report.differing else "equal", "red" if report.differing else "green")
    table.add_row("objects", f"{report.source.count:,}", f"{report.target.count:,}", "", mark)
    table.add_row("bytes", f"{report.source.size_bytes:,}", f"{report.target.size_bytes:,}", "", mark)
    output.show(table)
    print(
        f"{report.copied:,} objects of {report.copied_bytes:,} bytes were copied, the others were there; "
        f"{report.removed:,} were removed."
    )
    replaced = sum(one.replaced for one in report.tables)
    if replaced:
        print(f"In {replaced:,} values something was replaced that Postgres does not keep; docs/moving.md has it.")
    _tell("is missing: a row names it, and it is nowhere", report.missing)
    _tell("differs", report.differing)
    uploads = settings.home / "uploads"
    if uploads.is_dir() and any(uploads.iterdir()):
        print(f"Uploads that are not finished stay in {uploads.absolute()}: serve with the same ANABRANCH_HOME.")


def _print_plan(report: Report) -> None:
    table = output.table("", "to be moved")
    for name, rows in report.to_move.items():
        table.add_row(name, f"{rows:,}")
    output.show(table)
    print(
        f"{report.copied:,} of {report.source.count:,} objects would be copied, {report.copied_bytes:,} bytes; "
        f"{report.removed:,} would be removed. Nothing was changed."
    )
    _tell("is missing: a row names it, and it is nowhere", report.missing)


def _tell(what: str, keys: list[str]) -> None:
    for key in keys[:_SHOWN]:
        print(f"{output.printable(key)} {what}.", file=sys.stderr)
    if len(keys) > _SHOWN:
        print(f"And {len(keys) - _SHOWN:,} more; --json lists them all.", file=sys.stderr)
