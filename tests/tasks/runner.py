"""Runner: a kind's plan, pieces and join, done one after another at desks of their own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anabranch.tasks import Kind, Output
    from anabranch.tasks.desk import Desk


def do(kind: Kind[Any], given: dict[str, Any], source: Path, make_desk: Callable[..., Desk], **at: Any) -> Output:
    """What the kind makes of a source. Results pass through JSON, as they do between steps."""
    first = make_desk(source, **at)
    at["probe"] = first.probe
    options = kind.read_options(given)
    results = [
        json.loads(json.dumps(kind.perform(piece, options, make_desk(source, **at))))
        for piece in kind.plan(options, first.probe)
    ]
    return kind.join(results, options, make_desk(source, **at))
