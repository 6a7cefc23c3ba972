"""Schedule: when the cron triggers of functions are due. A moment that passed while nobody ran is not made up for."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError


def next_ms(cron: str, after_ms: int) -> int:
    """The first moment of a schedule after the given one, both Unix milliseconds.

    Args:
        cron: five fields, with `TZ=Area/City ` before them or in UTC.
        after_ms: a moment.

    Raises:
        ValueError: it is not a schedule, or names no time zone that there is.
    """
    zone: tzinfo = UTC
    fields = cron
    if cron.startswith("TZ="):
        name, _, fields = cron.removeprefix("TZ=").partition(" ")
        try:
            zone = ZoneInfo(name)
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(f"no such time zone: {name}") from error
    after = datetime.fromtimestamp(after_ms / 1000, UTC).astimezone(zone)
    try:
        return int(next(CronSim(fields, after)).timestamp() * 1000)
    except (CronSimError, StopIteration) as error:
        raise ValueError(f"not a schedule: {cron!r}") from error
