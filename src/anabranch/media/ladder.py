"""The ladder: which renditions a source deserves. Pure: the same track and the same wishes, the same rungs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from anabranch.media import chunks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anabranch.media.probe import VideoTrack


@dataclass(frozen=True)
class Rung:
    """One rendition's size and rate.

    Attributes:
        name: short side of its standard size and a p, such as `720p`; with another codec than H.264 `720p-av1`.
        width: in pixels, even.
        height: in pixels, even.
        maxrate_kbps: the cap on the bit rate; easy pictures stay below it.
        level: H.264 level, such as `3.1`.
        codec: `h264`, `hevc` or `av1`.
        copied: whether it is the source itself, not encoded again.
    """

    name: str
    width: int
    height: int
    maxrate_kbps: int
    level: str
    codec: str = "h264"
    copied: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As kept in a plan."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Rung:
        """Read what `to_dict` wrote."""
        return cls(**value)


@dataclass(frozen=True)
class Wish:
    """A rung that somebody asks for.

    Attributes:
        short_side: of a 16:9 picture, in pixels; other shapes get as many pixels as its box allows.
        maxrate_kbps: the cap; None for the usual one of that size.
    """

    short_side: int
    maxrate_kbps: int | None = None


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
# Of what H.264 needs for the same picture; docs/benchmarks.md.
_SHARE = {"h264": 1.0, "hevc": 0.7, "av1": 0.75}
# What H.264 of ours may need to hold what another codec holds in one bit. Generous: a cap below what the source
# needs would be seen, and one above costs nothing, for quality is constant below it.
_WORTH = {"h264": 1.5, "hevc": 2.2, "vp9": 2.2, "av1": 3.0}
# With a cap below this a rung saves a viewer nothing that matters.
_LEAST_KBPS = 150
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
# A source may be offered as it is when its peak is at most this much above the cap of its size.
_COPY_UP_TO = 1.5
# Players begin and switch at keyframes; further apart than this they wait. Apple asks for two seconds.
_LONGEST_COPIED_GOP_S = 4.0


def rungs(
    video: VideoTrack, wishes: Sequence[Wish] = (), codecs: Sequence[str] = ("h264",), *, copy: bool = False
) -> tuple[Rung, ...]:
    """The rungs that a track deserves, best first: none larger than it is shown, two at least where it allows.

    A source between two standard sizes gets a rung of its own size when the next one would lose much of it. Caps
    follow the content: what the source itself holds in few bits needs few, and rungs that would save nothing more
    are left out.

    Args:
        video: the track.
        wishes: the rungs to make instead of the usual ones; those larger than the source are left out.
        codecs: `h264`, `hevc`, `av1`: every rung is made with each.
        copy: whether a source that players take as it is may be the top rung, not encoded again.
    """
    sized = _wished(video, wishes) if wishes else _usual(video)
    copied = copy and is_copyable(video, sized[0])
    # Below a copied rung none may cost more than it: players take a higher rate for a better picture.
    worth = 1.0 if copied else _WORTH.get(video.codec, 1.0)
    eased = sized if wishes and not copied else _eased(sized, video.peak_kbps * worth)
    made = [_with_codec(rung, codec) for codec in codecs for rung in eased]
    if copied:
        made[0] = replace(made[0], copied=True)
    return tuple(made)


def is_copyable(video: VideoTrack, top: Rung) -> bool:
    """Whether players take the track as it is, as the rung that would be made of it: H.264 of 8 bits and 4:2:0,
    upright, progressive, at a constant rate, in closed groups of pictures, and not much above the cap.
    """
    plain = (
        video.codec == top.codec == "h264"
        and video.pixel_format == "yuv420p"
        and (video.width, video.height) == (video.display_width, video.display_height) == (top.width, top.height)
        and not video.rotation
        and not video.mirrored
        and not video.interlaced
        and not video.hdr
    )
    on_grid = (
        not video.variable_rate
        and abs(video.start_s) * video.frame_rate < Fraction(1, 2)
        and video.frames == round(video.end_s * video.frame_rate)
    )
    enterable = video.closed_gops and chunks.longest_gop_s(video) <= _LONGEST_COPIED_GOP_S
    return plain and on_grid and enterable and 0 < video.peak_kbps <= top.maxrate_kbps * _COPY_UP_TO


def _usual(video: VideoTrack) -> list[Rung]:
    width, height, rate = video.display_width, video.display_height, video.frame_rate
    fitting = [(box, scale) for box in _BOXES if (scale := _scale(box, width, height)) <= 1]
    usual = [pair for pair in fitting if pair[0].short_side >= _LOWEST_USUAL]
    chosen = usual if len(usual) >= _FEWEST else fitting[: max(_FEWEST, len(usual))]
    made = [_rung(box, width, height, scale, rate) for box, scale in chosen]
    if not made or chosen[0][1] < Fraction(85, 100):
        made.insert(0, _own_size(width, height, rate, {rung.name for rung in made}))
    return made


def _wished(video: VideoTrack, wishes: Sequence[Wish]) -> list[Rung]:
    width, height, rate = video.display_width, video.display_height, video.frame_rate
    made = []
    for wish in sorted(wishes, key=lambda wish: -wish.short_side):
        box = _wished_box(wish)
        scale = _scale(box, width, height)
        if scale <= 1:
            rung = _rung(box, width, height, scale, rate)
            made.append(replace(rung, maxrate_kbps=wish.maxrate_kbps) if wish.maxrate_kbps else rung)
    return made or [_own_size(width, height, rate, set())]


def _wished_box(wish: Wish) -> _Box:
    standard = next((box for box in _BOXES if box.short_side == wish.short_side), None)
    if standard is not None:
        return standard
    # Between two sizes the cap is that of the next larger, by its share of the pixels.
    larger = next((box for box in reversed(_BOXES) if box.short_side > wish.short_side), _BOXES[0])
    share = wish.short_side / larger.short_side
    return _Box(round(wish.short_side * 16 / 9), wish.short_side, _shrunk(larger.maxrate_kbps, share**2))


def _eased(made: Sequence[Rung], needed_kbps: float) -> list[Rung]:
    """Rungs with caps that follow the source's own rate, without those that would save nothing."""
    factor = min(1.0, needed_kbps / made[0].maxrate_kbps) if needed_kbps else 1.0
    eased = [replace(rung, maxrate_kbps=max(1, round(rung.maxrate_kbps * factor))) for rung in made]
    worth_it = [rung for rung in eased if rung.maxrate_kbps >= _LEAST_KBPS]
    kept = worth_it if len(worth_it) >= _FEWEST else eased[:_FEWEST]
    return [replace(rung, maxrate_kbps=max(_LEAST_KBPS, rung.maxrate_kbps)) for rung in kept]


def _with_codec(rung: Rung, codec: str) -> Rung:
    if codec == "h264":
        return rung
    return replace(
        rung, name=f"{rung.name}-{codec}", codec=codec, maxrate_kbps=round(rung.maxrate_kbps * _SHARE[codec])
    )


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
    cap = _shrunk(box.maxrate_kbps, min(1.0, width * height / (box.long_side * box.short_side)))
    # A very long picture shares its short side with a standard one that is smaller.
    name = f"{min(width, height)}p"
    name = f"{width}x{height}" if name in taken else name
    return Rung(name, width, height, _capped(cap, rate), _level(width, height, rate))


def _shrunk(maxrate_kbps: int, pixels: float) -> int:
    """The cap of a picture with this share of the pixels: fewer of them are each harder to code."""
    return max(100, round(maxrate_kbps * math.pow(pixels, 0.75)))


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
