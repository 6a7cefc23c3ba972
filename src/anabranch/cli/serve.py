"""Serving: the server itself, and the keys that it knows. These commands work on its database, not through its API."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from anabranch.cli import output
from anabranch.cli.loading import loading
from anabranch.cli.options import AsJson, WhichEngine
from anabranch.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

keys_cli = typer.Typer(help="Keys of the API, and the signing key of functions.", no_args_is_help=True)


class Scope(StrEnum):
    """What a key may."""

    read = "read"
    upload = "upload"
    write = "write"
    admin = "admin"


def serve(
    host: Annotated[str | None, typer.Option(help="Interface to listen on.", envvar="ANABRANCH_HOST")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", envvar="ANABRANCH_PORT")] = None,
    engine: WhichEngine = None,
    works: Annotated[
        bool,
        typer.Option("--work/--no-work", help="Whether to do pieces of tasks here, or leave that to workers."),
    ] = True,
    app_urls: Annotated[
        list[str] | None, typer.Option("--app", help="Address where another app serves Inngest functions.")
    ] = None,
) -> None:
    """Serve the API, drive the functions and do the tasks, in one process. The first API key is printed once."""
    with loading():
        from anabranch.server import serve as serve_until_stopped
        from anabranch.settings import read_settings

    log_for_machines()
    given = {name: value for name, value in (("host", host), ("port", port), ("engine", engine)) if value is not None}
    asyncio.run(serve_until_stopped(read_settings(**given), app_urls or [], works=works))


@keys_cli.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What it is for, for people.")],
    scopes: Annotated[
        list[Scope] | None,
        typer.Option("--scope", help="What it may: read, upload, write (both, and changes) or admin. May be repeated."),
    ] = None,
    requests_per_minute: Annotated[
        int | None,
        # The most is the settings', which are not read for every command.
        typer.Option(min=1, max=100_000, help="How many it may make; without it as many as the server's settings say."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key of the API and print it, this once. Without a scope it may do everything."""
    from anabranch.catalog import keys

    with _database() as database:
        key, text = keys.create(database, name, scopes or ["admin"], requests_per_minute)
    if not scopes:
        print("It may do everything. --scope read, upload or write makes one that may less.", file=sys.stderr)
    if as_json:
        output.print_json({**vars(key), "key": text})
    else:
        print(text)


@keys_cli.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys of the API by what is known of them; the keys themselves are not kept."""
    from anabranch.catalog import keys

    with _database() as database:
        found = keys.every(database)
    if as_json:
        output.print_json([vars(key) for key in found])
        return
    names = ("id", "name", "begins with", "may", "a minute", "made", "last used", "revoked")
    table = output.table(*names, gives_way=["name"])
    for key in found:
        moments = [output.when(moment) for moment in (key.created_at, key.last_used_at, key.revoked_at)]
        most = "" if key.requests_per_minute is None else str(key.requests_per_minute)
        table.add_row(key.id, output.words(key.name), key.prefix, ", ".join(key.scopes), most, *moments)
    output.show(table)


@keys_cli.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="Its id, from the list.")], as_json: AsJson = False) -> None:
    """End a key at once."""
    from anabranch.catalog import keys

    with _database() as database:
        revoked = keys.revoke(database, key_id)
    if not revoked:
        raise OptionError("key_not_found", f"There is no key {key_id} that could be revoked.", "See: keys list.")
    if as_json:
        output.print_json({"id": key_id, "revoked": True})


@keys_cli.command("signing")
def show_signing_key(as_json: AsJson = False) -> None:
    """Print the signing key, to be given to apps as INNGEST_SIGNING_KEY."""
    from anabranch.app import signing_key
    from anabranch.settings import read_settings

    with _database() as database:
        key = signing_key(read_settings(), database)
    if as_json:
        output.print_json({"signingKey": key})
    else:
        print(key)


@contextmanager
def _database() -> Iterator[sa.Engine]:
    """The database of the settings, which a server may have open at the same time."""
    from anabranch import migrations
    from anabranch.database import open_database
    from anabranch.settings import read_settings

    settings = read_settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    database = open_database(settings.database)
    migrations.upgrade(database)
    try:
        yield database
    finally:
        database.dispose()


def log_for_machines() -> None:
    """Log a JSON object a line, with what each is about: request, run, step, task, attempt."""
    import logging

    import structlog

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
