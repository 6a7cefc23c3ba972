"""Sound: arguments that take an audio track from its source and keep it on the source's time line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from anabranch.media.probe import AudioTrack, Probe


def input_arguments(source: Path, probe: Probe, start_s: float = 0.0) -> list[str]:
    """Arguments that open a source for ffmpeg, by the demuxer that the probe saw and with no other file in reach.

    Its times are counted from its own start, also after seeking to `start_s` seconds.
    """
    # Copied time stamps let every output know where on the source's time line it is.
    arguments = ["-copyts", "-start_at_zero", "-protocol_whitelist", "file", "-f", probe.format]
    # Before -i it jumps to the keyframe at or before the spot instead of decoding up to it.
    seek = ["-noaccurate_seek", "-ss", f"{start_s:.6f}"] if start_s > 0 else []
    # The turn is done by filters, the same on every version.
    return [*seek, *arguments, "-noautorotate", "-i", str(source)]


def on_time(track: AudioTrack, start_s: float = 0.0, end_s: float | None = None) -> str:
    """A filter for a track between two times: gaps become silence, and time 0 is `start_s`."""
    # async=1 fills gaps and cuts overlaps; first_pts makes a track that starts late start with silence.
    filters = [f"aresample=async=1:first_pts={round(start_s * track.sample_rate)}"]
    if start_s > 0 or end_s is not None:
        until = f":end={end_s:.6f}" if end_s is not None else ""
        filters += [f"atrim=start={start_s:.6f}{until}", "asetpts=PTS-STARTPTS"]
    return ",".join(filters)


def main_track(probe: Probe) -> AudioTrack | None:
    """The track that is heard when nobody chooses: the default one, else the first."""
    return probe.audio[0] if probe.audio else None
