"""Mutated media through the probe, and through the plans of every kind."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pytest

from anabranch.limits import Limits
from anabranch.media import probe as probing
from anabranch.media import process
from anabranch.media.sandbox import open_sandbox
from tests.fuzz import TIMES, checking, mutants
from tests.fuzz.forked import TIME_LIMIT_S, Forks

if TYPE_CHECKING:
    from pathlib import Path

MANY = range(2000 * TIMES)
# Of these the children are started as they always are, each with a Python of its own.
STARTED = MANY[::20]
_AT_ONCE = 2
SANDBOX = open_sandbox("auto", Limits())
# Python and PyAV take 50 MB, and pictures of 64 by 48 next to nothing. The most that was seen is 433: FFmpeg makes room
# for as many samples as a fragment claims to have before it sees that the file ends.
_MOST_MB = 600


def look(number: int, folder: Path) -> str:
    """What probing a mutant comes to, when all is as it must be: `probed`, or the code of an error.

    Raises:
        Wrong: it is not.
    """
    made = mutants.mutant(number)
    path = folder / f"{number}-{made.name}"
    path.write_bytes(made.data)
    came_to, seen = checking.outcome(lambda: probing.probe(path, SANDBOX))
    if seen is not None:
        checking.check_plans(seen)
    path.unlink()
    return came_to


def _look_forked(number: int, forks: Forks, folder: Path) -> str:
    came_to = look(number, folder)
    if forks.last.took_s > TIME_LIMIT_S / 2 or forks.last.peak_mb > _MOST_MB:
        raise checking.Wrong(f"it took {forks.last.took_s:.1f} s and {forks.last.peak_mb:.0f} MB")
    return came_to


@pytest.mark.timeout(600 * TIMES)
@pytest.mark.slow
def test_whatever_is_broken_in_a_file_it_is_planned_or_refused_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        with Forks(_AT_ONCE) as forks, monkeypatch.context() as patched:
            patched.setattr(process, "run", forks.run)
            one = partial(_look_forked, forks=forks, folder=tmp_path)
            came_to = dict(zip(MANY, threads.map(partial(checking.tried, one), MANY), strict=True))
        started = threads.map(partial(checking.tried, partial(look, folder=tmp_path)), STARTED)
        as_usual = dict(zip(STARTED, started, strict=True))
    wrong = [str(one) for one in (*came_to.values(), *as_usual.values()) if isinstance(one, checking.Wrong)]
    assert not wrong, f"{len(wrong)} of them:\n" + "\n".join(wrong[:20])
    # Forked or started, a child says the same, and a crash is a crash.
    assert as_usual == {number: came_to[number] for number in STARTED}
    counted = Counter(map(str, came_to.values()))
    assert counted["probed"] > len(MANY) / 3, counted
    assert {"not_media", "truncated", "no_tracks", "duration_too_long"} <= set(counted), counted
    # One that crashes is refused like the others, but says less: they are to be few.
    assert counted["probe_crashed"] <= len(MANY) / 100, counted


def test_a_few_broken_files_are_planned_or_refused_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Forks(1) as forks:
        monkeypatch.setattr(process, "run", forks.run)
        for number in range(12):
            _look_forked(number, forks, tmp_path)


def test_the_same_number_makes_the_same_mutant() -> None:
    assert mutants.mutant(7) == mutants.mutant(7)
    assert len({mutants.mutant(number).data for number in range(40)}) == 40
