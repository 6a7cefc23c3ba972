"""Sweep: what is kept no longer, and what is in storage and in no row."""

from __future__ import annotations

from anabranch.cli import output
from anabranch.cli.local import log_to_stderr
from anabranch.cli.options import AsJson

_SAID = {
    "objects": "objects that no row names",
    "sources": "sources of media that are ready",
    "media": "media rows, with all their files",
    "runs": "runs",
    "events": "events",
    "changes": "changes",
    "deliveries": "deliveries of webhooks",
    "logs": "logs of attempts",
    "answers": "answers to repeated requests",
    "uploads": "uploads and steps that have ended",
}


def sweep(as_json: AsJson = False) -> None:
    """Remove what is older than the settings keep it (ANABRANCH_KEEP_…), and from storage what no row names.

    Servers and workers may go on; the oldest of them does the same once a day.
    """
    from anabranch import migrations
    from anabranch.database import open_database
    from anabranch.retention import Retention
    from anabranch.settings import read_settings
    from anabranch.storage.opening import open_storage
    from anabranch.tasks.keeping import Keeping

    log_to_stderr(verbose=False)
    settings = read_settings()
    database = open_database(settings.database)
    try:
        migrations.upgrade(database)
        # By its address, as one that others write to meanwhile.
        folder = settings.home / "storage"
        storage = open_storage(settings.storage or str(folder), folder, endpoint=settings.storage_endpoint)
        swept = Retention(database, storage, Keeping(database, storage), settings).sweep().to_dict()
    finally:
        database.dispose()
    if as_json:
        output.print_json({"removed": swept["objects"], **swept})
        return
    for name, count in swept.items():
        if count or name == "objects":
            print(f"{count} {_SAID[name]} were removed.")
