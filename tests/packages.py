"""Packages: small HLS packages of clips, made as the product makes them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from anabranch.media import chunks
from anabranch.storage.files import FileStorage
from anabranch.tasks.adaptive_video import AdaptiveVideo
from tests.tasks.runner import desks, do

if TYPE_CHECKING:
    from pathlib import Path


def package(source: Path, folder: Path, chunk_s: float = chunks.SEGMENT_S, **options: Any) -> Path:
    """The multivariant playlist of a package of a source, which is all there is in its folder.

    Args:
        source: a media file.
        folder: an empty one to work in.
        chunk_s: how long a chunk is; shorter ones give a short clip several segments.
        options: of `adaptive_video`.
    """
    storage = FileStorage(folder / "storage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "cut", partial(chunks.cut, segment_s=chunk_s))
        output = do(AdaptiveVideo(), options, source, desks(folder, storage))
    assert output.main is not None
    return storage.path(output.main.key)
