"""Turns: which piece of work goes next, and beside what. Pure: the same after a restart.

A piece is due when its task was created, and later the further into the media it begins; what is due first goes
first. So every upload's beginning goes before anybody's continuation, and a short film ends while a long one goes on.
Nobody starves, since an upload that comes later is due later: a piece is passed only by what was created before it is
due.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anabranch.tasks import Piece

# What fetching and looking at a source needs, and joining.
NET, JOIN = "net", "join"
# How many seconds each second of media puts a piece off. A film is then not ahead of those who come as long as it is
# encoded faster than at a tenth of its own speed, or ten such films side by side at their own.
_PUT_OFF = 10
# What is not urgent gives way to what is, and to the server: at 10 it has a ninth of their share, and all when alone.
_NICE = 10
# What a speech model takes with five minutes of sound; docs/benchmarks.md.
_SPEECH_BYTES = 450 << 20


def due_ms(created_at: int, piece: Piece) -> int:
    """When a piece is due, Unix milliseconds, of a task that was created at `created_at`."""
    return created_at + round(piece.position_s * _PUT_OFF * 1000)


def needs(kind: str, piece: Piece) -> str:
    """The name of the places that a piece of a task of this kind takes."""
    return f"urgent {kind}" if piece.urgent else piece.slot


def places(needed: str, cores: int, memory_bytes: int) -> dict[str, int]:
    """The places that go by this name, and how many there are of each; none for a name that is not known here.

    What has one thread has a core as its place. A chunk of several rungs is an encoder for each, side by side, and
    keeps two cores busy: there is one for every two cores, since another would take as much memory again and end both
    no sooner (docs/benchmarks.md). Urgent pieces are few and short: they take no place from the others, who give way
    by `nice` instead. Each kind of them has a lane of its own, so that a poster, which takes a fraction of a second,
    does not wait behind the previews of ten uploads. Fetching and joining wait for the network and for storage.
    """
    if needed.startswith("urgent "):
        return {needed: max(1, cores // 2)}
    known = {
        "cpu": {"cpu": cores},
        "rungs": {"cpu": cores, "rungs": max(1, cores // 2)},
        "speech": {"cpu": cores, "speech": speech_places(cores, memory_bytes)},
        NET: {NET: max(4, cores)},
        JOIN: {JOIN: max(2, cores)},
    }
    return known.get(needed, {needed: 0})


def threads(needed: str, cores: int) -> int:
    """How many threads the encoder of a piece has, or of several the one with the most to do."""
    return min(2, cores) if needed == "rungs" else 1


def speech_places(cores: int, memory_bytes: int) -> int:
    """How many speech models may be loaded at once: in a quarter of the memory at the most, on all cores but one.

    A stretch takes a minute. Those of one film, which are planned before its pictures are, would otherwise have every
    core before its first chunk is asked for, and nobody could begin to watch.
    """
    return max(1, min(cores - 1, memory_bytes // 4 // _SPEECH_BYTES))


def nice(needed: str) -> int:
    """How far a piece gives way to whoever else wants the processor."""
    return 0 if needed.startswith("urgent ") else _NICE
