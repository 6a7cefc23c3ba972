"""Cards: a media row as the library shows it. `static/lib/card.js` makes the same of it in the browser."""

from __future__ import annotations

from typing import Any

from anabranch.errors import without_hint
from anabranch.web import words

Json = Any

_BROKEN = ("failed", "cancelled")


def view(media: dict[str, Json], now_ms: int) -> dict[str, Json]:
    """The row with what its card says: `name`, `link`, `label`, `age`, `arms` and `facts`."""
    working = media["status"] == "processing"
    at = media.get("at")
    return {
        **media,
        "name": words.title(media),
        "link": f"/watch/{media['id']}" + (f"?t={at:g}" if at is not None else ""),
        "at": at,
        "snippet": media.get("snippet"),
        "label": words.percent(media["percent"]) if working else words.status(media["status"]),
        "age": max(0, now_ms - media["createdAt"]),
        "arms": media["branches"] if working else [],
        "facts": "" if working else _facts(media),
    }


def _facts(media: dict[str, Json]) -> str:
    """What is wrong, or else in which sizes it can be played."""
    wrong = [
        f"{words.branch(one['name'])}: {without_hint(one['error'] or {}) or words.status(one['status'])}"
        for one in media["branches"]
        if one["status"] in _BROKEN
    ]
    if not wrong and media["error"]:
        wrong = [without_hint(media["error"])]
    if wrong:
        return " ".join(wrong)
    rungs = " · ".join(one["name"] for one in media["renditions"])
    return rungs or ("Sound only" if media["kind"] == "audio" else "")
