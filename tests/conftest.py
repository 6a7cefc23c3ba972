"""What all tests share."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from anabranch.media import ffmpeg
from anabranch.media.probe import probe
from anabranch.media.process import CancelToken
from anabranch.storage.files import FileStorage
from anabranch.tasks.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches past this machine, not even by accident."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(("127.", "::1")):
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def httpserver_listen_address() -> tuple[str, int]:
    """By number: a bare machine may not know the name localhost."""
    return ("127.0.0.1", 0)


@pytest.fixture
def storage(tmp_path: Path) -> FileStorage:
    """An empty folder as storage."""
    return FileStorage(tmp_path / "storage")


@pytest.fixture
def make_desk(tmp_path: Path, storage: FileStorage) -> Callable[..., Desk]:
    """Makes a desk with a source on it."""
    made = 0

    def make(source: Path, **given: Any) -> Desk:
        nonlocal made
        made += 1
        scratch = tmp_path / f"desk{made}"
        scratch.mkdir()
        values: dict[str, Any] = {
            "source": source,
            "probe": given.pop("probe", None) or probe(source, scratch),
            "scratch": scratch,
            "ffmpeg": ffmpeg.find(),
            "storage": storage,
            "prefix": "media/med_1/task_1",
            "attempt": 1,
            "on_progress": lambda done, speed: None,
            "cancel": CancelToken(),
        }
        return Desk(**{**values, **given})

    return make
