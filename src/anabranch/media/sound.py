"""Sound: which track is heard, and the filter that keeps it on the source's time line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anabranch.media.probe import AudioTrack, Probe


def on_time(track: AudioTrack, start_s: float = 0.0, end_s: float | None = None) -> str:
    """A filter for a track between two times: gaps become silence, and time 0 is `start_s`."""
    # async=1 fills gaps and cuts overlaps; first_pts makes a track that starts late start with silence.
    filters = [f"aresample=async=1:first_pts={round(start_s * track.sample_rate)}"]
    if start_s > 0 or end_s is not None:
        until = f":end={end_s:.6f}" if end_s is not None else ""
        filters += [f"atrim=start={start_s:.6f}{until}", "asetpts=PTS-STARTPTS"]
    return ",".join(filters)


def heard(probe: Probe) -> tuple[AudioTrack, ...]:
    """The tracks that can be heard, the default one first: not those of which a file does not say how they are coded,
    nor those that end before time 0.
    """
    return tuple(track for track in probe.audio if track.channels and track.sample_rate and track.end_s > 0)


def main_track(probe: Probe) -> AudioTrack | None:
    """The track that is heard when nobody chooses: the default one, else the first."""
    return next(iter(heard(probe)), None)
