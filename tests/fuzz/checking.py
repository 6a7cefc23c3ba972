"""Checking: what must be true of what came of a mutant: of its probe, and of each plan."""

from __future__ import annotations

import json
import math
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anabranch.errors import AnabranchError
from anabranch.limits import Limits
from anabranch.media import timeline
from anabranch.media.probe import Probe
from anabranch.tasks.kinds import KINDS
from tests.fuzz import mutants

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anabranch.tasks import Piece

_ROOT = Path(__file__).parent.parent.parent
FAILURES = Path(__file__).parent / "failures"
# What is asked of each kind: its defaults, and what makes it plan in another way.
_ASKED: dict[str, tuple[dict[str, Any], ...]] = {
    "adaptive_video": (
        {},
        {"passthrough": True, "ladder": [1080, 240]},
        {"codecs": ["h264", "hevc", "av1"], "storyboard": False},
    ),
    "animation": ({}, {"format": "mp4", "start": 0.2}),
    "audio": ({}, {"format": "json"}, {"start": 3, "end": 4}),
    "image": ({}, {"start": 1e9}),
    "thumbnails": ({}, {"interval": 0.5}),
    "video": ({}, {"format": "gif", "width": 480}, {"format": "webm", "start": 0.1, "end": 0.2}),
}
_MOST_PIECES = 200 + 100
_MOST_BYTES = 4_000_000
_PLANNED_WITHIN_S = 2.0


class Wrong(AssertionError):  # noqa: N818  (it is what the tests look for)
    """Something that must not come of any file."""


def documented() -> frozenset[str]:
    """The codes that docs/errors.md explains."""
    rows = re.findall(r"^\| (`.*?) \|", (_ROOT / "docs" / "errors.md").read_text(), re.MULTILINE)
    return frozenset(code for row in rows for code in row.split("`")[1::2])


def tried(look: Callable[[int], str], number: int) -> str | Wrong:
    """What became of a mutant. One of which something is wrong is kept in `tests/fuzz/failures`."""
    try:
        return look(number)
    except Wrong as wrong:
        made = mutants.mutant(number)
        FAILURES.mkdir(exist_ok=True)
        (FAILURES / f"{number}-{made.name}").write_bytes(made.data)
        return Wrong(f"{number} ({made.name}: {', '.join(made.how)}): {wrong}")


def outcome(look: Callable[[], Probe]) -> tuple[str, Probe | None]:
    """What a look into a file came to: `probed`, or the code of its error.

    Raises:
        Wrong: it is neither, or not as it must be.
    """
    try:
        seen = look()
        timeline.check(seen, Limits())
    except AnabranchError as error:
        check_error(error)
        return error.code, None
    except Exception as error:
        raise Wrong(f"it raised {error!r}") from error
    check_probe(seen)
    return "probed", seen


def check_error(error: AnabranchError) -> None:
    """An error has a code that is explained, and says what and what next."""
    if error.code not in documented():
        raise Wrong(f"the code {error.code} is not explained")
    if not error.message or not error.hint or len(str(error)) > 4000:
        raise Wrong(f"{error.code} says {str(error)[:300]!r}")


def check_probe(seen: Probe) -> None:
    """Numbers are numbers, times are in order, and all of it survives JSON."""
    written = _as_json(seen.to_dict())
    if Probe.from_dict(json.loads(written)) != seen:
        raise Wrong("it is another one when it was written and read")
    for track in ([seen.video] if seen.video else []) + list(seen.audio):
        if track.end_s < track.start_s:
            raise Wrong(f"track {track.index} goes from {track.start_s} to {track.end_s} s")
        if track.end_s > seen.duration_s + 1e-6:
            raise Wrong(f"track {track.index} ends at {track.end_s} s of {seen.duration_s} s")
    if (video := seen.video) is not None:
        sides = (video.width, video.height, video.display_width, video.display_height)
        if min(sides) < 1 or video.display_width % 2 or video.display_height % 2:
            raise Wrong(f"a picture has the sides {sides}")
        if video.frames < 1 or not 1 <= video.frame_rate <= 60 or video.bit_depth < 1:
            raise Wrong(f"{video.frames} frames, {video.frame_rate} a second, of {video.bit_depth} bits")
        if list(video.keyframes_s) != sorted(video.keyframes_s):
            raise Wrong("keyframes are not in order")


def check_plans(seen: Probe) -> None:
    """Every kind plans it within bounds, or says why not."""
    for kind in KINDS.values():
        for asked in _ASKED.get(kind.name, ({},)):
            started = time.process_time()
            try:
                pieces = kind.plan(kind.read_options(asked), seen)
            except AnabranchError as error:
                check_error(error)
                continue
            except Exception as error:
                raise Wrong(f"planning {kind.name} of {asked} raised {error!r}") from error
            took_s = time.process_time() - started
            try:
                check_pieces(pieces)
            except Wrong as error:
                raise Wrong(f"{kind.name} of {asked}: {error}") from None
            if took_s > _PLANNED_WITHIN_S:
                raise Wrong(f"planning {kind.name} of {asked} took {took_s:.1f} s")


def check_pieces(pieces: Sequence[Piece]) -> None:
    """A plan is finite, and each piece has a name, a weight, a place and a size that can be made."""
    if len(pieces) > _MOST_PIECES or len({piece.name for piece in pieces}) < len(pieces):
        raise Wrong(f"{len(pieces)} pieces, {len({piece.name for piece in pieces})} of them by name")
    size = len(_as_json([asdict(piece) for piece in pieces]))
    if size > _MOST_BYTES:
        raise Wrong(f"a plan of {size} bytes")
    for piece in pieces:
        if not (math.isfinite(piece.weight) and piece.weight > 0):
            raise Wrong(f"{piece.name} weighs {piece.weight}")
        if not (math.isfinite(piece.position_s) and piece.position_s >= 0):
            raise Wrong(f"{piece.name} is at {piece.position_s} s")
        chunk = piece.arguments.get("chunk")
        if chunk is not None and not 0 <= chunk["start"] < chunk["end"]:
            raise Wrong(f"{piece.name} goes from frame {chunk['start']} to {chunk['end']}")
        for rung in piece.arguments.get("rungs", ()):
            # The largest frame of H.264's last level, in macroblocks (ITU-T H.264 table A-1).
            blocks = -(-rung["width"] // 16) * -(-rung["height"] // 16)
            if min(rung["width"], rung["height"]) < 2 or blocks > 139_264 or rung["maxrate_kbps"] < 1:
                raise Wrong(f"{piece.name} makes {rung}")


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise Wrong(f"it cannot be written as JSON: {error}") from None
