"""Audio: the sound of a source, as a file or written down."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from anabranch.errors import EncodeError, FinalError, OptionError
from anabranch.media import captions, ffmpeg, opening, sound, speech
from anabranch.media.probe import probe
from anabranch.media.speech import stretches
from anabranch.media.speech.stretches import Window
from anabranch.tasks import Kind, Options, Output, Piece, capabilities
from anabranch.tasks.desk import StoredFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anabranch.media.probe import AudioTrack, Probe
    from anabranch.tasks.desk import Desk

Json = Any

_TEXTS = {
    "json": ("transcript.json", "application/json"),
    "vtt": ("captions.vtt", "text/vtt"),
    "srt": ("captions.srt", "application/x-subrip"),
    "txt": ("transcript.txt", "text/plain"),
}
_SOUNDS = {
    "mp3": ("audio/mpeg", "libmp3lame", "mp3"),
    "m4a": ("audio/mp4", "aac", "ipod"),
    "opus": ("audio/ogg", "libopus", "ogg"),
    "wav": ("audio/wav", "pcm_s16le", "wav"),
    "flac": ("audio/flac", "flac", "flac"),
}
_LOSSLESS = ("wav", "flac")
_ALIASES = {"aac": "m4a", "text": "txt"}
_KBPS = {"very_low": 48, "low": 64, "medium": 128, "high": 192, "very_high": 256}
_TOLERANCE_S = 0.1
# Somebody waits for the first pictures; words may come a little later.
_AFTER_THE_PICTURE_S = 2.0


class AudioOptions(Options):
    """Options of `audio`.

    Attributes:
        format: json, vtt, srt and txt are what was said; the others are the sound.
        language: ISO 639-1 code of what is spoken; the model finds out when absent.
        start: where it begins, in seconds.
        end: where it ends; the end of the source when absent.
        quality: of mp3, m4a and opus.
        bitrate: bits a second of mp3, m4a and opus, instead of quality.
    """

    format: Annotated[
        Literal["mp3", "m4a", "opus", "wav", "flac", "json", "vtt", "srt", "txt"],
        BeforeValidator(lambda value: _ALIASES.get(value, value)),
    ] = "mp3"
    language: Annotated[str | None, Field(pattern="^[a-z]{2,3}$")] = None
    start: Annotated[float, Field(ge=0)] = 0.0
    end: Annotated[float | None, Field(gt=0)] = None
    quality: Literal["very_low", "low", "medium", "high", "very_high"] | None = None
    bitrate: Annotated[int | None, Field(ge=32_000, le=320_000)] = None

    @property
    def is_text(self) -> bool:
        """Whether it is to be written down."""
        return self.format in _TEXTS

    @model_validator(mode="after")
    def _check(self) -> AudioOptions:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end ({self.end:g} s) must come after start ({self.start:g} s)")
        if self.language and not self.is_text:
            raise ValueError(f"language goes with {', '.join(_TEXTS)}, not with {self.format}")
        for name in ("quality", "bitrate"):
            if getattr(self, name) is not None and (self.is_text or self.format in _LOSSLESS):
                raise ValueError(f"{name} goes with mp3, m4a and opus, not with {self.format}")
        if self.quality and self.bitrate:
            raise ValueError("quality and bitrate exclude each other")
        return self


class Audio(Kind[AudioOptions]):
    """The sound of a source, as a file or written down."""

    name = "audio"
    options = AudioOptions

    def plan(self, options: AudioOptions, probe: Probe) -> list[Piece]:
        """One piece, or none without a sound; several of a long recording that is to be written down.

        Raises:
            OptionError: `invalid_option`, there is no sound after `start`.
        """
        track = sound.main_track(probe)
        if track is None:
            return []
        if options.is_text:
            return _stretches(options, track, probe)
        if not _length(options, track, probe):
            raise OptionError(
                "invalid_option",
                f'Options of audio: "start": {options.start:g} s is past the end of the sound, at {track.end_s:g} s.',
                "Give an earlier one.",
            )
        required = capabilities.encoders(_SOUNDS[options.format][1])
        return [Piece("encode", weight=probe.duration_s, requires=required)]

    def perform(self, piece: Piece, options: AudioOptions, desk: Desk) -> dict[str, Json]:
        """Encode or transcribe, verify, and store."""
        track = sound.main_track(desk.probe)
        assert track is not None
        if piece.name == "transcribe":
            return _written(_transcribe(options.start, options.end, options, track, desk), options, desk)
        if options.is_text:
            return _transcribe_stretch(piece, options, track, desk)
        return _encode(options, track, desk)

    def join(self, results: Sequence[dict[str, Json]], options: AudioOptions, desk: Desk) -> Output:
        """The sound, or the text and what goes with it."""
        kind = "text" if options.is_text else "audio"
        mime = _TEXTS[options.format][1] if options.is_text else _SOUNDS[options.format][0]
        if not results:
            return Output(kind, mime, None, reason="no_audio_stream")
        result = results[0] if "files" in results[0] else _written(_joined(results, options, desk), options, desk)
        files = tuple(StoredFile(entry["name"], entry["key"], entry["size_bytes"]) for entry in result["files"])
        spoken = tuple((start_s, end_s, text) for start_s, end_s, text in result.get("spoken", []))
        facts = {"format": options.format, **result["facts"]}
        captions_key = next((file.key for file in files[1:] if file.name == _TEXTS["vtt"][0]), None)
        if captions_key is not None:
            facts["captionsUrl"] = desk.storage.url(captions_key)
        return Output(kind, mime, files[0], files, spoken=spoken, facts=facts)


def _stretches(options: AudioOptions, track: AudioTrack, probe: Probe) -> list[Piece]:
    found = stretches.cut(options.start, options.start + _length(options, track, probe))
    if len(found) == 1:
        return [
            Piece(
                "transcribe",
                weight=probe.duration_s,
                slot="speech",
                position_s=_AFTER_THE_PICTURE_S,
                requires=(capabilities.SPEECH,),
            )
        ]
    return [
        Piece(
            f"transcribe-{number:04}",
            {"after": stretch.after and asdict(stretch.after), "until": stretch.until and asdict(stretch.until)},
            weight=stretch.length_s,
            slot="speech",
            position_s=_AFTER_THE_PICTURE_S + number * stretch.length_s,
            requires=(capabilities.SPEECH,),
        )
        for number, stretch in enumerate(found)
    ]


def _transcribe_stretch(piece: Piece, options: AudioOptions, track: AudioTrack, desk: Desk) -> dict[str, Json]:
    """Write down what is said from one cut to the next. A step's result is small, so the words are in a file."""
    windows = {name: Window(**window) for name, window in piece.arguments.items() if window}
    cuts = dict(zip(windows, _cuts(list(windows.values()), track, desk), strict=True))
    start_s, end_s = cuts.get("after", options.start), cuts.get("until", options.end)
    transcript = _transcribe(start_s, end_s, options, track, desk)
    path = desk.scratch / "part.json"
    path.write_text(json.dumps(transcript.to_dict()), encoding="utf-8")
    stored = desk.save(path, f"{piece.name}.json", "application/json")
    return {"part": stored.to_dict(), "start_s": start_s, "end_s": end_s}


def _cuts(windows: Sequence[Window], track: AudioTrack, desk: Desk) -> list[float]:
    """Where the recording is cut in each window, in seconds of the source."""
    wavs = [desk.scratch / f"window{number}.wav" for number in range(len(windows))]
    for window, wav in zip(windows, wavs, strict=True):
        # The same arguments in both stretches that meet here give both the same samples, and so the same cut.
        _decode(window.start_s, window.end_s, track, desk, wav)
    found_s = speech.cuts(wavs, sandbox=desk.sandbox, cancel=desk.cancel, nice=desk.nice, tape=desk.tape)
    return [round(window.start_s + at_s, 3) for window, at_s in zip(windows, found_s, strict=True)]


def _transcribe(
    start_s: float, end_s: float | None, options: AudioOptions, track: AudioTrack, desk: Desk
) -> speech.Transcript:
    wav = desk.scratch / "speech.wav"
    _decode(start_s, end_s, track, desk, wav)
    return speech.transcribe(
        wav,
        language=options.language,
        model=desk.speech_model,
        scratch=desk.scratch,
        sandbox=desk.sandbox,
        threads=desk.threads,
        on_progress=lambda done: desk.on_progress(done, 0.0),
        cancel=desk.cancel,
        nice=desk.nice,
        tape=desk.tape,
    )


def _decode(start_s: float, end_s: float | None, track: AudioTrack, desk: Desk, wav: Path) -> None:
    # What the models were trained on.
    form = ["-ac", "1", "-ar", f"{speech.RATE}", "-c:a", "pcm_s16le", "-f", "wav", str(wav)]
    ffmpeg.run(
        desk.ffmpeg,
        [*_arguments(start_s, end_s, track, desk), *form],
        making="the sound to transcribe",
        scratch=desk.scratch,
        cancel=desk.cancel,
    )


def _joined(results: Sequence[dict[str, Json]], options: AudioOptions, desk: Desk) -> speech.Transcript:
    """The transcript of the whole, on the time line of what was asked for."""
    for before, after in pairwise(results):
        if before["end_s"] != after["start_s"]:
            raise FinalError(
                "stretches_disagree",
                f"A stretch of the transcript ends at {before['end_s']} s and the next begins at {after['start_s']} s.",
                "ffmpeg or the voice activity detector changed between the two; do the task again.",
            )
    return speech.join([(result["start_s"] - options.start, _part(result, desk)) for result in results])


def _part(result: dict[str, Json], desk: Desk) -> speech.Transcript:
    return speech.Transcript.from_dict(json.loads(b"".join(desk.storage.open(result["part"]["key"]))))


def _written(transcript: speech.Transcript, options: AudioOptions, desk: Desk) -> dict[str, Json]:
    """Store the texts that were asked for."""
    # A reader that wants only the text gets it from one file; players want cues beside the JSON.
    formats = ["json", "vtt"] if options.format == "json" else [options.format]
    stored = [_save_text(_text(format_, transcript), format_, desk) for format_ in formats]
    facts = {
        "language": transcript.language,
        "duration": round(transcript.duration_s, 3),
        "words": len(transcript.words),
    }
    spoken = [[segment.start_s, segment.end_s, segment.text] for segment in transcript.segments]
    return {"files": [file.to_dict() for file in stored], "spoken": spoken, "facts": facts}


def _text(format_: str, transcript: speech.Transcript) -> str:
    if format_ == "json":
        return json.dumps(transcript.to_json(), ensure_ascii=False, indent=2) + "\n"
    if format_ == "txt":
        return "\n".join([*(segment.text for segment in transcript.segments), ""])
    shown = captions.cues(transcript.words)
    return captions.webvtt(shown) if format_ == "vtt" else captions.subrip(shown)


def _save_text(text: str, format_: str, desk: Desk) -> StoredFile:
    name, mime = _TEXTS[format_]
    path = desk.scratch / name
    path.write_text(text, encoding="utf-8")
    return desk.save(path, name, mime)


def _encode(options: AudioOptions, track: AudioTrack, desk: Desk) -> dict[str, Json]:
    mime, encoder, muxer = _SOUNDS[options.format]
    desk.ffmpeg.needs_encoder(encoder, f"Sound as {options.format}")
    file = desk.scratch / f"audio.{options.format}"
    length_s = _length(options, track, desk.probe)
    arguments = [
        *_arguments(options.start, options.end, track, desk),
        "-c:a",
        encoder,
        "-ac",
        str(min(2, track.channels)),
    ]
    if options.format not in _LOSSLESS:
        bps = options.bitrate or _KBPS[options.quality or "medium"] * 1000
        arguments += ["-b:a", str(bps)]
    if options.format == "opus":
        # The only rates Opus knows divide 48 kHz.
        arguments += ["-ar", "48000"]
    ffmpeg.run(
        desk.ffmpeg,
        [*arguments, "-map_metadata", "-1", "-f", muxer, str(file)],
        making=f"the {options.format}",
        scratch=desk.scratch,
        on_progress=lambda progress: desk.on_progress(progress.out_time_s / length_s, progress.speed),
        cancel=desk.cancel,
    )
    made = probe(file, desk.sandbox, desk.cancel)
    if not made.audio or abs(made.duration_s - length_s) > _TOLERANCE_S:
        raise EncodeError(
            "verify_failed",
            f"{file.name} should last {length_s:.2f} s and lasts {made.duration_s:.2f} s.",
            "The step is tried again.",
        )
    stored = desk.save(file, file.name, mime)
    return {"files": [stored.to_dict()], "facts": {"duration": round(made.duration_s, 3)}}


def _arguments(start_s: float, end_s: float | None, track: AudioTrack, desk: Desk) -> list[str]:
    """Arguments that open the source and bring the track onto the time line of a clip of it."""
    arguments = opening.arguments(desk.source, desk.probe, start_s)
    return [*arguments, "-map", f"0:{track.index}", "-af", sound.on_time(track, start_s, end_s)]


def _length(options: AudioOptions, track: AudioTrack, probe: Probe) -> float:
    end_s = min(options.end if options.end is not None else track.end_s, track.end_s)
    return max(0.0, end_s - min(options.start, probe.duration_s))
