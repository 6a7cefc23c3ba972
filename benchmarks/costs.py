"""Costs: what a command uses with all its children: time, processor and memory. What the benchmarks share."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SAMPLE_EVERY_S = 0.2


@dataclass(frozen=True)
class Cost:
    """What commands used, run one after another.

    Attributes:
        wall_s: from the start of the first to the end of the last.
        cpu_s: user and system time, children included.
        peak_mib: the most memory that a command and its children had at one time; shared pages are counted once.
        said: standard output of the last one.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float
    said: str


def of(commands: Sequence[Sequence[str]], env: Mapping[str, str] | None = None) -> Cost:
    """Run commands one after another and count."""
    before, started, peak_mib, said = os.times(), time.perf_counter(), 0.0, ""
    for command in commands:
        with _Sampled(command, {**os.environ, **(env or {})}) as sampled:
            said = sampled.finish()
        peak_mib = max(peak_mib, sampled.peak_mib)
    wall_s, after = time.perf_counter() - started, os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(wall_s, cpu_s, peak_mib, said)


class _Sampled:
    """A command whose memory is looked at while it runs."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self.peak_mib = 0.0
        self._child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample)

    def __enter__(self) -> _Sampled:
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._sampler.join()
        self._child.kill()
        self._child.wait()

    def finish(self) -> str:
        said, complained = self._child.communicate()
        if self._child.returncode:
            last_words = said[-2000:] + complained[-2000:]
            raise SystemExit(f"{self._child.args!r} ended with {self._child.returncode}:\n{last_words}")
        return said

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_EVERY_S):
            self.peak_mib = max(self.peak_mib, sum(_memory_mib(pid) for pid in tree(self._child.pid)))


def tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name, in parentheses, may hold anything.
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def _memory_mib(pid: int) -> float:
    """Its share of the memory: pages that several processes have are divided among them (PSS)."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0
