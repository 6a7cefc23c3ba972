"""Languages: what containers call a language, as playlists want it and as people say it."""

from __future__ import annotations

from babel import Locale, UnknownLocaleError
from babel.core import get_global


def tag(code: str) -> str:
    """The RFC 5646 tag of an ISO 639 code, such as `en` for `eng`; empty for one that says nothing or is unknown."""
    lowered = code.strip().lower()
    if lowered in ("", "und", "mul", "zxx", "mis"):
        return ""
    # RFC 5646 section 2.2.1: the two-letter code where there is one. Containers write three letters, sometimes the
    # bibliographic ones.
    short = get_global("language_aliases").get(lowered, lowered)
    return short if _locale(short) is not None else ""


def name(language: str) -> str:
    """What speakers of a language call it, such as `Deutsch` for `de`; empty for an empty tag."""
    locale = _locale(language) if language else None
    shown = locale.get_display_name() if locale else None
    return f"{shown[0].upper()}{shown[1:]}" if shown else language


def _locale(language: str) -> Locale | None:
    try:
        return Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return None
