"""Fitting: a row as its new database takes it, with the addresses that objects have in their new storage."""

from __future__ import annotations

import json
import math
import re
from typing import Any

Json = Any

_UNREADABLE = re.compile("[\x00\ud800-\udfff]")
# How they are written in JSON, and the numbers that JSON does not have.
_UNREADABLE_JSON = re.compile(r"\\u0000|\\ud[89a-f]|NaN|Infinity", re.IGNORECASE)


def readable(text: str) -> str:
    """A text without what Postgres does not keep."""
    return _UNREADABLE.sub("\N{REPLACEMENT CHARACTER}", text)


class Fitting:
    """Changes values for a target, and counts the values in which something had to be replaced.

    Postgres keeps no NUL characters and no halves of surrogate pairs, which become U+FFFD, and no numbers in JSON that
    are not finite, which become null.

    Args:
        strict: whether the target is Postgres.
        old: what addresses of objects begin with at the source.
        new: what they begin with at the target.
    """

    def __init__(self, *, strict: bool, old: str, new: str) -> None:
        self.strict = strict
        self.replaced = 0
        self._old = old
        self._new = new

    def text(self, value: str) -> str:
        """A text: an address of an object as it will be, anything else as it is."""
        if self._old != self._new and value.startswith(self._old):
            value = self._new + value.removeprefix(self._old)
        fitted = readable(value) if self.strict else value
        self.replaced += fitted != value
        return fitted

    def document(self, raw: str) -> str:
        """A JSON document, in which what need not change is kept to the letter."""
        moved = self._old != self._new and self._old in raw
        if moved or (self.strict and _UNREADABLE_JSON.search(raw)):
            return json.dumps(self._value(json.loads(raw)))
        return raw

    def _value(self, value: Json) -> Json:
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(name): self._value(one) for name, one in value.items()}
            case list():
                return [self._value(one) for one in value]
            case float() if self.strict and not math.isfinite(value):
                self.replaced += 1
                return None
        return value
