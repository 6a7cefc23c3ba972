"""DASH: the manifest of a package as text, over the same segments as the playlists. Pure.

Source: ISO/IEC 23009-1:2022. Segments are listed by name, since each name carries the attempt that made it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anabranch.media.hls import Captions, Presentation, Rendition, Sound

_NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"
# Full profile: the segments are listed, which the simpler profiles leave out.
_PROFILE = "urn:mpeg:dash:profile:full:2011"
_BUFFER_S = 6


def manifest(shown: Presentation) -> str:
    """The manifest of a complete package."""
    length_s = max(float(rendition.duration_s) for rendition in shown.renditions)
    mpd = ET.Element(
        "MPD",
        {
            "xmlns": _NAMESPACE,
            "type": "static",
            "profiles": _PROFILE,
            "mediaPresentationDuration": f"PT{length_s:.3f}S",
            "minBufferTime": f"PT{_BUFFER_S}S",
        },
    )
    period = ET.SubElement(mpd, "Period", {"id": "0", "start": "PT0S", "duration": f"PT{length_s:.3f}S"})
    for videos in _by_codec(shown.videos):
        _add_videos(period, videos)
    for sound in shown.sounds:
        _add_sound(period, sound)
    if shown.captions:
        _add_captions(period, shown.captions)
    ET.indent(mpd)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(mpd, encoding="unicode")}\n'


def _by_codec(videos: Sequence[Rendition]) -> list[list[Rendition]]:
    """The rungs of each codec: a player switches within a set, and needs one decoder for it."""
    sets: dict[str, list[Rendition]] = {}
    for video in videos:
        sets.setdefault(video.codecs.partition(".")[0], []).append(video)
    return list(sets.values())


def _add_videos(period: ET.Element, videos: Sequence[Rendition]) -> None:
    attributes = {"contentType": "video", "mimeType": "video/mp4", "segmentAlignment": "true", "startWithSAP": "1"}
    group = ET.SubElement(period, "AdaptationSet", attributes)
    for video in videos:
        size = {"width": str(video.width), "height": str(video.height), "frameRate": str(video.frame_rate)}
        _add_rendition(group, video, size)


def _add_sound(period: ET.Element, sound: Sound) -> None:
    attributes = {"contentType": "audio", "mimeType": "audio/mp4", "segmentAlignment": "true", "startWithSAP": "1"}
    language = {"lang": sound.language} if sound.language else {}
    group = ET.SubElement(period, "AdaptationSet", attributes | language)
    ET.SubElement(group, "Label").text = sound.name
    role = "main" if sound.default else "alternate"
    ET.SubElement(group, "Role", {"schemeIdUri": "urn:mpeg:dash:role:2011", "value": role})
    rendition = _add_rendition(group, sound.rendition, {"audioSamplingRate": str(sound.rendition.timescale)})
    scheme = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"
    channels = ET.Element("AudioChannelConfiguration", {"schemeIdUri": scheme, "value": str(sound.channels)})
    rendition.insert(0, channels)


def _add_captions(period: ET.Element, captions: Captions) -> None:
    attributes = {"contentType": "text", "mimeType": "text/vtt"}
    language = {"lang": captions.language} if captions.language else {}
    group = ET.SubElement(period, "AdaptationSet", attributes | language)
    ET.SubElement(group, "Label").text = captions.name
    ET.SubElement(group, "Role", {"schemeIdUri": "urn:mpeg:dash:role:2011", "value": "caption"})
    rendition = ET.SubElement(group, "Representation", {"id": captions.uri, "bandwidth": str(captions.bps)})
    ET.SubElement(rendition, "BaseURL").text = _beside(captions.uri, captions.vtt_uri)


def _add_rendition(group: ET.Element, rendition: Rendition, about: dict[str, str]) -> ET.Element:
    attributes = {"id": rendition.uri.rpartition("/")[0], "codecs": rendition.codecs} | about
    element = ET.SubElement(group, "Representation", attributes | {"bandwidth": str(rendition.peak_bps)})
    listed = ET.SubElement(element, "SegmentList", {"timescale": str(rendition.timescale)})
    ET.SubElement(listed, "Initialization", {"sourceURL": _beside(rendition.uri, rendition.init_uri)})
    timeline = ET.SubElement(listed, "SegmentTimeline")
    at = 0
    for segment in rendition.segments:
        ET.SubElement(timeline, "S", {"t": str(at), "d": str(segment.duration)})
        at += segment.duration
    for segment in rendition.segments:
        ET.SubElement(listed, "SegmentURL", {"media": _beside(rendition.uri, segment.uri)})
    return element


def _beside(playlist: str, uri: str) -> str:
    """An address relative to a playlist, relative to the manifest."""
    return f"{playlist.rpartition('/')[0]}/{uri}"
