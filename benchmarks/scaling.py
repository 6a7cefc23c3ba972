"""Scaling: what a simulation says of up to a thousand workers, fed with what was measured; docs/scaling.md reads it.

Usage: python benchmarks/scaling.py [--quick | --bends | --compare | --measure]

Without anything it prints the days of all installations, which takes some minutes; `--quick` three of them, `--bends`
what gives way first and what a change would do, `--compare` the simulation beside the real processes of the last
`--measure`, which writes `scaling.json` anew.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.scaling_load import CONSTANTS, Branch, Costs, Job, Piece, film
from benchmarks.scaling_simulation import Setup, Simulation, share

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.scaling_simulation import Found

Json = Any

# By uploads a day, the installations that are worth a look: workers, and servers.
_INSTALLATIONS = {100: (1, 2), 1_000: (1, 2, 10), 10_000: (10, 100), 100_000: (100, 1000), 1_000_000: (1000,)}
_CORES = (2, 8, 32)
_SIMULATED = 4_000
_LANES = ("urgent image", "rungs", "cpu", "speech", "net", "join")
# Of a server's core, for the mean upload; see docs/scaling.md.
_SERVER_S = 0.8


def setup_of(workers: int, cores: int, uploads_a_day: float, **changed: Any) -> Setup:
    """An installation, thinned to some thousand uploads but never to fewer than ten workers."""
    thin = max(1, min(round(uploads_a_day / _SIMULATED), workers // 10))
    # Few uploads need many days to say something of the slowest hundredth.
    days = max(1.0, round(_SIMULATED / 5 / uploads_a_day))
    # At the busiest moment they are used to three fifths; otherwise nothing else would be seen.
    servers = max(1, math.ceil(uploads_a_day / 86400 * 3 * _SERVER_S / 0.6))
    given = {"thin": thin, "days": days, "servers": servers, **changed}
    return Setup(workers=workers, cores=cores, uploads_a_day=uploads_a_day, **given)


def needed_cores(costs: Costs, uploads_a_day: float, samples: int = 4000) -> float:
    """Cores that are busy in the mean, by the mean of so many uploads."""
    chance = random.Random(1)
    each_s = statistics.fmean(work_of(film(costs, chance)) for _ in range(samples))
    return each_s * uploads_a_day / 86400


def work_of(job: Job) -> float:
    """Seconds of a core that an upload takes."""
    parts = [piece for one in job.branches for piece in (*one.pieces, one.plan, one.join) if piece is not None]
    return sum(piece.core_s for piece in parts)


def describe(setup: Setup, found: Found) -> str:
    """A line of the table."""

    def three(values: list[float]) -> str:
        return " / ".join(_time(share(values, part)) for part in (0.5, 0.95, 0.99))

    peak = found.peak
    return " | ".join(
        [
            f"| {setup.uploads_a_day:,.0f}",
            f"{setup.workers:,} x {setup.cores}",
            three(found.playable_s),
            three(found.ready_s),
            f"{found.busy:.0%}",
            f"{found.transactions:,.0f}",
            *(f"{peak[name]:.2f}" for name in ("database", "changes", "notifications")),
            f"{setup.servers} at {peak['servers']:.2f}",
            f"{found.fetches:.1f}",
            f"{found.fetched_bytes / 1e12:.2f}",
            f"{found.requests:,.1f} |",
        ]
    )


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def table(costs: Costs, loads: dict[int, tuple[int, ...]], cores: tuple[int, ...]) -> None:
    """Print the days of installations."""
    print("| uploads a day | workers | playable p50 / p95 / p99 | ready | cores busy | transactions/s | database |"
          " changes | notifications | servers | fetches | TB a day | requests/s |")  # fmt: skip
    for uploads, counts in loads.items():
        needed = needed_cores(costs, uploads)
        for workers in counts:
            for each in cores:
                setup = setup_of(workers, each, uploads)
                if needed > workers * each:
                    print(f"| {uploads:,} | {workers:,} x {each} | too few: {needed:,.0f} cores are busy in the mean |")
                    continue
                print(describe(setup, Simulation(setup, costs).run()), flush=True)


def lanes(costs: Costs, setup: Setup) -> None:
    """Print how long pieces waited, by lane."""
    found = Simulation(setup, costs).run()
    print(
        f"{setup.uploads_a_day:,.0f} uploads a day, {setup.workers} workers of {setup.cores} cores: waits p50, p95, p99"
    )
    for lane in _LANES:
        waits = found.waits_s.get(lane, [])
        print(f"  {lane:12} " + "  ".join(_time(share(waits, part)).rjust(7) for part in (0.5, 0.95, 0.99)))
    print(f"  asked for and not seen at once: {found.lost / sum(map(len, found.waits_s.values())):.2%}")


# In the order in which they are made; each is made on top of those before it.
_CHANGES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("as it is", {}),
    ("a package takes the turn of changes when first shown only", {"show_apart": True}),
    ("8 turns of changes", {"shards": 8}),
    ("reports of progress every 5 s", {"report_every_s": 5.0}),
    ("a look passes over what does not fit, before it locks", {"look_fits": True}),
    ("a notification wakes one worker", {"wake_one": True}),
    ("open pages are answered by replicas", {"replicas": True}),
    ("heartbeats every 10 s", {"beat_every_s": 10.0}),
    ("notifications in transactions of their own", {"notify_apart": True}),
    ("4 pieces a claim", {"batch": 4}),
    ("pieces stay where their source is", {"affinity": True}),
    ("or ranged reads of the source", {"affinity": False, "ranged": True}),
)


def bends(costs: Costs, setup: Setup, *, alone: bool) -> None:
    """Print what changes do: each alone, or one on top of the other."""
    how = "each change alone" if alone else "each change on top of those above"
    print(f"{setup.uploads_a_day:,.0f} uploads a day, {setup.workers:,} workers of {setup.cores} cores; {how}")
    changed = setup
    for name, change in _CHANGES:
        changed = replace(setup if alone else changed, **change)
        found = Simulation(changed, costs).run()
        peak = " ".join(f"{key} {found.peak[key]:5.2f}" for key in ("database", "changes", "notifications"))
        times = f"playable p95 {_time(share(found.playable_s, 0.95))}  ready p95 {_time(share(found.ready_s, 0.95))}"
        fetched = f"{found.fetches:4.1f} fetches {found.fetched_bytes / 1e12:6.1f} TB"
        print(f"  {name:58} {peak}  {found.transactions:9,.0f}/s  {times}  {fetched}", flush=True)


def compare(costs: Costs) -> list[tuple[int, str, float, float]]:
    """Workers, what, measured and simulated seconds: means over the batches that real processes did."""
    found = json.loads(CONSTANTS.read_text())["reality"]["batches"]
    rows = []
    for count, batch in found.items():
        # Encodes ran at the pace of a machine that had other work; what they took is given.
        setup = Setup(workers=int(count), cores=1, uploads_a_day=1, days=0, database_cores=2, crowded=False)
        given = {**costs.given, "round_trip_ms": 0.1, "commit_ms": 0.1, "fetch_bytes_a_second": 1e12}
        arrivals = [one["came_s"] for one in batch["uploads"]]
        run = Simulation(setup, replace(costs, given=given), _in_turn(batch["uploads"]), arrivals).run()
        for what, simulated in (("playable_s", run.playable_s), ("ready_s", run.ready_s)):
            measured = statistics.fmean(one[what] for one in batch["uploads"])
            rows.append((int(count), what, measured, statistics.fmean(simulated)))
    return rows


def _in_turn(uploads: list[Json]) -> Callable[[Costs, random.Random], Job]:
    jobs = iter([_job(one["pieces_ms"]) for one in uploads])
    return lambda _costs, _chance: next(jobs)


def _job(pieces_ms: dict[str, int]) -> Job:
    lanes_of = {"poster-image": "urgent image", "gif-preview": "urgent video", "audio-transcription": "speech"}
    branches = []
    for ref in ("hls-package", *lanes_of):
        took = {name.partition("/")[2]: ms / 1000 for name, ms in pieces_ms.items() if name.startswith(ref)}
        plan, join = took.pop("plan"), took.pop("join")
        pieces = []
        for name, seconds in sorted(took.items(), key=lambda one: (one[0] != "chunk-0000", one[0] != "audio")):
            number = int(name[-4:]) if name.startswith("chunk") else 0
            lane = lanes_of.get(ref, "rungs" if name.startswith("chunk") else "cpu")
            position_s = 60.0 if name == "storyboard" else 2.0 if lane == "speech" else max(0.0, number * 6 - 4.0)
            role = {"chunk-0000": "first", "audio": "sound"}.get(name, "")
            pieces.append(Piece(lane, position_s, seconds, 1, role))
        plan_piece = Piece("net", 0.0, plan, role="plan")
        branches.append(Branch(tuple(pieces), plan_piece, Piece("join", 0.0, join)))
    return Job(tuple(branches))


def measure() -> None:
    """Write the constants anew. What is read in the documents and what is assumed stays."""
    from benchmarks import scaling_costs, scaling_reality

    kept = json.loads(CONSTANTS.read_text()) if CONSTANTS.exists() else {}
    found = {**kept, **scaling_costs.measure(), "reality": scaling_reality.measure()}
    CONSTANTS.write_text(json.dumps(found, indent=1) + "\n")


def main(asked: str) -> None:
    """Print what is asked for."""
    if asked == "--measure":
        measure()
        return
    costs = Costs.read()
    if asked == "--compare":
        for workers, what, measured, simulated in compare(costs):
            print(f"{workers} workers  {what:10}  measured {measured:6.1f}  simulated {simulated:6.1f}"
                  f"  {simulated / measured - 1:+.0%}")  # fmt: skip
    elif asked == "--bends":
        bends(costs, setup_of(100, 32, 100_000), alone=True)
        bends(costs, setup_of(1000, 32, 1_000_000, database_cores=64), alone=False)
    elif asked == "--quick":
        table(costs, {1_000: (2,), 10_000: (10,)}, (8, 32))
    else:
        table(costs, _INSTALLATIONS, _CORES)
        lanes(costs, setup_of(10, 8, 10_000))
        lanes(costs, setup_of(100, 32, 100_000))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
