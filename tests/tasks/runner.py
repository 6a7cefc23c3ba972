"""Runner: a kind's plan, pieces and join, done one after another at desks of their own."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from anabranch.limits import Limits
from anabranch.media import ffmpeg
from anabranch.media.probe import probe
from anabranch.media.process import CancelToken
from anabranch.media.sandbox import open_sandbox
from anabranch.tasks.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anabranch.storage import Storage
    from anabranch.tasks import Kind, Output


def desks(folder: Path, storage: Storage) -> Callable[..., Desk]:
    """Makes a desk with a source on it, its scratch in a folder."""
    numbers = count(1)

    def make(source: Path, **given: Any) -> Desk:
        scratch = folder / f"desk{next(numbers)}"
        scratch.mkdir()
        values: dict[str, Any] = {
            "source": source,
            "probe": given.pop("probe", None) or probe(source),
            "scratch": scratch,
            "ffmpeg": replace(ffmpeg.find(), sandbox=open_sandbox("auto", Limits())),
            "storage": storage,
            "prefix": "media/med_1/task_1",
            "attempt": 1,
            "on_progress": lambda done, speed: None,
            "cancel": CancelToken(),
        }
        return Desk(**{**values, **given})

    return make


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
