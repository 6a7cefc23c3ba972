"""Fairness benchmark: a long upload and many short ones in one process, by turns and first come, first served.

The short ones begin to come when the long one is being encoded, one after another. First come, first served is a rank
that is the same for all, and no lane of their own for posters and previews.

Usage: python benchmarks/fairness.py [SECONDS OF THE LONG ONE] [SHORT ONES] [SECONDS BETWEEN THEM]
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import structlog

sys.path.insert(0, str(Path(__file__).parent.parent))

from scripts.make_sample import make_sample

from anabranch import clock
from anabranch.app import App, open_app, upload
from anabranch.catalog import attempts, changes, tasks
from anabranch.media import ffmpeg
from anabranch.settings import Settings
from anabranch.tasks import turns

if TYPE_CHECKING:
    from anabranch.tasks import Piece

SHORT_S = 6.0
LONG = "media_long"


@dataclass(frozen=True)
class Waited:
    """Seconds from an upload to its poster, and to its end."""

    poster_s: float
    ready_s: float


def first_come() -> contextlib.AbstractContextManager[object]:
    """Pieces go in the order in which they ask, each on a core, at one priority."""

    def places(_: str, piece: Piece, cores: int, memory_bytes: int) -> dict[str, int]:
        speech = {"speech": turns.speech_places(cores, memory_bytes)} if piece.slot == "speech" else {}
        return {"cpu": cores, **speech}

    return mock.patch.multiple(turns, due_ms=lambda *_: 0, places=places, nice=lambda _: 0)


def film(folder: Path, seconds: float) -> Path:
    """Film with a voice, 640x360."""
    make_sample(folder / f"sample-{seconds:g}.mp4", seconds)
    made = folder / f"film-{seconds:g}.mp4"
    coded = ["-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-c:a", "copy"]
    arguments = ["-i", str(folder / f"sample-{seconds:g}.mp4"), "-vf", "scale=640:360", *coded, str(made)]
    ffmpeg.run(ffmpeg.find(), arguments, making="the film", scratch=folder)
    return made


async def encoding(app: App, media_id: str) -> None:
    """Wait until the upload's video is being encoded."""
    while not any(
        row.piece.startswith("chunk")
        for task in tasks.of_media(app.database, media_id)
        for row in attempts.of_task(app.database, task.id)
    ):
        await asyncio.sleep(0.05)


def waited(app: App, media_id: str, sent_at: int) -> Waited:
    """How long an upload waited, by the changes that were told of it."""
    told = {change.type: change.created_at for change in changes.since(app.database, 0, media_id=media_id)}
    assert "media.ready" in told, told
    return Waited((told["media.poster.ready"] - sent_at) / 1000, (told["media.ready"] - sent_at) / 1000)


async def serve(home: Path, long: Path, short: Path, count: int, every_s: float) -> tuple[Waited, list[Waited]]:
    """What the long one and the short ones waited."""
    async with open_app(Settings(home=home, retry_scale=0, source_folders=(Path("/"),))) as app:
        sent = {LONG: clock.now_ms()}
        await upload(app, LONG, str(long))
        await encoding(app, LONG)
        for number in range(count):
            media_id = f"media_{number:03}"
            sent[media_id] = clock.now_ms()
            await upload(app, media_id, str(short))
            await asyncio.sleep(every_s)
        await app.engine.drained()
        found = {media_id: waited(app, media_id, sent_at) for media_id, sent_at in sent.items()}
    return found.pop(LONG), list(found.values())


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[18]


def main(long_s: float, count: int, every_s: float) -> None:
    """Print the figures."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        long, short = film(folder, long_s), film(folder, SHORT_S)
        found = {}
        for label, ordered in (("by turns", contextlib.nullcontext()), ("first come, first served", first_come())):
            with ordered:
                found[label] = asyncio.run(serve(folder / label[:2], long, short, count, every_s))
    print(f"{long_s:g} s of 640x360 film, then {count} of {SHORT_S:g} s, {every_s:g} s apart; {os.cpu_count()} cores")
    print("                           poster                  ready                   the long one")
    for label, (of_long, of_short) in found.items():
        row = f"{label:26}"
        for values in ([one.poster_s for one in of_short], [one.ready_s for one in of_short]):
            row += f" {statistics.median(values):5.1f} s, p95 {p95(values):6.1f} s"
        print(row + f"   ready in {of_long.ready_s:.1f} s")
    (_, ours), (_, others) = found.values()
    posters, readies = (
        p95([getattr(one, name) for one in ours]) / p95([getattr(one, name) for one in others])
        for name in ("poster_s", "ready_s")
    )
    print(f"p95 by turns: {posters:.2f} of the time to the poster, {readies:.2f} of the time to ready")


if __name__ == "__main__":
    given = [float(word) for word in sys.argv[1:]] + [120.0, 20.0, 2.0][len(sys.argv) - 1 :]
    main(given[0], int(given[1]), given[2])
