"""Doctor: checks everything a run needs, and says what to do about what is missing."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from anabranch import buckets
from anabranch.database import facts, open_database
from anabranch.errors import AnabranchError
from anabranch.findings import Finding
from anabranch.media import ffmpeg
from anabranch.media.sandbox import open_sandbox
from anabranch.media.sandbox import version as sandbox_version
from anabranch.media.speech import shipped_model
from anabranch.storage import checkup
from anabranch.storage.files import FileStorage

if TYPE_CHECKING:
    from collections.abc import Callable

    from anabranch.settings import Settings

# Less than this and an hour of 1080p may not fit.
_LITTLE_DISK_BYTES = 5 << 30
# Is written to a storage, and removed.
_TRIED = f"doctor/{secrets.token_hex(8)}"
_SLOW_ANSWER_MS = 20


def examine(settings: Settings) -> list[Finding]:
    """Look at everything, and stop at nothing. What is written to a storage elsewhere is removed again."""
    checks: list[tuple[str, Callable[[Settings], Finding]]] = [
        ("ffmpeg", _ffmpeg),
        ("sandbox", _sandbox),
        ("speech model", _speech),
        ("disk", _disk),
        ("database", _database),
    ]
    found = [Finding("anabranch", "ok", f"{version('anabranch')}, {settings.cpu_slots} pieces of work at once")]
    for about, check in checks:
        try:
            found.append(check(settings))
        except AnabranchError as error:
            found.append(Finding(about, "problem", error.message, error.hint))
    return found + _storage(settings)


def _ffmpeg(settings: Settings) -> Finding:
    found = ffmpeg.find(settings.ffmpeg)
    where = {"setting": "ANABRANCH_FFMPEG", "path": "PATH", "wheel": "shipped"}[found.origin]
    said = f"{found.version} at {found.path} ({where})"
    needed = (ffmpeg.REQUIRED_ENCODERS - found.encoders) | (ffmpeg.REQUIRED_FILTERS - found.filters)
    if needed:
        return Finding(
            "ffmpeg",
            "problem",
            f"{said} lacks {_listed(needed)}",
            "Set ANABRANCH_FFMPEG to a fuller one, or unset it.",
        )
    wanted = (ffmpeg.OPTIONAL_ENCODERS - found.encoders) | (ffmpeg.OPTIONAL_FILTERS - found.filters)
    if wanted:
        return Finding(
            "ffmpeg",
            "warning",
            f"{said} lacks {_listed(wanted)}",
            "Formats and HDR sources that need them will fail.",
        )
    return Finding("ffmpeg", "ok", said)


def _sandbox(settings: Settings) -> Finding:
    if settings.sandbox == "off":
        return Finding("sandbox", "warning", "switched off (ANABRANCH_SANDBOX)", "Take sources from nobody else so.")
    if not open_sandbox(settings.sandbox, settings.limits).confined:
        return Finding(
            "sandbox",
            "warning",
            "this kernel has no Landlock, so ffmpeg can read what this user can",
            "Linux 5.13 and newer have it; SECURITY.md says what else to do.",
        )
    return Finding("sandbox", "ok", f"Landlock {sandbox_version()}: ffmpeg reads its input, and reaches nobody")


def _speech(settings: Settings) -> Finding:
    if settings.speech_model is None:
        return Finding("speech model", "ok", f"English, shipped, at {shipped_model()}")
    return Finding("speech model", "ok", f"{settings.speech_model} (ANABRANCH_SPEECH_MODEL)")


def _disk(settings: Settings) -> Finding:
    folder = _existing(settings.home.absolute())
    free = shutil.disk_usage(folder).free
    said = f"{free / (1 << 30):.1f} GiB free at {settings.home}"
    if free < _LITTLE_DISK_BYTES:
        return Finding("disk", "warning", said, "Free some space, or set ANABRANCH_HOME to a larger disk.")
    return Finding("disk", "ok", said)


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _database(settings: Settings) -> Finding:
    if settings.database_url is None:
        database = settings.home / "anabranch.db"
        if not database.exists():
            return Finding("database", "ok", f"SQLite at {database}, made by the first run")
    opened = open_database(settings.database)
    try:
        seen = facts(opened)
    finally:
        opened.dispose()
    said = f"{seen.name}, {seen.details}, answers in {seen.round_trip_ms:.1f} ms"
    if not seen.can_create:
        return Finding(
            "database",
            "problem",
            f"{said}; its role may not create tables",
            "GRANT CREATE ON SCHEMA public to it, or migrate once as a role that may.",
        )
    if seen.round_trip_ms > _SLOW_ANSWER_MS:
        return Finding("database", "warning", said, "Everything asks it often. Move it, or this, closer.")
    return Finding("database", "ok", said)


def _storage(settings: Settings) -> list[Finding]:
    """Of outputs in the home folder there is nothing to say that the disk does not."""
    if settings.storage is None:
        return []
    if buckets.is_address(settings.storage):
        place, redirected = buckets.place_of(settings.storage), settings.playback == "redirect"
        return checkup.examine(place, settings.storage_endpoint, redirected=redirected)
    folder = FileStorage(Path(settings.storage))
    try:
        with tempfile.NamedTemporaryFile() as file:
            folder.put(_TRIED, Path(file.name), "application/octet-stream")
        folder.delete(_TRIED)
    except AnabranchError as error:
        return [Finding("storage", "problem", error.message, error.hint)]
    return [Finding("storage", "ok", f"the folder {settings.storage}")]


def _listed(names: frozenset[str] | set[str]) -> str:
    return ", ".join(sorted(names))
