"""Flow control: how a function says when its runs may start, and how many at once. Pure: read from a registration.

Source: Inngest's documentation of flow control, and the configuration that its SDKs register.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from anabranch.engine.durations import read_duration_s

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = Any


@dataclass(frozen=True)
class Concurrency:
    """At most `limit` calls at once, for each value of `key` (CEL over `event`).

    Attributes:
        scope: `fn` counts this function alone; `env` and `account` count all functions that give the same key.
    """

    limit: int
    key: str | None = None
    scope: Literal["fn", "env", "account"] = "fn"


@dataclass(frozen=True)
class Throttle:
    """Starts are spread to `limit` in `period_s`; `burst` of them may come at once. What comes sooner waits."""

    limit: int
    period_s: float
    burst: int = 1
    key: str | None = None


@dataclass(frozen=True)
class RateLimit:
    """At most `limit` starts in any `period_s`. What comes sooner is dropped."""

    limit: int
    period_s: float
    key: str | None = None


@dataclass(frozen=True)
class Debounce:
    """A start waits until no event has come for `period_s`, `timeout_s` at the most; the last event counts."""

    period_s: float
    key: str | None = None
    timeout_s: float | None = None


@dataclass(frozen=True)
class Batch:
    """Events are gathered, up to `max_size` or for `timeout_s`, into one run. Those for which `condition` is false
    start a run each."""

    max_size: int
    timeout_s: float
    key: str | None = None
    condition: str | None = None


@dataclass(frozen=True)
class Singleton:
    """One run at a time for each value of `key`: a new one is skipped, or cancels the one before."""

    mode: Literal["skip", "cancel"]
    key: str | None = None


@dataclass(frozen=True)
class Cancel:
    """An event that ends a run: its name, a CEL condition over `event` and `async`, and for how long it counts."""

    event: str
    condition: str | None = None
    timeout_s: float | None = None


@dataclass(frozen=True)
class Flow:
    """Everything that a function asks of its engine about starting and ending.

    Attributes:
        priority: CEL over `event`: seconds, -600 to 600, by which a run goes before others that wait.
        idempotency: CEL over `event`: one run a day for each value.
        start_timeout_s: a run that waited longer than this to start is cancelled.
        finish_timeout_s: a run that took longer than this is cancelled.
    """

    concurrency: tuple[Concurrency, ...] = ()
    throttle: Throttle | None = None
    rate_limit: RateLimit | None = None
    debounce: Debounce | None = None
    batch: Batch | None = None
    singleton: Singleton | None = None
    cancel: tuple[Cancel, ...] = ()
    priority: str | None = None
    idempotency: str | None = None
    start_timeout_s: float | None = None
    finish_timeout_s: float | None = None

    @classmethod
    def from_registration(cls, config: Mapping[str, Json]) -> Flow:
        """Read what one entry of `functions` in a registration request says.

        Raises:
            ValueError, KeyError, TypeError: it says something that makes no sense.
        """
        timeouts = config.get("timeouts") or {}
        return cls(
            concurrency=tuple(_concurrency(entry) for entry in _entries(config.get("concurrency"))),
            throttle=_throttle(config.get("throttle")),
            rate_limit=_rate_limit(config.get("rateLimit")),
            debounce=_debounce(config.get("debounce")),
            batch=_batch(config.get("batchEvents")),
            singleton=_singleton(config.get("singleton")),
            cancel=tuple(_cancel(entry) for entry in _entries(config.get("cancel"))),
            priority=(config.get("priority") or {}).get("run"),
            idempotency=config.get("idempotency"),
            start_timeout_s=_seconds(timeouts.get("start")),
            finish_timeout_s=_seconds(timeouts.get("finish")),
        )


def _entries(given: Json) -> Sequence[Json]:
    # SDKs write one entry without its list, and a limit without its object.
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


def _seconds(duration: str | None) -> float | None:
    return None if duration is None else read_duration_s(duration)


def _period(given: Mapping[str, Json]) -> float:
    period_s = read_duration_s(given["period"])
    if period_s <= 0:
        raise ValueError(f"a period must be longer than nothing, got {given['period']!r}")
    return period_s


def _concurrency(given: Json) -> Concurrency:
    if isinstance(given, int):
        return Concurrency(given)
    # Inngest takes 0 as no limit.
    return Concurrency(int(given["limit"]), given.get("key"), given.get("scope") or "fn")


def _throttle(given: Mapping[str, Json] | None) -> Throttle | None:
    if not given:
        return None
    limit = int(given["limit"])
    if limit < 1:
        raise ValueError(f"a throttle lets at least one start, got {limit}")
    return Throttle(limit, _period(given), int(given.get("burst") or 1), given.get("key"))


def _rate_limit(given: Mapping[str, Json] | None) -> RateLimit | None:
    return given and RateLimit(int(given["limit"]), _period(given), given.get("key"))  # type: ignore[return-value]


def _debounce(given: Mapping[str, Json] | None) -> Debounce | None:
    return given and Debounce(_period(given), given.get("key"), _seconds(given.get("timeout")))  # type: ignore[return-value]


def _batch(given: Mapping[str, Json] | None) -> Batch | None:
    if not given:
        return None
    # Inngest's own default when an app does not say how long.
    timeout_s = _seconds(given.get("timeout")) or 60.0
    return Batch(int(given["maxSize"]), timeout_s, given.get("key"), given.get("if"))


def _singleton(given: Mapping[str, Json] | None) -> Singleton | None:
    return given and Singleton(given["mode"], given.get("key"))  # type: ignore[return-value]


def _cancel(given: Mapping[str, Json]) -> Cancel:
    condition = given.get("if")
    if condition is None and given.get("match"):
        path = given["match"]
        condition = f"event.{path} == async.{path}"
    return Cancel(given["event"], condition, _seconds(given.get("timeout")))
