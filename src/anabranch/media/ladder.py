"""The ladder: which renditions a source deserves. Pure: the same track, the same rungs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anabranch.media.probe import VideoTrack


@dataclass(frozen=True)
class Rung:
    """One rendition's size and rate.

    Attributes:
        name: short side of its standard size and a p, such as `720p`.
        width: in pixels, even.
        height: in pixels, even.
        maxrate_kbps: the cap on the bit rate; easy pictures stay below it.
        level: H.264 level, such as `3.1`.
    """

    name: str
    width: int
    height: int
    maxrate_kbps: int
    level: str

    def to_dict(self) -> dict[str, Any]:
        """As kept in a plan."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Rung:
        """Read what `to_dict` wrote."""
        return cls(**value)


@dataclass(frozen=True)
class _Box:
    """A standard size: pictures are fitted into it, whichever way they stand."""

    long_side: int
    short_side: int
    maxrate_kbps: int


# Caps for 30 frames a second with x264 veryfast; near those of Apple's authoring specification (table 1), which
# assumes a slower and better encoder for a little less.
_BOXES = (
    _Box(3840, 2160, 16000),
    _Box(2560, 1440, 9000),
    _Box(1920, 1080, 5000),
    _Box(1280, 720, 2800),
    _Box(854, 480, 1400),
    _Box(640, 360, 800),
    _Box(426, 240, 400),
    _Box(256, 144, 200),
)
# Below this a rung is only made to give a small source a second one.
_LOWEST_USUAL = 360
_FEWEST = 2
# ITU-T H.264 (08/2021) table A-1: level, macroblocks a second, macroblocks a frame.
_LEVELS = (
    ("1.3", 11880, 396),
    ("2.1", 19800, 792),
    ("3", 40500, 1620),
    ("3.1", 108000, 3600),
    ("3.2", 216000, 5120),
    ("4", 245760, 8192),
    ("4.2", 522240, 8704),
    ("5.1", 983040, 36864),
    ("5.2", 2073600, 36864),
)


def rungs(video: VideoTrack) -> tuple[Rung, ...]:
    """The rungs that a track deserves, best first: none larger than it is shown, two at least where it allows.

    A source between two standard sizes gets a rung of its own size when the next one would lose much of it.
    """
    width, height, rate = video.display_width, video.display_height, video.frame_rate
    fitting = [(box, scale) for box in _BOXES if (scale := _scale(box, width, height)) <= 1]
    usual = [pair for pair in fitting if pair[0].short_side >= _LOWEST_USUAL]
    chosen = usual if len(usual) >= _FEWEST else fitting[: max(_FEWEST, len(usual))]
    made = [_rung(box, width, height, scale, rate) for box, scale in chosen]
    if not made or chosen[0][1] < Fraction(85, 100):
        made.insert(0, _own_size(width, height, rate, {rung.name for rung in made}))
    return tuple(made)


def _scale(box: _Box, width: int, height: int) -> Fraction:
    long_side, short_side = max(width, height), min(width, height)
    scale = min(Fraction(box.long_side, long_side), Fraction(box.short_side, short_side))
    # 854 is 853.3 rounded to be even; a 1920x1080 source must still be taken for one that fits its box.
    return Fraction(1) if Fraction(1) < scale < Fraction(1002, 1000) else scale


def _rung(box: _Box, width: int, height: int, scale: Fraction, rate: Fraction) -> Rung:
    wide, high = _even(width * scale), _even(height * scale)
    return Rung(f"{box.short_side}p", wide, high, _capped(box.maxrate_kbps, rate), _level(wide, high, rate))


def _own_size(width: int, height: int, rate: Fraction, taken: set[str]) -> Rung:
    # The cap of the smallest box that holds it, by its share of that box's pixels.
    box = next((box for box in reversed(_BOXES) if _scale(box, width, height) >= 1), _BOXES[0])
    share = min(1.0, width * height / (box.long_side * box.short_side))
    cap = max(100, round(box.maxrate_kbps * share**0.75))
    # A very long picture shares its short side with a standard one that is smaller.
    name = f"{min(width, height)}p"
    name = f"{width}x{height}" if name in taken else name
    return Rung(name, width, height, _capped(cap, rate), _level(width, height, rate))


def _even(size: Fraction) -> int:
    return max(2, round(size / 2) * 2)


def _capped(maxrate_kbps: int, rate: Fraction) -> int:
    # Twice the frames are not twice the news: neighbours are more alike.
    return round(maxrate_kbps * 1.5) if rate > 32 else maxrate_kbps


def _level(width: int, height: int, rate: Fraction) -> str:
    blocks = -(-width // 16) * -(-height // 16)
    for level, blocks_a_second, blocks_a_frame in _LEVELS:
        if blocks <= blocks_a_frame and blocks * rate <= blocks_a_second:
            return level
    return "6.2"
