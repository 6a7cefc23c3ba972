"""Anabranch: one upload fans out into HLS, poster, GIF and transcript, and rejoins in one media record."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anabranch.embed import Anabranch

__all__ = ["Anabranch"]


def __getattr__(name: str) -> object:
    # Here and not above: it takes seconds to import, and the command line should not.
    if name == "Anabranch":
        from anabranch.embed import Anabranch

        return Anabranch
    raise AttributeError(name)
