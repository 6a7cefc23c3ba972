"""Room: what is promised to one is not given to another."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from anabranch.room import Room, said

if TYPE_CHECKING:
    from pathlib import Path


class Usage(NamedTuple):
    total: int
    used: int
    free: int


class Disk:
    """A disk that is as full as a test says."""

    def __init__(self, free: int) -> None:
        self.free = free

    def usage(self, _folder: Path) -> Usage:
        return Usage(1000, 1000 - self.free, self.free)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk(1000)
    monkeypatch.setattr(shutil, "disk_usage", made.usage)
    return made


@pytest.fixture
def of(disk: Disk, tmp_path: Path) -> Room:
    assert disk.free == 1000
    return Room(tmp_path, kept_bytes=100)


def test_the_last_of_it_is_promised_once(of: Room) -> None:
    assert of.take("a", lambda: 600) is None
    assert of.take("b", lambda: 600) == 300
    assert of.left_bytes() == 300
    of.withdraw("a")
    of.withdraw("a")
    assert of.take("b", lambda: 600) is None


def test_what_was_written_of_a_promise_counts_once(of: Room, disk: Disk) -> None:
    left = [600]
    of.promise("a", lambda: left[0])
    assert of.left_bytes() == 300
    left[0], disk.free = 100, 500
    assert of.left_bytes() == 300


def test_a_promise_to_who_never_comes_back_ends(of: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    assert of.take("gone", lambda: 900) is None
    # Who is at it has it renewed, whatever is left beside it.
    assert of.take("gone", lambda: 900) is None
    of.let_lapse("gone", 60)
    of.let_lapse("nobody", 60)
    assert of.left_bytes() == 0
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    assert of.left_bytes() == 900


def test_what_is_kept_is_given_to_nobody(of: Room, disk: Disk) -> None:
    disk.free = 40
    assert of.left_bytes() == -60
    assert of.take("a", lambda: 1) == -60
    assert of.take("nothing", lambda: 0) is None


def test_bytes_are_said_in_units_of_a_fitting_size() -> None:
    sizes = (-1, 0, 1023, 2048, 3 << 20, round(3.14 * (1 << 30)), 5 << 40)
    assert [said(size) for size in sizes] == [
        "0 bytes",
        "0 bytes",
        "1023 bytes",
        "2 KiB",
        "3.0 MiB",
        "3.1 GiB",
        "5.0 TiB",
    ]
