"""Playable benchmark: when a viewer may begin to watch an upload, and what a killed process costs.

`anabranch run` of one 1080p film, undisturbed: the time to `media.playable` and to the end. Of another, with `kill -9`
when 95 % of the video is encoded, and the same command again: how much was encoded twice.

Usage: python benchmarks/playable.py [SECONDS] [SECONDS OF THE KILLED ONE]
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent.parent))

from scripts.make_sample import make_sample

from anabranch.catalog import attempts, changes, tasks
from anabranch.catalog.tables import media
from anabranch.database import open_database
from anabranch.media import ffmpeg
from benchmarks.main_job import full_hd

if TYPE_CHECKING:
    from collections.abc import Callable

    from anabranch.catalog.tasks import Task

KILLED_AT_PERCENT = 95.0
_LOOK_EVERY_S = 0.1


class Run:
    """The command, running."""

    def __init__(self, source: Path, out: Path) -> None:
        self.started_at = time.time()
        command = [sys.executable, "-m", "anabranch", "run", str(source), "-o", str(out), "--json"]
        self._child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait(self) -> None:
        """Wait for its end."""
        if self._child.wait():
            raise SystemExit(f"{self._child.args!r} ended with {self._child.returncode}")

    def kill_when(self, come: Callable[[], bool]) -> None:
        """Kill it as soon as something has come."""
        while not come():
            if self._child.poll() is not None:
                raise SystemExit("it ended before it could be killed; give it a longer film")
            time.sleep(_LOOK_EVERY_S)
        self._child.kill()
        self._child.wait()


class Rows:
    """What a run has written so far."""

    def __init__(self, out: Path) -> None:
        self._path = out / ".anabranch" / "anabranch.db"

    @functools.cached_property
    def database(self) -> sa.Engine:
        """The run's database."""
        return open_database(f"sqlite:///{self._path}")

    def media_id(self) -> str:
        """The film's id."""
        with self.database.connect() as connection:
            return str(connection.scalar(sa.select(media.c.id)))

    def package(self) -> Task:
        """The task that encodes the video."""
        return next(task for task in tasks.of_media(self.database, self.media_id()) if task.kind == "adaptive_video")

    def is_encoded(self) -> bool:
        """Whether so much of the video is encoded that the run is to be killed."""
        try:
            return self._path.exists() and self.package().progress >= KILLED_AT_PERCENT
        except (sa.exc.OperationalError, StopIteration):
            # There is no task yet, or not even a table.
            return False

    def told_at(self, topic: str) -> float:
        """When it was told of something for the first time, Unix seconds."""
        told = changes.since(self.database, 0, media_id=self.media_id())
        return next(change.created_at / 1000 for change in told if change.type == topic)


def lost(rows: Rows, seconds: float) -> tuple[int, float]:
    """Of a killed run: how many pieces of the video were in flight, and how many seconds of it they had encoded."""
    task = rows.package()
    weights = {piece["name"]: piece["weight"] for piece in task.pieces or [] if piece["name"].startswith("chunk")}
    running = [row for row in attempts.of_task(rows.database, task.id) if row.status == "running"]
    frames = sum(row.progress * weights.get(row.piece, 0.0) for row in running)
    return len(running), seconds * frames / sum(weights.values())


def done_twice(rows: Rows) -> int:
    """How many pieces were done again that had been done."""
    done = attempts.of_task(rows.database, rows.package().id)
    counted = Counter(row.piece for row in done if row.status == "completed")
    return sum(count - 1 for count in counted.values())


def film(folder: Path, seconds: float) -> Path:
    """Film with a voice, 1920x1080; of more than a minute, that minute again and again."""
    once_s = min(seconds, 60.0)
    make_sample(folder / f"sample-{once_s:g}.mp4", once_s)
    once = full_hd(folder / f"sample-{once_s:g}.mp4", folder / f"once-{once_s:g}.mp4", folder)
    made = folder / f"film-{seconds:g}.mp4"
    given = ["-stream_loop", "-1", "-i", str(once), "-t", f"{seconds:g}", "-c", "copy", str(made)]
    ffmpeg.run(ffmpeg.find(), given, making="the film", scratch=folder)
    return made


def main(seconds: float, killed_film_s: float) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run, rows = Run(film(folder, seconds), folder / "whole"), Rows(folder / "whole")
        run.wait()
        print(f"{seconds:g} s of 1920x1080 film with speech, {os.cpu_count()} cores")
        playable_s, ready_s = (rows.told_at(topic) - run.started_at for topic in ("media.playable", "media.ready"))
        print(f"playable after {playable_s:.1f} s, ready after {ready_s:.1f} s: {playable_s / ready_s:.0%} of the time")
        source = film(folder, killed_film_s)
        run, rows = Run(source, folder / "killed"), Rows(folder / "killed")
        run.kill_when(rows.is_encoded)
        killed_s = time.time() - run.started_at
        in_flight, lost_s = lost(rows, killed_film_s)
        run = Run(source, folder / "killed")
        run.wait()
        again_s = rows.told_at("media.ready") - run.started_at
        print(f"{killed_film_s:g} s of it, killed after {killed_s:.1f} s with {in_flight} pieces in flight; run again:")
        print(
            f"ready {again_s:.1f} s later; encoded twice: {lost_s:.1f} s, and {done_twice(rows)} pieces that were done"
        )


if __name__ == "__main__":
    given = [float(word) for word in sys.argv[1:]] or [24.0]
    main(given[0], given[-1])
