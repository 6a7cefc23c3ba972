"""Expressions: conditions on events, and keys made of them, in CEL (`event.data.id == async.data.id`)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = structlog.get_logger(__name__)


def holds(expression: str | None, names: Mapping[str, Any]) -> bool:
    """Whether the condition is true of `names`. None is true; what cannot be evaluated is false, and logged.

    A field that is missing makes a condition false: events of the same name need not have the same shape.
    """
    return not expression or value_of(expression, names) is True


def value_of(expression: str | None, names: Mapping[str, Any]) -> Any:
    """What the expression comes to; None without one, or when it cannot be evaluated, which is logged.

    A field that is missing is None, and nothing to log.
    """
    if not expression:
        return None
    try:
        return _compile(expression).execute(dict(names))
    except KeyError:
        return None
    except Exception as error:  # noqa: BLE001  (the library raises many kinds; none may stop an event)
        _log.warning("expression does not evaluate", expression=expression, error=str(error))
        return None


@functools.lru_cache(maxsize=1024)
def _compile(expression: str) -> Any:
    # Here and not above: it takes longer to import than a run without conditions takes to start.
    import cel

    return cel.compile(expression)
