"""Which storage the settings name, and what is said of those that name none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anabranch.app import open_storage
from anabranch.errors import SetupError
from anabranch.settings import read_settings
from anabranch.storage.files import FileStorage
from anabranch.storage.objects import ObjectStorage

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("storage", "address"),
    [
        (None, "file:///HOME/storage/a/b.mp4"),
        ("/HOME/shared", "file:///HOME/shared/a/b.mp4"),
        ("s3://films", "s3://films/a/b.mp4"),
        ("s3://films/one/two/", "s3://films/one/two/a/b.mp4"),
        ("gs://films/one", "gs://films/one/a/b.mp4"),
        ("az://films/one", "az://films/one/a/b.mp4"),
    ],
)
def test_an_address_names_a_storage(
    storage: str | None, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "films")
    home = str(tmp_path)
    settings = read_settings(home=tmp_path, storage=storage and storage.replace("/HOME", home))
    opened = open_storage(settings)
    assert opened.url("a/b.mp4") == address.replace("/HOME", home)
    assert isinstance(opened, ObjectStorage if "://" in (storage or "") else FileStorage)
    served = read_settings(home=tmp_path, storage=settings.storage, base_url="https://films.test/")
    assert open_storage(served).url("a/b.mp4") == "https://films.test/outputs/a/b.mp4"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STORAGE", "s3://"),
        ("STORAGE", "s3:///films"),
        ("STORAGE", "s3://a b/films"),
        ("STORAGE", "ftp://films"),
        ("STORAGE", ""),
        ("STORAGE_ENDPOINT", "127.0.0.1:9000"),
        ("PLAYBACK", "direct"),
    ],
)
def test_a_wrong_setting_is_told_before_anything_starts(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"ANABRANCH_{name}", value)
    with pytest.raises(SetupError) as raised:
        read_settings()
    assert raised.value.code == "invalid_setting"
    assert f"ANABRANCH_{name}" in raised.value.message


def test_what_a_store_lacks_in_the_environment_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(SetupError) as raised:
        open_storage(read_settings(home=tmp_path, storage="az://films"))
    assert raised.value.code == "storage_refused"
    assert "account" in raised.value.message.lower()


def test_buckets_of_sources_are_a_list_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().source_buckets == ()
    monkeypatch.setenv("ANABRANCH_SOURCE_BUCKETS", "films, more-films,")
    assert read_settings().source_buckets == ("films", "more-films")
