"""Make the sample video: real pictures with a real voice, from media that installed packages carry.

Usage: python scripts/make_sample.py OUTPUT.mp4 [SECONDS]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests import samples

from anabranch.media import ffmpeg

SECONDS = 24.0


def make_sample(output: Path, seconds: float = SECONDS) -> None:
    """Write the sample unless it is there: film and street in turn, 1280x720, under a reading voice, repeated."""
    if output.exists():
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    graph = (
        "[0:v]fps=25,scale=1280:720,setsar=1[film];[1:v]fps=25,scale=1280:720,setsar=1[street];"
        "[film][street]concat=n=2:v=1:a=0,format=yuv420p,loop=loop=-1:size=2000[v];"
        "[2:a]aresample=48000,aloop=loop=-1:size=2147483647[a]"
    )
    inputs = [samples.animation_mp4(), samples.bikes_mp4(), samples.speech_wav()]
    partial = output.with_suffix(".partial.mp4")
    with tempfile.TemporaryDirectory() as scratch:
        ffmpeg.run(
            ffmpeg.find(),
            [
                *(argument for path in inputs for argument in ("-i", str(path))),
                *("-filter_complex", graph, "-map", "[v]", "-map", "[a]", "-t", f"{seconds:g}"),
                *("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-g", "100", "-c:a", "aac", "-b:a", "128k"),
                *("-movflags", "+faststart", str(partial)),
            ],
            making="the sample video",
            scratch=Path(scratch),
        )
    partial.replace(output)


if __name__ == "__main__":
    make_sample(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else SECONDS)
