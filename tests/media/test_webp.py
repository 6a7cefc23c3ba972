from __future__ import annotations

from anabranch.media import webp
from tests import clips

MOVING = "nullsrc=s=64x46:r=10:d=0.5,geq=lum='40+40*N':cb=128:cr=128"


def encoded(source: str) -> bytes:
    arguments = ("-f", "lavfi", "-i", source, "-c:v", "libwebp_anim", "-f", "webp")
    return clips.make("moving.webp", *arguments).read_bytes()


def test_what_moves_is_read_from_the_file() -> None:
    data = encoded(MOVING)
    assert webp.read(data) == webp.Moving((64, 46), (100,) * 5)


def test_a_single_picture_moves_no_more_than_any_other_file() -> None:
    assert webp.read(encoded("color=red:s=64x46:r=10:d=0.5")) is None
    assert webp.read(b"GIF89a") is None
    assert webp.read(b"") is None


def test_a_frame_that_is_cut_off_does_not_count() -> None:
    data = encoded(MOVING)
    cut = webp.read(data[:-10])
    assert cut is not None
    assert len(cut.shown_ms) == 4
