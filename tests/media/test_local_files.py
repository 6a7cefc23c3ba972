"""Local files: which may be read on behalf of others, and that what was checked is what is read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from anabranch.errors import SourceError
from anabranch.media import local_files, source
from anabranch.media.source import Terms

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A folder that is listed, with ways out of it; beside it is a file that is none of others' business."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key.mp4").write_text("secret")
    films = tmp_path / "films"
    (films / "new").mkdir(parents=True)
    (films / "new/film.mp4").write_text("film")
    (films / "empty.mp4").touch()
    (films / "inside.mp4").symlink_to("new/film.mp4")
    (films / "out.mp4").symlink_to(tmp_path / "secret/key.mp4")
    (films / "gone.mp4").symlink_to(tmp_path / "secret/nothing.mp4")
    (films / "out").symlink_to(tmp_path / "secret")
    (films / "loop").symlink_to("loop")
    os.mkfifo(films / "pipe.mp4")
    return films


def fetch(address: str, films: Path, *, within: Path | None = None) -> Path:
    return source.fetch(address, films.parent / "kept", Terms(folders=(within or films,)))


@pytest.mark.parametrize("name", ["new/film.mp4", "inside.mp4", "new/../new/film.mp4", "../films/new/film.mp4"])
def test_a_file_in_a_folder_that_is_listed_is_taken(name: str, films: Path) -> None:
    path = films / name
    for address in (str(path), path.as_uri()):
        taken = fetch(address, films)
        assert taken.read_text() == "film"
        source.forget(address, films.parent / "kept")
        assert not taken.exists()
    assert (films / "new/film.mp4").read_text() == "film"


def test_a_folder_may_be_listed_by_a_link(films: Path) -> None:
    link = films.parent / "link"
    link.symlink_to(films)
    assert fetch(str(link / "new/film.mp4"), films, within=link).read_text() == "film"
    assert fetch(str(films / "new/film.mp4"), films, within=link).read_text() == "film"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../secret/key.mp4", "source_forbidden"),
        ("new/../../secret/key.mp4", "source_forbidden"),
        ("out.mp4", "source_forbidden"),
        ("out/key.mp4", "source_forbidden"),
        # Nobody is told by it what there is outside.
        ("../secret/nothing.mp4", "source_forbidden"),
        ("gone.mp4", "source_forbidden"),
        ("../films2/film.mp4", "source_forbidden"),
        ("/etc/passwd", "source_forbidden"),
        ("nothing.mp4", "source_missing"),
        ("new", "source_unreadable"),
        ("pipe.mp4", "source_unreadable"),
        ("loop", "source_unreadable"),
        ("empty.mp4", "empty_file"),
    ],
)
def test_a_path_that_leads_to_no_file_in_it_is_refused(name: str, code: str, films: Path) -> None:
    for look in (fetch, lambda address, films: local_files.check(Path(address), (films,))):
        with pytest.raises(SourceError) as raised:
            look(str(films / name), films)
        assert raised.value.code == code
        assert "secret/key" not in str(raised.value) or "secret/key" in name


def test_without_a_list_no_file_is_read(films: Path) -> None:
    with pytest.raises(SourceError) as raised:
        source.fetch(str(films / "new/film.mp4"), films.parent / "kept", Terms())
    assert raised.value.code == "source_forbidden"
    assert "ANABRANCH_SOURCE_FOLDERS" in raised.value.hint


def test_a_file_that_is_too_large_is_not_taken(films: Path) -> None:
    terms = Terms(folders=(films,), largest_bytes=3)
    with pytest.raises(SourceError) as raised:
        source.fetch(str(films / "new/film.mp4"), films.parent / "kept", terms)
    assert raised.value.code == "source_too_large"


def test_a_folder_that_changes_places_while_it_is_looked_at_leads_nowhere(
    films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ = os.open

    def swap_first(path: Any, *args: Any, **kwargs: Any) -> int:
        (films / "new").rename(films / "old")
        (films / "new").symlink_to(films.parent / "secret")
        return open_(path, *args, **kwargs)

    (films / "new/key.mp4").write_text("film")
    monkeypatch.setattr(os, "open", swap_first)
    with pytest.raises(SourceError) as raised:
        local_files.check(films / "new/key.mp4", (films,))
    assert raised.value.code == "source_forbidden"


def swapped(films: Path, take: Callable[..., Any]) -> Callable[..., Any]:
    def swap_first(*args: Any) -> Any:
        (films / "new/film.mp4").rename(films / "new/other.mp4")
        (films / "new/film.mp4").symlink_to(films.parent / "secret/key.mp4")
        return take(*args)

    return swap_first


def test_what_was_checked_is_what_is_linked(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_files, "link", swapped(films, local_files.link))
    inode = (films / "new/film.mp4").stat().st_ino
    taken = fetch(str(films / "new/film.mp4"), films)
    assert (taken.read_text(), taken.stat().st_ino, taken.is_symlink()) == ("film", inode, False)


def test_what_was_checked_is_what_is_copied_to_another_file_system(
    films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_files, "link", swapped(films, lambda *_: False))
    taken = fetch(str(films / "new/film.mp4"), films)
    assert (taken.read_text(), taken.stat().st_nlink, taken.is_symlink()) == ("film", 1, False)


def test_a_link_that_a_killed_process_left_is_not_written_to(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = fetch(str(films / "new/film.mp4"), films)
    taken.rename(taken.with_suffix(".partial"))
    (films / "new/film.mp4").rename(films / "new/other.mp4")
    (films / "new/film.mp4").write_text("another film")
    monkeypatch.setattr(local_files, "link", lambda *_: False)
    assert fetch(str(films / "new/film.mp4"), films).read_text() == "another film"
    assert (films / "new/other.mp4").read_text() == "film"
