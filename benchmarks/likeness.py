"""Likeness: VMAF of what was made against its source, 0 to 100. What the benchmarks share."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from anabranch.media import ffmpeg

if TYPE_CHECKING:
    from pathlib import Path

    from anabranch.media.probe import VideoTrack

# Ours are tagged BT.709 and a source may have no tags: then ffmpeg would convert one of the two before it compares.
_SAME_COLOURS = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"


def vmaf(made: Path, source: Path, video: VideoTrack, scratch: Path, every: int = 1) -> float:
    """VMAF of every so-many-th frame, scaled up to the source, whose picture `video` is.

    `every` should have no divisor in common with the length of groups: keyframes, which are likest, would be counted
    too often in films whose groups begin there.
    """
    log = scratch / "vmaf.json"
    # Frames are paired by their number, in one time base: containers differ in when the first one is shown.
    alike = f"settb=1/1000,setpts=N,{_SAME_COLOURS},scale={video.width}:{video.height}:flags=bicubic,format=yuv420p"
    graph = f"[0:v]{alike}[made];[1:{video.index}]{alike}[source];"
    graph += f"[made][source]libvmaf=n_threads={os.cpu_count()}:n_subsample={every}:log_fmt=json:log_path={log}"
    arguments = ["-i", str(made), "-i", str(source), "-filter_complex", graph, "-f", "null", "-"]
    ffmpeg.run(ffmpeg.find(), arguments, making="a comparison", scratch=scratch)
    mean: float = json.loads(log.read_text())["pooled_metrics"]["vmaf"]["mean"]
    return mean
