from __future__ import annotations

from fractions import Fraction
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import m3u8
import numpy as np
import pytest

from anabranch.errors import OptionError
from anabranch.media import chunks, conformance, ffmpeg
from anabranch.media.probe import probe
from anabranch.tasks.adaptive_video import AdaptiveVideo
from tests import clips, samples
from tests.tasks.runner import do

if TYPE_CHECKING:
    from collections.abc import Callable

    from anabranch.media.probe import Probe
    from anabranch.storage.files import FileStorage
    from anabranch.tasks import Output
    from anabranch.tasks.desk import Desk, StoredFile


@pytest.fixture
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of about a second, so that a small clip has several."""
    cut = chunks.cut
    monkeypatch.setattr(chunks, "cut", lambda video: cut(video, segment_s=1))


def master(output: Output, storage: FileStorage) -> Path:
    assert output.main is not None
    return storage.path(output.main.key)


def best(output: Output, storage: FileStorage) -> Path:
    """The playlist of the best rung."""
    variants = m3u8.load(str(master(output, storage))).playlists
    return Path(max(variants, key=lambda variant: variant.stream_info.bandwidth).absolute_uri)


def decode(source: Path, scratch: Path, *arguments: str) -> bytes:
    """What ffmpeg makes of a source as raw bytes; any complaint of it is a failure."""
    raw = scratch / "decoded.raw"
    finished = ffmpeg.run(
        # passthrough: ffmpeg would else repeat or drop frames to even out their times, and hide what is wrong.
        ffmpeg.find(),
        ["-i", str(source), "-fps_mode", "passthrough", *arguments, str(raw)],
        making="a decoded copy",
        scratch=scratch,
    )
    assert not [line for line in finished.log.splitlines() if "Guessed Channel Layout" not in line]
    return raw.read_bytes()


def numbers(source: Path, scratch: Path) -> list[int]:
    """The numbers that `clips.numbered` wrote into the frames."""
    data = decode(source, scratch, "-map", "0:v:0", "-vf", "scale=320:96", "-pix_fmt", "gray", "-f", "rawvideo")
    frames = [data[at : at + 320 * 96] for at in range(0, len(data), 320 * 96)]
    return [sum((frame[320 * 48 + 40 * bit + 20] > 128) << bit for bit in range(8)) for frame in frames]


@pytest.mark.slow
def test_a_film_becomes_a_package_that_others_can_read(
    make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    output = do(AdaptiveVideo(), {}, samples.animation_mp4(), make_desk)
    playlist = m3u8.load(str(master(output, storage)))
    assert [stream.stream_info.resolution for stream in playlist.playlists] == [(640, 360), (854, 480), (1280, 720)]
    assert {stream.stream_info.codecs.split(".")[0] for stream in playlist.playlists} == {"avc1"}
    assert playlist.media[0].type == "AUDIO"
    for stream in playlist.playlists:
        variant = m3u8.load(stream.absolute_uri)
        assert sum(segment.duration for segment in variant.segments) == pytest.approx(5.28, abs=0.1)
        assert variant.is_endlist
        assert variant.is_independent_segments
        size = sum(storage.path(file.key).stat().st_size for file in output.files if file.name.endswith(".m4s"))
        assert 0 < stream.stream_info.average_bandwidth <= stream.stream_info.bandwidth < size * 8
    data = decode(best(output, storage), tmp_path, "-pix_fmt", "gray", "-f", "rawvideo")
    assert len(data) == 132 * 1280 * 720
    assert output.facts["renditions"][0]["frameRate"] == 25


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize(
    ("container", "gop", "rate"),
    [
        (container, gop, rate)
        if (gop, rate) in ((250, "30000/1001"), (20, "25"))
        else pytest.param(container, gop, rate, marks=pytest.mark.slow)
        for container, gop, rate in product(["mp4", "mkv", "ts"], [250, 20], ["25", "30000/1001"])
    ],
)
def test_no_frame_is_lost_or_shown_twice_at_any_join(
    container: str, gop: int, rate: str, make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    source = clips.numbered(5, rate, gop, name=f"numbered.{container}")
    plan = AdaptiveVideo().plan(AdaptiveVideo().read_options({}), probe(source))
    assert len(plan) >= 4
    output = do(AdaptiveVideo(), {}, source, make_desk)
    found = numbers(best(output, storage), tmp_path)
    count = round(5 * Fraction(rate))
    # In a transport stream the sound begins a little before the picture, so the first frame is shown early.
    early = len(found) - count
    assert 0 <= early <= (container == "ts")
    assert found == [0] * early + [number % 256 for number in range(count)]


# Few pictures, for the sake of minutes.
RATE = 10


@pytest.mark.parametrize(
    ("seconds", "chunk_s"), [(6, 1), pytest.param(600, 6, marks=pytest.mark.slow)], ids=["short", "ten minutes"]
)
def test_pictures_meet_their_sound_to_the_end(
    seconds: int,
    chunk_s: int,
    make_desk: Callable[..., Desk],
    storage: FileStorage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A flash and a click at every full second."""
    monkeypatch.setattr(chunks, "cut", partial(chunks.cut, segment_s=chunk_s))
    flash = "drawbox=color=white:t=fill:enable='lt(mod(t,1),0.039)'"
    click = f"aevalsrc='if(lt(mod(t,1),0.005),sin(2*PI*2000*t),0)':s=48000:d={seconds}"
    picture = ("-f", "lavfi", "-i", f"color=black:s=320x240:r={RATE}:d={seconds}", "-f", "lavfi", "-i", click)
    coded = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "3", "-c:a", "pcm_s16le")
    source = clips.make("clap.mkv", *picture, "-vf", flash, *coded)
    playlist = master(do(AdaptiveVideo(), {"ladder": [240], "storyboard": False}, source, make_desk), storage)
    flashes, clicks = _flashes(playlist, tmp_path), _clicks(playlist, tmp_path)
    assert len(flashes) == len(clicks) == seconds
    assert max(abs(one - other) for one, other in zip(flashes, clicks, strict=True)) < 0.01


def _flashes(playlist: Path, scratch: Path) -> list[float]:
    """When a picture is bright after one that is not, in seconds."""
    seen = _showing(playlist, scratch, "-map", "0:v:0", "-vf", "scale=16:16,format=gray", "-c:v", "rawvideo")
    assert seen.video is not None
    pictures = (scratch / "decoded.raw").read_bytes()
    bright = [at for at in range(len(pictures) // 256) if pictures[at * 256] > 100]
    return [at / RATE + seen.video.start_s for at in bright if at - 1 not in bright]


def _clicks(playlist: Path, scratch: Path) -> list[float]:
    """When the sound is loud after a fifth of a second that is not, in seconds."""
    seen = _showing(playlist, scratch, "-map", "0:a:0", "-ac", "1", "-c:a", "pcm_s16le")
    samples = np.fromfile(scratch / "decoded.raw", np.int16).astype(int)
    loud = np.flatnonzero(abs(samples) > 8000)
    after_quiet = loud[np.diff(loud, prepend=-99999) > 9600]
    return [at / 48000 + seen.audio[0].start_s for at in after_quiet.tolist()]


def _showing(playlist: Path, scratch: Path, *arguments: str) -> Probe:
    """Decode one track, with the times at which it is shown, and then as raw bytes."""
    together = scratch / "together.mkv"
    copied = ["-copyts", "-i", str(playlist), "-fps_mode", "passthrough", *arguments, str(together)]
    ffmpeg.run(ffmpeg.find(), copied, making="a copy", scratch=scratch)
    kind = ("-f", "rawvideo") if "-vf" in arguments else ("-f", "s16le")
    decode(together, scratch, *kind)
    return probe(together)


@pytest.mark.slow
@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize(
    ("clip", "frames", "size"),
    [
        (lambda: clips.turned(90), 50, (240, 320)),
        (clips.odd_size, 25, (320, 238)),
        (clips.variable_rate, 75, (320, 240)),
        (clips.one_frame, 1, (320, 240)),
        (clips.anamorphic, 25, (426, 240)),
        (clips.ten_bit, 25, (320, 240)),
        (clips.hdr, 25, (320, 240)),
        (clips.late_video, 75, (320, 240)),
        (clips.offset, 50, (320, 240)),
        (clips.interlaced, 25, (320, 240)),
        (clips.surround, 25, (320, 240)),
        (clips.long_audio, 25, (320, 240)),
    ],
)
def test_odd_sources_come_out_upright_and_whole(
    clip: Any, frames: int, size: tuple[int, int], make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    output = do(AdaptiveVideo(), {}, clip(), make_desk)
    data = decode(best(output, storage), tmp_path, "-pix_fmt", "gray", "-f", "rawvideo")
    # A transport stream tells its end to within a frame.
    assert abs(len(data) / (size[0] * size[1]) - frames) <= (clip is clips.offset)


def test_players_are_not_told_to_turn_what_is_turned(
    make_desk: Callable[..., Desk], storage: FileStorage, tmp_path: Path
) -> None:
    output = do(AdaptiveVideo(), {}, clips.turned(90), make_desk)
    found = [file for file in output.files if file.name.startswith("240p/") and "m3u8" not in file.name]
    parts = sorted(found, key=_init_first)
    joined = tmp_path / "joined.mp4"
    joined.write_bytes(b"".join(storage.path(part.key).read_bytes() for part in parts))
    video = probe(joined).video
    assert video is not None
    assert (video.rotation, video.display_width, video.display_height) == (0, 240, 320)


def _init_first(file: StoredFile) -> bool:
    return "init" not in file.name


def test_sound_alone_becomes_a_package_of_sound(make_desk: Callable[..., Desk], storage: FileStorage) -> None:
    output = do(AdaptiveVideo(), {}, clips.audio_only(), make_desk)
    playlist = m3u8.load(str(master(output, storage)))
    assert [stream.stream_info.codecs for stream in playlist.playlists] == ["mp4a.40.2"]
    assert output.facts["duration"] == pytest.approx(2, abs=0.1)


@pytest.mark.slow
def test_pictures_without_sound_need_none(make_desk: Callable[..., Desk], storage: FileStorage) -> None:
    output = do(AdaptiveVideo(), {}, clips.no_audio(), make_desk)
    assert not m3u8.load(str(master(output, storage))).media


@pytest.mark.slow
def test_a_damaged_tail_leaves_what_was_there(make_desk: Callable[..., Desk], storage: FileStorage) -> None:
    output = do(AdaptiveVideo(), {}, clips.damaged_tail(), make_desk)
    assert 2 < output.facts["duration"] < 4


def test_an_option_that_does_not_exist_is_named() -> None:
    with pytest.raises(OptionError, match='there is no option "rungs"'):
        AdaptiveVideo().read_options({"rungs": 3})


def test_the_time_code_of_a_camera_is_no_track_of_a_rendition(
    make_desk: Callable[..., Desk], storage: FileStorage
) -> None:
    address = master(do(AdaptiveVideo(), {}, clips.timecoded(), make_desk), storage).as_uri()
    found = conformance.check(address, conformance.fetcher(address))
    assert [finding for finding in found if finding.severity == "error"] == []
