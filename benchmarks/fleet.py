"""Fleet benchmark: worker processes on a PostgreSQL and an S3-speaking server, all of it started here.

How much faster two workers do an `adaptive_video` task than one, and how long a piece that was asked for waits for an
idle worker to claim it. One worker has one core, two have two, each its own. Server, database and store are on the same
cores: they cost each run alike. Cores may share what is below them: how much more two of them do of the same work, by
ffmpeg alone, is what no fleet exceeds.

Usage: python benchmarks/fleet.py [SECONDS] [ROUNDS]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

import sqlalchemy as sa
from scripts.make_sample import make_sample
from tests import clips
from tests.api.served import elsewhere, until
from tests.databases import serving
from tests.fleet.processes import fleet
from tests.servers import moto

from anabranch.catalog import tables, tasks, work
from anabranch.functions.process_task import read_order
from anabranch.media import ffmpeg
from benchmarks.main_job import full_hd

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.fleet.processes import Fleet

CLAIMS = 200
# Films here are on another server of this machine, and on its disk.
READABLE = {"ANABRANCH_PRIVATE_NETWORKS": "127.0.0.1/32", "ANABRANCH_SOURCE_FOLDERS": "/"}


def film_s(running: Fleet, address: str) -> float:
    """Seconds from the asking to the end of the film's task."""
    wish = {"input": address, "kind": "adaptive_video", "options": {"storyboard": False}}
    began = time.perf_counter()
    task_id = running.server.post("/tasks", wish)["id"]
    until(lambda: (found := tasks.get(running.database, task_id)) and found.status == "completed", 600)
    return time.perf_counter() - began


def of_two_cores(source: Path, cores: Sequence[int]) -> float:
    """How many times as much two cores do as one, of encoding, without anything of ours."""
    encode = [str(ffmpeg.find().path), "-v", "error", "-threads", "1", "-t", "8", "-i", str(source)]
    encode += ["-an", "-c:v", "libx264", "-preset", "veryfast", "-threads:v", "1", "-f", "null", "-"]

    def took_s(count: int) -> float:
        began = time.perf_counter()
        running = []
        for core in cores[:count]:
            with kept_to([core]):
                running.append(subprocess.Popen(encode))
        assert [one.wait() for one in running] == [0] * count
        return time.perf_counter() - began

    gains = [2 * took_s(1) / took_s(2) for _ in range(5)]
    return statistics.median(gains)


def claim_ms(running: Fleet, number: int) -> float:
    """Milliseconds from the asking for a piece to its attempt."""
    task_id = f"task_claim_{number}"
    tasks.create(running.database, read_order({"id": task_id, "kind": "probe", "input": str(clips.plain())}, ""))
    asked_ms = time.time() * 1000
    work.ask(running.database, task_id, [work.Wish("plan", "net", int(asked_ms))])
    row = tables.attempts.c
    began = sa.select(row.started_at).where(row.task_id == task_id, row.status == "completed")

    def look() -> int | None:
        with running.database.connect() as connection:
            return connection.scalar(began)

    return float(until(look, 30)) - asked_ms


@contextmanager
def kept_to(cores: Sequence[int]) -> Iterator[None]:
    """Keep this process, and all that it starts, to some cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def workers(count: int, folder: Path, cores: Sequence[int]) -> Iterator[Fleet]:
    """Database, store, server and workers, on as many cores as there are workers, of which each has its own."""
    folder.mkdir()
    with ExitStack() as stack:
        stack.enter_context(kept_to(cores[:count]))
        postgres = stack.enter_context(serving())
        store = stack.enter_context(moto(folder / "moto.log"))
        settings = {**store.environment, **READABLE, "ANABRANCH_CPU_SLOTS": "1"}
        running = stack.enter_context(fleet(folder / "fleet", postgres.create(), count, **settings))
        for worker, core in zip(running.workers, cores, strict=False):
            # What it starts is kept there too.
            for thread in Path(f"/proc/{worker.pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {core})
        yield running


def main(seconds: float, rounds: int) -> None:
    """Print the figures."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("two cores are needed")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        make_sample(folder / "sample.mp4", seconds)
        source = full_hd(folder / "sample.mp4", folder / "source.mp4", folder)
        address = stack.enter_context(elsewhere(folder))
        took: dict[int, list[float]] = {1: [], 2: []}
        for number in range(rounds):
            for count, found in took.items():
                with workers(count, folder / f"{count}-{number}", cores) as running:
                    found.append(film_s(running, f"{address}/{source.name}"))
        ceiling = of_two_cores(source, cores)
        one, two = (statistics.median(took[count]) for count in (1, 2))
        print(f"{seconds:g} s of 1920x1080, one core a worker, medians of {rounds} rounds")
        print(f"1 worker {one:6.1f} s, 2 workers {two:6.1f} s: {one / two:.2f} times as fast")
        print(f"two encoders on two cores, each alone on its own: {ceiling:.2f} times as much as one")
        with workers(2, folder / "claims", cores) as running:
            waits = [claim_ms(running, number) for number in range(CLAIMS)]
        p50, p99 = (statistics.quantiles(waits, n=100)[at] for at in (49, 98))
        print(f"from asking to claim, two idle workers: median {p50:.1f} ms, p99 {p99:.1f} ms of {CLAIMS}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
