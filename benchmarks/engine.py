"""Engine benchmark: the fan-out's shape with empty steps. Median latency of one run, and runs a second in a burst.

On SQLite, then on a PostgreSQL that it starts, by one process.

Usage: python benchmarks/engine.py [RUNS]
"""

from __future__ import annotations

import asyncio
import logging
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import inngest
import structlog

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.databases import serving
from tests.engine.apps import new_client, run, running

from anabranch.engine.events import Event

ROUNDS = 5
SINGLE = 200


def fan_out(client: inngest.Inngest) -> inngest.Function[Any]:
    """Four steps side by side and one that joins them, none of which does anything."""

    @client.create_function(fn_id="fan", trigger=inngest.TriggerEvent(event="go"))
    async def fan(ctx: inngest.Context) -> Any:
        async def nothing() -> dict[str, str]:
            return {"url": "file:///nowhere"}

        def branch(name: str) -> Any:
            return lambda: ctx.step.run(name, nothing)

        await ctx.group.parallel(tuple(branch(name) for name in ("hls", "poster", "gif", "transcript")))
        return await ctx.step.run("assemble", nothing)

    return fan


async def measure(name: str, runs: int, url: str | None) -> None:
    """Print the figures of one database."""
    client = new_client()
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder), client, [fan_out(client)], url=url) as engine:
            latencies = []
            for _ in range(SINGLE):
                started = time.perf_counter()
                await run(engine, "go")
                latencies.append(time.perf_counter() - started)
            rates = []
            for _ in range(ROUNDS):
                started = time.perf_counter()
                await engine.send([Event("go") for _ in range(runs)])
                await engine.drained()
                rates.append(runs / (time.perf_counter() - started))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    median_ms, p99_ms = (1000 * statistics.quantiles(latencies, n=100)[at] for at in (49, 98))
    print(f"{name}: one run median {median_ms:.1f} ms, p99 {p99_ms:.1f} ms of {SINGLE}")
    print(f"{name}: burst of {runs} runs, median {statistics.median(rates):.0f} runs/s of {ROUNDS} rounds")
    print(f"{name}: peak memory {peak_mb:.0f} MB")


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    asyncio.run(measure("SQLite", count, None))
    with serving() as server:
        asyncio.run(measure("Postgres", count, server.create()))
