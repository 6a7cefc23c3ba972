"""The speech model's child process: faster-whisper on a WAV file, progress on standard output, result in a file.

A language model of speech invents words where nobody speaks. So its input is gated by a voice activity detector,
and a segment that the model itself takes for silence, or repeats like a stuck record, is dropped.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from faster_whisper import WhisperModel
from faster_whisper.audio import decode_audio
from faster_whisper.tokenizer import _LANGUAGE_CODES as LANGUAGES
from faster_whisper.vad import VadOptions, get_speech_timestamps

from anabranch.media.speech import RATE, REFUSED

if TYPE_CHECKING:
    import numpy as np
    from faster_whisper.transcribe import Segment
    from numpy.typing import NDArray

# Whoever speaks in a film mostly does within this, and then the rest need not be listened to twice.
_SOON_S = 30
# Measured on silence, noise and music on one side and 485 words of read and spoken English on the other; see
# docs/benchmarks.md.
_VAD = {"threshold": 0.5, "min_speech_duration_ms": 250, "min_silence_duration_ms": 500, "speech_pad_ms": 200}
_LEAST_LOGPROB = -1.0
_MOST_NO_SPEECH = 0.6
_MOST_COMPRESSION = 2.4


def main() -> None:
    """Transcribe the file that is named on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("wav")
    parser.add_argument("result", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--language")
    given = parser.parse_args()
    sound = decode_audio(given.wav, sampling_rate=RATE)
    # Every model knows English: nothing has to be asked of it.
    if given.language == "en" and not _is_spoken_in(sound):
        nothing = {"language": "en", "duration_s": len(sound) / RATE, "segments": []}
        given.result.write_text(json.dumps(nothing))
        return
    model = _load(given.model, given.threads)
    language = _language(model, given.language)
    found, info = model.transcribe(
        sound,
        language=language,
        beam_size=5,
        word_timestamps=True,
        vad_filter=True,
        vad_parameters=_VAD,
        # What was misheard once must not colour what comes after.
        condition_on_previous_text=False,
    )
    segments = []
    for segment in found:
        print(f"progress {segment.end / max(info.duration, 0.001):.4f}", flush=True)
        if _is_speech(segment):
            segments.append(_tell(segment))
    told = {"language": info.language, "duration_s": info.duration, "segments": segments}
    given.result.write_text(json.dumps(told))


def _is_spoken_in(sound: NDArray[np.float32]) -> bool:
    """Whether anybody speaks. A model takes longer to load than a film without words takes to be listened to."""
    listening = VadOptions(**_VAD)
    beginning = sound[: _SOON_S * RATE]
    if get_speech_timestamps(beginning, listening):
        return True
    return len(beginning) < len(sound) and bool(get_speech_timestamps(sound, listening))


def _load(name: str, threads: int) -> WhisperModel:
    try:
        # int8 is as good here as float32, at half the time and a quarter of the memory.
        return WhisperModel(name, device="cpu", compute_type="int8", cpu_threads=threads)
    except Exception as error:  # noqa: BLE001  (the library raises what its loaders raise)
        _refuse(
            "speech_model_missing",
            f"The speech model {name} cannot be loaded: {str(error).splitlines()[0]}.",
            "Set ANABRANCH_SPEECH_MODEL to the folder of a faster-whisper (CTranslate2) model; a model by name is "
            "downloaded only with HF_HUB_OFFLINE=0.",
        )


def _language(model: WhisperModel, asked: str | None) -> str | None:
    if asked is not None and asked not in LANGUAGES:
        _refuse(
            "unknown_language", f'"{asked}" is not a language code.', "Give an ISO 639-1 code such as en, de or ja."
        )
    if asked not in (None, "en") and not model.model.is_multilingual:
        _refuse(
            "language_unsupported",
            f'The speech model knows English only, and "{asked}" was asked for.',
            "Set ANABRANCH_SPEECH_MODEL to a multilingual faster-whisper model.",
        )
    return asked if asked or model.model.is_multilingual else "en"


def _refuse(code: str, message: str, hint: str) -> NoReturn:
    print(json.dumps({"code": code, "message": message, "hint": hint}), flush=True)
    sys.exit(REFUSED)


def _is_speech(segment: Segment) -> bool:
    silent = segment.no_speech_prob > _MOST_NO_SPEECH and segment.avg_logprob < _LEAST_LOGPROB / 2
    stuck = segment.compression_ratio > _MOST_COMPRESSION
    return bool(segment.text.strip()) and not silent and not stuck and segment.avg_logprob > _LEAST_LOGPROB


def _tell(segment: Segment) -> dict[str, Any]:
    words = [
        {
            "text": word.word.strip(),
            "start_s": round(word.start, 3),
            "end_s": round(word.end, 3),
            "probability": round(word.probability, 4),
        }
        for word in segment.words or []
    ]
    return {
        "start_s": words[0]["start_s"] if words else round(segment.start, 3),
        "end_s": words[-1]["end_s"] if words else round(segment.end, 3),
        "text": segment.text.strip(),
        "words": words,
        "scores": {
            "seek": segment.seek,
            "tokens": segment.tokens,
            "temperature": segment.temperature,
            "avg_logprob": segment.avg_logprob,
            "compression_ratio": segment.compression_ratio,
            "no_speech_prob": segment.no_speech_prob,
        },
    }


if __name__ == "__main__":
    main()
