"""Worker: drives runs and does pieces of work, without an API."""

from __future__ import annotations

import asyncio

from anabranch.cli.options import WhichEngine
from anabranch.cli.serve import log_for_machines
from anabranch.errors import SetupError


def worker(engine: WhichEngine = None) -> None:
    """Drive the functions and do the tasks, without an API, until told to stop. What it holds then is finished."""
    from anabranch.settings import read_settings

    log_for_machines()
    settings = read_settings() if engine is None else read_settings(engine=engine)
    if settings.engine == "inngest":
        from anabranch.connect_worker import connect_worker

        asyncio.run(connect_worker(settings))
    else:
        raise SetupError(
            "engine_embedded",
            "The embedded engine has no workers of their own yet.",
            "Give --engine inngest, or serve.",
        )
