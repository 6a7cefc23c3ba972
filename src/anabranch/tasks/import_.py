"""Import: a source, fetched and kept as it is."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from anabranch.media.process import Cancelled
from anabranch.tasks import Kind, Options, Output, Piece
from anabranch.tasks.desk import StoredFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anabranch.media.probe import Probe
    from anabranch.tasks.desk import Desk

Json = Any

# MIME type and file ending by the demuxer that reads it; the first that its name begins with.
_FORMATS = (
    ("mov", "video/mp4", "audio/mp4", ".mp4"),
    ("matroska", "video/x-matroska", "audio/x-matroska", ".mkv"),
    ("avi", "video/x-msvideo", "audio/x-msvideo", ".avi"),
    ("mpegts", "video/mp2t", "video/mp2t", ".ts"),
    ("mp3", "audio/mpeg", "audio/mpeg", ".mp3"),
    ("wav", "audio/wav", "audio/wav", ".wav"),
    ("flac", "audio/flac", "audio/flac", ".flac"),
    ("mp4", "video/mp4", "audio/mp4", ".mp4"),
    ("ogg", "video/ogg", "audio/ogg", ".ogg"),
    ("gif", "image/gif", "image/gif", ".gif"),
)


class ImportOptions(Options):
    """Options of `import`: none."""


class Import(Kind[ImportOptions]):
    """A source, fetched and kept as it is."""

    name = "import"
    options = ImportOptions

    def plan(self, options: ImportOptions, probe: Probe) -> list[Piece]:  # noqa: ARG002
        """One piece; as long as the source is, so nothing urgent."""
        return [Piece("store")]

    def perform(self, piece: Piece, options: ImportOptions, desk: Desk) -> dict[str, Json]:  # noqa: ARG002
        """Store the bytes."""
        if desk.cancel.cancelled:
            raise Cancelled
        mime, ending = _format(desk.probe)
        # A copy: storage may take a file away, and the source may be its owner's.
        copy = desk.scratch / f"source{ending}"
        shutil.copyfile(desk.source, copy)
        return {**desk.save(copy, copy.name, mime).to_dict(), "type": mime}

    def join(self, results: Sequence[dict[str, Json]], options: ImportOptions, desk: Desk) -> Output:  # noqa: ARG002
        """The file, and what is in it."""
        (result,) = results
        stored = StoredFile(result["name"], result["key"], result["size_bytes"])
        video = desk.probe.video
        facts: dict[str, Json] = {"duration": round(desk.probe.duration_s, 3)}
        if video is not None:
            facts |= {"width": video.display_width, "height": video.display_height, "fps": float(video.frame_rate)}
        return Output("video" if video else "audio", result["type"], stored, (stored,), facts=facts)


def _format(probe: Probe) -> tuple[str, str]:
    for name, with_picture, without, ending in _FORMATS:
        if probe.format.startswith(name):
            return with_picture if probe.video else without, ending
    return "application/octet-stream", ""
