"""Estimate: what pieces were thought to take, beside what they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from anabranch.tasks import estimate
from anabranch.tasks.kinds import KINDS, kind_named
from tests import clips, samples

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anabranch.tasks.desk import Desk

# Beyond this nobody would believe it.
TIMES = 10
# What logs and the like are given, whatever else there is.
BESIDE = 512 << 10

MADE: list[tuple[str, dict[str, Any]]] = [
    ("adaptive_video", {"ladder": [360, 240]}),
    ("adaptive_video", {"passthrough": True, "storyboard": False}),
    ("image", {"start": 1, "format": "png"}),
    ("image", {"width": 320}),
    ("video", {"end": 3, "quality": "very_high"}),
    ("video", {"end": 2, "format": "gif", "width": 320}),
    ("video", {"end": 2, "format": "webp", "width": 320}),
    ("animation", {"format": "mp4"}),
    ("audio", {"format": "mp3"}),
    ("audio", {"format": "flac"}),
    ("audio", {"format": "wav", "start": 2}),
    ("subtitles", {"end": 4}),
    ("speech", {"end": 4}),
    ("thumbnails", {"format": "png", "interval": 2}),
    ("probe", {}),
    ("import", {}),
]


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "options"), MADE, ids=lambda value: value if isinstance(value, str) else None)
def test_a_piece_takes_no_more_than_was_thought_and_a_tenth_of_it_or_more(
    kind: str, options: dict[str, Any], make_desk: Callable[..., Desk]
) -> None:
    source = clips.spoken(6)
    planner = make_desk(source)
    doing, read = kind_named(kind), kind_named(kind).read_options(options)
    pieces = list(doing.plan(read, planner.probe))
    results = []
    for piece in pieces:
        desk = make_desk(source, probe=planner.probe)
        need = estimate.of_piece(kind, piece, options, planner.probe, travels=True)
        results.append(doing.perform(piece, read, desk))
        scratch, stored = size_of(desk.scratch), sum(file.size_bytes for file in desk.saved)
        assert scratch <= need.scratch <= TIMES * scratch + BESIDE, piece.name
        assert stored <= need.stored <= TIMES * stored + BESIDE, piece.name
        assert need.source == source.stat().st_size
    desk = make_desk(source, probe=planner.probe)
    joined = estimate.of_join(kind, pieces, planner.probe)
    doing.join(results, read, desk)
    assert size_of(desk.scratch) <= joined.scratch <= TIMES * size_of(desk.scratch) + BESIDE


def test_every_kind_is_thought_of() -> None:
    assert {kind for kind, _ in MADE} == set(KINDS)


def test_what_is_longer_takes_more_and_what_is_here_takes_no_room_to_fetch(make_desk: Callable[..., Desk]) -> None:
    short, long_ = (make_desk(clips.plain(seconds, name="long.mp4")).probe for seconds in (2, 14))
    kind = kind_named("adaptive_video")
    needs = [
        [
            estimate.of_piece(kind.name, piece, {}, probe, travels=False)
            for piece in kind.plan(kind.read_options({}), probe)
        ]
        for probe in (short, long_)
    ]
    assert sum(need.scratch for need in needs[0]) < sum(need.scratch for need in needs[1])
    assert {need.source for each in needs for need in each} == {0}


def test_a_stretch_of_a_long_recording_takes_its_own_length(make_desk: Callable[..., Desk]) -> None:
    probe = make_desk(samples.speech_wav()).probe
    hour = probe.__class__(
        **{
            **vars(probe),
            "duration_s": 3600.0,
            "audio": (probe.audio[0].__class__(**{**vars(probe.audio[0]), "end_s": 3600.0}),),
        }
    )
    kind = kind_named("speech")
    pieces = list(kind.plan(kind.read_options({}), hour))
    sizes = [estimate.of_piece("speech", piece, {}, hour, travels=False).scratch for piece in pieces]
    # 32,000 bytes for each second that is decoded: five minutes, and the windows at both ends.
    assert all(300 * 32_000 < size < 420 * 45_000 for size in sizes)
