"""Styles: what the media page's policy lets in beside the page's own files.

media-chrome writes a `<style>` into the shadow root of each of its elements. Their texts are part of its release, so
the policy names each by its hash. Beside each is the first element that has it. A test reads them in a browser and says
which are missing or no longer needed.
"""

from __future__ import annotations

HASHES = (
    "6U5HAlWzYb5wxRpqnEoQDmVLk4wH/2LkYlNKhVudVNU=",  # media-audio-track-menu
    "Z/uphCaT8SDUy/aHCSWlW3ogtH3KvmQv8nxXBDiodjQ=",  # media-audio-track-menu
    "MV44r6ksBw+mCcZujzocHAOffIPu/joVS2FNHESx3Ho=",  # media-captions-button
    "l0oXN8ELODFEFGnJztGBqT5qrnYVXGDHmO9UVWjtMXA=",  # media-captions-button
    "ntLc0OsGs5UqjKSXE1qa+TXLOCjusElQkJiwbDf5ado=",  # media-chrome-menu-item
    "sAS/YwJd8QhcsuwF6ji1l+uwVdgQ8O/zcjWaGi0VXSw=",  # media-control-bar
    "+XYYAhYtiUsaw0+wUtfcBE3yMARPO4zdUhZGkDgDohM=",  # media-controller
    "LLrbL3VRTSpcR7f/VRuhdwB3hQdbFqJkzjoEZmHBXIw=",  # media-fullscreen-button
    "ad5pLE4ykOnAn8/VmRayKdKPhP3pvqoX4MGy3EktnBg=",  # media-gesture-receiver
    "Hgkgk5WNXnmXCx4VXTW7SQmDlJosyEQOVkEXmfhoBNw=",  # media-keyboard-shortcuts-dialog
    "uCYgKM8RuBPuS3rGnkNQo7xPByu6FzW8A9M5XainMpU=",  # media-keyboard-shortcuts-dialog
    "CZ8hU2wFQkJQTP3Dj2nl5E530al0uN4149GNCvQZTDE=",  # media-loading-indicator
    "3mr12lsHkByBAuT5HIjiVaMHjH42rxTHchQEttT3yhE=",  # media-mute-button
    "5LsYGeD4Fwu+AtlpdRPSk6g18GLvHddLqx5a2hMGkpw=",  # media-pip-button
    "W9200sCekROkcax0iJ77FC7fL1XmtkKZFU4jWBgOGi0=",  # media-play-button
    "C7t4uFhGErrgCiy7sp4fN8QAsq2Xafh4lWfnefi0l/E=",  # media-preview-chapter-display
    "m+frfzRQalnJwRN07WZLWSWd4eM4WsynbWp5qQi8Or0=",  # media-preview-thumbnail
    "FJDsT4KjYhIHD4cgyHsE3i0MHwG0mRlV8tbplZ3s6+A=",  # media-settings-menu
    "JtGL9Nry1EePSwAYuDfDEJaZjQ90hmOJ9/+IVreUli4=",  # media-settings-menu-button
    "xjR8G5GXZlPIsDkSRiuiXzUvRdxc8tuwFRIY/sJnEpo=",  # media-settings-menu-item
    "1Jc+kPhfOh4UvXYTCgDHEAV3Caafvsf5jeNdPbSiQ8o=",  # media-time-range
    "icRYLLVSVG1RE2ze2JPpc2di/XuMtAkqJdem5GFjU5M=",  # media-time-range
    "VJnVbqNRyX0jCFZEJ4ltrffJx26lCuyVbNYdioxBwzQ=",  # media-tooltip
)

POLICY = {
    "style-src": " ".join(["'self'", *(f"'sha256-{one}'" for one in HASHES)]),
    # hls.js empties a track of captions by loading an empty one.
    "media-src": "'self' blob: data:",
}
