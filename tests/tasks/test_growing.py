"""A package while it grows: what a player sees that came early."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import m3u8
import pytest

from anabranch.media.probe import probe
from anabranch.tasks.adaptive_video import AdaptiveVideo
from tests import clips
from tests.tasks.test_adaptive_video import decode, master, numbers, short_chunks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anabranch.storage.files import FileStorage
    from anabranch.tasks import Output
    from anabranch.tasks.desk import Desk

__all__ = ["short_chunks"]
KIND = AdaptiveVideo()


class Growth:
    """A package whose pieces are done one by one, in any order, with what each step left in storage."""

    def __init__(self, source: Path, make_desk: Callable[..., Desk], storage: FileStorage) -> None:
        self._desk = make_desk(source)
        self._make_desk: Callable[[], Desk] = lambda: make_desk(source, probe=self._desk.probe)
        self._storage = storage
        self._options = KIND.read_options({"storyboard": False})
        self.pieces = {piece.name: piece for piece in KIND.plan(self._options, self._desk.probe)}
        self._results: dict[str, dict[str, Any]] = {}
        self.shown: list[dict[str, str]] = []

    def do(self, name: str) -> Output | None:
        """Do a piece; what can be played then, or None. Results pass through JSON, as they do in rows."""
        self._results[name] = json.loads(json.dumps(KIND.perform(self.pieces[name], self._options, self._make_desk())))
        output = KIND.grow([self._results.get(one) for one in self.pieces], self._options, self._make_desk())
        self.shown.append(self._playlists())
        return output

    def join(self) -> Output:
        output = KIND.join([self._results[one] for one in self.pieces], self._options, self._make_desk())
        self.shown.append(self._playlists())
        return output

    def _playlists(self) -> dict[str, str]:
        return {
            key: self._storage.path(key).read_text() for key in self._storage.keys("") if key.endswith("index.m3u8")
        }


@pytest.fixture
def growth(make_desk: Callable[..., Desk], storage: FileStorage) -> Growth:
    return Growth(clips.numbered(5, gop=25), make_desk, storage)


def segments(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith(("#EXT-X-", "#EXTM3U"))]


@pytest.mark.usefixtures("short_chunks")
def test_a_package_can_be_played_when_its_first_chunk_and_some_sound_are_there(growth: Growth) -> None:
    assert growth.do("chunk-0000") is None
    early = growth.do("audio")
    assert early is not None
    assert early.main is not None
    assert early.main.key == "media/med_1/task_1/master.m3u8"


@pytest.mark.usefixtures("short_chunks")
def test_playlists_only_grow_at_their_end_until_they_are_complete(growth: Growth, storage: FileStorage) -> None:
    early = None
    for name in growth.pieces:
        early = growth.do(name) or early
    complete = growth.join()
    assert early is not None
    assert early.main is not None
    assert complete.main is not None
    assert early.main.key == complete.main.key
    versions = [shown for shown in growth.shown if shown]
    assert len(versions) >= 4
    for before, after in pairwise(versions):
        assert before.keys() == after.keys()
        for key, text in before.items():
            assert segments(after[key])[: len(segments(text))] == segments(text)
            assert _line(text, "TARGETDURATION") == _line(after[key], "TARGETDURATION")
    for text in versions[0].values():
        assert "#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-START:TIME-OFFSET=0\n" in text
        assert "#EXT-X-ENDLIST" not in text
    for text in versions[-1].values():
        assert "#EXT-X-PLAYLIST-TYPE:VOD" in text
        assert text.endswith("#EXT-X-ENDLIST\n")


def _line(text: str, tag: str) -> str:
    return next(line for line in text.splitlines() if tag in line)


@pytest.mark.usefixtures("short_chunks")
def test_a_chunk_that_comes_before_its_predecessor_is_not_shown_before_it(growth: Growth) -> None:
    for name in ("chunk-0000", "audio", "chunk-0002"):
        growth.do(name)
    video = next(key for key in growth.shown[-1] if "/audio/" not in key)
    assert len(segments(growth.shown[-1][video])) == 2
    growth.do("chunk-0001")
    assert len(segments(growth.shown[-1][video])) == 6


@pytest.mark.usefixtures("short_chunks")
def test_what_an_early_player_gets_is_the_beginning_of_the_film(
    growth: Growth, storage: FileStorage, tmp_path: Path
) -> None:
    for name in ("chunk-0000", "audio", "chunk-0001"):
        early = growth.do(name)
    assert early is not None
    playlist = m3u8.load(str(master(early, storage)))
    # ffmpeg would wait for more to come.
    for variant in playlist.playlists:
        path = storage.path(f"media/med_1/task_1/{variant.uri}")
        ended = tmp_path / "storage" / "media" / "med_1" / "task_1" / variant.uri.replace("index", "ended")
        ended.write_text(path.read_text() + "#EXT-X-ENDLIST\n")
        frames = growth.pieces["chunk-0001"].arguments["chunk"]["end"]
        assert numbers(ended, tmp_path) == [number % 256 for number in range(frames)]


@pytest.mark.usefixtures("short_chunks")
def test_the_lowest_rung_is_what_a_player_begins_with(growth: Growth, storage: FileStorage) -> None:
    for name in growth.pieces:
        growth.do(name)
    variants = m3u8.load(str(master(growth.join(), storage))).playlists
    sizes = [variant.stream_info.resolution for variant in variants]
    assert sizes == sorted(sizes)


@pytest.mark.slow
def test_sound_that_is_begun_again_goes_on_from_what_somebody_may_be_listening_to(
    make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    noise = ("-f", "lavfi", "-i", "anoisesrc=r=48000:a=0.3:c=pink:d=600:seed=1", "-c:a", "pcm_s16le")
    source = clips.make("long_noise.wav", *noise)
    seen = probe(source)
    options = KIND.read_options({})
    (piece,) = KIND.plan(options, seen)
    told: list[dict[str, Any]] = []

    def die(partial: dict[str, Any]) -> None:
        told.append(json.loads(json.dumps(partial)))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        KIND.perform(piece, options, make_desk(source, probe=seen, on_partial=die))
    assert 1 <= len(told[0]["segments"]) < 99
    again = KIND.perform(piece, options, make_desk(source, probe=seen, attempt=2, earlier=told[0]))
    keys = [segment["key"] for segment in again["segments"]]
    known = [segment["key"] for segment in told[0]["segments"]]
    assert keys[: len(known)] == known
    assert all(key.endswith(".2.m4s") for key in keys[len(known) :])
    whole = decode(master(KIND.join([again], options, make_desk(source, probe=seen)), storage), tmp_path, "-f", "s16le")
    once = KIND.perform(piece, options, make_desk(source, probe=seen, attempt=3, prefix="media/med_2/task_2"))
    output = KIND.join([once], options, make_desk(source, probe=seen, prefix="media/med_2/task_2"))
    assert decode(master(output, storage), tmp_path, "-f", "s16le") == whole
