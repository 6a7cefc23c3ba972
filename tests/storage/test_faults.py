"""Bad days of an object store: what passes is tried again, what does not is told, and nothing is believed or left."""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from anabranch.buckets import Patience, place_of
from anabranch.errors import AnabranchError, ResourceError, SetupError
from anabranch.storage import objects
from anabranch.storage.objects import ObjectStorage
from tests.servers import Fault, in_front_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers import Front, ObjectStore

HASTE = Patience(connect_s=1, stalled_s=0.3, request_s=2, retries=2, retry_s=3, pause_s=0.01)
LARGE_BYTES = (9 << 20) + 1


@pytest.fixture
def front(nanio: ObjectStore) -> Iterator[Front]:
    with in_front_of(nanio.endpoint) as running:
        yield running


@pytest.fixture
def there(nanio: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """A prefix of its own, with the environment that opens it."""
    place = nanio.below(f"faults/{secrets.token_hex(8)}")
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    return place


@pytest.fixture
def store(there: ObjectStore, front: Front) -> ObjectStorage:
    return ObjectStorage(place_of(there.url), endpoint=front.url, patience=HASTE)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(secrets.token_bytes(LARGE_BYTES))
    return path


def uses(store: ObjectStorage, large: Path) -> dict[str, Callable[[], object]]:
    """What is done with a storage, each once."""
    return {
        "put": lambda: store.put("b", large, "video/mp4"),
        "open": lambda: b"".join(store.open("a")),
        "stat": lambda: store.stat("a"),
        "local": lambda: store.local("a", large.parent / "fetched"),
        "copy": lambda: store.copy("a", "c", "video/mp4"),
        "keys": lambda: list(store.keys("")),
        "delete": lambda: store.delete("d"),
    }


@pytest.mark.parametrize(
    ("use", "status"),
    [("put", 500), ("put", 503), ("open", 500), ("stat", 503), ("local", 503), ("copy", 500), ("delete", 503)],
)
def test_what_fails_in_passing_is_tried_again(
    use: str, status: int, store: ObjectStorage, front: Front, large: Path
) -> None:
    store.put("a", large, "video/mp4")
    front.fault = Fault("status", status=status, times=1)
    uses(store, large)[use]()
    assert front.fault.times == 0
    assert b"".join(store.open("b" if use == "put" else "a")) == large.read_bytes()


@pytest.mark.parametrize("use", ["put", "open", "stat", "local", "copy", "keys", "delete"])
def test_a_store_that_stays_broken_is_an_error_that_may_be_tried_later(
    use: str, store: ObjectStorage, front: Front, large: Path
) -> None:
    store.put("a", large, "video/mp4")
    front.fault = Fault("status")
    with pytest.raises(ResourceError) as raised:
        uses(store, large)[use]()
    assert raised.value.code == "storage_unavailable"
    assert "503" in raised.value.message
    front.fault = None
    assert list(store.keys("")) == ["a"]
    assert not list((large.parent / "fetched").glob("*.partial"))


@pytest.mark.parametrize("use", ["put", "open", "local", "stat"])
@pytest.mark.slow
def test_a_store_that_hangs_holds_nobody_for_ever(use: str, store: ObjectStorage, front: Front, large: Path) -> None:
    store.put("a", large, "video/mp4")
    front.fault = Fault("slow", seconds=3)
    began = time.monotonic()
    with pytest.raises(ResourceError) as raised:
        uses(store, large)[use]()
    assert raised.value.code == "storage_unavailable"
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("use", ["open", "local"])
def test_an_answer_that_is_cut_is_never_taken_for_whole(
    use: str, store: ObjectStorage, front: Front, large: Path
) -> None:
    store.put("a", large, "video/mp4")
    front.fault = Fault("cut", method="GET")
    with pytest.raises(ResourceError) as raised:
        uses(store, large)[use]()
    assert raised.value.code == "storage_unavailable"
    assert not [path for path in (large.parent / "fetched").glob("*") if path.suffix != ".lock"]
    front.fault = Fault("cut", method="GET", times=1)
    assert store.local("a", large.parent / "fetched").read_bytes() == large.read_bytes()


def test_a_store_that_lies_about_success_is_noticed(store: ObjectStorage, front: Front, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"film")
    front.fault = Fault("lie", method="PUT")
    with pytest.raises(ResourceError, match="nothing") as raised:
        store.put("a", small, "video/mp4")
    assert raised.value.code == "storage_unavailable"
    front.fault = None
    store.put("a", small, "video/mp4")
    small.write_bytes(b"a longer film")
    front.fault = Fault("lie", method="PUT")
    with pytest.raises(ResourceError, match=r"13 bytes .* 4 bytes"):
        store.put("a", small, "video/mp4")


def test_an_object_that_is_written_over_while_it_is_read_is_not_mixed(
    store: ObjectStorage, large: Path, tmp_path: Path
) -> None:
    store.put("a", large, "video/mp4")
    reading = store.open("a")
    next(reading)
    other = tmp_path / "other"
    other.write_bytes(large.read_bytes()[::-1])
    store.put("a", other, "video/mp4")
    with pytest.raises(ResourceError, match="written over"):
        list(reading)


def test_a_store_that_is_not_there_is_told(there: ObjectStore, tmp_path: Path) -> None:
    store = ObjectStorage(place_of(there.url), endpoint="http://127.0.0.1:1", patience=HASTE)
    with pytest.raises(ResourceError, match="cannot be reached") as raised:
        store.exists("a")
    assert "http or https" in raised.value.hint


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_ACCESS_KEY_ID", "nobody", "AWS_ACCESS_KEY_ID"),
    ],
)
def test_a_wrong_key_is_told_and_not_tried_again(
    name: str, value: str, advice: str, there: ObjectStore, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    store = ObjectStorage(place_of(there.url), endpoint=there.endpoint, patience=HASTE)
    for use in ("put", "open", "keys", "stat"):
        with pytest.raises(SetupError) as raised:
            uses(store, large)[use]()
        assert raised.value.code == "storage_refused"
        assert use == "stat" or advice in raised.value.hint
        assert "wrong" not in raised.value.message


@pytest.mark.parametrize("server", ["moto", "nanio"])
def test_a_missing_bucket_is_told(server: str, there: ObjectStore, large: Path, request: pytest.FixtureRequest) -> None:
    endpoint = request.getfixturevalue(server).endpoint
    store = ObjectStorage(place_of("s3://nowhere/films"), endpoint=endpoint, patience=HASTE)
    for use in ("put", "keys"):
        with pytest.raises(SetupError) as raised:
            uses(store, large)[use]()
        assert (raised.value.code, raised.value.hint) == ("storage_refused", "Make the bucket, or correct its name.")


def test_plain_http_is_spoken_to_an_endpoint_that_says_so_alone(
    there: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    secure = there.endpoint.replace("http:", "https:")
    with pytest.raises(AnabranchError) as raised:
        ObjectStorage(place_of(there.url), endpoint=secure, patience=HASTE).exists("a")
    assert raised.value.code == "storage_unavailable"
    monkeypatch.delenv("ANABRANCH_STORAGE_ENDPOINT")
    monkeypatch.setenv("AWS_ENDPOINT_URL", there.endpoint)
    assert not ObjectStorage(place_of(there.url), patience=HASTE).exists("a")


def test_what_a_store_does_not_copy_goes_through_this_machine(
    store: ObjectStorage, front: Front, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("a", large, "video/mp4")
    monkeypatch.setattr(objects, "_COPIED_AT_ONCE_BYTES", 1 << 20)
    store.copy("a", "b", "video/mp4")
    assert b"".join(store.open("b")) == large.read_bytes()
    assert any(method == "POST" and path.endswith("b?uploads=") for method, path in front.asked)


@pytest.mark.slow
def test_a_film_is_never_whole_in_memory(there: ObjectStore, tmp_path: Path) -> None:
    film = tmp_path / "film"
    with film.open("wb") as file:
        file.truncate(300 << 20)
    program = f"""
import resource
from pathlib import Path
from anabranch.buckets import place_of
from anabranch.storage.objects import ObjectStorage
store = ObjectStorage(place_of({there.url!r}), endpoint={there.endpoint!r})
list(store.keys(""))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store.put("a", Path({str(film)!r}), "video/mp4")
store.local("a", Path({str(tmp_path)!r}) / "fetched")
store.delete("a")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=200)
    assert int(done.stdout) < 150 << 10
