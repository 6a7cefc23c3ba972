"""Sandbox: what a child process that reads a stranger's file can reach, and how much it can use.

It can read the programs and libraries that are installed, the files that it was given, and write where it was told to;
it cannot connect to anybody, and signals nobody outside. This is Landlock, which needs no rights and is undone by
nothing (landlock(7); https://docs.kernel.org/userspace-api/landlock.html). On top of it are resource limits
(setrlimit(2)).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import resource
import struct
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anabranch
from anabranch.errors import SetupError
from anabranch.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LIBC = ctypes.CDLL(None, use_errno=True)
# The same on all architectures that have it.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1

# include/uapi/linux/landlock.h
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE = 1 << 14
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
# How many kinds of access each version of it handles; REFER, TRUNCATE and IOCTL_DEV came later.
_KINDS_BY_VERSION = {1: 13, 2: 14, 3: 15, 4: 15}
_KINDS_NOW = 16
_TCP_SINCE, _SCOPES_SINCE = 4, 6
_BIND_AND_CONNECT, _SOCKETS_AND_SIGNALS = 0b11, 0b11

# What programs are made of, and what they look up about the machine. Nothing in /proc that is of a process.
_INSTALLED = (
    "/bin", "/lib", "/lib32", "/lib64", "/usr", "/nix/store", "/etc/ld.so.cache", "/etc/localtime",
    "/dev/random", "/dev/urandom", "/dev/zero", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys",
    "/sys/devices/system", "/sys/fs/cgroup",
)  # fmt: skip
_MOST_OPEN_FILES = 1024


@dataclass(frozen=True)
class Sandbox:
    """Where a child process is put.

    Attributes:
        limits: how much it may use.
        confined: whether it is kept from files and the network; the limits hold without as well.
        reads: files and folders that it may read, beside what is installed.
        writes: folders that it may read and write.
        network: whether it may connect.
    """

    limits: Limits = field(default_factory=Limits)
    confined: bool = False
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    network: bool = False

    def letting(self, *, reads: tuple[Path, ...] = (), writes: tuple[Path, ...] = (), network: bool = False) -> Sandbox:
        """The same with more in reach."""
        return replace(self, reads=self.reads + reads, writes=self.writes + writes, network=self.network or network)

    @contextlib.contextmanager
    def entrance(self) -> Iterator[Callable[[], None]]:
        """What a child calls between its fork and its program, to be in the sandbox from then on.

        It raises OSError in the child when that cannot be, and nothing is run.
        """
        limits = [
            (number, _within(number, most))
            for number, most in (
                (resource.RLIMIT_CORE, 0),
                # What is mapped and not written is free, and multi-threaded programs map much of it.
                (resource.RLIMIT_DATA, self.limits.memory_bytes),
                (resource.RLIMIT_FSIZE, self.limits.output_bytes),
                (resource.RLIMIT_NOFILE, _MOST_OPEN_FILES),
            )
        ]
        ruleset = self._ruleset() if self.confined else None

        def enter() -> None:
            for number, pair in limits:
                resource.setrlimit(number, pair)
            if ruleset is not None and _LIBC.syscall(_RESTRICT_SELF, ruleset, 0):
                raise OSError(ctypes.get_errno(), "landlock_restrict_self")

        try:
            yield enter
        finally:
            if ruleset is not None:
                os.close(ruleset)

    def _ruleset(self) -> int:
        known = version()
        kinds = (1 << _KINDS_BY_VERSION.get(known, _KINDS_NOW)) - 1
        tcp = _BIND_AND_CONNECT if known >= _TCP_SINCE and not self.network else 0
        scopes = _SOCKETS_AND_SIGNALS if known >= _SCOPES_SINCE else 0
        handled = struct.pack("=QQQ", kinds, tcp, scopes)
        # An older one knows fewer fields.
        size = 24 if known >= _SCOPES_SINCE else 16 if known >= _TCP_SINCE else 8
        ruleset = _checked(_LIBC.syscall(_CREATE_RULESET, handled, size, 0), "landlock_create_ruleset")
        try:
            for path in (*map(Path, _INSTALLED), *_python(), *self.reads):
                _allow(ruleset, path, _READ & kinds)
            for path in (Path("/dev/null"), *self.writes):
                _allow(ruleset, path, kinds)
        except BaseException:
            os.close(ruleset)
            raise
        return ruleset


def open_sandbox(mode: Literal["auto", "required", "off"], limits: Limits) -> Sandbox:
    """The sandbox that is asked for: where this kernel can confine (`auto`), or else nowhere (`required`), or `off`.

    Raises:
        SetupError: `sandbox_missing`.
    """
    if mode == "required" and not version():
        raise SetupError(
            "sandbox_missing",
            "ANABRANCH_SANDBOX is required, and this kernel has no Landlock.",
            "It takes Linux 5.13 with landlock among the security modules (/sys/kernel/security/lsm), and a container "
            "whose seccomp profile lets it through. Or set ANABRANCH_SANDBOX=auto.",
        )
    return Sandbox(limits, confined=mode != "off" and version() > 0)


@functools.cache
def version() -> int:
    """Which version of Landlock this kernel has; 0 when it has none, or it is switched off."""
    return max(0, int(_LIBC.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)))


@functools.cache
def _python() -> tuple[Path, ...]:
    """Where the interpreter and its modules are."""
    own = Path(anabranch.__file__).resolve().parent.parent
    return tuple({Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve(), own})


def _allow(ruleset: int, path: Path, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        # What is not there cannot be reached.
        return
    try:
        here = access if path.is_dir() else access & _OF_FILES
        rule = struct.pack("=Qi", here, descriptor)
        _checked(_LIBC.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0), f"landlock_add_rule of {path}")
    finally:
        os.close(descriptor)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number or errno.EINVAL)}")
    return result


def _within(number: int, most: int) -> tuple[int, int]:
    """The limit, and not more than this process may give."""
    hard = resource.getrlimit(number)[1]
    least = most if hard == resource.RLIM_INFINITY else min(most, hard)
    return least, least
