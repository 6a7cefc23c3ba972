"""Sweep: what is in storage and in no row."""

from __future__ import annotations

from anabranch.cli import output
from anabranch.cli.options import AsJson


def sweep(as_json: AsJson = False) -> None:
    """Remove from storage what no row names: left by processes that were lost. Servers and workers may go on."""
    from anabranch import migrations
    from anabranch.database import open_database
    from anabranch.settings import read_settings
    from anabranch.storage.opening import open_storage
    from anabranch.tasks.keeping import Keeping

    settings = read_settings()
    database = open_database(settings.database)
    try:
        migrations.upgrade(database)
        # By its address, as one that others write to meanwhile.
        folder = settings.home / "storage"
        storage = open_storage(settings.storage or str(folder), folder, endpoint=settings.storage_endpoint)
        removed = Keeping(database, storage).sweep_orphans()
    finally:
        database.dispose()
    if as_json:
        output.print_json({"removed": removed})
    else:
        print(f"{removed} objects that no row names were removed.")
