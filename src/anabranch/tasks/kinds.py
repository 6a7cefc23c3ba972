"""Kinds: what this installation can do, by the name that clients use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anabranch.errors import OptionError
from anabranch.tasks.adaptive_video import AdaptiveVideo
from anabranch.tasks.animation import Animation
from anabranch.tasks.audio import Audio
from anabranch.tasks.image import Image
from anabranch.tasks.import_ import Import
from anabranch.tasks.probe import Probe
from anabranch.tasks.speech import Speech
from anabranch.tasks.subtitles import Subtitles
from anabranch.tasks.thumbnails import Thumbnails
from anabranch.tasks.video import Video

if TYPE_CHECKING:
    from anabranch.tasks import Kind

KINDS: dict[str, Kind[Any]] = {
    kind.name: kind
    for kind in (
        AdaptiveVideo(),
        Animation(),
        Audio(),
        Image(),
        Import(),
        Probe(),
        Speech(),
        Subtitles(),
        Thumbnails(),
        Video(),
    )
}


def kind_named(name: str) -> Kind[Any]:
    """The kind of this name.

    Raises:
        OptionError: `unknown_kind`, listing those that there are.
    """
    kind = KINDS.get(name)
    if kind is None:
        raise OptionError("unknown_kind", f'There is no kind of task "{name}".', f"There are: {', '.join(KINDS)}.")
    return kind
