from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.media.fit import fit

SIDES = st.integers(16, 4000)


@pytest.mark.parametrize(
    ("width", "height", "how", "size"),
    [
        (1280, None, "contain", (1280, 720)),
        (None, 360, "contain", (640, 360)),
        (4000, None, "contain", (1920, 1080)),
        (None, None, "contain", (1920, 1080)),
        (500, 500, "contain", (500, 500)),
        (500, 500, "cover", (500, 500)),
        (500, 500, "fill", (500, 500)),
        (3000, 3000, "cover", (1080, 1080)),
    ],
)
def test_full_hd_fitted(width: int | None, height: int | None, how: str, size: tuple[int, int]) -> None:
    assert fit((1920, 1080), width, height, how).size == size  # type: ignore[arg-type]


def test_contain_shows_all_of_the_picture() -> None:
    fitted = fit((1920, 1080), 500, 500, "contain")
    assert fitted.scale == (500, 281)
    assert fitted.pad == (500, 500)


def test_cover_leaves_no_bars() -> None:
    fitted = fit((1920, 1080), 500, 500, "cover")
    assert fitted.scale == (889, 500)
    assert fitted.crop == (500, 500)


@given(source=st.tuples(SIDES, SIDES), box=st.tuples(SIDES, SIDES), how=st.sampled_from(["contain", "cover", "fill"]))
def test_no_picture_is_enlarged_and_every_step_is_possible(
    source: tuple[int, int], box: tuple[int, int], how: str
) -> None:
    fitted = fit(source, *box, how, even=True)  # type: ignore[arg-type]
    assert fitted.scale[0] <= source[0] + 2
    assert fitted.scale[1] <= source[1] + 2
    assert all(side % 2 == 0 for side in (*fitted.scale, *fitted.size))
    if fitted.pad:
        assert fitted.pad[0] >= fitted.scale[0]
        assert fitted.pad[1] >= fitted.scale[1]
    if fitted.crop:
        assert fitted.crop[0] <= fitted.scale[0]
        assert fitted.crop[1] <= fitted.scale[1]
