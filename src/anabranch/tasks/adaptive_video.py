"""Adaptive video: an HLS package. The video is encoded chunk by chunk, the sound once as a whole.

A chunk is decoded once and scaled down in a cascade, so all its rungs come from one pass over the source. What
ffmpeg writes for a chunk are final segments: fragments whose times continue those of the chunk before. So chunks
are encoded in any order, by anybody, and joining them is writing playlists.
"""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING, Any, Literal

from anabranch.errors import EncodeError
from anabranch.media import chunks, ffmpeg, fmp4, hls, ladder, opening, picture, sound
from anabranch.media.ladder import Rung
from anabranch.tasks import Kind, Options, Output, Piece
from anabranch.tasks.desk import StoredFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction
    from pathlib import Path

    from anabranch.media.probe import AudioTrack, Probe, VideoTrack
    from anabranch.tasks.desk import Desk

Json = Any

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
# Constant quality for each rung; the rung's maxrate caps what hard pictures may cost. 23 is x264's default.
_CRF = 23
# Ticks in a frame are whole at any rate, and fine enough for players that round to milliseconds.
_TICKS_A_FRAME = 1000
_AUDIO_KBPS = {1: 64, 2: 128}


class AdaptiveVideoOptions(Options):
    """Options of `adaptive_video`.

    Attributes:
        format: how it is packaged.
    """

    format: Literal["hls"] = "hls"


class AdaptiveVideo(Kind[AdaptiveVideoOptions]):
    """Adaptive bit rate video by HTTP Live Streaming, in fragmented MP4."""

    name = "adaptive_video"
    options = AdaptiveVideoOptions

    def plan(self, options: AdaptiveVideoOptions, probe: Probe) -> list[Piece]:  # noqa: ARG002
        """The sound as one piece, and each chunk of the video as one."""
        pieces = [Piece("audio", weight=probe.duration_s * 2)] if probe.audio else []
        if probe.video is None:
            return pieces
        rungs = [rung.to_dict() for rung in ladder.rungs(probe.video)]
        for number, chunk in enumerate(chunks.cut(probe.video)):
            arguments = {"number": number, "start": chunk.start, "end": chunk.end, "rungs": rungs}
            position_s = float(chunk.start / probe.video.frame_rate)
            pieces.append(Piece(f"chunk-{number:04}", arguments, weight=float(chunk.frames), position_s=position_s))
        return pieces

    def perform(self, piece: Piece, options: AdaptiveVideoOptions, desk: Desk) -> dict[str, Json]:  # noqa: ARG002
        """Encode one chunk with all its rungs, or the sound."""
        if piece.name == "audio":
            return _encode_sound(desk)
        return _encode_chunk(piece, desk)

    def join(
        self,
        results: Sequence[dict[str, Json]],
        options: AdaptiveVideoOptions,  # noqa: ARG002
        desk: Desk,
    ) -> Output:
        """Write the playlists over the segments, and read the whole package back."""
        if not results:
            return Output("video", PLAYLIST_TYPE, None, reason="no_tracks")
        package = _Package(results, desk)
        master = package.write()
        _verify(package, desk)
        return package.output(master)


def _encode_chunk(piece: Piece, desk: Desk) -> dict[str, Json]:
    video = desk.probe.video
    assert video is not None
    start, end = piece.arguments["start"], piece.arguments["end"]
    rungs = [Rung.from_dict(rung) for rung in piece.arguments["rungs"]]
    files = [desk.scratch / f"{rung.name}.mp4" for rung in rungs]
    is_last = end >= round(video.end_s * video.frame_rate)

    def report(progress: ffmpeg.Progress) -> None:
        desk.on_progress(progress.frame / (end - start), progress.speed)

    def encode(seek: bool) -> list[fmp4.Fragmented]:
        arguments = chunk_arguments(desk, video, start, end, rungs, files, seek=seek, is_last=is_last)
        ffmpeg.run(
            desk.ffmpeg,
            arguments,
            making=f"frames {start} to {end} of the video",
            scratch=desk.scratch,
            on_progress=report,
            cancel=desk.cancel,
        )
        return [fmp4.parse(file.read_bytes()) for file in files]

    made = encode(seek=True)
    if start > 0 and not _is_exact(made, video, start, end):
        # Some containers cannot be entered exactly in the middle; then it is decoded from the beginning.
        made = encode(seek=False)
    if not _is_exact(made, video, start, end) and not (desk.probe.damaged and made[0].samples <= end - start):
        raise EncodeError(
            "verify_failed",
            f"Frames {start} to {end} were asked for, and {made[0].samples} came, "
            f"beginning at frame {made[0].fragments[0].start / _frame_ticks(video)}.",
            "The step is tried again.",
        )
    renditions = [_save_chunk(piece, rung, one, desk) for rung, one in zip(rungs, made, strict=True)]
    return {"renditions": renditions}


def chunk_arguments(
    desk: Desk,
    video: VideoTrack,
    start: int,
    end: int,
    rungs: Sequence[Rung],
    files: Sequence[Path],
    *,
    seek: bool,
    is_last: bool,
) -> list[str]:
    """Arguments that encode frames `start` to `end` of the grid as all rungs, each into its own file."""
    rate = video.frame_rate
    start_s = float(start / rate)
    # The grid: start_time shows the first frame early when the video begins late, and the frame before when
    # nothing changes for long; the times of the frames are then their numbers, so the cut is exact.
    grid = [f"fps=fps={rate}:start_time={start_s:.9f}"]
    # A last frame that is rounded away is shown again rather than lost.
    grid += ["tpad=stop_mode=clone:stop=2"] if is_last else []
    grid += [f"trim=end_pts={end}"]
    graph = f"[0:{video.index}]" + ",".join([*grid, *picture.upright(video, desk.ffmpeg)]) + _cascade(rungs)
    # One decoder thread: parallel work is chunks, and threads within one only wait for each other.
    arguments = ["-threads", str(desk.threads)]
    arguments += opening.arguments(desk.source, desk.probe, start_s if seek else 0.0)
    arguments += ["-filter_complex_threads", "1", "-filter_complex", graph]
    for number, (rung, file) in enumerate(zip(rungs, files, strict=True)):
        arguments += ["-map", f"[rung{number}]", *_encoder(rung, rate, desk.threads), str(file)]
    return arguments


def _cascade(rungs: Sequence[Rung]) -> str:
    """Each rung is scaled from the one above it: fewer pixels to read, and no second pass over the source."""
    steps = []
    for number, rung in enumerate(rungs):
        source = f"[below{number - 1}]" if number else ","
        scaled = f"{source}scale={rung.width}:{rung.height}:flags=bicubic,setsar=1"
        last = number == len(rungs) - 1
        steps.append(scaled + (f"[rung{number}]" if last else f",split=2[rung{number}][below{number}]"))
    return ";".join(steps)


def _encoder(rung: Rung, rate: Fraction, threads: int) -> list[str]:
    gop = str(chunks.gop_frames(rate))
    return [
        *("-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-level:v", rung.level),
        *("-crf", str(_CRF), "-maxrate", f"{rung.maxrate_kbps}k", "-bufsize", f"{2 * rung.maxrate_kbps}k"),
        # Every rung begins a closed group at the same frames, so that a player may switch there.
        *("-g", gop, "-keyint_min", gop, "-sc_threshold", "0", "-threads:v", str(threads)),
        # A fragment a group. frag_discont: times go on from the chunk before instead of starting at 0. delay_moov
        # and the edit list take back the delay of reordered frames, so that pictures meet their sound.
        *(
            "-f",
            "mp4",
            "-movflags",
            "+frag_keyframe+delay_moov+default_base_moof+frag_discont",
            "-use_editlist",
            "1",
        ),
        *("-video_track_timescale", str(_timescale(rate))),
    ]


def _timescale(rate: Fraction) -> int:
    return rate.numerator * (_TICKS_A_FRAME if rate.denominator == 1 else 1)


def _frame_ticks(video: VideoTrack) -> Fraction:
    return _timescale(video.frame_rate) / video.frame_rate


def _is_exact(made: Sequence[fmp4.Fragmented], video: VideoTrack, start: int, end: int) -> bool:
    """Whether each rung has the frames that were asked for, where they belong, each group led by a keyframe."""
    return all(
        one.samples == end - start
        and one.timescale == _timescale(video.frame_rate)
        and one.fragments[0].start == start * _frame_ticks(video)
        and all(fragment.begins_with_sync for fragment in one.fragments)
        for one in made
    )


def _save_chunk(piece: Piece, rung: Rung, made: fmp4.Fragmented, desk: Desk) -> dict[str, Json]:
    number = piece.arguments["number"]
    saved: dict[str, Json] = {
        "rung": rung.to_dict(),
        "timescale": made.timescale,
        "init_sha256": hashlib.sha256(made.init).hexdigest(),
        "frames": made.samples,
        "segments": _save_segments(made, f"{rung.name}/{number:04}", desk),
    }
    if number == 0:
        saved["init"] = _save_bytes(made.init, f"{rung.name}/init.mp4", desk).to_dict()
        saved["codecs"] = fmp4.codec_string(made.init)
    return saved


def _save_segments(made: fmp4.Fragmented, stem: str, desk: Desk) -> list[dict[str, Json]]:
    segments = []
    for number, fragments in enumerate(hls.group(made.fragments, made.timescale)):
        data = b"".join(fragment.data for fragment in fragments)
        stored = _save_bytes(data, f"{stem}-{number}.m4s", desk)
        duration = sum(fragment.duration for fragment in fragments)
        segments.append({**stored.to_dict(), "duration": duration})
    return segments


def _save_bytes(data: bytes, name: str, desk: Desk, content_type: str = "video/mp4") -> StoredFile:
    path = desk.scratch / name.replace("/", "-")
    path.write_bytes(data)
    return desk.save(path, name, content_type)


def _encode_sound(desk: Desk) -> dict[str, Json]:
    track = sound.main_track(desk.probe)
    assert track is not None
    file = desk.scratch / "audio.mp4"

    def report(progress: ffmpeg.Progress) -> None:
        desk.on_progress(progress.out_time_s / desk.probe.duration_s, progress.speed)

    ffmpeg.run(
        desk.ffmpeg,
        sound_arguments(desk, track, file),
        making="the sound",
        scratch=desk.scratch,
        on_progress=report,
        cancel=desk.cancel,
    )
    made = fmp4.parse(file.read_bytes())
    return {
        "timescale": made.timescale,
        "channels": min(2, track.channels),
        "language": track.language,
        "init": _save_bytes(made.init, "audio/init.mp4", desk, "audio/mp4").to_dict(),
        "segments": _save_segments(made, "audio/0000", desk),
    }


def sound_arguments(desk: Desk, track: AudioTrack, file: Path) -> list[str]:
    """Arguments that encode a track once, as a whole: cut in chunks it would click and drift."""
    channels = min(2, track.channels)
    return [
        *opening.arguments(desk.source, desk.probe),
        *("-map", f"0:{track.index}", "-af", sound.on_time(track), "-ac", str(channels), "-ar", "48000"),
        *("-c:a", "aac", "-b:a", f"{_AUDIO_KBPS[channels]}k"),
        # delay_moov: the edit list then tells players to skip what the encoder put before the first sample.
        *("-f", "mp4", "-movflags", "+delay_moov+default_base_moof", "-frag_duration", f"{chunks.GOP_S}000000"),
        str(file),
    ]


class _Package:
    """The playlists over everything that the pieces stored."""

    def __init__(self, results: Sequence[dict[str, Json]], desk: Desk) -> None:
        chunks_done = [result["renditions"] for result in results if "renditions" in result]
        sounds = [result for result in results if "renditions" not in result]
        self._desk = desk
        self.frames = sum(renditions[0]["frames"] for renditions in chunks_done)
        # From chunks of rungs to rungs of chunks.
        self._rungs = [list(parts) for parts in zip(*chunks_done, strict=True)]
        self.videos = [self._video(parts) for parts in self._rungs]
        self.sound = self._sound(sounds[0]) if sounds else None
        self.files = [_stored(entry) for entry in _entries(self._rungs, sounds)]

    def _video(self, parts: list[dict[str, Json]]) -> hls.Rendition:
        first, rung = parts[0], Rung.from_dict(parts[0]["rung"])
        if len({part["init_sha256"] for part in parts}) > 1:
            raise EncodeError(
                "verify_failed",
                f"The chunks of {rung.name} were encoded by different versions of ffmpeg and cannot be joined.",
                "Use the same ffmpeg on every worker and run the task again.",
            )
        video = self._desk.probe.video
        assert video is not None
        return hls.Rendition(
            uri=self._name(f"{rung.name}/index.m3u8"),
            init_uri=_base(first["init"]),
            init_bytes=first["init"]["size_bytes"],
            timescale=first["timescale"],
            segments=_segments(parts),
            codecs=first["codecs"],
            width=rung.width,
            height=rung.height,
            frame_rate=video.frame_rate,
        )

    def _sound(self, result: dict[str, Json]) -> hls.Sound:
        rendition = hls.Rendition(
            uri=self._name("audio/index.m3u8"),
            init_uri=_base(result["init"]),
            init_bytes=result["init"]["size_bytes"],
            timescale=result["timescale"],
            segments=_segments([result]),
            codecs="mp4a.40.2",
        )
        language = result["language"]
        return hls.Sound(rendition, language, "Main" if language == "und" else language, result["channels"])

    def _name(self, name: str) -> str:
        """The name below the task's outputs that `save` will give a file."""
        return self._desk.key(name).removeprefix(f"{self._desk.prefix}/")

    def renditions(self) -> list[hls.Rendition]:
        """Every playlist's rendition, the sound last."""
        return [*self.videos, *([self.sound.rendition] if self.sound else [])]

    def write(self) -> StoredFile:
        """Store the playlists and return the multivariant one."""
        for rendition in self.renditions():
            folder = rendition.uri.rpartition("/")[0]
            text = hls.media_playlist(rendition)
            self.files.append(_save_text(text, f"{folder}/index.m3u8", self._desk))
        master = _save_text(hls.multivariant_playlist(self.videos, self.sound), "master.m3u8", self._desk)
        self.files.append(master)
        return master

    def output(self, master: StoredFile) -> Output:
        """What the task came to."""
        video = self._desk.probe.video
        facts = {
            "format": "hls",
            "width": video.display_width if video else None,
            "height": video.display_height if video else None,
            "duration": round(float(max(rendition.duration_s for rendition in self.renditions())), 3),
            "renditions": [
                _describe(Rung.from_dict(parts[0]["rung"]), rendition, self.sound)
                for parts, rendition in zip(self._rungs, self.videos, strict=True)
            ],
        }
        return Output("video" if video else "audio", PLAYLIST_TYPE, master, tuple(self.files), facts=facts)


def _entries(rungs: Sequence[Sequence[dict[str, Json]]], sounds: Sequence[dict[str, Json]]) -> list[dict[str, Json]]:
    """Every stored file that the pieces' results name."""
    parts = [part for rung in rungs for part in rung] + list(sounds)
    return [entry for part in parts for entry in ([part["init"]] if "init" in part else []) + part["segments"]]


def _stored(entry: dict[str, Json]) -> StoredFile:
    return StoredFile(entry["name"], entry["key"], entry["size_bytes"])


def _base(entry: dict[str, Json]) -> str:
    base: str = entry["key"].rpartition("/")[2]
    return base


def _segments(parts: Sequence[dict[str, Json]]) -> tuple[hls.Segment, ...]:
    return tuple(
        hls.Segment(_base(entry), entry["duration"], entry["size_bytes"])
        for part in parts
        for entry in part["segments"]
    )


def _describe(rung: Rung, rendition: hls.Rendition, beside: hls.Sound | None) -> dict[str, Json]:
    return {
        "name": rung.name,
        "width": rung.width,
        "height": rung.height,
        "frameRate": float(rendition.frame_rate or 0),
        "codecs": rendition.codecs + (f",{beside.rendition.codecs}" if beside else ""),
        "peakBps": rendition.peak_bps,
        "averageBps": rendition.average_bps,
        "sizeBytes": rendition.size_bytes,
    }


def _save_text(text: str, name: str, desk: Desk) -> StoredFile:
    return _save_bytes(text.encode(), name, desk, PLAYLIST_TYPE)


def _verify(package: _Package, desk: Desk) -> None:
    """Read the lowest rung and the sound back from storage, by their playlists and a reader that is not ours.

    Every segment was checked frame by frame before it was stored; this checks that the whole holds together. The
    lowest rung stands for the others: their playlists are made of the same numbers, and it has the fewest bytes.
    """
    copy = desk.scratch / "package"
    lowest = package.videos[-1:]
    for rendition in [*lowest, *([package.sound.rendition] if package.sound else [])]:
        folder = rendition.uri.rpartition("/")[0]
        (copy / folder).mkdir(parents=True)
        (copy / rendition.uri).write_text(hls.media_playlist(rendition))
        for uri in (rendition.init_uri, *(segment.uri for segment in rendition.segments)):
            with (copy / folder / uri).open("wb") as file:
                file.writelines(desk.storage.open(f"{desk.prefix}/{folder}/{uri}"))
    (copy / "master.m3u8").write_text(hls.multivariant_playlist(lowest, package.sound))
    reached: list[ffmpeg.Progress] = []
    ffmpeg.run(
        desk.ffmpeg,
        [
            "-protocol_whitelist",
            "file",
            "-i",
            str(copy / "master.m3u8"),
            "-map",
            "0",
            "-c",
            "copy",
            "-f",
            "null",
            "-",
        ],
        making="a check of the package",
        scratch=desk.scratch,
        on_progress=reached.append,
        cancel=desk.cancel,
    )
    shutil.rmtree(copy)
    if lowest and reached[-1].frame != package.frames:
        raise EncodeError(
            "verify_failed",
            f"The package should have {package.frames} frames and reads as {reached[-1].frame}.",
            "The step is tried again.",
        )
