"""Codecs benchmark: what HEVC and AV1 need beside H.264, at the constant quality that stands for the same word.

Real film, coded as a chunk of a package is, at each quality: kilobits a second, VMAF, and seconds of one thread. The
last column is the rate at which the codec would have the VMAF of H.264, as a share of H.264's rate.

Usage: python benchmarks/codec_rates.py
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests import samples

from anabranch.media import chunks, codecs, ffmpeg
from anabranch.media.ladder import Rung
from anabranch.media.probe import VideoTrack, probe
from benchmarks.likeness import vmaf

QUALITIES = ("low", "medium", "high")


@dataclass(frozen=True)
class Coded:
    """What a codec made of a film at a quality."""

    kbps: float
    vmaf: float
    took_s: float


def encode(source: Path, video: VideoTrack, codec: str, quality: str, folder: Path) -> Coded:
    """Code a film without a cap, and compare it with itself."""
    rung = Rung("all", video.display_width, video.display_height, 50_000, "4", codec)
    cut = chunks.Chunk(0, video.frames, tuple(range(0, video.frames, chunks.gop_frames(video.frame_rate))), (0,))
    made = folder / f"{codec}-{quality}.mp4"
    given = codecs.arguments(rung, video.frame_rate, cut.keys, quality=quality, preset="veryfast", threads=1)
    started = time.perf_counter()
    run = ["-threads", "1", "-i", str(source), "-map", f"0:{video.index}", "-pix_fmt", "yuv420p", *given, str(made)]
    ffmpeg.run(ffmpeg.find(), run, making=made.name, scratch=folder)
    took_s = time.perf_counter() - started
    kbps = made.stat().st_size * 8 / 1000 / (video.end_s - video.start_s)
    return Coded(kbps, vmaf(made, source, video, folder), took_s)


def share(of: dict[str, Coded], beside: dict[str, Coded]) -> float:
    """The rate of one codec at the likeness that the other has at `medium`, as a share of the other's."""
    wanted = beside["medium"].vmaf
    points = sorted((one.vmaf, math.log(one.kbps)) for one in of.values())
    below, above = (points[0], points[1]) if wanted <= points[1][0] else (points[1], points[2])
    at = below[1] + (above[1] - below[1]) * (wanted - below[0]) / (above[0] - below[0])
    return math.exp(at) / beside["medium"].kbps


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for source in (samples.animation_mp4(), samples.bikes_mp4()):
            video = probe(source).video
            assert video is not None
            print(f"{source.name}, {video.width}x{video.height}, {video.end_s:.1f} s")
            found = {
                codec: {quality: encode(source, video, codec, quality, folder) for quality in QUALITIES}
                for codec in codecs.ENCODERS
            }
            for codec, made in found.items():
                row = "".join(f"  {one.kbps:6.0f} kbit/s {one.vmaf:5.1f} {one.took_s:5.1f} s" for one in made.values())
                print(f"{codec:5}{row}   {share(made, found['h264']):.2f}")


if __name__ == "__main__":
    main()
