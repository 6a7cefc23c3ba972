"""Speech benchmark: word error rate and speed of the transcript branch beside the bare model.

Usage: python benchmarks/speech.py FOLDER

FOLDER holds WAV files and `references.json`, a list of `{"id": name without .wav, "reference": what is said}`.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from pathlib import Path

from faster_whisper import WhisperModel

from anabranch.media import speech
from anabranch.media.process import CancelToken


def words(text: str) -> list[str]:
    """Words in small letters, without punctuation."""
    return re.sub(r"[^a-z0-9' ]", " ", text.lower()).split()


def errors(reference: list[str], said: list[str]) -> int:
    """Fewest words to insert, delete or replace (Levenshtein)."""
    row = list(range(len(said) + 1))
    for number, wanted in enumerate(reference, 1):
        previous, row[0] = row[0], number
        for at, got in enumerate(said, 1):
            previous, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, previous + (wanted != got))
    return row[-1]


def ours(wav: Path) -> str:
    """What the branch writes down."""
    with tempfile.TemporaryDirectory() as scratch:
        return speech.transcribe(
            wav,
            language="en",
            model=None,
            scratch=Path(scratch),
            threads=1,
            on_progress=lambda _: None,
            cancel=CancelToken(),
        ).text


def main(folder: Path) -> None:
    """Print the figures."""
    references = json.loads((folder / "references.json").read_text())
    bare = WhisperModel(str(speech.shipped_model()), device="cpu", compute_type="int8")

    def plain(wav: Path) -> str:
        return " ".join(segment.text for segment in bare.transcribe(str(wav), language="en", beam_size=5)[0])

    for label, transcribe in (("transcript branch, 1 thread, own process", ours), ("bare model, all threads", plain)):
        wrong, total, started = 0, 0, time.perf_counter()
        for entry in references:
            said = words(entry["reference"])
            wrong += errors(said, words(transcribe(folder / f"{entry['id']}.wav")))
            total += len(said)
        print(f"{label:42} {100 * wrong / total:.1f} % of {total} words, {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
