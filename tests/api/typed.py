"""Typed: commands as a person types them, in a pipe or in a terminal; and a line that drops connections."""

from __future__ import annotations

import fcntl
import functools
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.api.served import Server

_BLOCK_BYTES = 1 << 16


class Said(NamedTuple):
    code: int
    out: str
    err: str


def start(server: Server | None, *arguments: object, **settings: str) -> subprocess.Popen[str]:
    """The command, at work."""
    command = [sys.executable, "-m", "anabranch", *map(str, arguments)]
    environment = environment_of(server, **settings)
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell has what it runs in the background ignore Ctrl-C, and children inherit that.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def typed(server: Server | None, *arguments: object, **settings: str) -> Said:
    """What the command says into pipes, and what it exits with."""
    process = start(server, *arguments, **settings)
    out, err = process.communicate(timeout=200)
    assert "Traceback" not in err, err
    return Said(process.returncode, out, err)


def typed_in_terminal(
    server: Server, *arguments: object, columns: int = 100, answer: str = "", into: Path | None = None, **settings: str
) -> tuple[int, str]:
    """What the command exits with, and all that it writes to a terminal of so many columns.

    Args:
        answer: what the person types.
        into: where its output goes, when that is not to the terminal.
    """
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    command = [sys.executable, "-m", "anabranch", *map(str, arguments)]
    environment = environment_of(server, TERM="xterm-256color", **settings)
    with into.open("wb") if into else nullcontext(its) as out:
        process = subprocess.Popen(command, env=environment, stdin=its, stdout=out, stderr=its, start_new_session=True)
    os.close(its)
    os.write(mine, answer.encode())
    written = bytearray()
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        readable, _, _ = select.select([mine], [], [], 1)
        if not readable:
            continue
        try:
            block = os.read(mine, _BLOCK_BYTES)
        except OSError:
            # Linux says so when nobody holds the other end any more.
            break
        written += block
    os.close(mine)
    return process.wait(10), written.decode().replace("\r\n", "\n")


def environment_of(server: Server | None, **settings: str) -> dict[str, str]:
    """What the command sees: nothing of what the person who runs the tests has set."""
    unset = ("ANABRANCH_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
    ours = {"ANABRANCH_URL": server.url, "ANABRANCH_KEY": server.key} if server else {}
    return {**kept, **ours, **settings}


class Line:
    """A line to a server's port, whose first connections each end after so many bytes of the client's.

    What is asked in a few bytes passes.
    """

    def __init__(self, port: int, drops: Sequence[int] = ()) -> None:
        self._port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.drops = list(drops)
        self.answered = bytearray()

    def __enter__(self) -> Line:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # Wakes the thread that waits in it.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._port))
                except OSError:
                    client.close()
                    continue
                threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(client, server), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while block := client.recv(_BLOCK_BYTES):
                server.sendall(block)
                passed += len(block)
                if self.drops and passed > self.drops[0]:
                    self.drops.pop(0)
                    break
        _end(client, server)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while block := server.recv(_BLOCK_BYTES):
                client.sendall(block)
                self.answered += block
        _end(client, server)


def _end(*ends: socket.socket) -> None:
    for one in ends:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
