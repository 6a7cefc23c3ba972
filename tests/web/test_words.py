"""Words and cards are written twice, for the server and for the browser. Here both say the same."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from anabranch.web import cards, words
from anabranch.web.assets import FOLDER
from tests import node

_NUMBERS = st.floats(0, 1e14) | st.integers(0, 10**14) | st.none()
_ASK = """
import * as words from "%(lib)s/words.js";
import { view } from "%(lib)s/card.js";
const asked = JSON.parse(process.argv[1]);
const said = { ...words, view };
console.log(JSON.stringify(asked.map(([name, ...given]) => said[name](...given))));
"""


def in_browser(*asked: tuple[Any, ...]) -> list[Any]:
    """What the browser's words say."""
    finished = subprocess.run(
        [node.binary(), "--input-type=module", "-e", _ASK % {"lib": FOLDER / "lib"}, "--", json.dumps(asked)],
        capture_output=True,
        text=True,
        check=True,
        env=node.environment(),
    )
    found: list[Any] = json.loads(finished.stdout)
    return found


@settings(max_examples=12, deadline=None)
@given(st.lists(_NUMBERS, min_size=40, max_size=40))
@example([0, 0.4, 0.5, 59.4, 59.5, 3599.5, 3600, 999, 999.4, 999.5, 999_499, 999_500, 99_950, 1_000_000, 99.9, None])
def test_numbers_are_said_alike_by_server_and_browser(numbers: list[float | None]) -> None:
    forms = {
        "duration": words.duration,
        "size": words.size,
        "percent": words.percent,
        "span": words.span,
        "ago": words.ago,
        "number": words.number,
        "seconds": words.seconds,
        "times": words.times,
    }
    asked = [(name, number) for name in forms for number in numbers]
    assert in_browser(*asked) == [forms[name](number) for name, number in asked]


def test_names_are_said_alike_by_server_and_browser() -> None:
    asked = [("status", name) for name in (*words.STATUSES, "Completed", "odd")]
    asked += [("branch", name) for name in (*words.BRANCHES, "odd")]
    asked += [("piece", name) for name in ("chunk-0000", "audio", "audio-1", "transcribe-0009", "join")]
    said = {"status": words.status, "branch": words.branch, "piece": words.piece}
    expected = [said[kind](name) for kind, name in asked]
    assert in_browser(*asked) == expected
    disk = {"freeBytes": 25, "totalBytes": 99}
    failures = [{"count": 2}, {"count": 3}]
    assert in_browser(("used", disk), ("counted", failures), ("iso", 1795531524261)) == [
        words.used(disk),
        words.counted(failures),
        words.iso(1795531524261),
    ]


def test_a_card_says_the_same_from_server_and_browser() -> None:
    plain: dict[str, Any] = {
        "id": "med_1",
        "title": "A film",
        "status": "ready",
        "kind": "video",
        "percent": 100.0,
        "createdAt": 1000,
        "branches": [],
        "renditions": [{"name": "720p"}, {"name": "480p"}],
        "error": None,
    }
    full = {"code": "x", "message": "No room. Free some.", "hint": "Free some."}
    failed = {"name": "gif-preview", "status": "failed", "error": full}
    rows = [
        plain,
        {**plain, "title": None},
        {
            **plain,
            "status": "processing",
            "percent": 41.9,
            "branches": [{"name": "hls-package", "status": "processing"}],
        },
        {**plain, "status": "degraded", "branches": [failed]},
        {**plain, "status": "failed", "renditions": [], "error": {"code": "not_media", "message": "It is not media."}},
        {**plain, "kind": "audio", "renditions": []},
        {**plain, "at": 12.5, "snippet": "<mark>a</mark> b"},
    ]
    said = in_browser(*[("view", row, 61_000) for row in rows])
    for browser, row in zip(said, rows, strict=True):
        server = cards.view(row, 61_000)
        for name in ("name", "link", "label", "age", "arms", "facts", "at"):
            assert browser[name] == server[name], name
