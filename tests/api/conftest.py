"""What the tests of the API share: one server for those that do it no harm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from anabranch.media import ffmpeg
from tests import clips
from tests.api.served import elsewhere, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.served import Server


PASSWORD = "correct horse battery"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that all tests of this process share."""
    with serving(tmp_path_factory.mktemp("server"), ANABRANCH_PASSWORD=PASSWORD) as running:
        yield running


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


@pytest.fixture(scope="session")
def _troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troubled]:
    folder = tmp_path_factory.mktemp("troubled")
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
    with serving(folder / "home", ANABRANCH_FFMPEG=str(script)) as running:
        yield Troubled(running, wish)


@pytest.fixture
def troubled(_troubled: Troubled) -> Iterator[Troubled]:
    """A server whose ffmpeg can be made to fail, shared as `server` is."""
    yield _troubled
    _troubled.is_mended()


@pytest.fixture(scope="session")
def plain_url() -> Iterator[str]:
    """The address of an ordinary clip on another server."""
    clip = clips.plain()
    with elsewhere(clip.parent) as url:
        yield f"{url}/{clip.name}"


@pytest.fixture(scope="session")
def plain_media(server: Server) -> str:
    """An ordinary clip that was uploaded and is ready."""
    media_id = server.upload(clips.plain(4))
    assert server.media(media_id, "ready", "degraded", "failed")["status"] == "ready"
    return media_id
