"""The doctor at a bucket: what is well, and what to do about what is not. Nothing is left behind."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from anabranch import doctor
from anabranch.buckets import place_of
from anabranch.settings import read_settings
from anabranch.storage import checkup
from tests.servers import Fault, in_front_of

if TYPE_CHECKING:
    from pathlib import Path

    from anabranch.findings import Finding
    from tests.servers import ObjectStore


@pytest.fixture(params=["moto", "nanio"])
def there(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """A place in each of the servers, with the environment that opens it."""
    running: ObjectStore = request.getfixturevalue(request.param)
    return opened(running, monkeypatch)


def opened(running: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    place = running.below(f"checkup-{secrets.token_hex(8)}")
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    return place


def examine(there: ObjectStore, *, redirected: bool = False) -> dict[str, Finding]:
    found = checkup.examine(place_of(there.url), there.endpoint, redirected=redirected)
    return {finding.about: finding for finding in found}


def left(there: ObjectStore) -> list[str]:
    return [one["path"] for some in there.client().list(there.url.rpartition("/")[2]) for one in some]


def test_a_good_bucket_is_told_so_and_nothing_is_left_in_it(there: ObjectStore, tmp_path: Path) -> None:
    found = [one for one in doctor.examine(read_settings(home=tmp_path)) if one.about.startswith("storage")]
    assert {one.about.removeprefix("storage").strip() for one in found} == {
        "",
        "reading",
        "listing",
        "missing objects",
        "large files",
        "copies",
        "signed addresses",
        "clock",
        "conditional writes",
        "path style",
        "deleting",
    }
    assert {one.status for one in found} == {"ok"}
    assert there.url in found[0].said
    assert left(there) == []


def test_whether_conditional_writes_are_honoured_is_told(
    moto: ObjectStore, nanio: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [examine(opened(one, monkeypatch))["storage conditional writes"].said for one in (moto, nanio)]
    assert [words.partition(";")[0] for words in said] == ["honoured", "ignored"]


def test_a_bucket_that_browsers_may_not_read_is_a_problem_when_they_are_sent_there(
    moto: ObjectStore, nanio: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = examine(opened(nanio, monkeypatch), redirected=True)["storage browsers"]
    assert (closed.status, "CORS document" in closed.advice) == ("problem", True)
    place = opened(moto, monkeypatch)
    with in_front_of(moto.endpoint) as front:
        behind = place.behind(front.url)
        assert examine(behind, redirected=True)["storage browsers"].status == "warning"
        front.headers = {"access-control-expose-headers": "Content-Range"}
        assert examine(behind, redirected=True)["storage browsers"].status == "ok"


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_ACCESS_KEY_ID", "nobody", "AWS_ACCESS_KEY_ID"),
        ("ANABRANCH_STORAGE", "s3://nowhere", "Make the bucket"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(
    name: str, value: str, advice: str, nanio: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(nanio, monkeypatch)
    monkeypatch.setenv(name, value)
    found = [one for one in doctor.examine(read_settings(home=tmp_path)) if one.about.startswith("storage")]
    assert [one.status for one in found] == ["problem"]
    assert advice in found[0].advice
    assert "wrong" not in found[0].said


def test_https_where_http_is_spoken_is_told(nanio: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    place = opened(nanio, monkeypatch)
    (found,) = examine(place.behind(place.endpoint.replace("http:", "https:"))).values()
    assert (found.status, "http or https" in found.advice) == ("problem", True)


def test_what_may_not_be_deleted_is_told(nanio: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    place = opened(nanio, monkeypatch)
    with in_front_of(nanio.endpoint) as front:
        front.fault = Fault("status", method="DELETE", status=403)
        found = examine(place.behind(front.url))["storage deleting"]
    assert (found.status, "permitted" in found.advice) == ("problem", True)
    assert place.url in found.advice
    assert left(place)


def test_a_clock_that_is_wrong_is_told(nanio: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    place = opened(nanio, monkeypatch)
    with in_front_of(nanio.endpoint) as front:
        front.headers = {"date": "Wed, 01 Jan 2020 00:00:00 GMT"}
        found = examine(place.behind(front.url))["storage clock"]
    assert (found.status, "ahead of" in found.said) == ("warning", True)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for name, status in (("shared", "ok"), ("file", "problem")):
        settings = read_settings(home=tmp_path, storage=str(tmp_path / name))
        (found,) = [one for one in doctor.examine(settings) if one.about == "storage"]
        assert found.status == status
