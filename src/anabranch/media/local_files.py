"""Local files: sources that are on this machine already, and which of them may be read on behalf of others.

The command line reads what its user may, where it is. Others may name files in folders that are listed: a file is held
first, the kernel is asked where it really is, and what is used from then on is the file that was held. So neither a
symbolic link nor a folder that changes places in the meantime leads anywhere else.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from anabranch.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_ALL = Path("/")


def path_of(address: str) -> Path | None:
    """The path that an address names, as a path or by `file`; None for an address of another kind."""
    if urlsplit(address).scheme.lower() == "file":
        return Path(unquote(urlsplit(address).path))
    return None if "://" in address else Path(address)


def are_all(folders: Collection[Path]) -> bool:
    """Whether all files of this machine may be read, so that it does not matter which file a path leads to."""
    return _ALL in folders


def check(path: Path, folders: Collection[Path]) -> None:
    """Refuse a path that leads to no file in one of the folders.

    Raises:
        SourceError: `source_forbidden`, `source_missing`, `source_unreadable` or `empty_file`.
    """
    with held(path, folders):
        pass


@contextlib.contextmanager
def held(path: Path, folders: Collection[Path]) -> Iterator[Path]:
    """A way to the file that a path leads to now, whatever becomes of the path while the context lasts.

    Raises:
        SourceError: `source_forbidden`, `source_missing`, `source_unreadable` or `empty_file`.
    """
    # Before anything is said of it: outside of the folders nobody is told what there is and what not.
    _check_place(path, Path(os.path.realpath(path)), folders)
    try:
        # O_PATH opens nothing: no device is woken, and no pipe waited for.
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        raise missing(path) from None
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        way = Path(f"/proc/self/fd/{descriptor}")
        _check_place(path, way.readlink(), folders)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _no_file(path)
        _check_readable(path, way)
        yield way
    finally:
        os.close(descriptor)


def link(way: Path, target: Path) -> bool:
    """Make a link of a held file. Whether that was possible: elsewhere than on its file system it is not."""
    try:
        # That a folder is named, which an absolute path does not need, has the link of /proc followed.
        os.link(way, target, src_dir_fd=0, follow_symlinks=True)
    except OSError:
        return False
    return True


def in_place(path: Path) -> Path:
    """The file at a path, where it is.

    Raises:
        SourceError: `source_missing`, `source_unreadable` or `empty_file`.
    """
    if not path.exists():
        raise missing(path)
    if not path.is_file():
        raise _no_file(path)
    _check_readable(path, path)
    return path.absolute()


def missing(path: Path) -> SourceError:
    """Nothing is at a path."""
    return SourceError("source_missing", f"There is no file {path}.", "Check the path.")


def empty(name: str) -> SourceError:
    """A source has no bytes."""
    return SourceError("empty_file", f"{name} has no bytes.", "The upload was probably cut short; repeat it.")


def _check_place(path: Path, place: Path, folders: Collection[Path]) -> None:
    if not any(place.is_relative_to(os.path.realpath(folder)) for folder in folders):
        raise SourceError(
            "source_forbidden",
            f"{path} is in no folder that files are read from here.",
            "Whoever runs this server may list folders in ANABRANCH_SOURCE_FOLDERS.",
        )


def _check_readable(path: Path, way: Path) -> None:
    try:
        with way.open("rb") as file:
            if not file.read(1):
                raise empty(str(path))
    except OSError as error:
        raise _unreadable(path, error) from error


def _no_file(path: Path) -> SourceError:
    return SourceError("source_unreadable", f"{path} is not a file.", "Give the path of one media file.")


def _unreadable(path: Path, error: OSError) -> SourceError:
    said = f"{path} cannot be read: {error.strerror}."
    return SourceError("source_unreadable", said, "Give a file that this user may read.")
