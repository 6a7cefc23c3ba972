"""Adaptive video: an HLS and DASH package. The video is encoded chunk by chunk, each track of sound as a whole.

A chunk is decoded once and scaled down in a cascade, so all its rungs come from one pass over the source. What
ffmpeg writes for a chunk are final segments: fragments whose times continue those of the chunk before. So chunks
are encoded in any order, by anybody, and joining them is writing playlists.

    chunk.py     frames of the video, as all rungs
    sound.py     a track of sound; its segments are there while it is still being encoded
    package.py   playlists and manifest over what the pieces stored: while it grows, at the end, and with captions
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from anabranch.media import chunks, codecs, ladder, picture
from anabranch.media.ladder import Wish
from anabranch.media.sound import heard
from anabranch.tasks import Kind, Options, Output, Piece, capabilities
from anabranch.tasks.adaptive_video import chunk, package, sound
from anabranch.tasks.thumbnails import Thumbnails, ThumbnailsOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anabranch.media.probe import Probe
    from anabranch.tasks.desk import Desk

Json = Any

_THUMBNAILS = Thumbnails()
# A storyboard is wanted when somebody winds, not when the film begins.
_STORYBOARD_AT_S = 60.0


class LadderRung(BaseModel):
    """A rung that is asked for.

    Attributes:
        height: of a 16:9 picture, in pixels: 720 is 720p, whichever way the picture stands.
        bitrate: the cap, in bits a second; the usual one of that size when absent.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    height: Annotated[int, Field(ge=144, le=4320, multiple_of=2)]
    bitrate: Annotated[int | None, Field(ge=50_000, le=100_000_000)] = None


def _read_rung(given: Json) -> Json:
    return {"height": given} if isinstance(given, int) else given


class AdaptiveVideoOptions(Options):
    """Options of `adaptive_video`.

    Attributes:
        format: which address the output has; both are made of the same segments.
        quality: constant quality of the encode; what it costs follows the content, up to each rung's cap.
        preset: of the encoder: slower ones make smaller files.
        ladder: the rungs, as heights such as 720 or as `{"height": 720, "bitrate": 2000000}`; chosen by the source
            when absent.
        codecs: each makes every rung; h264 plays everywhere.
        passthrough: whether a source that players take as it is is offered as the top rung, not encoded again.
        storyboard: whether there is a sheet of small pictures for the scrub bar.
    """

    format: Literal["hls", "dash"] = "hls"
    quality: Literal["very_low", "low", "medium", "high", "very_high"] = "medium"
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower"] = "veryfast"
    ladder: Annotated[tuple[Annotated[LadderRung, BeforeValidator(_read_rung)], ...], Field(max_length=8)] = ()
    codecs: Annotated[tuple[Literal["h264", "hevc", "av1"], ...], Field(min_length=1)] = ("h264",)
    passthrough: bool = False
    storyboard: bool = True

    @model_validator(mode="after")
    def _check(self) -> AdaptiveVideoOptions:
        heights = [rung.height for rung in self.ladder]
        if len(set(heights)) < len(heights):
            raise ValueError("ladder has a height twice")
        if len(set(self.codecs)) < len(self.codecs):
            raise ValueError("codecs has one twice")
        if self.passthrough and self.codecs != ("h264",):
            raise ValueError("passthrough goes with the codec h264 alone")
        return self

    @property
    def wishes(self) -> tuple[Wish, ...]:
        """The rungs that are asked for."""
        return tuple(Wish(rung.height, rung.bitrate and rung.bitrate // 1000) for rung in self.ladder)


class AdaptiveVideo(Kind[AdaptiveVideoOptions]):
    """Adaptive bit rate video by HTTP Live Streaming and MPEG-DASH, in fragmented MP4."""

    name = "adaptive_video"
    options = AdaptiveVideoOptions
    grows = True

    def plan(self, options: AdaptiveVideoOptions, probe: Probe) -> list[Piece]:
        """Each chunk of the video as one piece, and each track of sound."""
        # The first chunk goes before the sound, which is longer: both are needed before anybody can watch.
        cut = _chunks(options, probe)
        sounds = [
            Piece(sound.piece_name(number), {"track": number}, weight=probe.duration_s * 2)
            for number in range(len(heard(probe)))
        ]
        pieces = [*cut[:1], *sounds, *cut[1:]]
        if probe.video is not None and options.storyboard:
            position_s = min(_STORYBOARD_AT_S, probe.duration_s)
            pieces.append(Piece("storyboard", weight=probe.duration_s, position_s=position_s, optional=True))
        return pieces

    def perform(self, piece: Piece, options: AdaptiveVideoOptions, desk: Desk) -> dict[str, Json]:
        """Encode one chunk with all its rungs, or a track of sound, or make the storyboard."""
        if piece.name == "storyboard":
            return {"storyboard": _THUMBNAILS.perform(piece, ThumbnailsOptions(), desk)["files"]}
        if "track" in piece.arguments:
            return sound.encode(piece.arguments["track"], desk)
        return chunk.encode(piece, desk, quality=options.quality, preset=options.preset)

    def grow(
        self,
        results: Sequence[dict[str, Json] | None],
        options: AdaptiveVideoOptions,  # noqa: ARG002
        desk: Desk,
    ) -> Output | None:
        """Write playlists over what is there from the beginning on; None while that is not enough to begin with."""
        return package.grow(results, desk)

    def join(self, results: Sequence[dict[str, Json]], options: AdaptiveVideoOptions, desk: Desk) -> Output:
        """Read the whole package back, and write its playlists and its manifest."""
        if not results:
            return Output("video", package.TYPES[options.format], None, reason="no_tracks")
        return package.finish(results, options.format, desk)


def _chunks(options: AdaptiveVideoOptions, probe: Probe) -> list[Piece]:
    video = probe.video
    if video is None:
        return []
    # Only an index tells for certain where a picture can be entered.
    copy = options.passthrough and probe.format == "mov"
    rungs = ladder.rungs(video, options.wishes, options.codecs, copy=copy)
    cuts = chunks.cut_at_keyframes(video) if rungs[0].copied else chunks.cut(video)
    target_s = max(cut.longest_segment for cut in cuts) / float(video.frame_rate)
    made = [rung.to_dict() for rung in rungs]
    encoded = [rung for rung in rungs if not rung.copied]
    required = capabilities.encoders(*(codecs.ENCODERS[rung.codec] for rung in encoded))
    required += picture.requires(video) if encoded else ()
    return [
        Piece(
            f"chunk-{number:04}",
            {"number": number, "chunk": cut.to_dict(), "rungs": made, "target_s": target_s},
            weight=float(cut.frames),
            slot="rungs" if len(rungs) > 1 else "cpu",
            position_s=cut.start / float(video.frame_rate),
            requires=required,
        )
        for number, cut in enumerate(cuts)
    ]
