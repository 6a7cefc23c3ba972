"""Probe: what is in a source, written down."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from anabranch.media.process import Cancelled
from anabranch.tasks import Kind, Options, Output, Piece
from anabranch.tasks.desk import StoredFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anabranch.media.probe import Probe as Seen
    from anabranch.tasks.desk import Desk

Json = Any


class ProbeOptions(Options):
    """Options of `probe`: none."""


class Probe(Kind[ProbeOptions]):
    """What is in a source."""

    name = "probe"
    options = ProbeOptions

    def plan(self, options: ProbeOptions, probe: Seen) -> list[Piece]:  # noqa: ARG002
        """One piece: the source was looked at to plan it."""
        return [Piece("write", urgent=True)]

    def perform(self, piece: Piece, options: ProbeOptions, desk: Desk) -> dict[str, Json]:  # noqa: ARG002
        """Write it down."""
        if desk.cancel.cancelled:
            raise Cancelled
        path = desk.scratch / "probe.json"
        path.write_text(json.dumps(desk.probe.to_dict(), indent=2) + "\n")
        return desk.save(path, path.name, "application/json").to_dict()

    def join(self, results: Sequence[dict[str, Json]], options: ProbeOptions, desk: Desk) -> Output:  # noqa: ARG002
        """The description, and the most asked for of it."""
        (result,) = results
        stored = StoredFile(result["name"], result["key"], result["size_bytes"])
        seen, video = desk.probe, desk.probe.video
        facts: dict[str, Json] = {"format": seen.format, "duration": round(seen.duration_s, 3)}
        facts["codecs"] = {
            "video": video.codec if video else None,
            "audio": seen.audio[0].codec if seen.audio else None,
        }
        if video is not None:
            facts |= {"width": video.display_width, "height": video.display_height, "fps": float(video.frame_rate)}
        return Output("text", "application/json", stored, (stored,), facts=facts)
