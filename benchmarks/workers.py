"""Workers benchmark: the `adaptive_video` task done by one worker beside two, and where the loss is.

A worker does one piece after another with one thread to encode with. But ffmpeg decodes, scales and encodes each rung
in threads of its own; so one worker is kept to one core and two to two, by the affinity of all that runs.

Usage: python benchmarks/workers.py [SECONDS] [ROUNDS]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

from scripts.make_sample import make_sample

from benchmarks import costs, one_task
from benchmarks.main_job import full_hd
from benchmarks.one_task import Took

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def running_s(took: Took, at_least: int) -> float:
    """For how long so many encodes ran at once."""
    marks = sorted(mark for one in took.children for mark in ((one.start_s, 1), (one.end_s, -1)))
    total, running, last = 0.0, 0, 0.0
    for moment, change in marks:
        total += (moment - last) * (running >= at_least)
        running, last = running + change, moment
    return total


def first_s(took: Took) -> float:
    """When the first encode began: the source has been probed and planned."""
    return min(one.start_s for one in took.children if one.program == "ffmpeg")


def cpu_s(took: Took) -> float:
    """Processor time of the encodes."""
    return sum(one.cpu_s for one in took.children)


def print_losses(one: Sequence[Took], two: Sequence[Took]) -> None:
    """Why two are not twice as fast: seconds of the two cores that no encode of one worker would have needed."""

    def median(of: Callable[[Took], float], found: Sequence[Took]) -> float:
        return statistics.median(map(of, found))

    lost_s = 2 * median(lambda took: took.wall_s, two) - median(lambda took: took.wall_s, one)
    print(f"lost of two cores' time:                       {lost_s:6.2f} s")
    before_s = median(first_s, two)
    print(f"  before the first encode, one core:           {before_s:6.2f} s")
    alone_s = median(lambda took: took.wall_s - first_s(took) - running_s(took, 2), two)
    print(f"  later, when fewer than two encodes ran:      {alone_s:6.2f} s")
    more_s = median(cpu_s, two) - median(cpu_s, one)
    print(f"  encodes used more processor time:            {more_s:6.2f} s")
    waited_s = median(lambda took: running_s(took, 1) + running_s(took, 2) - cpu_s(took), two)
    waited_s -= median(lambda took: running_s(took, 1) - cpu_s(took), one)
    print(f"  encodes waited longer (processor, disk):     {waited_s:6.2f} s")
    own_s = median(lambda took: took.own_cpu_s, two)
    print(f"the engine's own processor time beside them:   {own_s:6.2f} s")


def main(seconds: float, rounds: int) -> None:
    """Print the figures."""
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("two cores are needed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_sample(folder / "sample.mp4", seconds)
        source = full_hd(folder / "sample.mp4", folder / "source.mp4", folder)
        found: dict[int, list[Took]] = {1: [], 2: []}
        for number in range(rounds):
            for cores, took in found.items():
                home = folder / f"home-{cores}-{number}"
                cost = costs.of([one_task.command("adaptive_video", source, home, cores, cores, single=True)])
                took.append(Took.read(cost.said))
    one, two = (statistics.median(took.wall_s for took in found[cores]) for cores in (1, 2))
    print(f"{seconds:g} s of 1920x1080 film with sound, {found[1][0].pieces} pieces, medians of {rounds} rounds")
    print(f"1 worker {one:6.1f} s, 2 workers {two:6.1f} s: {one / two:.2f} times as fast")
    print_losses(found[1], found[2])


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 24.0, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
