"""The contract of storage: what every one of them keeps. A new one is added to `storages`."""

from __future__ import annotations

import resource
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anabranch.errors import FinalError, ResourceError
from anabranch.storage.files import FileStorage

if TYPE_CHECKING:
    from pathlib import Path

    from anabranch.storage import Storage


@pytest.fixture(params=["files"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """Each storage in turn, empty."""
    return {"files": FileStorage(tmp_path / "root")}[request.param]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(bytes(range(256)) * 10)
    return path


def read(store: Storage, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join(store.open(key, start, end))


def test_what_is_put_can_be_read(store: Storage, source: Path) -> None:
    store.put("a/b.mp4", source, "video/mp4")
    assert store.exists("a/b.mp4")
    assert read(store, "a/b.mp4") == source.read_bytes()


@pytest.mark.parametrize(("start", "end"), [(0, 1), (5, 10), (2550, None), (2560, None), (100, 9999)])
def test_a_range_is_just_those_bytes(store: Storage, source: Path, start: int, end: int | None) -> None:
    store.put("a", source, "video/mp4")
    assert read(store, "a", start, end) == source.read_bytes()[start:end]


def test_what_was_put_stays_when_its_source_is_gone(store: Storage, source: Path) -> None:
    store.put("a", source, "video/mp4")
    source.unlink()
    assert len(read(store, "a")) == 2560


def test_an_object_can_be_put_under_another_key_and_there_are_two_of_it(store: Storage, source: Path) -> None:
    store.put("a", source, "video/mp4")
    store.put("b/c", store.path("a"), "video/mp4")
    assert read(store, "a") == read(store, "b/c") == source.read_bytes()
    store.delete("a")
    assert read(store, "b/c") == source.read_bytes()


def test_what_is_not_there_is_a_clear_error(store: Storage) -> None:
    assert not store.exists("missing")
    with pytest.raises(FinalError) as raised:
        read(store, "missing")
    assert raised.value.code == "object_missing"


def test_deleting_an_object_twice_is_fine(store: Storage, source: Path) -> None:
    store.put("a/b", source, "video/mp4")
    store.put("a/c", source, "video/mp4")
    store.delete("a/b")
    store.delete("a/b")
    assert not store.exists("a/b")
    assert store.exists("a/c")


def test_keys_are_listed_by_their_beginning(store: Storage, source: Path) -> None:
    for key in ("med/1/a", "med/1/b", "med/10/a", "other"):
        store.put(key, source, "video/mp4")
    assert sorted(store.keys("med/1/")) == ["med/1/a", "med/1/b"]
    assert sorted(store.keys("med/1")) == ["med/1/a", "med/1/b", "med/10/a"]
    assert len(list(store.keys(""))) == 4
    assert list(store.keys("nothing/here")) == []


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../up", "a/../b", "a//b", "a/", ".hidden", "a b", "a\nb", "é"])
def test_a_key_that_could_lead_elsewhere_is_refused(store: Storage, source: Path, key: str) -> None:
    with pytest.raises(FinalError) as raised:
        store.put(key, source, "video/mp4")
    assert raised.value.code == "invalid_key"


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.text(st.sampled_from("ab./-_\\~%"), max_size=12))
def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    folder = FileStorage(tmp_path)
    try:
        assert folder.path(key).resolve().is_relative_to(tmp_path.resolve())
    except FinalError as error:
        assert error.code == "invalid_key"


def test_an_address_is_a_file_or_below_what_was_given(tmp_path: Path) -> None:
    assert FileStorage(tmp_path).url("a/b.mp4") == f"file://{tmp_path}/a/b.mp4"
    assert FileStorage(tmp_path, "https://cdn.test/m/").url("a/b.mp4") == "https://cdn.test/m/a/b.mp4"


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel refuses to let files grow past a limit, as a full disk would."""
    source = tmp_path / "large"
    source.write_bytes(bytes(1 << 20))
    # As on another file system, so that it is copied.
    monkeypatch.setattr("pathlib.Path.hardlink_to", _refuse)
    folder = FileStorage(tmp_path / "root")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(ResourceError) as raised:
            folder.put("a/b", source, "video/mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert raised.value.code == "disk_full"
    assert not [path for path in (tmp_path / "root").rglob("*") if path.is_file()]


def _refuse(self: Path, target: Path) -> None:
    raise OSError(18, "Invalid cross-device link")


def test_what_a_killed_process_left_is_neither_listed_nor_kept(tmp_path: Path) -> None:
    folder = FileStorage(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.partial").write_bytes(b"half")
    assert list(folder.keys("")) == []
    folder.sweep()
    assert not (tmp_path / "a" / "b.partial").exists()


def test_a_folder_counts_its_bytes_once_and_whatever_lies_in_it(tmp_path: Path) -> None:
    store = FileStorage(tmp_path / "root")
    assert store.size_bytes() == 0
    film = tmp_path / "film"
    film.write_bytes(b"x" * 1000)
    store.put("media/a/one.mp4", film, "video/mp4")
    store.put("media/b/same.mp4", film, "video/mp4")
    (tmp_path / "root" / ".nfs of nobody").write_bytes(b"y" * 10)
    assert store.size_bytes() == 1010
