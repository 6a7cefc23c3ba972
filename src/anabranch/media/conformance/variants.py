"""Variants: what a multivariant playlist promises, against what its renditions are."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anabranch.media.conformance.findings import Findings
    from anabranch.media.conformance.playlists import Playlist, Tag
    from anabranch.media.conformance.renditions import Rendition

# RFC 5646 section 2.1, without what was grandfathered.
_LANGUAGE = re.compile(
    r"(?P<language>[a-z]{2,3})(-[a-z]{3}){0,3}(-[a-z]{4})?(-([a-z]{2}|\d{3}))?(-([a-z\d]{5,8}|\d[a-z\d]{3}))*"
    r"(-[a-wy-z\d](-[a-z\d]{2,8})+)*(-x(-[a-z\d]{1,8})+)?",
    re.IGNORECASE,
)
# Section 2.2.1 wants the code of two letters where there is one. Containers write three; these are the usual ones.
_THREE_LETTERS = re.compile(
    "ara|bul|cat|ces|cze|dan|deu|ger|ell|gre|eng|est|eus|baq|fas|per|fin|fra|fre|glg|heb|hin|hrv|hun|ind|isl|ice|ita|"
    "jpn|kor|lav|lit|mkd|mac|msa|may|nld|dut|nor|pol|por|ron|rum|rus|slk|slo|slv|spa|sqi|alb|srp|swe|tam|tel|tha|tur|"
    "ukr|urd|vie|zho|chi",
    re.IGNORECASE,
)
_GROUPS = ("AUDIO", "SUBTITLES", "VIDEO")
_TENTH = Fraction(1, 10)
_APART_S = Fraction(1, 2)
_KEYFRAMES_S, _SEGMENT_S, _RUNGS = 2, 6, 3


@dataclass(frozen=True)
class Variant:
    """A line that offers a rendition: EXT-X-STREAM-INF, EXT-X-MEDIA or EXT-X-I-FRAME-STREAM-INF.

    Attributes:
        tag: the line.
        where: the line, as findings tell.
        uri: the address of its playlist, or None when it has none of its own.
        rendition: what is there; None when it cannot be read.
    """

    tag: Tag
    where: str
    uri: str | None
    rendition: Rendition | None

    def get(self, attribute: str) -> str:
        """An attribute, or an empty text."""
        return self.tag.attributes.get(attribute, "")

    @property
    def kind(self) -> str:
        """`vide`, `soun`, or empty for text."""
        track = self.rendition.track if self.rendition else None
        return track.kind if track else ""

    @property
    def family(self) -> str:
        """Its codec, without profile and level."""
        track = self.rendition.track if self.rendition else None
        return track.codec.partition(".")[0] if track else ""


def check(
    master: Playlist, variants: Sequence[Variant], media: Sequence[Variant], winding: Sequence[Variant], found: Findings
) -> None:
    """Check all that a multivariant playlist says."""
    groups: dict[tuple[str, str], list[Variant]] = defaultdict(list)
    for one in media:
        groups[one.get("TYPE"), one.get("GROUP-ID")].append(one)
    _check_groups(master, variants, groups, found)
    for members in groups.values():
        _check_members(members, found)
    for one in media:
        _check_medium(one, found)
    for variant in variants:
        _check_variant(variant, groups, found)
    for variant in winding:
        _check_winding(variant, variants, found)
    _check_independent(master, [*variants, *media], found)
    _check_repeats(variants, media, winding, found)
    videos = _once([variant for variant in variants if variant.kind == "vide"])
    _check_alignment(videos, found)
    _check_durations([*videos, *(one for one in media if one.rendition)], found)
    _check_advice(master, videos, winding, found)


def _check_groups(
    master: Playlist, variants: Sequence[Variant], groups: Mapping[tuple[str, str], list[Variant]], found: Findings
) -> None:
    used = {(kind, variant.get(kind)) for variant in variants for kind in _GROUPS if variant.get(kind)}
    for variant in variants:
        for kind in _GROUPS:
            if variant.get(kind) and (kind, variant.get(kind)) not in groups:
                found.error("groups", variant.where, f"There is no {kind} group {variant.get(kind)!r}.")
    for (kind, name), members in groups.items():
        if kind in _GROUPS and (kind, name) not in used:
            found.error("groups", members[0].where, f"No variant names the {kind} group {name!r}.")
    # 4.4.6.2.1: a player that goes from one group to another looks for the same name.
    for kind in _GROUPS:
        names = {frozenset(one.get("NAME") for one in members) for (of, _), members in groups.items() if of == kind}
        if len(names) > 1:
            found.error("groups", master.where, f"The {kind} groups do not have the same names.")


def _check_members(members: Sequence[Variant], found: Findings) -> None:
    for name, count in Counter(one.get("NAME") for one in members).items():
        if count > 1:
            found.error("name", members[0].where, f"{count} renditions of the group are called {name!r}.")
    defaults = sum(one.get("DEFAULT") == "YES" for one in members)
    if defaults > 1:
        found.error("default", members[0].where, f"{defaults} renditions of the group are DEFAULT.")
    elif not defaults and members[0].get("TYPE") == "AUDIO":
        found.warning("default", members[0].where, "No rendition of the group is DEFAULT; players choose one.")


def _check_medium(one: Variant, found: Findings) -> None:
    if one.get("DEFAULT") == "YES" and one.get("AUTOSELECT") == "NO":
        found.error("attributes", one.where, "A rendition that is DEFAULT cannot be AUTOSELECT=NO.")
    if one.get("TYPE") == "SUBTITLES" and not one.get("URI"):
        found.error("attributes", one.where, "Subtitles have no URI.")
    language = one.get("LANGUAGE")
    if "LANGUAGE" in one.tag.attributes:
        match = _LANGUAGE.fullmatch(language)
        if match is None:
            found.error("language", one.where, f"{language!r} is not a tag of a language.")
        elif _THREE_LETTERS.fullmatch(match["language"]):
            found.error("language", one.where, f"{language!r} should be the code of two letters.")
    track = one.rendition.track if one.rendition else None
    channels = one.get("CHANNELS").split("/")[0]
    if track and track.kind == "soun" and channels and channels != str(track.channels):
        found.error("channels", one.where, f"CHANNELS is {channels}, and the sound has {track.channels}.")


def _check_variant(variant: Variant, groups: Mapping[tuple[str, str], list[Variant]], found: Findings) -> None:
    own = variant.rendition
    if own is None or any(variant.get(kind) and (kind, variant.get(kind)) not in groups for kind in _GROUPS):
        return
    beside = [[one.rendition for one in groups.get((kind, variant.get(kind)), []) if one.rendition] for kind in _GROUPS]
    # 4.4.6.2: the largest sum that any combination of renditions comes to.
    peak = own.peak_bps + sum(max((one.peak_bps for one in group), default=Fraction(0)) for group in beside)
    average = own.average_bps + sum(max((one.average_bps for one in group), default=Fraction(0)) for group in beside)
    everything = [own, *(one for group in beside for one in group)]
    _check_rates(variant, peak, average, found, is_whole=all(one.has_ended for one in everything))
    _check_codecs(variant, everything, found)
    if variant.kind == "vide":
        _check_size(variant, own, found)
        _check_frame_rate(variant, own, found)


def _check_rates(variant: Variant, peak: Fraction, average: Fraction, found: Findings, *, is_whole: bool) -> None:
    """What a playlist that grows will come to is not known; that it is too little already is."""
    stated = variant.get("BANDWIDTH")
    if stated and int(stated) < int(peak):
        found.error("bandwidth", variant.where, f"BANDWIDTH is {stated}, and the measured peak is {int(peak)}.")
    elif stated and is_whole and int(stated) > peak * (1 + _TENTH):
        found.error(
            "bandwidth", variant.where, f"BANDWIDTH is {stated}, 10 % more than the measured peak, {int(peak)}."
        )
    stated = variant.get("AVERAGE-BANDWIDTH")
    if not stated:
        found.warning("average-bandwidth", variant.where, "AVERAGE-BANDWIDTH is missing.")
    elif is_whole and abs(int(stated) - average) > average * _TENTH:
        found.error(
            "average-bandwidth", variant.where, f"AVERAGE-BANDWIDTH is {stated}, and {int(average)} was measured."
        )
    if is_whole and peak > 2 * average:
        found.warning(
            "peak-ratio", variant.where, f"The peak, {int(peak)}, is more than twice the average, {int(average)}."
        )


def _check_codecs(variant: Variant, renditions: Sequence[Rendition], found: Findings) -> None:
    if not all(one.is_whole for one in renditions):
        return
    # Subtitles have no name that playlists must tell; what stands after the depth of AV1 may be left out.
    said = {_short(codec.strip()) for codec in variant.get("CODECS").split(",") if codec.strip()}
    there = {_short(one.track.codec) for one in renditions if one.track}
    if "CODECS" not in variant.tag.attributes:
        found.error("codecs", variant.where, f"CODECS is missing; it would be {','.join(sorted(there))}.")
    elif said - {"wvtt"} != there:
        found.error(
            "codecs", variant.where, f"CODECS is {variant.get('CODECS')}, and there is {','.join(sorted(there))}."
        )
    if any(codec.startswith("hev1") for codec in there):
        found.warning("codecs", variant.where, "HEVC is hev1; Apple's players want hvc1.")


def _short(codec: str) -> str:
    return ".".join(codec.split(".")[:4]).lower() if codec.startswith("av01") else codec.lower()


def _check_size(variant: Variant, own: Rendition, found: Findings) -> None:
    assert own.track is not None
    shown = f"{own.track.width}x{own.track.height}"
    if not variant.get("RESOLUTION"):
        found.error("resolution", variant.where, f"RESOLUTION is missing; it would be {shown}.")
    elif variant.get("RESOLUTION") != shown:
        found.error(
            "resolution", variant.where, f"RESOLUTION is {variant.get('RESOLUTION')}, and pictures are {shown}."
        )


def _check_frame_rate(variant: Variant, own: Rendition, found: Findings) -> None:
    rate = own.frame_rate
    if not variant.get("FRAME-RATE"):
        found.warning("frame-rate", variant.where, "FRAME-RATE is missing.")
    elif rate is not None and abs(Fraction(variant.get("FRAME-RATE")) - rate) > Fraction(6, 10_000):
        found.error(
            "frame-rate", variant.where, f"FRAME-RATE is {variant.get('FRAME-RATE')}, and it is {float(rate):.3f}."
        )


def _check_winding(variant: Variant, variants: Sequence[Variant], found: Findings) -> None:
    own = variant.rendition
    if own is None:
        return
    if own.playlist.first("EXT-X-I-FRAMES-ONLY") is None:
        found.error("i-frame-range", own.where, "EXT-X-I-FRAMES-ONLY is missing.")
    _check_rates(variant, own.peak_bps, own.average_bps, found, is_whole=own.has_ended)
    _check_codecs(variant, [own], found)
    if own.track:
        _check_size(variant, own, found)
    lengths = [one.rendition.duration_s for one in variants if one.kind == "vide" and one.rendition]
    frame_s = 1 / (own.frame_rate or Fraction(25))
    if own.is_whole and own.has_ended and all(abs(length - own.duration_s) > frame_s for length in lengths):
        said = f"The I-frames last {float(own.duration_s):.3f} s together, and no rung does."
        found.error("i-frame-duration", own.where, said)


def _check_independent(master: Playlist, renditions: Sequence[Variant], found: Findings) -> None:
    if master.first("EXT-X-INDEPENDENT-SEGMENTS"):
        return
    for one in _once(renditions):
        if one.rendition and not one.rendition.playlist.first("EXT-X-INDEPENDENT-SEGMENTS") and one.rendition.track:
            found.warning(
                "independent", one.rendition.where, "EXT-X-INDEPENDENT-SEGMENTS stands neither here nor above."
            )


def _check_repeats(
    variants: Sequence[Variant], media: Sequence[Variant], winding: Sequence[Variant], found: Findings
) -> None:
    seen: set[tuple[str, ...]] = set()
    for one in [*variants, *media, *winding]:
        # The same pictures may be offered once for each group of sound.
        key = (one.tag.name, one.uri or "", *(one.get(kind) for kind in (*_GROUPS, "GROUP-ID")))
        if one.uri and key in seen:
            found.error("listed-twice", one.where, f"{one.uri} is offered twice.")
        seen.add(key)


def _once(variants: Sequence[Variant]) -> list[Variant]:
    """The first variant of each playlist."""
    return list({one.uri: one for one in reversed(variants)}.values())[::-1]


def _check_alignment(videos: Sequence[Variant], found: Findings) -> None:
    """Times in each rung against those of the first; of keyframes, against the first of the codec."""
    firsts: dict[str, Rendition] = {}
    for variant in videos:
        own = variant.rendition
        assert own is not None
        _compare("Segments", own, firsts.setdefault("", own), own.starts_s, firsts[""].starts_s, found)
        first = firsts.setdefault(variant.family, own)
        _compare("Keyframes", own, first, own.syncs_s, first.syncs_s, found)


def _compare(
    what: str, own: Rendition, first: Rendition, times: list[Fraction], others: list[Fraction], found: Findings
) -> None:
    if own is first or own.track is None or first.track is None or not (own.is_whole and first.is_whole):
        return
    tick = Fraction(1, min(own.track.timescale, first.track.timescale))
    for number, (time, other) in enumerate(zip(times, others, strict=False)):
        if abs(time - other) > tick:
            apart = f"number {number} is at {float(time):g} s, not {float(other):g} s"
            found.error("alignment", own.where, f"{what} are not those of {first.where}: {apart}.")
            return
    if len(times) != len(others) and own.has_ended and first.has_ended:
        found.error("alignment", own.where, f"{what}: there are {len(times)}, and {len(others)} in {first.where}.")


def _check_durations(renditions: Sequence[Variant], found: Findings) -> None:
    whole = [
        one.rendition for one in renditions if one.rendition and one.rendition.has_ended and one.rendition.is_whole
    ]
    for one in whole[1:]:
        if abs(one.duration_s - whole[0].duration_s) > _APART_S:
            lasts, first = float(one.duration_s), float(whole[0].duration_s)
            found.warning("durations", one.where, f"It lasts {lasts:.3f} s, and {whole[0].where} {first:.3f} s.")


def _check_advice(master: Playlist, videos: Sequence[Variant], winding: Sequence[Variant], found: Findings) -> None:
    for family, count in Counter(one.family for one in videos).items():
        if count < _RUNGS:
            found.warning("rungs", master.where, f"There are {count} rungs of {family}; three are a ladder.")
    if videos and not winding:
        found.warning(
            "i-frames", master.where, "There are no I-frame playlists; players cannot show where they wind to."
        )
    for variant in videos:
        own = variant.rendition
        assert own is not None
        if own.target_s != _SEGMENT_S and len(own.segments) > 1:
            found.warning("segment-length", own.where, f"The target duration is {own.target_s} s, not {_SEGMENT_S}.")
        frame_s = 1 / own.frame_rate if own.frame_rate else Fraction(0)
        times = [*own.syncs_s, own.end_s]
        apart = max((after - before for before, after in pairwise(times)), default=Fraction(0))
        if own.is_whole and apart > _KEYFRAMES_S + frame_s:
            found.warning(
                "keyframe-interval", own.where, f"There are up to {float(apart):.2f} s between two keyframes."
            )
