"""Fit: the size of an output from what was asked and what the source has. Pure; never larger than the source."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

FitWord = Literal["contain", "cover", "fill"]


@dataclass(frozen=True)
class Fitted:
    """How a picture gets its size.

    Attributes:
        scale: width and height to scale to, in pixels.
        crop: width and height to cut from the middle afterwards; None when nothing is cut.
        pad: width and height of the canvas that it is put in the middle of; None when there is none.
    """

    scale: tuple[int, int]
    crop: tuple[int, int] | None = None
    pad: tuple[int, int] | None = None

    def filters(self) -> str:
        """As ffmpeg filters."""
        parts = [f"scale={self.scale[0]}:{self.scale[1]}:flags=lanczos"]
        if self.crop:
            parts.append(f"crop={self.crop[0]}:{self.crop[1]}")
        if self.pad:
            parts.append(f"pad={self.pad[0]}:{self.pad[1]}:-1:-1")
        return ",".join([*parts, "setsar=1"])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the result."""
        return self.pad or self.crop or self.scale


def fit(
    source: tuple[int, int], width: int | None, height: int | None, how: FitWord = "contain", even: bool = False
) -> Fitted:
    """The size of a picture of size `source` when `width` and `height` are asked for.

    One of the two given keeps the shape. With both, `contain` keeps all of the picture and fills the rest with
    black, `cover` keeps the box full and cuts what hangs over, `fill` stretches. A picture is never enlarged:
    a box that is too large shrinks to what the source can fill, in the box's shape.

    Args:
        source: width and height of the source as shown.
        width: asked for, in pixels, or None.
        height: asked for, in pixels, or None.
        how: what to do when the shapes differ.
        even: whether both must be even, as 4:2:0 video needs.
    """
    wide, high = source
    if width is None or height is None:
        scale = Fraction(width, wide) if width else Fraction(height, high) if height else Fraction(1)
        scale = min(Fraction(1), scale)
        return Fitted(_whole(wide * scale, high * scale, even))
    box = _shrunk(Fraction(width), Fraction(height), wide, high, how)
    if how == "fill":
        return Fitted(_whole(*box, even))
    choose = min if how == "contain" else max
    scale = min(Fraction(1), choose(box[0] / wide, box[1] / high))
    inner, outer = _whole(wide * scale, high * scale, even), _whole(*box, even)
    if inner == outer:
        return Fitted(outer)
    if how == "contain":
        return Fitted((min(inner[0], outer[0]), min(inner[1], outer[1])), pad=outer)
    return Fitted((max(inner[0], outer[0]), max(inner[1], outer[1])), crop=outer)


def _shrunk(width: Fraction, height: Fraction, wide: int, high: int, how: FitWord) -> tuple[Fraction, Fraction]:
    """The box, made smaller in its own shape until the source need not be enlarged to fill it."""
    ratios = (wide / width, high / height)
    room = max(ratios) if how == "contain" else min(ratios)
    shrink = min(Fraction(1), room)
    return width * shrink, height * shrink


def _whole(width: Fraction, height: Fraction, even: bool) -> tuple[int, int]:
    step = 2 if even else 1
    return max(step, round(width / step) * step), max(step, round(height / step) * step)
