"""What is in a film, in words."""

from __future__ import annotations

from typing import Any

import pytest

from anabranch.web import facts, words

Json = Any

VIDEO = {
    "codec": "hevc", "frame_rate": "30000/1001", "variable_rate": False, "interlaced": False, "bit_depth": 10,
    "color_transfer": "smpte2084", "bitrate_kbps": 5812.0, "rotation": 0,
}  # fmt: skip
SOUND = {"codec": "aac", "channels": 6, "sample_rate": 44100, "language": "deu", "title": "Kommentar"}


def record(width: int | None = 1920, height: int | None = 1080) -> Json:
    return {"durationS": 61.5, "width": width, "height": height, "sizeBytes": 5_000_000}


def probe(**changed: Json) -> Json:
    whole = {"format": "mov,mp4,m4a", "size_bytes": 5_000_000, "video": VIDEO, "audio": [SOUND], "damaged": False}
    return {**whole, **changed}


def test_numbers_are_what_people_call_them() -> None:
    said = dict(facts.of_source(record(), probe()))
    assert said == {
        "Length": "1:02 (61.5 seconds)",
        "Picture": "1920 × 1080 pixels, 16:9",
        "Motion": "29.97 frames a second",
        "Picture coded as": "HEVC (H.265), 10 bit, high dynamic range, 5.8 Mbit/s",
        "Sound": "AAC, 5.1 surround, 44.1 kHz, Deutsch, “Kommentar”",
        "File": "MP4 or QuickTime, 5.0 MB",
    }


def test_what_is_missing_or_odd_is_said() -> None:
    silent = dict(facts.of_source(record(), probe(audio=[], damaged=True)))
    assert (silent["Sound"], silent["Condition"]) == ("none", "damaged: what could be read is used")
    heard = dict(facts.of_source(record(None, None), probe(video=None)))
    assert heard["Picture"] == "none: this is sound alone"
    odd = {**VIDEO, "variable_rate": True, "interlaced": True, "rotation": 90, "codec": "somethingnew"}
    said = dict(facts.of_source(record(), probe(video=odd, audio=[SOUND, SOUND])))
    assert said["Motion"] == "about 29.97 frames a second, unevenly, interlaced"
    assert said["Turned"] == "90° clockwise"
    assert said["Picture coded as"].startswith("somethingnew")
    assert {"Sound 1", "Sound 2"} <= set(said)


def test_before_anybody_has_looked_there_is_little_to_say() -> None:
    assert facts.of_source({**record(None, None), "durationS": None}, None) == [("File", "5.0 MB")]


@pytest.mark.parametrize(
    ("width", "height", "name"),
    [
        (854, 480, "16:9"),
        (1080, 1920, "9:16, upright"),
        (640, 480, "4:3"),
        (500, 500, "square"),
        (1920, 804, "2.39:1"),
        (300, 200, "3:2"),
    ],
)
def test_shapes_have_names(width: int, height: int, name: str) -> None:
    assert facts.shape(record(width, height)) == name


def test_words_for_times_and_lists() -> None:
    assert [words.lasted(one) for one in (3240, 250_000, 7_500_000)] == ["3.2 s", "4 min 10 s", "2 h 5 min"]
    assert words.together(["Video"]) == "Video"
    assert words.together(["Video", "Poster"]) == "Video and poster"
    assert words.together(["Video", "Poster", "Preview"]) == "Video, poster and preview"
    assert [words.piece(one) for one in ("chunk-0000", "audio", "audio-1")] == ["chunk 1", "audio", "audio 2"]
    now = 1_795_600_000_000
    assert words.clock(now - 1000, now).endswith("UTC")
    assert words.clock(now - 86_400_000, now).startswith("2026-")
    assert words.clock("2026-11-24T09:14:03.250Z", now) == "2026-11-24 09:14 UTC"
