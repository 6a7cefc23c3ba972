from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.errors import EncodeError
from anabranch.media import codecs, fmp4
from tests import clips

if TYPE_CHECKING:
    from pathlib import Path


def fragmented() -> Path:
    """Two seconds at 25 frames a second, a keyframe each second, a fragment each."""
    coded = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-movflags", "+frag_keyframe+empty_moov")
    return clips.make("fragmented.mp4", "-i", str(clips.no_audio()), *coded)


def test_fragments_tell_their_times_and_frames() -> None:
    parsed = fmp4.parse(fragmented().read_bytes())
    assert [fragment.samples for fragment in parsed.fragments] == [25, 25]
    assert [fragment.duration / parsed.timescale for fragment in parsed.fragments] == [1, 1]
    assert [fragment.start / parsed.timescale for fragment in parsed.fragments] == [0, 1]
    assert all(fragment.begins_with_sync for fragment in parsed.fragments)
    assert codecs.codec_string(parsed.init).startswith("avc1.")


def test_init_and_fragments_are_all_that_a_player_needs(tmp_path: Path) -> None:
    parsed = fmp4.parse(fragmented().read_bytes())
    joined = tmp_path / "joined.mp4"
    joined.write_bytes(parsed.init + b"".join(fragment.data for fragment in parsed.fragments))
    assert fmp4.parse(joined.read_bytes()).samples == 50


def test_a_file_without_fragments_is_refused() -> None:
    with pytest.raises(EncodeError) as raised:
        fmp4.parse(clips.plain().read_bytes())
    assert raised.value.code == "verify_failed"


@given(cut=st.floats(0, 0.999))
def test_a_file_that_was_cut_is_refused_or_has_fewer_frames(cut: float) -> None:
    data = fragmented().read_bytes()
    try:
        assert fmp4.parse(data[: int(cut * len(data))]).samples < 50
    except EncodeError as error:
        assert error.code == "verify_failed"


@given(data=st.binary(max_size=400))
def test_any_bytes_are_refused_or_read_but_break_nothing(data: bytes) -> None:
    try:
        fmp4.parse(data)
    except EncodeError as error:
        assert error.code == "verify_failed"
