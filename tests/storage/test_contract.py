"""The contract of storage: what every one of them keeps. A new one is added to `store`."""

from __future__ import annotations

import os
import resource
import secrets
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anabranch import clock
from anabranch.buckets import place_of
from anabranch.errors import FinalError, ResourceError
from anabranch.storage.files import FileStorage
from anabranch.storage.objects import ObjectStorage

if TYPE_CHECKING:
    from pathlib import Path

    from anabranch.storage import Storage
    from tests.servers import ObjectStore


@pytest.fixture(params=["files", "moto", "nanio"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """Each storage in turn, empty."""
    if request.param == "files":
        return FileStorage(tmp_path / "root")
    there: ObjectStore = request.getfixturevalue(request.param).below(f"contract/{secrets.token_hex(8)}")
    for name, value in there.environment.items():
        monkeypatch.setenv(name, value)
    return ObjectStorage(place_of(there.url), endpoint=there.endpoint)


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
    store.copy("a", "b/c", "video/mp4")
    assert read(store, "a") == read(store, "b/c") == source.read_bytes()
    store.delete("a")
    assert read(store, "b/c") == source.read_bytes()


@pytest.mark.parametrize("content_type", ["", "video", "vid\u00e9o/mp4", "a/b\nx-y: z", "a/\0", "x" * 5000, "a/b; c=d"])
def test_what_an_uploader_calls_a_file_does_no_harm(store: Storage, source: Path, content_type: str) -> None:
    store.put("a", source, content_type)
    assert read(store, "a") == source.read_bytes()


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


def test_what_is_known_of_an_object_changes_when_it_is_written_over(store: Storage, source: Path) -> None:
    assert store.stat("a/b") is None
    store.put("a/b", source, "video/mp4")
    first = store.stat("a/b")
    assert first == store.stat("a/b")
    assert first is not None
    assert first.size_bytes == 2560
    other = source.with_name("other")
    other.write_bytes(source.read_bytes()[::-1])
    store.put("a/b", other, "video/mp4")
    second = store.stat("a/b")
    assert second is not None
    assert (second.size_bytes, second.version == first.version) == (2560, False)
    assert store.stat("a") is None


def test_a_copy_of_nothing_is_a_clear_error(store: Storage) -> None:
    with pytest.raises(FinalError) as raised:
        store.copy("missing", "b", "video/mp4")
    assert raised.value.code == "object_missing"
    assert not store.exists("b")


def test_an_object_becomes_a_file_of_this_machine(store: Storage, source: Path, tmp_path: Path) -> None:
    store.put("a/b.mp4", source, "video/mp4")
    folder = tmp_path / "fetched"
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: store.local("a/b.mp4", folder), range(4)))
    assert len(set(found)) == 1
    assert found[0].read_bytes() == source.read_bytes()
    assert not list(tmp_path.rglob("*.partial"))
    store.forget("a/b.mp4", folder)
    assert store.exists("a/b.mp4")
    with pytest.raises(FinalError) as raised:
        store.local("missing", folder)
    assert raised.value.code == "object_missing"


def test_an_object_that_was_written_over_is_another_file(store: Storage, source: Path, tmp_path: Path) -> None:
    store.put("a", source, "video/mp4")
    store.local("a", tmp_path / "fetched")
    other = tmp_path / "other"
    other.write_bytes(source.read_bytes()[::-1])
    store.put("a", other, "video/mp4")
    assert store.local("a", tmp_path / "fetched").read_bytes() == other.read_bytes()


def test_an_object_without_bytes_is_one(store: Storage, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.touch()
    store.put("a", nothing, "text/plain")
    assert store.exists("a")
    assert read(store, "a") == b""
    assert store.local("a", tmp_path / "fetched").read_bytes() == b""


def test_a_large_object_arrives_as_it_was(store: Storage, tmp_path: Path) -> None:
    """Larger than what is sent at once, and than what is read at once; and no round number."""
    large = tmp_path / "large"
    large.write_bytes(secrets.token_bytes(1 << 20) * 17 + b"end")
    content = large.read_bytes()
    store.put("a/large.mp4", large, "video/mp4")
    assert store.local("a/large.mp4", tmp_path / "fetched").read_bytes() == content
    assert read(store, "a/large.mp4", 4_000_000, 9_000_001) == content[4_000_000:9_000_001]
    store.copy("a/large.mp4", "b", "video/mp4")
    assert read(store, "b") == content
    assert store.size_bytes() >= len(content)


def test_many_objects_are_removed_at_once(store: Storage, source: Path) -> None:
    for number in range(5):
        store.put(f"a/{number}", source, "video/mp4")
    store.delete_all(["a/0", "a/1", "a/gone", "a/3"])
    assert sorted(store.keys("a/")) == ["a/2", "a/4"]
    store.delete_all([])


def test_an_address_of_the_stores_own_needs_no_key(store: Storage, source: Path) -> None:
    store.put("a/b.mp4", source, "video/mp4")
    address = store.signed_url("a/b.mp4", 60)
    if isinstance(store, FileStorage):
        assert address is None
        return
    assert address is not None
    answer = httpx2.get(address, headers={"range": "bytes=2-5"})
    assert (answer.status_code, answer.content) == (206, source.read_bytes()[2:6])
    assert answer.headers["content-type"] == "video/mp4"


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


def test_what_others_write_in_a_shared_folder_stays_until_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = FileStorage(tmp_path)
    writing = tmp_path / "b.0badcafe.partial"
    writing.write_bytes(b"half")
    # As that of a film which is linked to: what counts is since when the link is there.
    os.utime(writing, (0, 0))
    shared.sweep(older_than_s=3600)
    assert writing.exists()
    monkeypatch.setattr(clock, "now_ms", lambda: int((time.time() + 3700) * 1000))
    shared.sweep(older_than_s=3600)
    assert not writing.exists()


def test_a_file_that_is_put_twice_leaves_nothing_beside_it(tmp_path: Path) -> None:
    folder = FileStorage(tmp_path / "root")
    source = tmp_path / "source"
    source.write_bytes(b"film")
    folder.put("a", source, "video/mp4")
    folder.put("a", source, "video/mp4")
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["a"]


def test_many_put_the_same_key_of_a_shared_folder_at_once(tmp_path: Path) -> None:
    """Each of another process: no lock is shared but that of the file system."""
    sources = []
    for number in range(8):
        sources.append(tmp_path / f"source-{number}")
        sources[-1].write_bytes(bytes([number]) * 100_000)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda source: FileStorage(tmp_path / "root").put("a/b", source, "video/mp4"), sources))
    assert (tmp_path / "root" / "a" / "b").read_bytes() in [source.read_bytes() for source in sources]
    assert len(list((tmp_path / "root" / "a").iterdir())) == 1


def test_a_folder_counts_its_bytes_once_and_whatever_lies_in_it(tmp_path: Path) -> None:
    store = FileStorage(tmp_path / "root")
    assert store.size_bytes() == 0
    film = tmp_path / "film"
    film.write_bytes(b"x" * 1000)
    store.put("media/a/one.mp4", film, "video/mp4")
    store.put("media/b/same.mp4", film, "video/mp4")
    (tmp_path / "root" / ".nfs of nobody").write_bytes(b"y" * 10)
    assert store.size_bytes() == 1010
