"""Process: the one place that starts a child process (ffmpeg, the probe, the speech model).

A child gets its own process group, an almost empty environment, no standard input, and a death signal: when this
process is killed, however suddenly, its children are killed with it. A child that shows no sign of work for
`stall_s` seconds is killed too. Signs of work are lines on its standard output.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import selectors
import shlex
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from anabranch.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_PR_SET_PDEATHSIG = 1  # prctl(2)
_LIBC = ctypes.CDLL(None, use_errno=True)
_PRCTL = _LIBC.prctl
_KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")

# How much is kept of the commands of a piece, and of their words. A chunk's command has about two thousand characters.
_TAPED_CHARACTERS = 16384

# PR_SET_PDEATHSIG fires when the *thread* that forked ends, so every child is forked from one thread that
# lives as long as the process.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


class Cancelled(Exception):  # noqa: N818  (it is a request granted, not an error)
    """The work was cancelled; the child was killed."""


class CancelToken:
    """Set once, by whoever no longer wants the work; read by the loops that do it."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop. Safe from any thread, any number of times."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked the work to stop."""
        return self._event.is_set()


class Tape:
    """What was run for a piece of work, and its last words. Bounded, whatever is run and however much it says.

    Args:
        folder: where it is run. Commands name what is in it without it, so that they can be pasted anywhere.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._commands: tuple[str, ...] = ()
        self._said = ""
        self._running: Path | None = None

    def begin(self, argv: Sequence[str], log_path: Path) -> None:
        """Note that a command was started, and where its words go."""
        command = shlex.join([part.replace(f"{self._folder}/", "") for part in argv])
        kept, length = [command[:_TAPED_CHARACTERS]], len(command)
        for earlier in reversed(self._commands):
            length += len(earlier)
            if length > _TAPED_CHARACTERS:
                break
            kept.append(earlier)
        self._commands = tuple(reversed(kept))
        self._running = log_path

    def end(self, name: str, log: str, status: int, wall_s: float) -> None:
        """Note how it ended, and its last words."""
        how = f"exited {status}" if status >= 0 else f"was ended by signal {-status}"
        said = f"{self._said}{log}" if not log or log.endswith("\n") else f"{self._said}{log}\n"
        self._said = f"{said}{Path(name).name} {how} after {wall_s:.2f} s\n"[-_TAPED_CHARACTERS:]
        self._running = None

    @property
    def command(self) -> str | None:
        """The commands, to be pasted; None when nothing was run."""
        # Most of them write, and some read what one before has written.
        return "\n".join(['cd "$(mktemp -d)"', *self._commands]) if self._commands else None

    @property
    def log(self) -> str:
        """The last words so far."""
        running, said = self._running, ""
        if running is not None:
            # It may end, and its folder be gone, at any moment.
            with contextlib.suppress(OSError):
                said = _tail(running)
        return f"{self._said}{said}"[-_TAPED_CHARACTERS:]


@dataclass(frozen=True)
class Finished:
    """A child that ended by itself.

    Attributes:
        returncode: its exit status; negative when a signal ended it.
        log: the last 16 KiB of its standard error, decoded leniently.
        cpu_s: user and system time it used, in seconds.
        wall_s: time from start to end, in seconds.
    """

    returncode: int
    log: str
    cpu_s: float
    wall_s: float


def run(
    argv: Sequence[str],
    *,
    log_path: Path,
    on_line: Callable[[str], None] | None = None,
    env: Mapping[str, str] | None = None,
    stall_s: float = 300.0,
    cancel: CancelToken | None = None,
    nice: int = 0,
    tape: Tape | None = None,
) -> Finished:
    """Run `argv` to its end, handing each line of its standard output to `on_line`.

    Standard error goes to the file at `log_path`. `nice`, up to 19, is how far it gives way to whoever else wants the
    processor. `tape` is told what was run and what it said.

    Raises:
        Cancelled: `cancel` was set; the child is gone.
        ResourceError: `process_stalled`, no line came for `stall_s` seconds; the child is gone.
    """
    started = time.monotonic()
    with log_path.open("wb") as log:
        child = _spawner.submit(_spawn, argv, log, dict(env or {}), nice).result()
    if tape is not None:
        tape.begin(argv, log_path)
    try:
        _pump(child, on_line, stall_s, cancel)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    except BaseException as error:
        _kill(child)
        if isinstance(error, TimeoutError):
            raise ResourceError(
                "process_stalled",
                f"{argv[0]} showed no progress for {stall_s:.0f} s and was stopped.",
                f"The command, to try by hand: {shlex.join(argv)}",
            ) from None
        raise
    finally:
        if child.stdout:
            child.stdout.close()
        if tape is not None:
            tape.end(argv[0], _tail(log_path), child.returncode, time.monotonic() - started)
    return Finished(
        returncode=child.returncode,
        log=_tail(log_path),
        cpu_s=usage.ru_utime + usage.ru_stime,
        wall_s=time.monotonic() - started,
    )


def _spawn(argv: Sequence[str], log: IO[bytes], env: dict[str, str], nice: int) -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        env={"LC_ALL": "C.UTF-8", **kept, **env},
        # A group, to be killed as one. Not a session: Linux gives each session an equal share of the processor
        # (autogroup) and compares niceness within it only.
        process_group=0,
        preexec_fn=functools.partial(_begin, nice),  # two system calls on functions looked up beforehand
    )


def _begin(nice: int) -> None:
    _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(nice)


def _pump(
    child: subprocess.Popen[bytes],
    on_line: Callable[[str], None] | None,
    stall_s: float,
    cancel: CancelToken | None,
) -> None:
    assert child.stdout is not None
    descriptor = child.stdout.fileno()
    last_sign = time.monotonic()
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if cancel is not None and cancel.cancelled:
                raise Cancelled
            # Half a second bounds how long a cancelled child goes on.
            if not selector.select(timeout=0.5):
                if time.monotonic() - last_sign > stall_s:
                    raise TimeoutError
                continue
            data = os.read(descriptor, 65536)
            if not data:
                return
            last_sign = time.monotonic()
            *lines, rest = (rest + data).split(b"\n")
            if on_line is not None:
                for line in lines:
                    on_line(line.decode("utf-8", "replace"))


def _kill(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child.pid, 0)
    child.returncode = -signal.SIGKILL


def _tail(path: Path, size: int = 16384) -> str:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - size))
        return file.read().decode("utf-8", "replace")
