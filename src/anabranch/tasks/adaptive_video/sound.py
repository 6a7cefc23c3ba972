"""Sound: a track of it, encoded once as a whole. Cut in chunks it would click and drift.

A whole track takes a while, and nobody can watch without it. So its segments are stored while the encoder is still
at work, and told of as they come. Should it die, the next attempt makes the same bytes again and finds them there.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from anabranch.errors import EncodeError
from anabranch.media import chunks, ffmpeg, fmp4, opening, sound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anabranch.media.fmp4 import Fragment
    from anabranch.media.probe import AudioTrack
    from anabranch.tasks.desk import Desk, StoredFile

Json = Any

KBPS = {1: 64, 2: 128}
_SEGMENT_FRAGMENTS = chunks.SEGMENT_S // chunks.GOP_S


def piece_name(number: int) -> str:
    """The name of the piece that encodes a track, and of the folder that it fills."""
    return f"audio-{number}" if number else "audio"


def encode(number: int, desk: Desk) -> dict[str, Json]:
    """Encode a track of sound, telling of its segments as they come."""
    track = sound.heard(desk.probe)[number]
    file = desk.scratch / "audio.mp4"
    segments = _Segments(number, track, file, desk)

    def report(progress: ffmpeg.Progress) -> None:
        desk.on_progress(progress.out_time_s / desk.probe.duration_s, progress.speed)
        if segments.take():
            desk.on_partial(segments.result())

    ffmpeg.run(
        desk.ffmpeg,
        arguments(desk, track, file),
        making=f"track {number + 1} of the sound",
        scratch=desk.scratch,
        on_progress=report,
        cancel=desk.cancel,
    )
    # Read as a whole once more: what came piece by piece must be all there is.
    whole = fmp4.parse(file.read_bytes())
    segments.take(last=True)
    segments.check(whole)
    return segments.result()


def arguments(desk: Desk, track: AudioTrack, file: Path) -> list[str]:
    """Arguments that encode a track as a whole."""
    channels = min(2, track.channels)
    return [
        *opening.arguments(desk.source, desk.probe),
        *("-map", f"0:{track.index}", "-af", sound.on_time(track), "-ac", str(channels), "-ar", "48000"),
        *("-c:a", "aac", "-b:a", f"{KBPS[channels]}k"),
        # delay_moov: the edit list then tells players to skip what the encoder put before the first sample.
        *("-f", "mp4", "-movflags", "+delay_moov+default_base_moof", "-frag_duration", f"{chunks.GOP_S}000000"),
        # Each fragment is on the disk when it is done, for whoever reads along.
        *("-brand", "cmfc", "-flush_packets", "1", str(file)),
    ]


class _Segments:
    """The segments of a file that ffmpeg is still writing."""

    def __init__(self, number: int, track: AudioTrack, file: Path, desk: Desk) -> None:
        self._folder = piece_name(number)
        self._number = number
        self._track = track
        self._file = file
        self._desk = desk
        self._read = 0
        self._rest = b""
        self._init = b""
        self._timescale = 0
        self._pending: list[Fragment] = []
        self._saved: list[dict[str, Json]] = []
        self._init_saved: dict[str, Json] | None = None
        self._earlier = desk.earlier or {}

    def take(self, *, last: bool = False) -> bool:
        """Store what has come since, as far as it makes segments, or all of it at the end. Whether there was any."""
        before = len(self._saved)
        self._pending += self._new_fragments()
        while len(self._pending) >= _SEGMENT_FRAGMENTS:
            self._save(self._pending[:_SEGMENT_FRAGMENTS])
            self._pending = self._pending[_SEGMENT_FRAGMENTS:]
        if last and self._pending:
            self._save(self._pending)
            self._pending = []
        return len(self._saved) > before

    def result(self) -> dict[str, Json]:
        """What there is so far."""
        return {
            "track": self._number,
            "timescale": self._timescale,
            "channels": min(2, self._track.channels),
            "language": self._track.language,
            "title": self._track.title,
            "target_s": chunks.SEGMENT_S,
            "init": self._init_saved,
            "segments": list(self._saved),
        }

    def check(self, whole: fmp4.Fragmented) -> None:
        """Compare with the file as it is in the end.

        Raises:
            EncodeError: `verify_failed`.
        """
        saved = sum(segment["samples"] for segment in self._saved)
        if saved != whole.samples:
            raise EncodeError(
                "verify_failed",
                f"The sound has {whole.samples} frames, of which {saved} were stored.",
                "The step is tried again.",
            )

    def _new_fragments(self) -> Sequence[Fragment]:
        if not self._file.exists():
            return ()
        with self._file.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        self._read += len(data)
        self._rest += data
        end = fmp4.whole(self._rest)
        if end == 0:
            return ()
        parsed = fmp4.parse(self._init + self._rest[:end])
        self._rest = self._rest[end:]
        if not self._init:
            self._init, self._timescale = parsed.init, parsed.timescale
            self._init_saved = self._store(parsed.init, "init.mp4", self._earlier.get("init"))
        return parsed.fragments

    def _save(self, fragments: Sequence[Fragment]) -> None:
        number = len(self._saved)
        data = b"".join(fragment.data for fragment in fragments)
        earlier = self._earlier.get("segments", [])
        entry = self._store(data, f"{number:04}.m4s", earlier[number] if number < len(earlier) else None)
        about = {
            "duration": sum(fragment.duration for fragment in fragments),
            "samples": sum(fragment.samples for fragment in fragments),
        }
        self._saved.append({**entry, **about})

    def _store(self, data: bytes, name: str, earlier: dict[str, Json] | None) -> dict[str, Json]:
        """Store bytes, unless an earlier attempt did, which somebody may be listening to."""
        digest = hashlib.sha256(data).hexdigest()
        if earlier is not None and earlier["sha256"] == digest and self._desk.storage.exists(earlier["key"]):
            return {field: earlier[field] for field in ("name", "key", "size_bytes", "sha256")}
        kind = "audio/mp4" if name == "init.mp4" else "video/iso.segment"
        stored: StoredFile = self._desk.save_bytes(data, f"{self._folder}/{name}", kind)
        return {**stored.to_dict(), "sha256": digest}
