"""Process: the one place that starts a child process (ffmpeg, the probe, the speech model).

A child gets its own process group, an almost empty environment, no standard input, no way to more rights, and a death
signal: when this process is killed, however suddenly, its children are killed with it. A child that shows no sign of
work for `stall_s` seconds is killed too. Signs of work are lines on its standard output. Of what it says on its
standard error the end is kept, so that no disk fills up with it.
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
from typing import TYPE_CHECKING

from anabranch.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from anabranch.media.sandbox import Sandbox

# prctl(2)
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
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


class Words:
    """The end of what a child says on its standard error."""

    def __init__(self) -> None:
        self._heard = b""

    def hear(self, data: bytes) -> None:
        """Take what it says next."""
        self._heard = (self._heard + data)[-_TAPED_CHARACTERS:]

    @property
    def last(self) -> str:
        """Its last 16 KiB, decoded leniently."""
        return self._heard.decode("utf-8", "replace")


class Tape:
    """What was run for a piece of work, and its last words. Bounded, whatever is run and however much it says.

    Args:
        folder: where it is run. Commands name what is in it without it, so that they can be pasted anywhere.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._commands: tuple[str, ...] = ()
        self._said = ""
        self._running: Words | None = None

    def begin(self, argv: Sequence[str], words: Words) -> None:
        """Note that a command was started, and where its words are heard."""
        command = shlex.join([part.replace(f"{self._folder}/", "") for part in argv])
        kept, length = [command[:_TAPED_CHARACTERS]], len(command)
        for earlier in reversed(self._commands):
            length += len(earlier)
            if length > _TAPED_CHARACTERS:
                break
            kept.append(earlier)
        self._commands = tuple(reversed(kept))
        self._running = words

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
        running = self._running
        return f"{self._said}{running.last if running else ''}"[-_TAPED_CHARACTERS:]


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
    sandbox: Sandbox,
    on_line: Callable[[str], None] = lambda _line: None,
    env: Mapping[str, str] | None = None,
    stall_s: float = 300.0,
    cancel: CancelToken | None = None,
    nice: int = 0,
    tape: Tape | None = None,
) -> Finished:
    """Run `argv` in a sandbox to its end, handing each line of its standard output to `on_line`.

    `nice`, up to 19, is how far it gives way to whoever else wants the processor. `tape` is told what was run and what
    it said.

    Raises:
        Cancelled: `cancel` was set; the child is gone.
        ResourceError: `process_stalled`, no line came for `stall_s` seconds, or `process_timeout`, it ran for longer
            than it may; the child is gone.
    """
    started = time.monotonic()
    child = _spawner.submit(_spawn, argv, sandbox, dict(env or {}), nice).result()
    words = Words()
    if tape is not None:
        tape.begin(argv, words)
    try:
        _pump(child, words, on_line, _Patience(argv, stall_s, sandbox.limits.child_s, cancel))
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    except BaseException:
        _kill(child)
        raise
    finally:
        for pipe in (child.stdout, child.stderr):
            if pipe:
                pipe.close()
        if tape is not None:
            tape.end(argv[0], words.last, child.returncode, time.monotonic() - started)
    return Finished(
        returncode=child.returncode,
        log=words.last,
        cpu_s=usage.ru_utime + usage.ru_stime,
        wall_s=time.monotonic() - started,
    )


def _spawn(argv: Sequence[str], sandbox: Sandbox, env: dict[str, str], nice: int) -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    with sandbox.entrance() as enter:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"LC_ALL": "C.UTF-8", **kept, **env},
            # A group, to be killed as one. Not a session: Linux gives each session an equal share of the processor
            # (autogroup) and compares niceness within it only.
            process_group=0,
            preexec_fn=functools.partial(_begin, nice, enter),  # system calls on functions looked up beforehand
        )


def _begin(nice: int, enter: Callable[[], None]) -> None:
    _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _PRCTL(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.nice(nice)
    enter()


class _Patience:
    """How long a child may go on.

    Args:
        argv: what it runs.
        stall_s: for how long it may show no sign of work.
        most_s: for how long it may run.
        cancel: set when nobody wants the work any more.
    """

    def __init__(self, argv: Sequence[str], stall_s: float, most_s: float, cancel: CancelToken | None) -> None:
        self._argv = argv
        self._stall_s = stall_s
        self._most_s = most_s
        self._cancel = cancel
        self._started = self._last_sign = time.monotonic()

    def note(self) -> None:
        """Note that it works."""
        self._last_sign = time.monotonic()

    def check(self) -> None:
        """Whether it may go on.

        Raises:
            Cancelled: the work is not wanted.
            ResourceError: `process_stalled` or `process_timeout`.
        """
        if self._cancel is not None and self._cancel.cancelled:
            raise Cancelled
        now = time.monotonic()
        if now - self._last_sign > self._stall_s:
            why = f"{self._argv[0]} showed no progress for {self._stall_s:.0f} s and was stopped."
            raise ResourceError("process_stalled", why, self._by_hand())
        if now - self._started > self._most_s:
            why = f"{self._argv[0]} ran for longer than the {self._most_s:.0f} s that it may and was stopped."
            raise ResourceError("process_timeout", why, self._by_hand())

    def _by_hand(self) -> str:
        return f"The command, to try by hand: {shlex.join(self._argv)}"


def _pump(child: subprocess.Popen[bytes], words: Words, on_line: Callable[[str], None], patience: _Patience) -> None:
    assert child.stdout is not None
    assert child.stderr is not None
    said, logged = child.stdout.fileno(), child.stderr.fileno()
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(said, selectors.EVENT_READ)
        selector.register(logged, selectors.EVENT_READ)
        while selector.get_map():
            patience.check()
            # Half a second bounds how long a cancelled child goes on.
            for key, _ in selector.select(timeout=0.5):
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fd)
                elif key.fd == logged:
                    words.hear(data)
                else:
                    patience.note()
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        on_line(line.decode("utf-8", "replace"))


def _kill(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child.pid, 0)
    child.returncode = -signal.SIGKILL
