"""Main-job benchmark: `anabranch run` against bare tools that make the same outputs one after another.

The bare tools are what a careful developer would write by hand: ffmpeg with the same encoder, presets, rates and
keyframes, and faster-whisper with the same model and settings, all with their default threads. They are measured
twice: with one ffmpeg for each rung, and with one ffmpeg that decodes once for all rungs.

Usage: python benchmarks/main_job.py [SECONDS] [ROUNDS]
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from scripts.make_sample import make_sample

from anabranch.media import ffmpeg, ladder
from anabranch.media.probe import probe
from anabranch.media.speech import shipped_model

WHISPER = """
import json, sys
from faster_whisper import WhisperModel
model = WhisperModel(sys.argv[2], device="cpu", compute_type="int8")
segments, info = model.transcribe(sys.argv[1], language="en", beam_size=5, word_timestamps=True, vad_filter=True,
                                  condition_on_previous_text=False)
json.dump([segment.text for segment in segments], open(sys.argv[3], "w"))
"""


def x264(rung: ladder.Rung, number: int | None = None) -> list[str]:
    """The encoder as the product sets it; with a stream number when there are several."""
    of = "" if number is None else f":v:{number}"
    rates = [f"-maxrate{of}", f"{rung.maxrate_kbps}k", f"-bufsize{of}", f"{2 * rung.maxrate_kbps}k"]
    return [*(f"-c{of or ':v'}", "libx264", "-preset", "veryfast", "-crf", "23"), *rates]


def commands(source: Path, out: Path, *, one_decode: bool) -> list[list[str]]:
    """What a developer would type, in order."""
    binary = [str(ffmpeg.find().path), "-v", "error", "-nostdin", "-y"]
    video = probe(source).video
    assert video is not None
    rungs = ladder.rungs(video)
    gop = str(round(2 * video.frame_rate))
    keys = ["-g", gop, "-keyint_min", gop, "-sc_threshold", "0", "-pix_fmt", "yuv420p"]
    hls = ["-f", "hls", "-hls_time", "6", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"]
    sound = ["-c:a", "aac", "-b:a", "64k", "-ac", "1"]
    listed = []
    if one_decode:
        graph = f"[0:v]split={len(rungs)}" + "".join(f"[s{n}]" for n in range(len(rungs)))
        graph += "".join(f";[s{n}]scale={rung.width}:{rung.height}[v{n}]" for n, rung in enumerate(rungs))
        maps = [word for n in range(len(rungs)) for word in ("-map", f"[v{n}]")] + ["-map", "0:a"]
        coded = [word for n, rung in enumerate(rungs) for word in x264(rung, n)]
        streams = " ".join([*(f"v:{n},agroup:a" for n in range(len(rungs))), "a:0,agroup:a"])
        package = ["-var_stream_map", streams, "-master_pl_name", "master.m3u8", str(out / "v%v.m3u8")]
        listed.append(
            [*binary, "-i", str(source), "-filter_complex", graph, *maps, *coded, *keys, *sound, *hls, *package]
        )
    else:
        for rung in rungs:
            scaled = ["-an", "-vf", f"scale={rung.width}:{rung.height}", *x264(rung), *keys]
            (out / rung.name).mkdir()
            listed.append([*binary, "-i", str(source), *scaled, *hls, str(out / rung.name / "index.m3u8")])
        (out / "audio").mkdir()
        listed.append([*binary, "-i", str(source), "-vn", *sound, *hls, str(out / "audio" / "index.m3u8")])
    poster = ["-ss", "2", "-i", str(source), "-frames:v", "1", "-vf", "scale=1280:-2", str(out / "poster.webp")]
    palette = "fps=10,scale=480:-1:flags=lanczos,split[a][b];[a]palettegen=stats_mode=diff[p];"
    palette += "[b][p]paletteuse=dither=bayer:bayer_scale=5:diff_mode=rectangle"
    gif = ["-ss", "1", "-t", "3", "-i", str(source), "-filter_complex", palette, str(out / "preview.gif")]
    wav = str(out / "speech.wav")
    voice = ["-i", str(source), "-vn", "-ac", "1", "-ar", "16000", wav]
    listed += [[*binary, *poster], [*binary, *gif], [*binary, *voice]]
    script = out / "transcribe.py"
    script.write_text(WHISPER)
    return [*listed, [sys.executable, str(script), wav, str(shipped_model()), str(out / "transcript.json")]]


def full_hd(sample: Path, output: Path, scratch: Path) -> Path:
    """The sample in 1920x1080 with the grain of a camera, 30 frames a second."""
    grain = "fps=30,scale=1920:1080:flags=lanczos,noise=alls=6:allf=t"
    coded = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-g", "120", "-c:a", "copy"]
    arguments = ["-i", str(sample), "-vf", grain, *coded, str(output)]
    ffmpeg.run(ffmpeg.find(), arguments, making="the source", scratch=scratch)
    return output


def timed(listed: list[list[str]]) -> tuple[float, float]:
    """Wall and CPU seconds of commands that run one after another."""
    before, started = os.times(), time.perf_counter()
    for command in listed:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - started, os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


def main(seconds: float, rounds: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_sample(folder / "sample.mp4", seconds)
        source = full_hd(folder / "sample.mp4", folder / "source.mp4", folder)
        found: dict[str, list[tuple[float, float]]] = {}
        for _ in range(rounds):
            for label in ("anabranch run", "bare, an ffmpeg a rung", "bare, one decode"):
                out = folder / "out"
                shutil.rmtree(out, ignore_errors=True)
                out.mkdir()
                own = [[sys.executable, "-m", "anabranch", "run", str(source), "-o", str(out), "--json"]]
                bare = commands(source, out, one_decode=label.endswith("decode"))
                found.setdefault(label, []).append(timed(own if label == "anabranch run" else bare))
    print(f"{seconds:g} s of 1920x1080 film with speech, {os.cpu_count()} cores, medians of {rounds} rounds")
    wall, cpu = (statistics.median(row[at] for row in found["anabranch run"]) for at in (0, 1))
    for label, rows in found.items():
        its_wall, its_cpu = statistics.median(row[0] for row in rows), statistics.median(row[1] for row in rows)
        ratios = f"ours is {wall / its_wall:.2f} of its wall, {cpu / its_cpu:.2f} of its CPU"
        print(f"{label:24} {its_wall:6.1f} s wall {its_cpu:6.1f} s CPU   {ratios}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0, int(sys.argv[2]) if len(sys.argv) > 2 else 3)
