"""Limits: how often a key may ask, and how often an address may guess. Counted in this process, and forgotten with it.

What carries a proof of its own is not counted: a film is thousands of segments, an upload thousands of parts, and
neither is asked for with a key.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from anabranch.api.problems import Problem

if TYPE_CHECKING:
    from limits import RateLimitItem

# Wrong ones from one address before it has to wait, and in how many seconds. A person who errs does not notice;
# whoever tries a list gets through twenty a minute.
_MOST_WRONG, _COUNTED_S = 10, 30
# Addresses and keys that are remembered.
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True)
class Quota:
    """How many requests a key has left.

    Attributes:
        most: how many a minute it may make.
        left: how many of them it has not made.
        resets_in_s: in how many seconds it has more.
    """

    most: int
    left: int
    resets_in_s: int

    def headers(self) -> dict[str, str]:
        """As a client is told. Source: IETF draft "RateLimit header fields for HTTP", revision 10."""
        return {
            "ratelimit-policy": f'"requests";q={self.most};w=60',
            "ratelimit": f'"requests";r={self.left};t={self.resets_in_s}',
        }


class Requests:
    """Counts the requests of each key over the last minute.

    Args:
        most: how many a key may make that has no limit of its own; None for any number.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._counted = MovingWindowRateLimiter(MemoryStorage())

    def count(self, who: str, own: int | None) -> Quota | None:
        """Count a request. None where there is no limit.

        Raises:
            Problem: `too_many_requests`.
        """
        most = own if own is not None else self._most
        if most is None:
            return None
        limit = RateLimitItemPerMinute(most)
        taken = self._counted.hit(limit, who)
        stats = self._counted.get_window_stats(limit, who)
        quota = Quota(most, max(0, stats.remaining), _seconds_until(stats.reset_time))
        if not taken:
            message = f"The key may make {most} requests a minute, and has. Wait {quota.resets_in_s} s."
            headers = {**quota.headers(), "retry-after": str(quota.resets_in_s)}
            raise Problem("too_many_requests", 429, message, headers=headers, retryable=True)
        return quota


class Guesses:
    """Counts what was wrong by the address that it came from.

    Args:
        what: is guessed, as in `passwords`.
        otherwise: what else its sender can do than wait.
    """

    def __init__(self, what: str, otherwise: str = "") -> None:
        self._what = what
        self._otherwise = otherwise
        self._limit: RateLimitItem = RateLimitItemPerSecond(_MOST_WRONG, _COUNTED_S)
        self._stored = MemoryStorage()
        self._wrong = FixedWindowRateLimiter(self._stored)
        self._right: OrderedDict[bytes, None] = OrderedDict()

    def check(self, address: str, guess: str = "") -> None:
        """Whether an address may guess. What was right before is no guess.

        Raises:
            Problem: `too_many_attempts`.
        """
        if self._wrong.test(self._limit, _network(address)) or _digest(guess) in self._right:
            return
        wait_s = _seconds_until(self._wrong.get_window_stats(self._limit, _network(address)).reset_time)
        message = f"Too many wrong {self._what} came from this address. Wait {wait_s} s{self._otherwise}."
        raise Problem("too_many_attempts", 429, message, headers={"retry-after": str(wait_s)}, retryable=True)

    def was_wrong(self, address: str) -> None:
        """Count it against where it came from."""
        if len(self._stored.storage) >= _MOST_REMEMBERED:
            self._stored.reset()
        self._wrong.hit(self._limit, _network(address))

    def was_right(self, guess: str) -> None:
        """Know it again, whoever guesses beside its owner."""
        self._right[_digest(guess)] = None
        while len(self._right) > _MOST_REMEMBERED:
            self._right.popitem(last=False)


def _seconds_until(moment: float) -> int:
    return max(1, math.ceil(moment - time.time()))


def _network(address: str) -> str:
    """Where an address is. Whoever has one of version 6 has all that begin alike."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((known, 64), strict=False)) if known.version == 6 else address


def _digest(guess: str) -> bytes:
    return hashlib.sha256(guess.encode("utf-8", "surrogatepass")).digest()
