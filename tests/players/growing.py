"""Growing: a finished package served as if it were still being made, its playlists longer from request to request."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass
class Growing:
    """The playlists of media in a folder, each with one more segment every `every_s` seconds.

    Attributes:
        folder: the finished package.
        every_s: seconds from one segment to the next; the first is there at once.
    """

    folder: Path
    every_s: float
    _began: float | None = field(default=None, init=False)

    def texts(self) -> dict[str, Callable[[], str]]:
        """For `serving.served`: what is at the address of each media playlist, now."""
        playlists = {path: path.read_text() for path in self.folder.rglob("*.m3u8")}
        media = {path: text for path, text in playlists.items() if "#EXTINF" in text}
        return {path.relative_to(self.folder).as_posix(): self._teller(text) for path, text in media.items()}

    def _teller(self, whole: str) -> Callable[[], str]:
        def tell() -> str:
            self._began = self._began or time.monotonic()
            return stage(whole, 1 + int((time.monotonic() - self._began) / self.every_s))

        return tell


def stage(whole: str, count: int) -> str:
    """What a media playlist said when it had `count` segments: an event, to be watched from its beginning."""
    head, *segments = whole.removesuffix("#EXT-X-ENDLIST\n").split("#EXTINF")
    # The head stays as it is to the end: section 6.2.1 lets a server append to an event, and change nothing.
    head = head.replace("PLAYLIST-TYPE:VOD", "PLAYLIST-TYPE:EVENT\n#EXT-X-START:TIME-OFFSET=0,PRECISE=YES")
    listed = "".join(f"#EXTINF{segment}" for segment in segments[:count])
    return head + listed + ("#EXT-X-ENDLIST\n" if count >= len(segments) else "")
