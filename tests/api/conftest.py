"""What the tests of the API share: one server for those that do it no harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import clips
from tests.api.served import elsewhere, serving
from tests.api.troubled import in_trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.served import Server
    from tests.api.troubled import Troubled

PASSWORD = "correct horse battery"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that all tests of this process share."""
    with serving(tmp_path_factory.mktemp("server"), ANABRANCH_PASSWORD=PASSWORD) as running:
        yield running


@pytest.fixture(scope="session")
def _troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troubled]:
    with in_trouble(tmp_path_factory.mktemp("troubled")) as running:
        yield running


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
