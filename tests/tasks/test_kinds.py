"""The contract of kinds: what every kind of task keeps. A new one is tested here by being in `KINDS`."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from anabranch.errors import OptionError, ResourceError
from anabranch.media.process import Cancelled, CancelToken
from anabranch.tasks import Kind, Options, Output, Piece
from anabranch.tasks.kinds import KINDS, kind_named
from tests import clips
from tests.tasks.runner import do

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from anabranch.media.probe import Probe
    from anabranch.storage.files import FileStorage
    from anabranch.tasks.desk import Desk


class SizeOptions(Options):
    """Options of `size`: none."""


class Size(Kind[SizeOptions]):
    """A kind as somebody would add it: the size of the source, as a text."""

    name = "size"
    options = SizeOptions

    def plan(self, options: SizeOptions, probe: Probe) -> list[Piece]:
        return [Piece("measure", {"bytes": probe.size_bytes})]

    def perform(self, piece: Piece, options: SizeOptions, desk: Desk) -> dict[str, Any]:
        if desk.cancel.cancelled:
            raise Cancelled
        path = desk.scratch / "size.txt"
        path.write_text(str(piece.arguments["bytes"]))
        return desk.save(path, "size.txt", "text/plain").to_dict()

    def join(self, results: Sequence[dict[str, Any]], options: SizeOptions, desk: Desk) -> Output:
        from anabranch.tasks.desk import StoredFile

        stored = StoredFile(**results[0])
        return Output("text", "text/plain", stored, (stored,))


# What these do, others do for them.
_SLOW = ("animation", "speech", "subtitles")
EVERY_KIND = pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.slow if kind.name in _SLOW else ()) for kind in (*KINDS.values(), Size())],
    ids=lambda kind: kind.name,
)


@EVERY_KIND
def test_its_name_is_what_clients_use(kind: Kind[Any]) -> None:
    assert kind.name.isidentifier()
    if kind.name in KINDS:
        assert kind_named(kind.name) is kind


@EVERY_KIND
def test_its_defaults_are_enough(kind: Kind[Any]) -> None:
    options = kind.read_options({})
    assert kind.read_options(json.loads(options.model_dump_json())) == options


@EVERY_KIND
def test_an_option_it_does_not_have_is_named(kind: Kind[Any]) -> None:
    with pytest.raises(OptionError) as raised:
        kind.read_options({"colour_of_the_sky": "blue"})
    assert raised.value.code == "invalid_option"
    assert '"colour_of_the_sky"' in raised.value.message


@EVERY_KIND
def test_its_plan_is_the_same_twice_and_can_be_written_down(kind: Kind[Any], make_desk: Callable[..., Desk]) -> None:
    probe = make_desk(clips.plain()).probe
    options = kind.read_options({})
    first, second = kind.plan(options, probe), kind.plan(options, probe)
    assert first == second
    assert [Piece.from_dict(json.loads(json.dumps(asdict(piece)))) for piece in first] == list(first)
    assert len({piece.name for piece in first}) == len(first)
    assert all(piece.weight > 0 for piece in first)


@EVERY_KIND
def test_its_output_is_in_storage(kind: Kind[Any], make_desk: Callable[..., Desk], storage: FileStorage) -> None:
    output = do(kind, {}, clips.plain(), make_desk)
    assert output.main in output.files
    assert sorted(file.key for file in output.files) == sorted(storage.keys(""))
    for file in output.files:
        assert storage.path(file.key).stat().st_size == file.size_bytes


@pytest.mark.slow
@EVERY_KIND
def test_a_second_attempt_writes_over_nothing(
    kind: Kind[Any], make_desk: Callable[..., Desk], storage: FileStorage
) -> None:
    first = do(kind, {}, clips.plain(), make_desk)
    # Playlists have one address for good, and grow.
    kept = {file.key for file in first.files if not file.name.endswith((".m3u8", ".mpd"))}
    before = {key: storage.path(key).stat().st_mtime_ns for key in kept}
    second = do(kind, {}, clips.plain(), make_desk, attempt=2)
    assert kept
    assert not kept & {file.key for file in second.files}
    assert {key: storage.path(key).stat().st_mtime_ns for key in before} == before


@pytest.mark.slow
@EVERY_KIND
def test_work_that_nobody_wants_any_more_stops(
    kind: Kind[Any], make_desk: Callable[..., Desk], storage: FileStorage
) -> None:
    source = clips.plain(20, "640x360", name="long.mp4")
    cancel = CancelToken()
    desk = make_desk(source, cancel=cancel)
    options = kind.read_options({})
    threading.Timer(0.05, cancel.cancel).start()
    if kind.name in ("size", "import", "probe"):
        # They are done sooner than anybody could stop them.
        cancel.cancel()
    piece = kind.plan(options, desk.probe)[-1]
    started = time.monotonic()
    with pytest.raises(Cancelled):
        kind.perform(piece, options, desk)
    assert time.monotonic() - started < 2
    assert list(storage.keys("")) == []


@EVERY_KIND
def test_a_storage_that_is_full_is_told_as_it_is(
    kind: Kind[Any], make_desk: Callable[..., Desk], storage: FileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(key: str, source: Path, content_type: str) -> None:
        raise ResourceError("disk_full", "no room")

    monkeypatch.setattr(storage, "put", full)
    with pytest.raises(ResourceError) as raised:
        do(kind, {}, clips.plain(), make_desk)
    assert raised.value.code == "disk_full"


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_source_without_what_it_needs_is_a_reason_not_an_error(
    kind: Kind[Any], make_desk: Callable[..., Desk]
) -> None:
    clip = None
    if kind.name in ("animation", "image", "thumbnails", "video"):
        clip = clips.audio_only
    elif kind.name in ("audio", "speech", "subtitles"):
        clip = clips.no_audio
    if clip is not None:
        output = do(kind, {}, clip(), make_desk)
        assert output.main is None
        assert output.reason in {"no_audio_stream", "no_video_stream"}


def test_a_kind_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(OptionError) as raised:
        kind_named("hologram")
    assert '"hologram"' in raised.value.message
    assert "adaptive_video" in raised.value.hint
