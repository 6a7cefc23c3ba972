"""Scaling load: what is simulated of the product, from `scaling.json`: what an upload is made of, and what it asks."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anabranch.media.chunks import GOP_S, SEGMENT_S
from anabranch.media.speech.stretches import STRETCH_S, WHOLE_S

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

Json = Any

CONSTANTS = Path(__file__).with_suffix("").with_name("scaling.json")
# Begun by time or by looks for work, which the simulation counts itself.
_BEATS = ("journal.adopt", "work.held_by", "work.release_lost", "workers._beat", "workers._declare_lost")
_TIMED = (*_BEATS, "attempts.advance", "work.claim", "published.not_stored", "tasks.open_with_input", "other")
# One after another: what somebody waits for between asking for a piece and its beginning; after it has ended, while it
# keeps its place; and until the function has gone on.
_BEFORE = ("work.ask", "work.claim", "tasks.get", "plans.get", "attempts.told")
_HOLDING = ("work.complete", "tasks.advance", "published.editions", "tasks.get", "plans.get", "attempts.results")
_HOLDING_TOO = ("tasks.show", "published.editions", "published.since", "tasks.get", "published.note_stored")
_AFTER = ("work.look", "journal.settle")
_MOST_CHUNKS = 200


@dataclass(frozen=True)
class Asked:
    """What is asked of the database for something: seconds of its cores, transactions, and turns at what is serial."""

    transactions: float = 0.0
    backend_s: float = 0.0
    notifying: float = 0.0
    telling: float = 0.0
    telling_s: float = 0.0


@dataclass(frozen=True)
class Costs:
    """The constants.

    Attributes:
        base: asked for an upload, whatever its length; without looks for work.
        piece: asked for each of its pieces.
        shown: what of `piece` shows what there is so far, in the turn of changes.
        shown_base: the same of `base`, all but the first showing. As `base` it is what a line through the measured
            uploads has at no pieces, and may be less than nothing.
        beat: asked by each process with each heartbeat.
        report: asked with each report of a running piece.
        page: asked with each look of an open page.
        path_s: round trips and backend seconds of `before`, `holding` and `after`.
        look_s: backend seconds of a look for work that finds, by nothing waiting; `full_s`, of one without room.
        full_more_s: the same look by each piece that waits.
        driver_step_s: processor time of a server's process for each step.
        driver_wait_s: the same for each second that a step waits for its piece.
        steps: steps of an upload beside its pieces.
        media: seconds of a core; see `scaling.json`.
        given: what was assumed.
    """

    base: Asked = Asked()
    piece: Asked = Asked()
    shown: Asked = Asked()
    shown_base: Asked = Asked()
    beat: Asked = Asked()
    report: Asked = Asked()
    page: Asked = Asked()
    path_s: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    look_s: float = 0.0
    full_s: float = 0.0
    full_more_s: float = 0.0
    driver_step_s: float = 0.0
    driver_wait_s: float = 0.0
    steps: int = 13
    connections: float = 0.0
    media: Mapping[str, Json] = field(default_factory=dict)
    given: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path = CONSTANTS) -> Costs:
        """The constants as they were measured last."""
        found = json.loads(path.read_text())
        given: dict[str, float] = found["assumed"]
        small: dict[str, Json] = found["uploads"][0]
        large: dict[str, Json] = found["uploads"][1]
        asked = [_asked(one["transactions"], given) for one in (small, large)]
        pieces = large["pieces"] - small["pieces"]
        piece = _combined(asked[1], asked[0], 1 / pieces, -1 / pieces)
        base = _combined(asked[0], piece, 1, -small["pieces"])
        shows = [_asked(one["transactions"], given, only=("tasks.show",)) for one in (small, large)]
        shown = _combined(shows[1], shows[0], 1 / pieces, -1 / pieces)
        batch = found["reality"]["batches"]["1"]
        steps = sum(9 + len(one["pieces_ms"]) for one in batch["uploads"]) - 4 * len(batch["uploads"])
        waits_s = max(0.0, found["reality"]["waiting"]["server_cpu_s_a_second"] / 4)
        # While they waited for pieces, four calls of each were looked at again and again.
        polled_s = 4 * waits_s * sum(one["ready_s"] for one in batch["uploads"])
        kinds: dict[str, Json] = large["transactions"]
        reported = {
            name: {**kinds[name], "transactions": 1, "statements": _each(kinds[name])}
            for name in ("attempts.advance", "tasks.advance")
        }
        claims = found["claims"]
        idle = _asked(found["idle"], given, only=_BEATS)
        beats = found["idle"]["workers._beat"]["transactions"]
        return cls(
            base=base,
            piece=piece,
            shown=shown,
            shown_base=_combined(shows[0], shown, 1 - 1 / shows[0].telling, -small["pieces"]),
            beat=_combined(idle, Asked(), 1 / beats, 0),
            report=_asked(reported, given, keep=True),
            page=_asked(found["page"], given, keep=True),
            path_s={
                "before": _path(kinds, _BEFORE),
                "holding": _path(kinds, _HOLDING + _HOLDING_TOO),
                "after": _path(kinds, _AFTER),
            },
            look_s=claims["100"]["hit_ms"] / 1000,
            full_s=claims["100"]["full_ms"] / 1000,
            full_more_s=(claims["10000"]["full_ms"] - claims["100"]["full_ms"]) / 9900 / 1000,
            driver_step_s=(batch["server_cpu_s"] - polled_s) / steps,
            driver_wait_s=waits_s,
            connections=batch["connections"] / 2,
            media=found["media"],
            given=given,
        )


def _each(one: Mapping[str, Json]) -> float:
    return float(one["statements"] / one["transactions"])


def _asked(
    found: Mapping[str, Mapping[str, Json]],
    given: Mapping[str, float],
    *,
    only: tuple[str, ...] = (),
    keep: bool = False,
) -> Asked:
    """The sum over kinds of transactions, those that are begun by time left out unless they alone are asked for."""
    total = Asked()
    for name, one in found.items():
        if (only and name not in only) or (not only and not keep and name in _TIMED):
            continue
        many, backend_s = one["transactions"], one["backend_ms"] / 1000
        tells = bool(one["tells"])
        # All statements but the one that waits for the turn, the commit, and the disk.
        held_s = _each(one) * given["round_trip_ms"] / 1000 + backend_s + given["commit_ms"] / 1000 if tells else 0.0
        of_one = Asked(many, many * backend_s, many * bool(one["notifies"]), many * tells, many * held_s)
        total = _combined(total, of_one, 1, 1)
    return total


def _combined(one: Asked, other: Asked, times: float, other_times: float) -> Asked:
    return Asked(*(a * times + b * other_times for a, b in zip(vars(one).values(), vars(other).values(), strict=True)))


def _path(kinds: Mapping[str, Mapping[str, Json]], names: tuple[str, ...]) -> tuple[float, float]:
    """Round trips and backend seconds of transactions one after another: ping, BEGIN and the end are trips as well."""
    return (
        sum(_each(kinds[name]) + 3 for name in names),
        sum(kinds[name]["backend_ms"] for name in names) / 1000,
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of work: its lane, where in the media it begins, seconds of a core, threads, and bytes it reads."""

    lane: str
    position_s: float
    core_s: float
    threads: int = 1
    role: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """A task: what is planned and joined, unless it is None, and its pieces."""

    pieces: tuple[Piece, ...]
    plan: Piece | None = None
    join: Piece | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """An upload."""

    branches: tuple[Branch, ...]
    duration_s: float = 0.0
    source_bytes: float = 0.0
    requests: float = 0.0


def film(costs: Costs, random_: random.Random) -> Job:
    """An upload as the product would plan it, of a length and a size by chance."""
    media, given = costs.media, costs.given
    drawn_s = random_.lognormvariate(math.log(given["median_s"]), given["sigma"])
    duration_s = min(given["longest_s"], max(2.0, drawn_s))
    size = random_.choices(list(media["sizes"].values()), [one["share"] for one in media["sizes"].values()])[0]
    return planned(costs, duration_s, size)


def planned(costs: Costs, duration_s: float, size: Mapping[str, float]) -> Job:
    """The pieces of an upload of this length."""
    media, rungs = costs.media, size["rungs"]
    segments = max(1, round(max(0.0, duration_s - GOP_S) / SEGMENT_S)) if duration_s > SEGMENT_S else 0
    chunks = min(_MOST_CHUNKS - 1, segments)
    begins = [0.0, *(GOP_S + (duration_s - GOP_S) * n / chunks for n in range(chunks))]
    ends = [*begins[1:], duration_s]
    encoded = [
        Piece("rungs", begin, (end - begin) * size["encode"] + media["start_s"], 2, "" if begin else "first")
        for begin, end in zip(begins, ends, strict=True)
    ]
    sound = Piece("cpu", 0.0, media["sound"] * duration_s + media["start_s"], 1, "sound")
    board = Piece("cpu", min(60.0, duration_s), size["storyboard"] * duration_s + media["start_s"])
    parts = 1 if duration_s <= WHOLE_S else math.ceil(duration_s / STRETCH_S)
    spoken_s = media["speech"] * duration_s / parts + media["speech_start_s"]
    spoken = tuple(Piece("speech", 2.0 + n * duration_s / parts, spoken_s) for n in range(parts))
    plan = Piece("net", 0.0, media["probe_s"], role="plan")
    join, package = Piece("join", 0.0, media["join_s"]), media["join_s"] + media["read_back"] * duration_s
    # A segment of each rung and of the sound, all playlists each time that something was added, all read back.
    stored = len(encoded) * (2 * rungs + rungs + 1) + duration_s / SEGMENT_S * (2 + rungs + 1) + 40
    return Job(
        (
            Branch((encoded[0], sound, *encoded[1:], board), plan, Piece("join", 0.0, package)),
            Branch((Piece("urgent image", 0.0, media["poster_s"]),), plan, join),
            Branch((Piece("urgent video", 0.0, media["gif_s"]),), plan, join),
            Branch(spoken, plan, join),
        ),
        duration_s,
        duration_s * size["bytes_a_second"],
        stored,
    )
