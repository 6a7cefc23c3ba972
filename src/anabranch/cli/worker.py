"""Worker: a process without an API, beside others like it."""

from __future__ import annotations

import asyncio
import contextlib

from anabranch.cli.loading import loading
from anabranch.cli.options import WhichEngine
from anabranch.cli.serve import log_for_machines


def worker(engine: WhichEngine = None) -> None:
    """Do pieces of tasks and drive functions, without an API, until told to stop; other workers take over the rest."""
    from anabranch.settings import read_settings

    log_for_machines()
    settings = read_settings() if engine is None else read_settings(engine=engine)
    # Told twice: what is being done is left to others.
    with contextlib.suppress(asyncio.CancelledError):
        if settings.engine == "inngest":
            with loading():
                from anabranch.connect_worker import connect_worker

            asyncio.run(connect_worker(settings))
        else:
            with loading():
                from anabranch.worker import work
            asyncio.run(work(settings))
