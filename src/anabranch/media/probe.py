"""Probe: what is in a file, told from its packets and first frame by a child process that may crash."""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from anabranch.errors import ResourceError, SourceError
from anabranch.media import process
from anabranch.media.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class VideoTrack:
    """A video track that shows moving pictures (attached cover pictures are not one).

    Attributes:
        index: stream index in the file, as in ffmpeg's `0:index`.
        codec: the decoder's name, such as `h264`.
        width: coded width in pixels, before rotation.
        height: coded height in pixels, before rotation.
        sample_aspect_ratio: width of a pixel over its height; 1 when unset.
        rotation: degrees clockwise that a player turns the picture: 0, 90, 180 or 270.
        mirrored: whether the display matrix also flips the picture.
        display_width: width as shown, in square pixels, after rotation; even.
        display_height: height as shown, in square pixels, after rotation; even.
        frame_rate: frames a second of the constant grid that the track is put on.
        variable_rate: whether frames do not lie on that grid as they are.
        frames: number of frames in the file.
        start_s: time of the first frame, seconds from the start of the file's own time line.
        end_s: time at which the last frame's display ends, on the same line.
        keyframes_s: times of the keyframes, on the same line, ascending.
        pixel_format: such as `yuv420p10le`.
        bit_depth: bits a component.
        color_transfer: transfer characteristic such as `bt709`, `smpte2084`; `unknown` when unset.
        color_primaries: such as `bt709`, `bt2020`; `unknown` when unset.
        color_space: matrix such as `bt709`, `bt2020nc`; `unknown` when unset.
        color_range: `tv`, `pc` or `unknown`.
        interlaced: whether the container or decoder says that frames are interlaced.
        bitrate_kbps: average over the track, kilobits a second.
        peak_kbps: the largest bit rate of any six seconds of it, kilobits a second; 0 when unknown.
        closed_gops: whether no picture refers to one before the keyframe that it follows, as far as times tell.
    """

    index: int
    codec: str
    width: int
    height: int
    sample_aspect_ratio: Fraction
    rotation: int
    mirrored: bool
    display_width: int
    display_height: int
    frame_rate: Fraction
    variable_rate: bool
    frames: int
    start_s: float
    end_s: float
    keyframes_s: tuple[float, ...]
    pixel_format: str
    bit_depth: int
    color_transfer: str
    color_primaries: str
    color_space: str
    color_range: str
    interlaced: bool
    bitrate_kbps: float
    peak_kbps: float = 0.0
    closed_gops: bool = False

    @property
    def hdr(self) -> bool:
        """Whether the picture is coded for a high dynamic range display (PQ or HLG, ITU-R BT.2100)."""
        return self.color_transfer in {"smpte2084", "arib-std-b67"}


@dataclass(frozen=True)
class AudioTrack:
    """An audio track.

    Attributes:
        index: stream index in the file.
        codec: the decoder's name, such as `aac`.
        channels: number of channels.
        sample_rate: samples a second.
        language: ISO 639 code as tagged, or `und`.
        title: as tagged, or empty.
        default: whether it is marked as the default track.
        start_s: time of the first sample, on the file's own time line.
        end_s: time at which the last sample ends.
    """

    index: int
    codec: str
    channels: int
    sample_rate: int
    language: str
    title: str
    default: bool
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Probe:
    """What is in a media file. Times start at 0, the earliest start of any track.

    Attributes:
        format: name of the demuxer that reads it, to be given to ffmpeg with `-f`.
        zero_s: what the file's own clock shows at time 0, in seconds.
        duration_s: length of the longest track, in seconds.
        size_bytes: size of the file.
        video: the main video track, or None.
        audio: all audio tracks, the default one first.
        damaged: whether reading ended early or met errors; what could be read is described.
    """

    format: str
    zero_s: float
    duration_s: float
    size_bytes: int
    video: VideoTrack | None
    audio: tuple[AudioTrack, ...]
    damaged: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON, for a step's result."""
        value: dict[str, Any] = _jsonable(dataclasses.asdict(self))
        return value

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Probe:
        """Read what `to_dict` wrote."""
        video = value["video"]
        if video is not None:
            video = VideoTrack(
                **video
                | {
                    "sample_aspect_ratio": Fraction(video["sample_aspect_ratio"]),
                    "frame_rate": Fraction(video["frame_rate"]),
                    "keyframes_s": tuple(video["keyframes_s"]),
                }
            )
        return cls(**{**value, "video": video, "audio": tuple(AudioTrack(**track) for track in value["audio"])})


def _jsonable(value: Any) -> Any:
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, dict):
        return {key: _jsonable(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(entry) for entry in value]
    return value


def probe(path: Path, sandbox: Sandbox | None = None, cancel: process.CancelToken | None = None) -> Probe:
    """Look what is in the file at `path`.

    Args:
        path: a local file, as `source.fetch` gives it.
        sandbox: where it is looked at, with the limits on what is taken; those that are usual when None.
        cancel: set it to stop.

    Raises:
        SourceError: `not_media` (also for playlists, scripts and still images), `truncated` (its index is
            missing), `no_tracks`, `probe_crashed`, or beyond a limit: `picture_too_large`,
            `frame_rate_too_high` or `too_many_streams`.
        ResourceError: `out_of_memory`, `process_stalled` or `process_timeout`.
    """
    sandbox = sandbox or Sandbox()
    said: list[str] = []
    # -I keeps the child from importing what lies in the current folder.
    argv = [sys.executable, "-I", "-m", "anabranch.media.probe_child", str(path), json.dumps(sandbox.limits.to_dict())]
    finished = process.run(argv, sandbox=sandbox.letting(reads=(path,)), on_line=said.append, cancel=cancel, stall_s=60)
    answer = json.loads(said[-1]) if said and said[-1].startswith("{") else {}
    if "error" in answer:
        raise SourceError(**answer["error"])
    if finished.returncode == -signal.SIGKILL:
        # No file does that: a decoder that breaks ends by other signals.
        raise ResourceError(
            "out_of_memory",
            f"What read {path.name} was killed from outside, as the kernel does when memory runs out.",
            "The step is tried again. If it stays so, give the machine more memory or lower ANABRANCH_CPU_SLOTS.",
        )
    if finished.returncode != 0 or not answer:
        raise SourceError(
            "probe_crashed",
            f"Reading {path.name} crashed the reader (exit status {finished.returncode}).",
            "The file is damaged in a way that its decoder does not survive; re-encode it and upload again.",
        )
    return Probe.from_dict(answer)
