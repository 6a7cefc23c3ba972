"""Once: one source run to its end in this process, with its state beside its outputs."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from rich.console import Console
from rich.live import Live

from anabranch import app as application
from anabranch import progress
from anabranch.catalog import media
from anabranch.catalog.branches import BRANCHES
from anabranch.errors import ResourceError
from anabranch.export import export
from anabranch.outbound import EVERYWHERE
from anabranch.settings import read_settings

if TYPE_CHECKING:
    from rich.console import RenderableType

_REDRAW_S = 0.25


async def run_once(address: str, folder: Path, *, quiet: bool) -> dict[str, Any]:
    """Run the fan-out of a source to its end, drawing its branches meanwhile.

    Args:
        address: a path or URL.
        folder: where the outputs go; the state of the run is in `.anabranch` below it.
        quiet: draw nothing.

    Returns:
        the media record.

    Raises:
        AnabranchError: it could not be begun; what goes wrong later stands in the record.
    """
    try:
        return await _run(address, folder, quiet=quiet)
    except sa.exc.DatabaseError as error:
        raise ResourceError(
            "database_failed",
            f"The database in {folder} cannot be read or written: {error.orig}.",
            "What is done is kept. Free some space or mend the disk, and give the same command again.",
        ) from error


async def _run(address: str, folder: Path, *, quiet: bool) -> dict[str, Any]:
    settings = read_settings(
        home=folder / ".anabranch",
        # It ends when its runs have, which only the engine in this process can tell.
        engine="embedded",
        # Whoever gives the command asks for himself, and may read what this machine and its user may.
        private_networks=EVERYWHERE,
        source_folders=(Path("/"),),
        # Each time somebody has given the command again, and sees what becomes of it.
        max_losses=0,
    )
    # Whoever waits for a command is told, and may give it again: it goes on where it was.
    async with application.open_app(settings, parks=False) as app:
        media_id = await asyncio.to_thread(_media_id, app, _identity(address))
        run_id = await application.upload(app, media_id, address)
        watching = asyncio.create_task(_watch(app, media_id, address, quiet=quiet))
        try:
            await app.engine.ended(run_id)
            # What handles the failure of a branch is a run of its own.
            await app.engine.drained()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        return export(app.database, app.storage, media_id, folder)


def _media_id(app: application.App, identity: str) -> str:
    """The media row of this source in this folder: it goes on, or is done already.

    One that failed or degraded is left for a new one, since whoever repeats the command wants it tried again.
    """
    for generation in itertools.count():
        media_id = f"media_{hashlib.sha256(f'{identity} {generation}'.encode()).hexdigest()[:26]}"
        row = media.get(app.database, media_id)
        if row is None or row.status in ("processing", "ready"):
            return media_id
        app.storage.delete_all(list(app.storage.keys(f"media/{media_id}/")))
    raise AssertionError("counting has no end")


def _identity(address: str) -> str:
    """What makes a source the same one as before: its address, and for a file its size and time."""
    path = Path(address)
    if not path.is_file():
        return address
    facts = path.stat()
    return f"{address} {facts.st_size} {facts.st_mtime_ns}"


async def _watch(app: application.App, media_id: str, address: str, *, quiet: bool) -> None:
    """Draw the branches until cancelled; what stands on the screen at the end is how they ended."""
    if quiet:
        return
    names = [branch.step_id for branch in BRANCHES]

    def look() -> RenderableType:
        return progress.draw(address, progress.lanes(app.database, media_id, names))

    with Live(console=Console(), auto_refresh=False, transient=False) as live:
        try:
            while True:
                live.update(await asyncio.to_thread(look), refresh=True)
                await asyncio.sleep(_REDRAW_S)
        finally:
            live.update(look(), refresh=True)
