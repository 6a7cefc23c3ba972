"""Playlists, read strictly: tags with their lines and attributes, and the addresses that they lead to.

Source: RFC 8216bis (draft-pantos-hls-rfc8216bis), section 4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin

if TYPE_CHECKING:
    from anabranch.media.conformance.findings import Findings

MEDIA_TAGS = {
    *("EXT-X-TARGETDURATION", "EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE", "EXT-X-ENDLIST"),
    *("EXT-X-PLAYLIST-TYPE", "EXT-X-I-FRAMES-ONLY", "EXT-X-PART-INF", "EXT-X-SERVER-CONTROL"),
    *("EXTINF", "EXT-X-BYTERANGE", "EXT-X-DISCONTINUITY", "EXT-X-KEY", "EXT-X-MAP", "EXT-X-PROGRAM-DATE-TIME"),
    *("EXT-X-GAP", "EXT-X-BITRATE", "EXT-X-PART", "EXT-X-DATERANGE", "EXT-X-SKIP", "EXT-X-PRELOAD-HINT"),
    "EXT-X-RENDITION-REPORT",
}
MULTIVARIANT_TAGS = {
    *("EXT-X-MEDIA", "EXT-X-STREAM-INF", "EXT-X-I-FRAME-STREAM-INF", "EXT-X-SESSION-DATA", "EXT-X-SESSION-KEY"),
    "EXT-X-CONTENT-STEERING",
}
_EITHER_TAGS = {"EXTM3U", "EXT-X-VERSION", "EXT-X-INDEPENDENT-SEGMENTS", "EXT-X-START", "EXT-X-DEFINE"}
_ONCE = {
    *("EXTM3U", "EXT-X-VERSION", "EXT-X-INDEPENDENT-SEGMENTS", "EXT-X-START", "EXT-X-TARGETDURATION"),
    *("EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE", "EXT-X-ENDLIST", "EXT-X-PLAYLIST-TYPE"),
    "EXT-X-I-FRAMES-ONLY",
}
_LISTS = {"EXT-X-MEDIA", "EXT-X-STREAM-INF", "EXT-X-I-FRAME-STREAM-INF", "EXT-X-MAP", "EXT-X-START"}
_NEEDED = {
    "EXT-X-MEDIA": ("TYPE", "GROUP-ID", "NAME"),
    "EXT-X-STREAM-INF": ("BANDWIDTH",),
    "EXT-X-I-FRAME-STREAM-INF": ("BANDWIDTH", "URI"),
    "EXT-X-MAP": ("URI",),
    "EXT-X-START": ("TIME-OFFSET",),
}
_QUOTED, _WHOLE, _YES_OR_NO = r'"[^"]*"', r"\d+", r"YES|NO"
_FORMS = {
    **dict.fromkeys(("URI", "GROUP-ID", "NAME", "LANGUAGE", "ASSOC-LANGUAGE", "CODECS", "CHANNELS"), _QUOTED),
    **dict.fromkeys(("AUDIO", "SUBTITLES", "VIDEO", "CHARACTERISTICS", "INSTREAM-ID", "BYTERANGE"), _QUOTED),
    **dict.fromkeys(("BANDWIDTH", "AVERAGE-BANDWIDTH"), _WHOLE),
    **dict.fromkeys(("DEFAULT", "AUTOSELECT", "FORCED", "PRECISE"), _YES_OR_NO),
    "TYPE": "AUDIO|VIDEO|SUBTITLES|CLOSED-CAPTIONS",
    "RESOLUTION": r"\d+x\d+",
    "FRAME-RATE": r"\d+(\.\d+)?",
    "TIME-OFFSET": r"-?\d+(\.\d+)?",
    "VIDEO-RANGE": "SDR|HLG|PQ",
}
_PAIR = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",\s]+)(,|$)')
# Section 8. EXT-X-MAP outside a playlist of I-frames is the strictest that a plain package meets.
_VERSIONS = {"EXT-X-BYTERANGE": 4, "EXT-X-I-FRAMES-ONLY": 4, "EXT-X-DEFINE": 8, "EXT-X-SKIP": 9}


@dataclass(frozen=True)
class Tag:
    """A line that begins with #EXT.

    Attributes:
        line: from 1.
        name: without the hash.
        value: what stands after the colon.
        attributes: of an attribute list, without quotation marks.
    """

    line: int
    name: str
    value: str
    attributes: dict[str, str]


@dataclass(frozen=True)
class Entry:
    """An address in a playlist.

    Attributes:
        line: from 1.
        uri: as written.
        tags: those between the address before and this one.
    """

    line: int
    uri: str
    tags: tuple[Tag, ...]

    def tag(self, name: str) -> Tag | None:
        """The first tag of a name that belongs to it."""
        return next((tag for tag in self.tags if tag.name == name), None)


@dataclass(frozen=True)
class Playlist:
    """A playlist.

    Attributes:
        address: where it was read.
        where: what it is called in findings.
        tags: all of them.
        entries: the addresses.
    """

    address: str
    where: str
    tags: tuple[Tag, ...]
    entries: tuple[Entry, ...]

    def every(self, name: str) -> list[Tag]:
        """All tags of a name."""
        return [tag for tag in self.tags if tag.name == name]

    def first(self, name: str) -> Tag | None:
        """The first tag of a name."""
        return next(iter(self.every(name)), None)

    def at(self, line: int) -> str:
        """A line of it, as findings tell."""
        return f"{self.where}:{line}"

    def resolve(self, uri: str) -> str:
        """The address that a URI in it means."""
        return urljoin(self.address, uri)


def read(data: bytes, address: str, where: str, found: Findings) -> Playlist:
    """Read a playlist, and check what can be known from its text alone."""
    tags, entries, since = [], [], 0
    for number, line in enumerate(_lines(data, where, found), 1):
        if line.startswith("#EXT"):
            tags.append(_tag(line, number, where, found))
        elif line and not line.startswith("#"):
            entries.append(Entry(number, line, tuple(tags[since:])))
            since = len(tags)
    playlist = Playlist(address, where, tuple(tags), tuple(entries))
    _check_tags(playlist, found)
    _check_version(playlist, found)
    _check_addresses(playlist, found)
    return playlist


def _lines(data: bytes, where: str, found: Findings) -> list[str]:
    if data.startswith(b"\xef\xbb\xbf"):
        found.error("text", where, "It begins with a byte order mark.")
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        found.error("text", where, f"It is not UTF-8: {error.reason} at byte {error.start}.")
        text = data.decode(errors="replace")
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[0] != "#EXTM3U":
        found.error("text", f"{where}:1", "The first line is not #EXTM3U.")
    # The first is enough: what is not a playlist at all has many.
    odd = next((number for number, line in enumerate(lines, 1) if re.search(r"[\x00-\x1f\x7f-\x9f]", line)), None)
    if odd is not None:
        found.error("text", f"{where}:{odd}", "It has a control character.")
    return lines


def _tag(line: str, number: int, where: str, found: Findings) -> Tag:
    name, _, value = line[1:].partition(":")
    attributes = _attributes(name, value, f"{where}:{number}", found) if name in _LISTS else {}
    return Tag(number, name, value, attributes)


def _attributes(tag: str, value: str, where: str, found: Findings) -> dict[str, str]:
    attributes: dict[str, str] = {}
    at = 0
    while at < len(value):
        pair = _PAIR.match(value, at)
        if pair is None:
            found.error("attributes", where, f"{tag} is not a list of attributes from {value[at : at + 30]!r} on.")
            break
        name, given = pair[1], pair[2]
        if name in attributes:
            found.error("attributes", where, f"{name} is given twice.")
        if name in _FORMS and not re.fullmatch(_FORMS[name], given):
            found.error("attributes", where, f"{name} cannot be {given}.")
        else:
            attributes[name] = given.strip('"')
        at = pair.end()
    if value.endswith(","):
        found.error("attributes", where, f"{tag} ends with a comma.")
    for name in _NEEDED[tag]:
        if name not in attributes:
            found.error("attributes", where, f"{tag} has no {name}.")
    return attributes


def _check_tags(playlist: Playlist, found: Findings) -> None:
    names = [tag.name for tag in playlist.tags]
    for number, tag in enumerate(playlist.tags):
        if tag.name not in MEDIA_TAGS | MULTIVARIANT_TAGS | _EITHER_TAGS:
            found.warning("tags", playlist.at(tag.line), f"{tag.name} is not known; players pass it over.")
        if tag.name in _ONCE and tag.name in names[:number]:
            found.error("tags", playlist.at(tag.line), f"{tag.name} stands twice.")
    if MEDIA_TAGS & set(names) and MULTIVARIANT_TAGS & set(names):
        found.error("tags", playlist.where, "It has tags of a multivariant playlist and of one of media.")


def _check_version(playlist: Playlist, found: Findings) -> None:
    needed, reason = _needed_version(playlist)
    stated = playlist.first("EXT-X-VERSION")
    if stated is None:
        if needed > 1:
            found.error("version", playlist.where, f"EXT-X-VERSION is missing; {reason} needs {needed}.")
    elif not re.fullmatch(r"\d+", stated.value):
        found.error("version", playlist.at(stated.line), f"{stated.value} is not a version.")
    elif int(stated.value) < needed:
        found.error("version", playlist.at(stated.line), f"It is {stated.value}, and {reason} needs {needed}.")


def _needed_version(playlist: Playlist) -> tuple[int, str]:
    needs = [(1, "")]
    is_winding = playlist.first("EXT-X-I-FRAMES-ONLY") is not None
    for tag in playlist.tags:
        if tag.name == "EXTINF" and "." in tag.value:
            needs.append((3, "an EXTINF with a fraction"))
        if tag.name == "EXT-X-MAP":
            needs.append((5 if is_winding else 6, "EXT-X-MAP"))
        if tag.name in _VERSIONS:
            needs.append((_VERSIONS[tag.name], tag.name))
    return max(needs)


def _check_addresses(playlist: Playlist, found: Findings) -> None:
    named = [(tag.line, tag.attributes["URI"]) for tag in playlist.tags if "URI" in tag.attributes]
    for line, uri in [*named, *((entry.line, entry.uri) for entry in playlist.entries)]:
        if "://" in uri or uri.startswith("/"):
            found.warning("uri", playlist.at(line), f"{uri} is not relative; the package cannot be moved.")
