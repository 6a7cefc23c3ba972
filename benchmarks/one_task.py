"""One task, through the app's own function and engine, in this process; what it took, as JSON.

Usage: python benchmarks/one_task.py KIND SOURCE HOME [CORES [SLOTS [single]]]

With CORES the process and all its children are kept to so many cores; SLOTS pieces run at once, one for each core when
not given. With `single`, each core is a worker of its own: a piece has one thread, whatever it encodes. The other
benchmarks run it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import structlog

from anabranch.app import open_app
from anabranch.catalog import attempts, tasks
from anabranch.engine.events import Event
from anabranch.media import process
from anabranch.settings import Settings
from anabranch.tasks import turns

if TYPE_CHECKING:
    from anabranch.media.process import Finished

TASK = "task_benchmark"


@dataclass
class Child:
    """A process that was started: which program, when, and its processor time; seconds since the task was sent."""

    program: str
    start_s: float
    end_s: float
    cpu_s: float


@dataclass
class Took:
    """What a task took.

    Attributes:
        wall_s: from the event to the end of its run.
        cpu_s: processor time of that, children included.
        own_cpu_s: processor time of this process alone.
        pieces: how many pieces it was cut into.
        main: path of the main file of its output.
        children: the processes that worked for it.
    """

    wall_s: float
    cpu_s: float
    own_cpu_s: float
    pieces: int
    main: str
    children: list[Child] = field(default_factory=list)

    @classmethod
    def read(cls, said: str) -> Took:
        """What a run of this script printed."""
        values = json.loads(said)
        return cls(**{**values, "children": [Child(**child) for child in values["children"]]})


def command(kind: str, source: Path, home: Path, *numbers: int, single: bool = False) -> list[str]:
    """The command that runs this script."""
    return [sys.executable, __file__, kind, str(source), str(home), *map(str, numbers), *(["single"] if single else [])]


def _watch_children() -> list[Child]:
    """Note each process that is started from here on, on the clock of perf_counter."""
    run, seen = process.run, []

    def watched(argv: Any, **given: Any) -> Finished:
        start_s = time.perf_counter()
        finished = run(argv, **given)
        name = Path(argv[0]).name
        program = "ffmpeg" if name.startswith("ffmpeg") else argv[argv.index("-m") + 1] if "-m" in argv else name
        seen.append(Child(program, start_s, time.perf_counter(), finished.cpu_s))
        return finished

    process.run = watched
    return seen


async def do(kind: str, source: Path, home: Path, slots: int) -> Took:
    """Do the task."""
    children = _watch_children()
    async with open_app(Settings(home=home, retry_scale=0, cpu_slots=slots, source_folders=(Path("/"),))) as app:
        opened, before = time.perf_counter(), os.times()
        # A storyboard is what the others do not make.
        options = {"storyboard": False} if kind == "adaptive_video" else {}
        data = {"id": TASK, "kind": kind, "input": str(source), "options": options}
        (event_id,) = await app.engine.send([Event("task/created", data)])
        await app.engine.ended(app.engine.journal.runs_of_event(event_id)[0].id)
        ended, after = time.perf_counter(), os.times()
        task = tasks.get(app.database, TASK)
        assert task is not None
        assert task.output is not None, task.error
        own_cpu_s = after.user + after.system - before.user - before.system
        children_cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
        took = Took(
            wall_s=ended - opened,
            cpu_s=own_cpu_s + children_cpu_s,
            own_cpu_s=own_cpu_s,
            pieces=len([row for row in attempts.of_task(app.database, TASK) if row.piece not in ("plan", "join")]),
            main=str(app.storage.local(task.output["key"], app.settings.home)),
        )
    for child in children:
        if child.start_s >= opened:
            took.children.append(Child(child.program, child.start_s - opened, child.end_s - opened, child.cpu_s))
    return took


def main(kind: str, source: Path, home: Path, cores: int | None, slots: int | None) -> None:
    """Print what it took."""
    if cores is not None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    slots = slots or len(os.sched_getaffinity(0))
    print(json.dumps(asdict(asyncio.run(do(kind, source, home, slots)))))


def _one(_needed: str, _cores: int) -> int:
    return 1


def _of_cores(_needed: str, cores: int, _memory_bytes: int) -> dict[str, int]:
    return {"cpu": cores}


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[4:] if word != "single"]
    with contextlib.ExitStack() as stack:
        if "single" in sys.argv:
            alone = mock.patch.multiple(turns, places=_of_cores, threads=_one)
            stack.enter_context(alone)
        main(
            sys.argv[1],
            Path(sys.argv[2]),
            Path(sys.argv[3]),
            numbers[0] if numbers else None,
            numbers[1] if len(numbers) > 1 else None,
        )
