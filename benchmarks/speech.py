"""Speech benchmark: word error rate and speed of the transcript branch beside the bare model.

Usage: python benchmarks/speech.py FOLDER [MINUTES]

FOLDER holds WAV files and `references.json`, a list of `{"id": name without .wav, "reference": what is said}`. They are
written down one by one, and again as a single recording, in one go and cut into short stretches. MINUTES is how
long a recording to make of them for the measure of time and memory; none with 0.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faster_whisper import WhisperModel

from anabranch.media import ffmpeg, speech
from anabranch.media.probe import probe
from anabranch.media.process import CancelToken
from anabranch.media.speech import stretches
from anabranch.storage.files import FileStorage
from anabranch.tasks.audio import Audio, AudioOptions
from anabranch.tasks.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHORT_S = (20.0, 60.0)
MINUTES = 60.0


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


def branch(wav: Path, stretch_s: float = inf, at_once: int = 1) -> str:
    """What the branch writes down, in stretches of this length."""
    kind, options = Audio(), AudioOptions(format="txt", language="en")
    with tempfile.TemporaryDirectory() as folder, cut_at(stretch_s):
        desk = partial(_desk, wav, Path(folder))
        pieces = kind.plan(options, desk("plan").probe)
        with ThreadPoolExecutor(at_once) as pool:
            results = list(pool.map(lambda piece: kind.perform(piece, options, desk(piece.name)), pieces))
        joined = desk("join")
        output = kind.join(results, options, joined)
        assert output.main is not None
        return b"".join(joined.storage.open(output.main.key)).decode()


def _desk(wav: Path, folder: Path, name: str) -> Desk:
    scratch = folder / name
    scratch.mkdir()
    return Desk(
        source=wav,
        probe=probe(wav),
        scratch=scratch,
        ffmpeg=ffmpeg.find(),
        storage=FileStorage(folder / "storage"),
        prefix="benchmark",
        attempt=1,
        on_progress=lambda _done, _speed: None,
        cancel=CancelToken(),
    )


@contextmanager
def cut_at(stretch_s: float) -> Iterator[None]:
    """Plans made meanwhile have stretches of this length."""
    usual = stretches.WHOLE_S, stretches.STRETCH_S
    stretches.WHOLE_S = stretches.STRETCH_S = stretch_s
    try:
        yield
    finally:
        stretches.WHOLE_S, stretches.STRETCH_S = usual


def one_recording(clips: list[Path], output: Path, seconds: float | None = None) -> Path:
    """The clips one after another, with half a second between them; over and over when a length is given."""
    heard = [
        f"[{at}:a]aresample=16000,aformat=channel_layouts=mono,apad=pad_dur=0.5[a{at}]" for at in range(len(clips))
    ]
    joined = "".join(f"[a{at}]" for at in range(len(clips))) + f"concat=n={len(clips)}:v=0:a=1"
    graph = ";".join([*heard, joined + (",aloop=loop=-1:size=2147483647" if seconds else "")])
    inputs = [word for clip in clips for word in ("-i", str(clip))]
    length = ["-t", f"{seconds:g}"] if seconds else []
    arguments = [*inputs, "-filter_complex", graph, *length, "-c:a", "pcm_s16le", str(output)]
    ffmpeg.run(ffmpeg.find(), arguments, making="the recording", scratch=output.parent)
    return output


def compare(pairs: list[tuple[Path, list[str]]], ways: dict[str, Callable[[Path], str]]) -> None:
    """Print the word error rate and the time of each way to write recordings down."""
    for label, transcribe in ways.items():
        started = time.perf_counter()
        wrong = sum(errors(said, words(transcribe(wav))) for wav, said in pairs)
        total = sum(len(said) for _, said in pairs)
        print(f"  {label:38} {100 * wrong / total:.1f} % of {total} words, {time.perf_counter() - started:.1f} s")


def measure(label: str, work: Callable[[], str]) -> None:
    """Print what some work takes, in its child processes."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with most_memory() as seen:
        said = words(work())
    after, wall_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - started
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"  {label:38} {wall_s:6.1f} s wall {cpu_s:6.1f} s CPU {seen['mib']:6.0f} MiB  {len(said):,} words", flush=True
    )


@contextmanager
def most_memory() -> Iterator[dict[str, float]]:
    """The most memory that the child processes held together, looked at five times a second."""
    seen: dict[str, Any] = {"mib": 0.0}
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.2):
            seen["mib"] = max(seen["mib"], _children_mib())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        ended.set()
        looking.join()


def _children_mib() -> float:
    kib = 0
    for children in Path("/proc/self/task").glob("*/children"):
        # A child may be gone by the time that it is looked at.
        with suppress(OSError):
            for child in children.read_text().split():
                shares = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{child}/smaps_rollup").read_text(), re.MULTILINE)
                kib += int(shares.group(1)) if shares else 0
    return kib / 1024


def main(folder: Path, minutes: float) -> None:
    """Print the figures."""
    entries = json.loads((folder / "references.json").read_text())
    pairs = [(folder / f"{entry['id']}.wav", words(entry["reference"])) for entry in entries]
    model = WhisperModel(str(speech.shipped_model()), device="cpu", compute_type="int8")

    def bare(wav: Path) -> str:
        return " ".join(segment.text for segment in model.transcribe(str(wav), language="en", beam_size=5)[0])

    print(f"{len(pairs)} clips, one by one")
    compare(pairs, {"transcript branch, 1 thread": branch, "bare model, all threads": bare})
    with tempfile.TemporaryDirectory() as scratch:
        clips = [wav for wav, _ in pairs]
        whole = one_recording(clips, Path(scratch) / "all.wav")
        print("the same as one recording")
        ways: dict[str, Callable[[Path], str]] = {"transcript branch, 1 thread, in one go": branch}
        ways |= {f"the same, cut every {short_s:g} s": partial(branch, stretch_s=short_s) for short_s in SHORT_S}
        ways |= {"bare model, all threads": bare}
        compare([(whole, [word for _, said in pairs for word in said])], ways)
        if minutes:
            del model
            long = one_recording(clips, Path(scratch) / "long.wav", 60 * minutes)
            print(f"{minutes:g} minutes of them, 1 thread a stretch")
            usual_s = stretches.STRETCH_S
            measure("in one go", partial(branch, long))
            measure(f"in stretches of {usual_s / 60:g} minutes", partial(branch, long, usual_s))
            measure("the same, two at once", partial(branch, long, usual_s, 2))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else MINUTES)
