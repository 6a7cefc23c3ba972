"""Opening: arguments with which ffmpeg reads a source, on the time line that the probe told of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from anabranch.media.probe import Probe

# These have an index of their keyframes; the others are searched, and may be entered a little late.
_INDEXED = ("mov", "matroska")
_PREROLL_S = 2.0
# ffmpeg goes back 3/23 s from where it is sent in containers that are indexed by decoding time, and so to the
# keyframe before the one that is meant. This takes it forward again.
_SET_BACK_S = {"matroska": 0.135}


def arguments(source: Path, probe: Probe, start_s: float = 0.0) -> list[str]:
    """Arguments that open a source by the demuxer that the probe saw, with no other file in reach.

    Times are the probe's, wherever reading begins: at the last keyframe not after `start_s`, or before.
    """
    entry_s = _entry_s(probe, start_s)
    # Before -i it jumps there instead of decoding up to it. noaccurate: what comes before start_s is needed, since
    # the frame that is shown at start_s may be an earlier one.
    seek = ["-noaccurate_seek", "-ss", f"{entry_s:.6f}"] if entry_s > 0 else []
    # The file's own clock, set to 0 at the start. -start_at_zero would do it by the tracks that are mapped, and
    # sound and pictures that are read apart would drift apart.
    clock = ["-copyts", "-itsoffset", f"{-probe.zero_s:.6f}"]
    # The turn is done by filters, the same on every version.
    return [*seek, *clock, "-protocol_whitelist", "file", "-f", probe.format, "-noautorotate", "-i", str(source)]


def _entry_s(probe: Probe, start_s: float) -> float:
    """Where to send ffmpeg so that it begins to read at a keyframe not after `start_s`; 0 for the beginning."""
    wanted_s = start_s if probe.format in _INDEXED else start_s - _PREROLL_S
    if probe.video is None:
        return max(0.0, wanted_s)
    half_frame_s = 0.5 / float(probe.video.frame_rate)
    keys = [key for key in probe.video.keyframes_s if key <= wanted_s + half_frame_s]
    if not keys or keys[-1] <= 0:
        return 0.0
    return keys[-1] + _SET_BACK_S.get(probe.format, 0.001)
