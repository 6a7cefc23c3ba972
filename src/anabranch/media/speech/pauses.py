"""The pause finder's child process: where to cut each WAV file that it is given, a line for each.

A cut is in the middle of the longest pause. Where nobody pauses it is at the quietest moment: the gap between two
words, or a soft consonant.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
from faster_whisper.audio import decode_audio
from faster_whisper.vad import get_speech_timestamps

from anabranch.media.speech import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Shorter ones are within words: a t is a pause of a tenth of a second.
_LEAST_PAUSE_MS = 200
_MOMENT_S = 0.1


def main() -> None:
    """Find a place in each file that is named on the command line."""
    for path in sys.argv[1:]:
        print(f"cut {find(decode_audio(path, sampling_rate=RATE)):.3f}", flush=True)


def find(sound: NDArray[np.float32]) -> float:
    """Where to cut it, in seconds from its beginning."""
    pauses = _pauses(sound)
    if not pauses:
        return _quietest(sound)
    middle = len(sound) / 2
    # Of pauses that are as long, the one nearest to the ideal place.
    start, end = max(pauses, key=lambda pause: (pause[1] - pause[0], -abs(sum(pause) / 2 - middle)))
    return (start + end) / 2 / RATE


def _pauses(sound: NDArray[np.float32]) -> list[tuple[int, int]]:
    """First and last sample of each stretch in which nobody speaks."""
    # The threshold of whisper.py. However short a word is, it is none of a pause, and no margin is added to it here.
    spoken = get_speech_timestamps(
        sound, threshold=0.5, min_speech_duration_ms=0, min_silence_duration_ms=_LEAST_PAUSE_MS, speech_pad_ms=0
    )
    starts = [0, *(stretch["end"] for stretch in spoken)]
    ends = [*(stretch["start"] for stretch in spoken), len(sound)]
    least = RATE * _LEAST_PAUSE_MS // 1000
    return [(start, end) for start, end in zip(starts, ends, strict=True) if end - start >= least]


def _quietest(sound: NDArray[np.float32]) -> float:
    """The middle of the moment that holds the least power; the middle of the sound when it is shorter than that."""
    moment = round(RATE * _MOMENT_S)
    if len(sound) <= moment:
        return len(sound) / 2 / RATE
    summed = np.concatenate(([0.0], np.cumsum(np.square(sound, dtype=np.float64))))
    return float(np.argmin(summed[moment:] - summed[:-moment])) / RATE + _MOMENT_S / 2


if __name__ == "__main__":
    main()
