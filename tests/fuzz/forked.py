"""Forked: children of the project that are Python, without their start. As a program: forks one for each command that
it is told, and says how it ended.

Loading Python and what a child needs takes most of the time that a small file takes, and it is done once here. All else
is as in `process.run`: a child for each file, that may crash or be killed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Self

from anabranch.media.process import Finished
from anabranch.media.process import run as _run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Each mutant is a few kilobytes; what takes this long would not end.
TIME_LIMIT_S = 20.0


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        returncode: as of `subprocess`.
        said: its standard output, and standard error.
        peak_mb: the most memory that it had, in megabytes.
        took_s: how long it took.
    """

    returncode: int
    said: str
    log: str
    peak_mb: float
    took_s: float


class Forks:
    """Processes that fork children. Several threads may ask; each gets one that is idle."""

    def __init__(self, count: int) -> None:
        argv = [sys.executable, "-m", "tests.fuzz.forked"]
        self._servers = [
            subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
        ]
        self._idle: queue.LifoQueue[subprocess.Popen[str]] = queue.LifoQueue()
        for server in self._servers:
            self._idle.put(server)
        self._of_thread = threading.local()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.communicate(timeout=TIME_LIMIT_S + 10)

    @property
    def last(self) -> Ended:
        """How the child ended that this thread has asked for last."""
        ended: Ended = self._of_thread.last
        return ended

    def run(self, argv: Sequence[str], **given: Any) -> Finished:
        """Stand in for `process.run`, for children that are modules of the project; others start as they always do."""
        if "-m" not in argv:
            return _run(argv, **given)
        server = self._idle.get()
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            print(json.dumps(argv[argv.index("-m") + 1 :]), file=server.stdin, flush=True)
            ended = Ended(**json.loads(server.stdout.readline()))
        finally:
            self._idle.put(server)
        self._of_thread.last = ended
        for line in ended.said.split("\n")[:-1]:
            if given.get("on_line") is not None:
                given["on_line"](line)
        return Finished(ended.returncode, ended.log, 0.0, ended.took_s)


def _serve() -> None:
    with tempfile.TemporaryFile("w+") as log:
        for line in sys.stdin:
            module, *arguments = json.loads(line)
            # Loaded before anything is forked.
            main = importlib.import_module(module).main
            print(json.dumps(_fork(main, arguments, log)), flush=True)


def _fork(main: Callable[[], None], arguments: list[str], log: IO[str]) -> dict[str, Any]:
    log.seek(0)
    log.truncate()
    started = time.monotonic()
    hears, says = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(hears)
        _be_the_child(main, arguments, says, log)
    os.close(says)
    said = _hear(hears, child, started + TIME_LIMIT_S)
    os.close(hears)
    _, status, usage = os.wait4(child, 0)
    took_s = time.monotonic() - started
    log.seek(0)
    words = log.read()[-4000:]
    return {
        "returncode": os.waitstatus_to_exitcode(status),
        "said": said.decode("utf-8", "replace"),
        "log": words,
        "peak_mb": usage.ru_maxrss / 1024,
        "took_s": took_s,
    }


def _hear(descriptor: int, child: int, deadline: float) -> bytes:
    """All that it says; it is killed when it is not done by the deadline."""
    heard = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                return heard
            data = os.read(descriptor, 1 << 16)
            if not data:
                return heard
            heard += data


def _be_the_child(main: Callable[[], None], arguments: list[str], says: int, log: IO[str]) -> None:
    """What `python -m MODULE ARGUMENTS` does. Does not return."""
    status = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(says, 1)
        os.dup2(log.fileno(), 2)
        sys.argv = ["child", *arguments]
        main()
        status = 0
    except SystemExit as asked:
        status = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
    except BaseException:  # noqa: BLE001  (as the interpreter would: told, and exit status 1)
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve()
