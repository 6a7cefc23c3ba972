"""Picture: the filters that turn any video track into upright, square-pixelled, standard-range pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anabranch.errors import SetupError

if TYPE_CHECKING:
    from anabranch.media.ffmpeg import Ffmpeg
    from anabranch.media.probe import VideoTrack

# The turn is in the pixels: Safari's HLS reader ignores the rotation matrix of fragmented MP4.
_TURNS = {0: [], 90: ["transpose=clock"], 180: ["hflip", "vflip"], 270: ["transpose=cclock"]}
_KNOWN_SPACES = {"bt709", "smpte170m", "bt470bg", "bt2020nc"}
# The matrix that asked for the turn would make players turn it once more.
_TURNED = "sidedata=mode=delete:type=DISPLAYMATRIX"
# Declares what the pixels now are, so that players need not guess. ITU-R BT.709-6.
_TAGS = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"


def requires(video: VideoTrack) -> tuple[str, ...]:
    """The filters that `upright` needs beside those that every ffmpeg has, each as `filter:` and its name."""
    return ("filter:tonemap", "filter:zscale") if video.hdr else ()


def upright(video: VideoTrack, ffmpeg: Ffmpeg) -> list[str]:
    """Filters from the decoder to pictures as people should see them: BT.709, 8 bit, 4:2:0, square pixels.

    To be used with `-noautorotate`, since versions of ffmpeg differ in what they turn by themselves.

    Raises:
        SetupError: `hdr_unsupported` for a high dynamic range source when ffmpeg lacks zscale or tonemap.
    """
    filters = ["bwdif=mode=send_frame:deint=interlaced"] if video.interlaced else []
    filters += _TURNS[video.rotation]
    filters += ["hflip"] if video.mirrored else []
    filters += _square(video)
    filters += _standard_range(video, ffmpeg) if video.hdr else _standard_color(video)
    return [*filters, "format=yuv420p", _TURNED, _TAGS]


def _square(video: VideoTrack) -> list[str]:
    coded = (video.width, video.height)
    stored = coded if video.rotation in (0, 180) else coded[::-1]
    shown = (video.display_width, video.display_height)
    return ["setsar=1"] if stored == shown else [f"scale={shown[0]}:{shown[1]}", "setsar=1"]


def _standard_range(video: VideoTrack, ffmpeg: Ffmpeg) -> list[str]:
    if not {"zscale", "tonemap"} <= ffmpeg.filters:
        raise SetupError(
            "hdr_unsupported",
            f"The source is HDR ({video.color_transfer}) and {ffmpeg.path} was built without zscale or tonemap.",
            "Point ANABRANCH_FFMPEG at a build that has both, or unset it to use the one that is shipped.",
        )
    matrix = video.color_space if video.color_space in _KNOWN_SPACES else "bt2020nc"
    return [
        # Tags are spelt out, since zscale refuses a source that leaves one open.
        f"zscale=tin={video.color_transfer}:pin=bt2020:min={_zscale_matrix(matrix)}:rin=tv:t=linear:npl=100",
        "format=gbrpf32le",
        "zscale=p=bt709",
        # Keeps mid-tones where they are and rolls highlights off; desat=0 keeps them from going grey.
        "tonemap=tonemap=hable:desat=0",
        "zscale=t=bt709:m=bt709:r=tv",
    ]


def _zscale_matrix(space: str) -> str:
    return {"bt2020nc": "bt2020nc", "bt709": "bt709", "smpte170m": "170m", "bt470bg": "470bg"}[space]


def _standard_color(video: VideoTrack) -> list[str]:
    """Convert the matrix and range only where they differ: each conversion costs a pass over the pixels."""
    space = video.color_space
    if space not in _KNOWN_SPACES:
        # What players assume of untagged video: BT.601 for standard definition, BT.709 above.
        space = "bt709" if min(video.width, video.height) >= 720 else "smpte170m"
    if space == "bt709" and video.color_range != "pc":
        return []
    source_range = "pc" if video.color_range == "pc" else "tv"
    matrix = {"bt2020nc": "bt2020"}.get(space, space)
    return [f"scale=in_color_matrix={matrix}:out_color_matrix=bt709:in_range={source_range}:out_range=tv"]
