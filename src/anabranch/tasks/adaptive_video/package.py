"""Package: the playlists and the manifest over everything that the pieces stored.

Segments are written once, under names that carry the attempt. Playlists have one name each for good, since players
hold it: they grow while chunks are being encoded, become complete at the end, and are written once more when there
are captions.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from anabranch import languages
from anabranch.errors import EncodeError
from anabranch.media import captions, dash, ffmpeg, hls
from anabranch.media.ladder import Rung
from anabranch.media.sound import heard
from anabranch.tasks import Output
from anabranch.tasks.adaptive_video import sound
from anabranch.tasks.desk import StoredFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anabranch.tasks.desk import Desk

Json = Any

TYPES = {"hls": "application/vnd.apple.mpegurl", "dash": "application/dash+xml"}
_MASTER, _MANIFEST = "master.m3u8", "manifest.mpd"
# What a package is made of, to write its playlists again.
DESCRIPTION = "package.json"
# Rate control may miss its cap by this much over one segment.
_OVER_CAP = 1.1


def grow(results: Sequence[dict[str, Json] | None], desk: Desk) -> Output | None:
    """Write playlists over the chunks that are there from the first on, and over the sound so far.

    None while there is not yet something of everything to begin with.
    """
    chunks = _from_the_first([one for one in results if one is None or "renditions" in one])
    sounds = [one for one in results if one is not None and "track" in one]
    wants_video = desk.probe.video is not None
    audible = len(sounds) == len(heard(desk.probe)) and all(one["segments"] for one in sounds)
    if not audible or (wants_video and not chunks):
        return None
    shown = _presentation(chunks, sounds, desk, complete=False)
    for rendition in shown.renditions:
        desk.publish_text(hls.media_playlist(rendition, complete=False), rendition.uri, TYPES["hls"])
    # Once it is there it stays as it is, for nobody reads it twice, until it can say what was measured.
    master = StoredFile(_MASTER, desk.published_key(_MASTER), 0)
    if not desk.is_published(_MASTER):
        master = desk.publish_text(hls.multivariant_playlist(shown), _MASTER, TYPES["hls"])
    return Output("video" if wants_video else "audio", TYPES["hls"], master, facts=_facts(shown, desk, "hls"))


def _from_the_first(chunks: Sequence[dict[str, Json] | None]) -> list[dict[str, Json]]:
    """The chunks that follow one another without a gap."""
    found = []
    for one in chunks:
        if one is None:
            break
        found.append(one)
    return found


def finish(results: Sequence[dict[str, Json]], format_: str, desk: Desk) -> Output:
    """Read the package back, then write its playlists and its manifest."""
    chunks = [one for one in results if "renditions" in one]
    sounds = [one for one in results if "track" in one]
    shown = _presentation(chunks, sounds, desk, complete=True)
    _verify(shown, sum(one["renditions"][0]["frames"] for one in chunks), desk)
    files = [_stored(entry) for entry in _entries(chunks, sounds)]
    storyboard = [_stored(entry) for one in results for entry in one.get("storyboard", [])]
    texts = {rendition.uri: hls.media_playlist(rendition) for rendition in shown.renditions}
    texts |= {video.iframes_uri: hls.iframe_playlist(video) for video in shown.videos}
    files += [desk.publish_text(text, name, TYPES["hls"]) for name, text in texts.items()]
    described = json.dumps(shown.to_dict()).encode()
    files.append(desk.save_bytes(described, DESCRIPTION, "application/json"))
    tops = _write_tops(shown, desk)
    facts = _facts(shown, desk, format_)
    facts |= {f"{name}Url": desk.storage.url(file.key) for name, file in tops.items()}
    if storyboard:
        facts["storyboardUrl"] = desk.storage.url(storyboard[0].key)
    kind = "video" if shown.videos else "audio"
    return Output(kind, TYPES[format_], tops[format_], (*files, *storyboard, *tops.values()), facts=facts)


def caption(described: dict[str, Json], vtt: str, language: str, source: str, desk: Desk) -> list[StoredFile]:
    """Offer captions in a package: store them, and write its playlist and manifest again, under the same names.

    Args:
        described: what is in the package's `DESCRIPTION`.
        vtt: the captions as WebVTT; when there are none in it the package is offered without.
        language: ISO 639 code of what is said.
        source: id of the task that made them; it is in their names, so that others are never written over.
        desk: of the package's task.

    Returns:
        the files that were stored.
    """
    shown = hls.Presentation.from_dict(described)
    if "-->" not in vtt:
        _write_tops(shown, desk)
        return []
    length_s = max(float(rendition.duration_s) for rendition in shown.renditions)
    tag = languages.tag(language)
    stored = desk.publish_text(captions.as_segment(vtt), f"captions/{source}.vtt", "text/vtt")
    offered = hls.Captions(
        uri=f"captions/{source}.m3u8",
        vtt_uri=f"{source}.vtt",
        language=tag,
        name=languages.name(tag) or "Captions",
        size_bytes=stored.size_bytes,
        duration_s=length_s,
    )
    playlist = desk.publish_text(hls.captions_playlist(offered), offered.uri, TYPES["hls"])
    _write_tops(shown.with_captions(offered), desk)
    return [stored, playlist]


def _write_tops(shown: hls.Presentation, desk: Desk) -> dict[str, StoredFile]:
    """Write what players are given, by format."""
    texts = {"hls": (hls.multivariant_playlist(shown), _MASTER), "dash": (dash.manifest(shown), _MANIFEST)}
    return {format_: desk.publish_text(text, name, TYPES[format_]) for format_, (text, name) in texts.items()}


def _presentation(
    chunks: Sequence[dict[str, Json]], sounds: Sequence[dict[str, Json]], desk: Desk, *, complete: bool
) -> hls.Presentation:
    # From chunks of rungs to rungs of chunks.
    rungs = [list(parts) for parts in zip(*(one["renditions"] for one in chunks), strict=True)]
    videos = tuple(_video(parts, desk, complete=complete) for parts in rungs)
    names: list[str] = []
    offered = []
    for one in sounds:
        names.append(_sound_name(one, names))
        offered.append(_sound(one, names[-1], complete=complete))
    return hls.Presentation(videos, tuple(offered))


def _video(parts: list[dict[str, Json]], desk: Desk, *, complete: bool) -> hls.Rendition:
    first, rung = parts[0], Rung.from_dict(parts[0]["rung"])
    if len({part["init_sha256"] for part in parts}) > 1:
        raise EncodeError(
            "verify_failed",
            f"The chunks of {rung.name} were encoded by different versions of ffmpeg and cannot be joined.",
            "Use the same ffmpeg on every worker and run the task again.",
        )
    video = desk.probe.video
    assert video is not None
    return hls.Rendition(
        uri=f"{rung.name}/index.m3u8",
        init_uri=_base(first["init"]),
        init_bytes=first["init"]["size_bytes"],
        timescale=first["timescale"],
        segments=_segments(parts),
        codecs=first["codecs"],
        target_s=first["target_s"],
        width=rung.width,
        height=rung.height,
        frame_rate=video.frame_rate,
        growing_bps=0 if complete else round(rung.maxrate_kbps * 1000 * _OVER_CAP),
    )


def _sound(result: dict[str, Json], name: str, *, complete: bool) -> hls.Sound:
    number = result["track"]
    rendition = hls.Rendition(
        uri=f"{sound.piece_name(number)}/index.m3u8",
        init_uri=_base(result["init"]),
        init_bytes=result["init"]["size_bytes"],
        timescale=result["timescale"],
        segments=_segments([result]),
        codecs="mp4a.40.2",
        target_s=result["target_s"],
        growing_bps=0 if complete else round(sound.KBPS[result["channels"]] * 1000 * _OVER_CAP),
    )
    return hls.Sound(rendition, languages.tag(result["language"]), name, result["channels"], default=number == 0)


def _sound_name(result: dict[str, Json], taken: Sequence[str]) -> str:
    """What people see in a menu: its title, else its language; no two the same (section 4.4.6.1)."""
    # A quoted string of a playlist holds neither quotes nor line breaks (section 4.2).
    title = " ".join(result["title"].replace('"', "'").split())
    wanted = title or languages.name(languages.tag(result["language"])) or "Main"
    return wanted if wanted not in taken else f"{wanted} {result['track'] + 1}"


def _entries(chunks: Sequence[dict[str, Json]], sounds: Sequence[dict[str, Json]]) -> list[dict[str, Json]]:
    """Every stored file that the pieces' results name."""
    parts = [part for one in chunks for part in one["renditions"]] + list(sounds)
    return [entry for part in parts for entry in ([part["init"]] if "init" in part else []) + part["segments"]]


def _stored(entry: dict[str, Json]) -> StoredFile:
    return StoredFile(entry["name"], entry["key"], entry["size_bytes"])


def _base(entry: dict[str, Json]) -> str:
    base: str = entry["key"].rpartition("/")[2]
    return base


def _segments(parts: Sequence[dict[str, Json]]) -> tuple[hls.Segment, ...]:
    return tuple(
        hls.Segment(
            _base(entry),
            entry["duration"],
            entry["size_bytes"],
            tuple((offset, size, ticks) for offset, size, ticks in entry.get("iframes", ())),
        )
        for part in parts
        for entry in part["segments"]
    )


def _facts(shown: hls.Presentation, desk: Desk, format_: str) -> dict[str, Json]:
    """What clients are told of a package."""
    video = desk.probe.video
    beside = shown.sounds[0].rendition.codecs if shown.sounds else None
    return {
        "format": format_,
        "width": video.display_width if video else None,
        "height": video.display_height if video else None,
        "duration": round(float(max(rendition.duration_s for rendition in shown.renditions)), 3),
        "renditions": [_describe(rendition, beside) for rendition in shown.videos],
    }


def _describe(rendition: hls.Rendition, beside: str | None) -> dict[str, Json]:
    return {
        "name": rendition.uri.partition("/")[0],
        "width": rendition.width,
        "height": rendition.height,
        "frameRate": float(rendition.frame_rate or 0),
        "codecs": rendition.codecs + (f",{beside}" if beside else ""),
        "peakBps": rendition.peak_bps,
        "averageBps": rendition.average_bps,
        "sizeBytes": rendition.size_bytes,
    }


def _verify(shown: hls.Presentation, frames: int, desk: Desk) -> None:
    """Read the lowest rung and the sounds back from storage, by their playlists and a reader that is not ours.

    Every segment was checked frame by frame before it was stored; this checks that the whole holds together. The
    lowest rung stands for the others: their playlists are made of the same numbers, and it has the fewest bytes.
    """
    lowest = tuple(sorted(shown.videos, key=lambda video: video.size_bytes)[:1])
    few = hls.Presentation(lowest, shown.sounds)
    copy = desk.scratch / "package"
    for rendition in few.renditions:
        folder = rendition.uri.rpartition("/")[0]
        (copy / folder).mkdir(parents=True)
        (copy / rendition.uri).write_text(hls.media_playlist(rendition))
        for uri in (rendition.init_uri, *(segment.uri for segment in rendition.segments)):
            with (copy / folder / uri).open("wb") as file:
                file.writelines(desk.storage.open(f"{desk.prefix}/{folder}/{uri}"))
    (copy / _MASTER).write_text(hls.multivariant_playlist(few))
    reached: list[ffmpeg.Progress] = []
    given = ["-protocol_whitelist", "file", "-i", str(copy / _MASTER), "-map", "0:v?", "-map", "0:a"]
    given = given if shown.sounds else given[:-2]
    ffmpeg.run(
        desk.ffmpeg,
        [*given, "-c", "copy", "-f", "null", "-"],
        making="a check of the package",
        scratch=desk.scratch,
        on_progress=reached.append,
        cancel=desk.cancel,
    )
    if lowest and reached[-1].frame != frames:
        raise EncodeError(
            "verify_failed",
            f"The package should have {frames} frames and reads as {reached[-1].frame}.",
            "The step is tried again.",
        )
