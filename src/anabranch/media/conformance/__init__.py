"""Conformance: reads an HLS package as a player would, segments and all, and tells what is not as it should be.

The rules are those of RFC 8216bis (draft-pantos-hls-rfc8216bis) and of Apple's authoring specification, as far as
files can show them. It is told how to read an address, and knows nothing of who made the package.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from anabranch.media.conformance import playlists, renditions, variants
from anabranch.media.conformance.addresses import fetcher
from anabranch.media.conformance.findings import RULES, Finding, Findings
from anabranch.media.conformance.variants import Variant

if TYPE_CHECKING:
    from collections.abc import Callable

    from anabranch.media.conformance.playlists import Playlist, Tag
    from anabranch.media.conformance.renditions import Rendition

__all__ = ["RULES", "Finding", "check", "fetcher"]


def check(address: str, fetch: Callable[[str], bytes]) -> list[Finding]:
    """Check the package of a multivariant playlist, or a playlist of media alone.

    Args:
        address: of the playlist, as a URL; what it names is found relative to it.
        fetch: the bytes at an address. It raises OSError when there are none.

    Raises:
        OSError: when the playlist itself cannot be read.
    """
    found = Findings()
    reader = _Reader(address, fetch, found)
    master = playlists.read(fetch(address), address, reader.name(address), found)
    if master.first("EXTM3U") is None:
        # Section 6.3.2: a client must not go on with what is not a playlist.
        return found.all
    if any(tag.name in playlists.MEDIA_TAGS for tag in master.tags):
        renditions.load(master, fetch, found)
        return found.all
    offered = [reader.variant(master, entry.tag("EXT-X-STREAM-INF"), entry.uri) for entry in master.entries]
    media = [reader.variant(master, tag, tag.attributes.get("URI")) for tag in master.every("EXT-X-MEDIA")]
    winding = [
        reader.variant(master, tag, tag.attributes.get("URI")) for tag in master.every("EXT-X-I-FRAME-STREAM-INF")
    ]
    if not offered:
        found.error("tags", master.where, "It offers nothing: there is no EXT-X-STREAM-INF.")
    variants.check(
        master, [one for one in offered if one], [one for one in media if one], [one for one in winding if one], found
    )
    return found.all


class _Reader:
    """Reads each playlist once, however often it is offered."""

    def __init__(self, address: str, fetch: Callable[[str], bytes], found: Findings) -> None:
        self._folder = posixpath.dirname(urlsplit(address).path)
        self._fetch = fetch
        self._found = found
        self._done: dict[str, Rendition | None] = {}

    def name(self, address: str) -> str:
        """An address as findings tell it: its path from the folder of the package."""
        return posixpath.relpath(urlsplit(address).path, self._folder)

    def variant(self, master: Playlist, tag: Tag | None, uri: str | None) -> Variant | None:
        if tag is None:
            self._found.error("tags", master.where, f"{uri} has no EXT-X-STREAM-INF.")
            return None
        rendition = self._rendition(master, uri, tag) if uri else None
        return Variant(tag, master.at(tag.line), uri, rendition)

    def _rendition(self, master: Playlist, uri: str, tag: Tag) -> Rendition | None:
        address = master.resolve(uri)
        if address not in self._done:
            self._done[address] = None
            try:
                data = self._fetch(address)
            except OSError as error:
                self._found.error("missing", master.at(tag.line), f"{uri} cannot be read: {error.strerror or error}.")
            else:
                playlist = playlists.read(data, address, self.name(address), self._found)
                self._done[address] = renditions.load(playlist, self._fetch, self._found)
        return self._done[address]
