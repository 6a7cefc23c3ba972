"""Chunk: some frames of the video as all rungs, from one pass over the source."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from anabranch.errors import EncodeError
from anabranch.media import codecs, ffmpeg, fmp4, opening, picture
from anabranch.media.chunks import Chunk
from anabranch.media.ladder import Rung

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction
    from pathlib import Path

    from anabranch.media.probe import VideoTrack
    from anabranch.tasks import Piece
    from anabranch.tasks.desk import Desk

Json = Any


def encode(piece: Piece, desk: Desk, *, quality: str, preset: str) -> dict[str, Json]:
    """Encode a chunk, check each rung frame by frame, and store its segments."""
    video = desk.probe.video
    assert video is not None
    cut = Chunk.from_dict(piece.arguments["chunk"])
    rungs = [Rung.from_dict(rung) for rung in piece.arguments["rungs"]]
    for rung in rungs:
        desk.ffmpeg.needs_encoder(codecs.ENCODERS[rung.codec], f"A rung of {rung.codec}")
    files = [desk.scratch / f"{rung.name}.mp4" for rung in rungs]

    def report(progress: ffmpeg.Progress) -> None:
        desk.on_progress(progress.frame / cut.frames, progress.speed)

    def attempt(seek: bool) -> list[fmp4.Fragmented]:
        ffmpeg.run(
            desk.ffmpeg,
            arguments(desk, video, cut, rungs, files, seek=seek, quality=quality, preset=preset),
            making=f"frames {cut.start} to {cut.end} of the video",
            scratch=desk.scratch,
            on_progress=report,
            cancel=desk.cancel,
        )
        return [fmp4.parse(file.read_bytes()) for file in files]

    made = attempt(seek=True)
    if cut.start > 0 and not _are_exact(made, video, cut):
        # Some containers cannot be entered exactly in the middle; then it is decoded from the beginning.
        made = attempt(seek=False)
    if not _are_exact(made, video, cut) and not (desk.probe.damaged and made[0].samples <= cut.frames):
        raise EncodeError(
            "verify_failed",
            f"Frames {cut.start} to {cut.end} were asked for, and {made[0].samples} came, "
            f"beginning at frame {made[0].fragments[0].start / _frame_ticks(video)}.",
            "The step is tried again.",
        )
    renditions = [_save(piece, cut, rung, one, desk) for rung, one in zip(rungs, made, strict=True)]
    return {"renditions": renditions}


def arguments(
    desk: Desk,
    video: VideoTrack,
    cut: Chunk,
    rungs: Sequence[Rung],
    files: Sequence[Path],
    *,
    seek: bool,
    quality: str,
    preset: str,
) -> list[str]:
    """Arguments that encode a chunk as all rungs, each into its own file."""
    rate = video.frame_rate
    start_s = float(cut.start / rate)
    encoded = [rung for rung in rungs if not rung.copied]
    # One thread decodes and one scales: they are never what the others wait for.
    given = ["-threads", "1"]
    given += opening.arguments(desk.source, desk.probe, start_s if seek else 0.0)
    if encoded:
        graph = _frames(desk, video, cut) + _cascade(encoded)
        given += ["-filter_complex_threads", "1", "-filter_complex", graph]
    for rung, file in zip(rungs, files, strict=True):
        if rung.copied:
            # A chunk of a copied rung begins at a keyframe and ends before one, so that frames can be counted.
            given += ["-map", f"0:{video.index}", "-c", "copy", "-frames:v", str(cut.frames)]
            given += codecs.container(rate)
        else:
            given += ["-map", f"[{rung.name}]"]
            # The largest takes about as long as all the others, so that more threads for those would only cost.
            threads = desk.threads if rung.height == encoded[0].height else 1
            given += codecs.arguments(rung, rate, cut.keys, quality=quality, preset=preset, threads=threads)
        given.append(str(file))
    return given


def _frames(desk: Desk, video: VideoTrack, cut: Chunk) -> str:
    """The filters from the decoder to the chunk's frames, upright, with their numbers as times."""
    rate = video.frame_rate
    # The grid: start_time shows the first frame early when the video begins late, and the frame before when
    # nothing changes for long; the times of the frames are then their numbers, so the cut is exact.
    grid = [f"fps=fps={rate}:start_time={float(cut.start / rate):.9f}"]
    # A last frame that is rounded away is shown again rather than lost.
    grid += ["tpad=stop_mode=clone:stop=2"] if cut.end >= round(video.end_s * rate) else []
    grid += [f"trim=end_pts={cut.end}"]
    return f"[0:{video.index}]" + ",".join([*grid, *picture.upright(video, desk.ffmpeg)])


def _cascade(rungs: Sequence[Rung]) -> str:
    """Each size is scaled from the one above it: fewer pixels to read, and no second pass over the source."""
    sizes = list(dict.fromkeys((rung.width, rung.height) for rung in rungs))
    sizes.sort(key=lambda size: -size[0] * size[1])
    steps = []
    for number, (width, height) in enumerate(sizes):
        source = f"[below{number - 1}]" if number else ","
        outs = [f"[{rung.name}]" for rung in rungs if (rung.width, rung.height) == (width, height)]
        outs += [f"[below{number}]"] if number < len(sizes) - 1 else []
        split = f",split={len(outs)}" if len(outs) > 1 else ""
        steps.append(f"{source}scale={width}:{height}:flags=bicubic,setsar=1{split}{''.join(outs)}")
    return ";".join(steps)


def _frame_ticks(video: VideoTrack) -> Fraction:
    return codecs.timescale(video.frame_rate) / video.frame_rate


def _are_exact(made: Sequence[fmp4.Fragmented], video: VideoTrack, cut: Chunk) -> bool:
    """Whether each rung has the frames that were asked for, where they belong, with a group at each of the keys."""
    ticks = _frame_ticks(video)
    keys = {key * ticks for key in cut.keys}
    return all(
        one.samples == cut.frames
        and one.timescale == codecs.timescale(video.frame_rate)
        and one.fragments[0].start == cut.start * ticks
        and all(fragment.begins_with_sync for fragment in one.fragments)
        and keys <= {fragment.start for fragment in one.fragments}
        for one in made
    )


def _save(piece: Piece, cut: Chunk, rung: Rung, made: fmp4.Fragmented, desk: Desk) -> dict[str, Json]:
    video = desk.probe.video
    assert video is not None
    number = piece.arguments["number"]
    saved: dict[str, Json] = {
        "rung": rung.to_dict(),
        "target_s": piece.arguments["target_s"],
        "timescale": made.timescale,
        "init_sha256": hashlib.sha256(made.init).hexdigest(),
        "frames": made.samples,
        "segments": _save_segments(made, [begin * _frame_ticks(video) for begin in cut.segments], rung, number, desk),
    }
    if number == 0:
        saved["init"] = desk.save_bytes(made.init, f"{rung.name}/init.mp4", "video/mp4").to_dict()
        saved["codecs"] = codecs.codec_string(made.init)
    return saved


def _save_segments(
    made: fmp4.Fragmented, begins: Sequence[Fraction], rung: Rung, number: int, desk: Desk
) -> list[dict[str, Json]]:
    """Store a chunk's fragments in segments that begin at these times, in ticks; the same for every rung."""
    segments = []
    for part, (begin, end) in enumerate(zip(begins, [*begins[1:], None], strict=True)):
        fragments = [one for one in made.fragments if begin <= one.start and (end is None or one.start < end)]
        if not fragments:
            # A damaged source ended before its index said.
            continue
        iframes, offset = [], 0
        for fragment in fragments:
            iframes.append([offset, fragment.first_sample_end, fragment.duration])
            offset += len(fragment.data)
        data = b"".join(fragment.data for fragment in fragments)
        stored = desk.save_bytes(data, f"{rung.name}/{number:04}-{part}.m4s", "video/iso.segment")
        duration = sum(fragment.duration for fragment in fragments)
        segments.append({**stored.to_dict(), "duration": duration, "iframes": iframes})
    return segments
