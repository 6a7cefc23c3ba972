"""Troubled: a server whose ffmpeg fails at what somebody names, until it is mended."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anabranch.media import ffmpeg
from tests.api.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.served import Server


@dataclass(frozen=True)
class Troubled:
    """A server whose ffmpeg fails at what somebody names."""

    server: Server
    wish: Path

    def fails_at(self, word: str) -> None:
        """Have every command fail that has this in its arguments."""
        self.wish.write_text(word)

    def is_mended(self) -> None:
        """Have nothing fail any more."""
        self.wish.write_text("")


@contextmanager
def in_trouble(folder: Path, **settings: str) -> Iterator[Troubled]:
    """A server in a folder, with an ffmpeg that does as it is told."""
    script, wish = folder / "ffmpeg", folder / "wish"
    wish.touch()
    script.write_text(
        f"""#!/bin/sh
word=$(cat {wish})
case "$word" in ?*) case "$*" in *"$word"*) echo "no luck with $word" >&2; exit 1;; esac;; esac
exec {ffmpeg.find().path} "$@"
"""
    )
    script.chmod(0o755)
    # In the sandbox it could not read what is wished for.
    trouble = {"ANABRANCH_FFMPEG": str(script), "ANABRANCH_SANDBOX": "off"}
    with serving(folder / "home", **trouble, **settings) as running:
        yield Troubled(running, wish)
