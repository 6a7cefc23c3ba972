"""The simulation of benchmarks/scaling.py: it loses nothing, repeats itself, and is right where the answer is known."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from benchmarks.scaling import compare
from benchmarks.scaling_load import CONSTANTS, Branch, Costs, Job, Piece, film
from benchmarks.scaling_simulation import Setup, Simulation, erlang_c

if TYPE_CHECKING:
    import random
    from pathlib import Path

BUSY = Setup(workers=3, cores=4, uploads_a_day=2000, days=0.2, flat=True)


def one_piece(_costs: Costs, chance: random.Random) -> Job:
    """What queueing theory knows of: one piece, of a length by chance, on one core."""
    return Job((Branch((Piece("cpu", 0.0, chance.expovariate(1 / 60)),)),))


def test_every_upload_ends_once_and_can_be_watched_before() -> None:
    made = 0

    def counted(costs: Costs, chance: random.Random) -> Job:
        nonlocal made
        made += 1
        return film(costs, chance)

    found = Simulation(BUSY, Costs.read(), counted).run()
    assert made > 300
    assert len(found.ready_s) == len(found.playable_s) == made
    assert statistics.fmean(found.playable_s) < statistics.fmean(found.ready_s)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_day_and_another_seed_another() -> None:
    costs = Costs.read()
    days = [Simulation(Setup(**{**vars(BUSY), "seed": seed}), costs).run().ready_s for seed in (1, 1, 2)]
    assert days[0] == days[1] != days[2]


@pytest.mark.slow
def test_a_seed_gives_the_same_day_in_every_process() -> None:
    said = set()
    for hashes in ("1", "2"):
        command = [sys.executable, "-c", _ONE_DAY]
        environment = {**os.environ, "PYTHONHASHSEED": hashes, "PYTHONPATH": os.pathsep.join(sys.path)}
        said.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(said) == 1


_ONE_DAY = """
from benchmarks.scaling_load import Costs
from benchmarks.scaling_simulation import Setup, Simulation
print(Simulation(Setup(workers=20, cores=4, uploads_a_day=3000, days=0.1), Costs.read()).run().ready_s)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("cores", "load"), [(1, 0.6), (4, 0.7)])
def test_without_anything_shared_the_waits_are_those_of_queueing_theory(cores: int, load: float) -> None:
    setup = Setup(workers=1, cores=cores, uploads_a_day=cores * load / 60 * 86400, days=40 / cores, flat=True)
    waits = Simulation(setup, Costs(), one_piece).run().waits_s["cpu"]
    expected = erlang_c(cores, cores * load) * 60 / (cores * (1 - load))
    assert statistics.fmean(waits) == pytest.approx(expected, rel=0.07)


def test_it_agrees_with_the_real_processes_about_when_a_batch_is_ready() -> None:
    for workers, what, measured, simulated in compare(Costs.read()):
        # When a film can be watched is further off, as docs/scaling.md says.
        assert simulated == pytest.approx(measured, rel=0.15 if what == "ready_s" else 0.5), (workers, what)


def test_its_constants_come_from_the_measured_file(tmp_path: Path) -> None:
    found = json.loads(CONSTANTS.read_text())
    for one in found["uploads"]:
        for kind in one["transactions"].values():
            kind["backend_ms"] *= 2
    changed = tmp_path / "scaling.json"
    changed.write_text(json.dumps(found))
    costs, slower = Costs.read(), Costs.read(changed)
    assert slower.base.backend_s == pytest.approx(2 * costs.base.backend_s)
    assert slower.piece.transactions == costs.piece.transactions
    setup = Setup(workers=2, cores=8, uploads_a_day=500, days=0.2)
    days = [Simulation(setup, one).run().mean["database"] for one in (costs, slower)]
    assert days[1] > 1.2 * days[0]


@pytest.mark.slow
def test_each_change_relieves_what_it_is_for() -> None:
    costs = Costs.read()
    large = Setup(workers=80, cores=4, uploads_a_day=9000, days=0.02, flat=True)

    def mean(name: str, **changed: object) -> float:
        return Simulation(Setup(**{**vars(large), **changed}), costs).run().mean[name]

    as_it_is = {name: mean(name) for name in ("database", "changes", "notifications", "servers")}
    for name, changed in (
        ("database", {"wake_one": True}),
        ("database", {"report_every_s": 5.0}),
        ("database", {"beat_every_s": 10.0}),
        ("database", {"replicas": True}),
        ("changes", {"show_apart": True}),
        ("changes", {"shards": 4}),
        ("notifications", {"notify_apart": True}),
        ("servers", {"servers": 2}),
    ):
        assert mean(name, **changed) < as_it_is[name], (name, changed)
    # Who has no room looks for nothing, so this shows where there is none.
    full = {"workers": 40, "cores": 1, "uploads_a_day": 30_000}
    assert mean("database", look_fits=True, **full) < mean("database", **full)


def test_a_source_is_fetched_less_often_where_its_pieces_stay() -> None:
    costs = Costs.read()
    setups = [Setup(**{**vars(BUSY), "workers": 10, "cores": 32, "affinity": affinity}) for affinity in (False, True)]
    anywhere, near = (Simulation(setup, costs).run() for setup in setups)
    assert near.fetches < 0.5 * anywhere.fetches
    assert near.fetched_bytes < anywhere.fetched_bytes
