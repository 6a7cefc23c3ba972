"""Words: numbers, times and names as a person reads them. `static/lib/words.js` says the same in the browser."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BRANCHES = {
    "hls-package": "Video",
    "poster-image": "Poster",
    "gif-preview": "Preview",
    "audio-transcription": "Transcript",
}
STATUSES = {
    "waiting": "Waiting",
    "queued": "Queued",
    "pending": "Pending",
    "processing": "Working",
    "running": "Running",
    "scheduled": "Scheduled",
    "active": "Active",
    "paused": "Paused",
    "gone": "Gone",
    "ready": "Ready",
    "completed": "Done",
    "delivered": "Delivered",
    "degraded": "Incomplete",
    "interrupted": "Interrupted",
    "lost": "Lost",
    "dropped": "Dropped",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
_A_MINUTE_MS = 60_000
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def rounded(value: float, digits: int) -> str:
    """A number with so many digits behind the point; a half goes up, as browsers have it."""
    return str(Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def duration(seconds: float | None) -> str:
    """`0:24`, `12:03`, `1:02:03`; empty when it is not known."""
    if seconds is None:
        return ""
    whole = int(seconds + 0.5)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def size(count: float | None) -> str:
    """`812 B`, `5.8 MB`; in powers of a thousand, as disks are sold."""
    if count is None:
        return ""
    unit = 0
    value = float(count)
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    return f"{rounded(value, 0 if unit == 0 or value >= 99.95 else 1)} {_UNITS[unit]}"


def percent(value: float | None) -> str:
    """`42 %`, cut and not rounded: 100 is said when it is done."""
    return "" if value is None else f"{int(value)} %"


def span(milliseconds: float | None) -> str:
    """`0 s`, `48 s`, `3 min`, `2 h`, `5 d`: how long, in the largest unit of which there is one."""
    if milliseconds is None:
        return ""
    seconds = max(0, int(milliseconds / 1000))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def lasted(milliseconds: float) -> str:
    """`3.2 s`, `4 min 10 s`, `2 h 5 min`: how long something took, to be compared with others."""
    if milliseconds < 60_000:
        return f"{rounded(milliseconds / 1000, 1)} s"
    seconds = round(milliseconds / 1000)
    hours, rest = divmod(seconds, 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"


def ago(milliseconds: float | None) -> str:
    """`just now`, `3 min ago`."""
    if milliseconds is None:
        return ""
    return "just now" if milliseconds < _A_MINUTE_MS else f"{span(milliseconds)} ago"


def iso(moment_ms: float | None) -> str:
    """A moment for the `datetime` of a `time` element."""
    if moment_ms is None:
        return ""
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def number(value: float | None) -> str:
    """`1,204`; whole."""
    return "" if value is None else f"{int(value + 0.5):,}"


def share(part: float | None) -> float:
    """A part of one as percent."""
    return 100 * (part or 0)


def times(speed: float | None) -> str:
    """`1.4×`: how much faster than it plays."""
    return "" if speed is None else f"{rounded(speed, 1)}×"


def seconds(value: float | None) -> str:
    """A span that is given in seconds."""
    return "" if value is None else span(value * 1000)


def used(disk: Mapping[str, Any] | None) -> float:
    """How much of a disk is taken, in percent."""
    total = (disk or {}).get("totalBytes")
    return round(100 * (1 - (disk or {})["freeBytes"] / total), 1) if total else 0.0


def counted(failures: Sequence[Mapping[str, Any]] | None) -> int:
    """How many failures there are of all codes."""
    return sum(one["count"] for one in failures or ())


def moment(given: float | str | None) -> str:
    """A moment, given as Unix milliseconds or as ISO 8601, for the `datetime` of a `time` element."""
    return given if isinstance(given, str) else iso(given)


def clock(given: float | str, now_ms: float) -> str:
    """A moment to be read: `14:03:22 UTC`, or with its day when that is not today's."""
    read, now = (datetime.fromisoformat(moment(one)).astimezone(UTC) for one in (given, now_ms))
    return read.strftime("%H:%M:%S UTC" if read.date() == now.date() else "%Y-%m-%d %H:%M UTC")


def pretty(value: Any) -> str:
    """JSON to be read."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def branch(name: str | None) -> str:
    """What a branch is called on the page."""
    return BRANCHES.get(name or "", name or "")


def piece(name: str | None) -> str:
    """What a piece of a task is called on the page: people count from one."""
    stem, _, number = (name or "").rpartition("-")
    return f"{stem} {int(number) + 1}" if stem and number.isdecimal() else name or ""


def together(names: Sequence[str]) -> str:
    """`Video`, `Video and poster`, `Video, poster and preview`."""
    first, *others = names
    lowered = [other.lower() for other in others]
    return " and ".join([", ".join([first, *lowered[:-1]]), *lowered[-1:]])


def status(name: str | None) -> str:
    """What a status is called on the page."""
    return STATUSES.get((name or "").lower(), name or "")


def named(work: Mapping[str, Any]) -> str:
    """What a piece of work is about: a film by its title, or whatever there is an id of."""
    return str(work["title"] or work["mediaId"] or work["taskId"] or "")


def title(media: dict[str, Any]) -> str:
    """What a media row is called: its title, or else its id."""
    return str(media.get("title") or media["id"])
