"""Growth benchmark: whether a long film costs more a minute than a short one, and what the engine adds to each chunk.

The `adaptive_video` task on films of 640x360, one piece at a time. What is not spent in ffmpeg and in the probe is the
engine's: steps, rows, storage, playlists. Time a minute should not grow by more than 5 %, and the engine should add no
more than 50 ms to a chunk.

Usage: python benchmarks/growth.py [MINUTES …]     1 3 when none are given; 1 10 60 for the table in the documents
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from scripts.make_sample import make_sample

from anabranch.media import ffmpeg
from benchmarks import costs, one_task
from benchmarks.one_task import Took


def minute(folder: Path) -> Path:
    """A minute of film with a voice, 640x360, 25 frames a second."""
    make_sample(folder / "sample.mp4", 60.0)
    coded = ["-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-c:a", "copy"]
    arguments = ["-i", str(folder / "sample.mp4"), "-vf", "scale=640:360", *coded, str(folder / "minute.mp4")]
    ffmpeg.run(ffmpeg.find(), arguments, making="a minute", scratch=folder)
    return folder / "minute.mp4"


def repeated(source: Path, times: int) -> Path:
    """The film so many times in a row, without encoding it anew."""
    film = source.with_name(f"film-{times}.mp4")
    arguments = ["-stream_loop", str(times - 1), "-i", str(source), "-c", "copy", str(film)]
    ffmpeg.run(ffmpeg.find(), arguments, making="the film", scratch=source.parent)
    return film


def outside_s(took: Took) -> float:
    """Time in which no other process worked for the task."""
    return took.wall_s - sum(child.end_s - child.start_s for child in took.children)


def main(lengths: list[int]) -> None:
    """Print the figures."""
    print("film of 640x360 with sound, one piece at a time")
    print("minutes  pieces       wall  a minute  growth    CPU a minute  growth  engine a piece   its CPU    memory")
    first_wall_s = first_cpu_s = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = minute(folder)
        for minutes in lengths:
            film = repeated(source, minutes)
            cost = costs.of([one_task.command("adaptive_video", film, folder / f"home-{minutes}", 2, 1)])
            took = Took.read(cost.said)
            wall_s, cpu_s = took.wall_s / minutes, took.cpu_s / minutes
            first_wall_s, first_cpu_s = first_wall_s or wall_s, first_cpu_s or cpu_s
            engine_ms, own_ms = (1000 * seconds / took.pieces for seconds in (outside_s(took), took.own_cpu_s))
            row = [f"{minutes:7} {took.pieces:7} {took.wall_s:8.1f} s"]
            row += [f"{wall_s:7.2f} s {wall_s / first_wall_s - 1:+7.1%}"]
            row += [f"{cpu_s:13.2f} s {cpu_s / first_cpu_s - 1:+7.1%}"]
            print(*row, f"{engine_ms:12.0f} ms {own_ms:6.0f} ms {cost.peak_mib:5.0f} MiB")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [1, 3])
