"""Disk: full at each place that something is written to, while something is written to it; and what is true when there
is room again. What a full storage does to each kind of task is in `tests/tasks/test_kinds.py`."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests import clips
from tests.api.served import Server, until
from tests.faults.invariants import Installation, check, installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.alone]

# Of which 64 are kept free by those who begin something.
SIZE_MIB = 160


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own at a folder."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here, which takes root: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def full(folder: Path, free_bytes: int = 0) -> Iterator[None]:
    """No room on a file system, or hardly any."""
    filler = folder / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))
            if free_bytes:
                file.truncate(file.tell() - free_bytes)
        yield
    finally:
        filler.unlink()


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A server whose home, scratch and storage are disks of their own."""
    home = tmp_path_factory.mktemp("disks") / "home"
    with ExitStack() as stack:
        for folder in (home, home / "scratch", home / "storage"):
            stack.enter_context(small_disk(folder))
        # So that four attempts take longer than it takes to see that there is no room, and to make some.
        server = Server(home, ANABRANCH_RETRY_SCALE="0.3").start()
        stack.callback(server.stop)
        yield stack.enter_context(installed(server))


def film() -> Path:
    """Whose chunk takes a second or more."""
    return clips.silent(6, name="wide.mp4", size="640x360")


def begun(held: Installation) -> str:
    """An upload whose first chunk is being encoded."""
    media_id = held.server.upload(film())
    until(lambda: held.attempts(media_id, "chunk-0000"), 100)
    return media_id


def test_an_upload_that_finds_no_room_is_told_and_leaves_nothing(held: Installation) -> None:
    body = film().read_bytes()
    headers = {"content-type": "video/mp4"}
    with full(held.server.home, free_bytes=len(body) // 2):
        refused = held.server.api.post("/media?filename=a.mp4", content=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (507, "disk_full")
        assert not list((held.server.home / "uploads").iterdir())
    with full(held.server.home / "storage"):
        refused = held.server.api.post("/media?filename=a.mp4", content=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (507, "disk_full")
    assert held.server.get("/media") == []
    check(held, held.server.upload(film()))


def test_a_database_without_room_says_so_and_goes_on_when_there_is_some(held: Installation) -> None:
    media_id = begun(held)

    def refused() -> Any:
        # Some still fit into the room that its log has already.
        answer = held.server.api.post("/media", json={"metadata": {"large": "x" * 100_000}})
        assert answer.status_code in (201, 503), answer.text
        return answer if answer.status_code == 503 else None

    with full(held.server.home):
        answer = until(refused, 100)
        assert answer.json()["code"] == "database_failed"
        assert "full" in answer.json()["detail"]
        # Who only reads does not notice.
        assert held.server.get("/media")
    check(held, media_id)
    assert held.server.post("/media", {"title": "x"})["status"] == "waiting"


@pytest.mark.parametrize("place", ["scratch", "storage"])
def test_an_encode_that_finds_no_room_is_tried_again_until_there_is_some(place: str, held: Installation) -> None:
    media_id = begun(held)
    failed = "SELECT 1 FROM attempts JOIN tasks ON tasks.id = attempts.task_id WHERE media_id = :media_id AND code"
    failed = failed.replace("code", "attempts.error LIKE '%\"disk_full\"%'")
    with full(held.server.home / place):
        until(lambda: held.rows(failed, media_id=media_id), 100)
    check(held, media_id)
