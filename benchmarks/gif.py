"""GIF benchmark: which dither, palette and frame rate a preview should have, on scenes of real film.

Every candidate is compared with the source at the rate at which the source is shown, so that a frame that is missing
counts as well as one that is coarse. Three measures, because each is blind to something:

- SSIM and VMAF: likeness; both hardly see flat areas.
- banding: what CAMBI sees in the GIF beyond what it sees in the source. 0 is none, 5 annoying.
- crawl: how much pixels change, in levels of 255, from a frame of the GIF to the next where the source stands still.

Usage: python benchmarks/gif.py [WIDTH]
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from tests import samples

from anabranch.media import ffmpeg, opening, picture
from anabranch.media.fit import fit
from anabranch.media.probe import Probe, probe


@dataclass(frozen=True)
class Candidate:
    """A way to make a GIF."""

    dither: str = "bayer:bayer_scale=5"
    palette: str = "diff"
    rate: Fraction = Fraction(25, 2)
    scale: float = 1.0

    @property
    def name(self) -> str:
        words = f"{self.dither.replace(':bayer_scale=', ' ')}, {self.palette}, {float(self.rate):.3g}"
        return words if self.scale == 1 else f"{words}, {self.scale:.0%} wide"


@dataclass(frozen=True)
class Scene:
    """A stretch of film."""

    film: Path
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Result:
    """What a candidate came to on one scene."""

    size_bytes: int
    ssim: float
    vmaf: float
    banding: float
    crawl: float
    took_s: float


SCENES = {
    "grass and sky, still camera": Scene(samples.animation_mp4(), 1, 4),
    "flat roof from above, pan, cut": Scene(samples.bikes_mp4(), 0, 3),
    "fast traffic out of focus": Scene(samples.bikes_mp4(), 3.08, 5.44),
    "street, still camera": Scene(samples.bikes_mp4(), 5.52, 7.44),
    "wall, people pass": Scene(samples.bikes_mp4(), 7.52, 9.64),
}
DITHERS = ["none", *(f"bayer:bayer_scale={scale}" for scale in range(1, 6))]
DITHERS += ["floyd_steinberg", "sierra2_4a", "burkes", "atkinson"]
# As the product has them.
CHOSEN = Candidate()
CANDIDATES = [
    *(Candidate(dither=dither) for dither in DITHERS),
    *(Candidate(dither, palette) for palette in ("full", "single") for dither in (CHOSEN.dither, "none")),
    *(Candidate(rate=rate) for rate in (Fraction(8), Fraction(25, 3), Fraction(10), Fraction(15))),
    # Which to have less of when the bytes are too many: frames or pixels.
    *(Candidate(scale=scale) for scale in (0.85, 0.75, 0.65)),
]
# What the eye takes for standing still: no more than the noise of the encoder.
STILL = 2
# A frame of the GIF may be of a moment somewhat later than that at which it is first shown.
LATER = 3


class Bench:
    """A scene, prepared: how it is read, and its frames."""

    def __init__(self, scene: Scene, width: int, scratch: Path) -> None:
        self.scratch = scratch
        self.tool = ffmpeg.find()
        self.source: Probe = probe(scene.film)
        video = self.source.video
        assert video is not None
        self.rate = video.frame_rate
        self.scene = scene
        self.length_s = scene.end_s - scene.start_s
        fitted = fit((video.display_width, video.display_height), width, None, even=True)
        self.size = fitted.size
        self.upright = ",".join(picture.upright(video, self.tool))
        self.gray = self._gray(["-i", str(self._reference())])

    def _reference(self) -> Path:
        """The scene at its own rate and the size of the GIF, without loss."""
        file = self.scratch / "reference.mkv"
        arguments = [*self._opened(), "-vf", f"{self._grid(self.rate)},{self.upright},{self._sized(1)}", "-an"]
        self._run([*arguments, "-c:v", "ffv1", str(file)])
        return file

    def _sized(self, scale: float) -> str:
        width, height = (round(side * scale / 2) * 2 for side in self.size)
        return f"scale={width}:{height}:flags=lanczos"

    def _opened(self) -> list[str]:
        return opening.arguments(self.scene.film, self.source, self.scene.start_s)

    def _grid(self, rate: Fraction) -> str:
        length = round(self.length_s * rate)
        return (
            f"fps=fps={rate}:start_time={self.scene.start_s}:eof_action=pass,"
            f"tpad=stop_mode=clone:stop=2,setpts=PTS-STARTPTS,trim=end_frame={length}"
        )

    def _run(self, arguments: list[str]) -> float:
        return ffmpeg.run(self.tool, arguments, making="the benchmark", scratch=self.scratch).wall_s

    def _gray(self, given: list[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
        raw = self.scratch / "gray.raw"
        self._run([*given, "-vf", f"fps={self.rate},{self._shown()}", "-pix_fmt", "gray", "-f", "rawvideo", str(raw)])
        width, height = self.size
        return np.fromfile(raw, np.uint8).reshape(-1, height, width).astype(np.int16)

    def measure(self, candidate: Candidate) -> Result:
        """Make the GIF, and look at it."""
        file = self.scratch / "made.gif"
        new = ":new=1" if candidate.palette == "single" else ""
        graph = (
            f"[0:v:0]{self._grid(candidate.rate)},{self.upright},{self._sized(candidate.scale)},split[a][b];"
            f"[a]palettegen=stats_mode={candidate.palette}[palette];"
            f"[b][palette]paletteuse=dither={candidate.dither}:diff_mode=rectangle{new}"
        )
        took_s = self._run([*self._opened(), "-filter_complex", graph, "-f", "gif", str(file)])
        ssim, vmaf, banding = self._likeness(file)
        return Result(file.stat().st_size, ssim, vmaf, banding, self._crawl(file), took_s)

    def _shown(self) -> str:
        """As a page shows it, whatever its size."""
        return f"scale={self.size[0]}:{self.size[1]}:flags=bicubic"

    def _likeness(self, file: Path) -> tuple[float, float, float]:
        log = self.scratch / "vmaf.json"
        frames = round(self.length_s * self.rate)
        graph = (
            f"[0:v]fps={self.rate},tpad=stop_mode=clone:stop=9,trim=end_frame={frames},"
            f"{self._shown()}:out_color_matrix=bt709:out_range=tv,format=yuv420p,setparams=colorspace=bt709,split[a][b];"
            "[1:v]split[c][d];[a][c]ssim[e];"
            # Contrasts of up to 16 levels: colours of a palette are further apart than those of a coarse encode.
            "[b][d]libvmaf=log_fmt=json:n_threads=1:feature=name=cambi\\\\:full_ref=true\\\\:max_log_contrast=4:"
            f"log_path={log}[f]"
        )
        argv = ["-i", str(file), "-i", str(self.scratch / "reference.mkv"), "-filter_complex", graph]
        argv = ["-v", "info", *argv, "-map", "[e]", "-f", "null", "-", "-map", "[f]", "-f", "null", "-"]
        finished = ffmpeg.run(self.tool, argv, making="a comparison", scratch=self.scratch)
        found = re.search(r"SSIM .* All:([\d.]+)", finished.log)
        assert found is not None
        pooled = json.loads(log.read_text())["pooled_metrics"]
        return float(found.group(1)), pooled["vmaf"]["mean"], pooled["cambi_full_reference"]["mean"]

    def _crawl(self, file: Path) -> float:
        made = self._gray(["-i", str(file)])
        count = min(len(made), len(self.gray))
        shown, source = made[:count], self.gray[:count]
        # Only where the GIF has a new frame; what stood still was still since its last one.
        last, changes = 0, []
        for now in range(1, count):
            if np.array_equal(shown[now], shown[now - 1]):
                continue
            still = np.ptp(source[last : now + LATER], axis=0) <= STILL
            if still.any():
                changes.append(float(np.abs(shown[now] - shown[now - 1])[still].mean()))
            last = now
        return statistics.mean(changes) if changes else 0.0


def main(width: int) -> None:
    """Measure every candidate on every scene, and print the means."""
    results: dict[Candidate, list[Result]] = {candidate: [] for candidate in dict.fromkeys(CANDIDATES)}
    for name, scene in SCENES.items():
        print(f"{name}: {scene.end_s - scene.start_s:.2f} s", file=sys.stderr)
        with tempfile.TemporaryDirectory() as scratch:
            bench = Bench(scene, width, Path(scratch))
            for candidate, so_far in results.items():
                so_far.append(made := bench.measure(candidate))
                print("   ", candidate.name, made, file=sys.stderr)
    print("| dither, palette, frames a second | kB a second | SSIM | VMAF | banding | crawl | time |")
    print("|---|---|---|---|---|---|---|")
    length_s = sum(scene.end_s - scene.start_s for scene in SCENES.values())
    for candidate, measured in results.items():
        chosen = " (chosen)" if candidate == CHOSEN else ""
        kilobytes = sum(one.size_bytes for one in measured) / length_s / 1000
        ssim, vmaf, banding, crawl = (
            statistics.mean(getattr(one, of) for one in measured) for of in ("ssim", "vmaf", "banding", "crawl")
        )
        took = sum(one.took_s for one in measured) / length_s
        likeness = f"{ssim:.4f} | {vmaf:.1f} | {banding:.2f} | {crawl:.2f}"
        print(f"| {candidate.name}{chosen} | {kilobytes:.0f} | {likeness} | {took:.2f} s/s |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 480)
