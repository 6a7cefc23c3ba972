"""FFmpeg: found once, asked what it can do, and started from one function.

The argument list of each encode is built by the module that owns it; this one adds what every call needs and
turns a failure into an error that quotes ffmpeg's last words and a command that can be pasted.
"""

from __future__ import annotations

import errno
import functools
import os
import re
import shlex
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from anabranch.errors import AnabranchError, EncodeError, ResourceError, SetupError, SourceError
from anabranch.media import process
from anabranch.media.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# What the branches cannot do without; `doctor` names what is missing.
REQUIRED_ENCODERS = frozenset({"libx264", "aac", "gif", "png", "mjpeg"})
REQUIRED_FILTERS = frozenset({"scale", "fps", "trim", "split", "palettegen", "paletteuse", "aresample"})
# What single options or sources need; a task that needs a missing one says so.
OPTIONAL_ENCODERS = frozenset({"libwebp", "libmp3lame", "libopus", "libvpx-vp9", "libx265", "libsvtav1"})
OPTIONAL_FILTERS = frozenset({"zscale", "tonemap", "libvmaf"})


@dataclass(frozen=True)
class Ffmpeg:
    """An ffmpeg binary and what it can do.

    Attributes:
        path: the binary.
        origin: where it was found: `setting`, `path` or `wheel`.
        version: as it names itself, such as `n9.0.2`.
        encoders: names of the encoders it was built with.
        filters: names of the filters it was built with.
        nice: how far its runs give way to whoever else wants the processor, up to 19.
        tape: told what it is run with and what it says, or None.
        sandbox: where it is run.
    """

    path: Path
    origin: str
    version: str
    encoders: frozenset[str]
    filters: frozenset[str]
    nice: int = 0
    tape: process.Tape | None = None
    sandbox: Sandbox = field(default_factory=Sandbox)

    def needs_encoder(self, name: str, purpose: str) -> None:
        """Raise `encoder_missing` unless this ffmpeg was built with the encoder."""
        if name not in self.encoders:
            raise SetupError(
                "encoder_missing",
                f"{purpose} needs the encoder {name}, which {self.path} was built without.",
                "Point ANABRANCH_FFMPEG at a build that has it; `anabranch doctor` lists what is missing.",
            )


# Older ones count the time of transport streams by the tracks that are mapped, and keep a rotation that is in the
# pixels already; measured on 5.1.
_OLDEST = 7


def find(configured: Path | None = None) -> Ffmpeg:
    """The ffmpeg to use: the configured one, else the first on PATH if it is 7.0 or newer, else the shipped one.

    Raises:
        SetupError: `ffmpeg_missing` when the one to use does not run, `ffmpeg_too_old` when it was configured.
    """
    if configured is not None:
        found = _inspect(str(configured), "setting")
        if _too_old(found.version):
            raise SetupError(
                "ffmpeg_too_old",
                f"ffmpeg at {configured} is {found.version}; {_OLDEST}.0 is the oldest that is known to do.",
                "Set ANABRANCH_FFMPEG to a newer one, or unset it to use the shipped one.",
            )
        return found
    on_path = shutil.which("ffmpeg")
    if on_path is not None and not _too_old((found := _inspect(on_path, "path")).version):
        return found
    import imageio_ffmpeg

    return _inspect(imageio_ffmpeg.get_ffmpeg_exe(), "wheel")


def _too_old(version: str) -> bool:
    # A build from the middle of the development has no number, and is newer than any that is too old.
    number = re.match(r"n?(\d+)\.", version)
    return number is not None and int(number.group(1)) < _OLDEST


@functools.cache
def _inspect(path: str, origin: str) -> Ffmpeg:
    def ask(*arguments: str) -> str:
        try:
            return subprocess.run(
                [path, "-hide_banner", *arguments], capture_output=True, text=True, check=True, timeout=30
            ).stdout
        except (OSError, subprocess.SubprocessError) as error:
            raise SetupError(
                "ffmpeg_missing",
                f"ffmpeg at {path} does not run: {error}.",
                "Set ANABRANCH_FFMPEG to a working ffmpeg 7.0 or newer, or unset it to use the shipped one.",
            ) from error

    version = re.match(r"ffmpeg version (\S+)", ask("-version"))
    return Ffmpeg(
        path=Path(path),
        origin=origin,
        version=version.group(1) if version else "unknown",
        encoders=frozenset(re.findall(r"^ [VAS][.A-Z]{5} (\S+)", ask("-encoders"), re.MULTILINE)),
        filters=frozenset(re.findall(r"^ [.TSC|]{2,3} (\S+)", ask("-filters"), re.MULTILINE)),
    )


@dataclass(frozen=True)
class Progress:
    """How far a running ffmpeg is.

    Attributes:
        frame: video frames written so far; 0 when there is no video output.
        out_time_s: media time written so far, in seconds.
        speed: media seconds made for each second of the clock.
    """

    frame: int
    out_time_s: float
    speed: float


def run(
    ffmpeg: Ffmpeg,
    arguments: Sequence[str],
    *,
    making: str,
    scratch: Path,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: process.CancelToken | None = None,
    stall_s: float = 300.0,
) -> process.Finished:
    """Run ffmpeg with `arguments` to its end.

    Args:
        ffmpeg: the binary to use.
        arguments: everything from the first input to the last output.
        making: what is being made, for the error: "rendition 720p, chunk 3".
        scratch: an existing folder, where the outputs are. In a sandbox there is nothing else in reach but the inputs.
        on_progress: called about twice a second while it works.
        cancel: set it to kill the encode.
        stall_s: seconds without progress after which it is killed.

    Raises:
        EncodeError: `encode_failed` with ffmpeg's last words and the command.
        SourceError: `output_too_large`, more than may be written to one file.
        ResourceError: `disk_full` when there was no room for the output; `out_of_memory`, `process_stalled` or
            `process_timeout`.
        Cancelled: `cancel` was set.
    """
    # -progress gives machine-readable lines; -nostats keeps the log free of the human ones.
    argv = [str(ffmpeg.path), "-hide_banner", "-nostdin", "-y", "-v", "warning", "-nostats"]
    argv += ["-progress", "pipe:1", "-stats_period", "0.5", *_bounded(arguments, ffmpeg.sandbox)]
    inputs = tuple(Path(given) for option, given in pairwise(arguments) if option == "-i")
    finished = process.run(
        argv,
        sandbox=ffmpeg.sandbox.letting(reads=(ffmpeg.path, *inputs), writes=(scratch,)),
        on_line=_progress_reader(on_progress),
        cancel=cancel,
        stall_s=stall_s,
        nice=ffmpeg.nice,
        tape=ffmpeg.tape,
    )
    if finished.returncode != 0:
        raise _failure(argv, finished, making, ffmpeg.sandbox)
    return finished


def _bounded(arguments: Sequence[str], sandbox: Sandbox) -> list[str]:
    """The arguments, with a bound for each input on the size of its pictures: it may change after the first one."""
    bounded: list[str] = []
    for argument in arguments:
        bounded += ["-max_pixels", str(sandbox.limits.pixels), argument] if argument == "-i" else [argument]
    return bounded


def _progress_reader(on_progress: Callable[[Progress], None] | None) -> Callable[[str], None]:
    fields: dict[str, str] = {}

    def read(line: str) -> None:
        key, _, value = line.partition("=")
        fields[key] = value.strip()
        if key == "progress" and on_progress is not None:
            on_progress(
                Progress(
                    frame=int(_number(fields.get("frame"))),
                    out_time_s=_number(fields.get("out_time_us")) / 1e6,
                    speed=_number(fields.get("speed", "").removesuffix("x")),
                )
            )

    return read


def _number(text: str | None) -> float:
    # ffmpeg writes N/A until it knows.
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _failure(argv: Sequence[str], finished: process.Finished, making: str, sandbox: Sandbox) -> AnabranchError:
    words = [line for line in finished.log.splitlines() if line.strip()]
    last = words[-1] if words else "nothing"
    if os.strerror(errno.ENOSPC) in finished.log:
        return ResourceError(
            "disk_full",
            f"The disk filled up while making {making}.",
            "Free some space; the step is tried again.",
        )
    if finished.returncode == -signal.SIGXFSZ:
        return SourceError(
            "output_too_large",
            f"Making {making} took more than the {sandbox.limits.output_bytes:,} bytes that a file may have.",
            "Ask for less of it or for a lower quality, or raise ANABRANCH_MAX_OUTPUT_BYTES.",
        )
    if os.strerror(errno.ENOMEM) in finished.log or finished.returncode == -signal.SIGKILL:
        return ResourceError(
            "out_of_memory",
            f"Making {making} took more memory than there was, or than the {sandbox.limits.memory_bytes >> 20:,} MiB "
            "that ffmpeg may have.",
            "It is tried again; ask for smaller pictures, or raise ANABRANCH_MAX_MEMORY_BYTES.",
        )
    how = f"exited {finished.returncode}" if finished.returncode > 0 else f"was killed by signal {-finished.returncode}"
    return EncodeError(
        "encode_failed",
        f'ffmpeg {how} making {making}. Its last words: "{last}".',
        f"The command, to try by hand: {shlex.join(argv)}",
    )
