"""Imports point one way. The layers, from the top; a module imports from its own layer or from lower ones."""

from __future__ import annotations

import ast
from pathlib import Path

import anabranch

LAYERS = [
    ["__main__"],
    ["cli"],
    ["connect_worker", "once", "server", "worker"],
    ["export", "moving", "progress"],
    ["web"],
    ["api", "embed"],
    ["app"],
    ["engines"],
    ["inngest_engine"],
    ["step_reports"],
    ["doctor", "functions", "retention"],
    ["tasks", "webhooks"],
    ["views"],
    ["migrations"],
    ["engine"],
    ["media"],
    ["storage"],
    ["catalog"],
    ["workers", "wakeups"],
    ["database", "ownership", "pages", "settings"],
    ["ids", "buckets", "outbound"],
    ["errors", "clock", "findings", "gate", "languages", "limits", "room", "stopping"],
]
# The engine could drive anything, and media tools could serve any engine.
STRANGERS = {
    ("engine", "media"),
    ("engine", "storage"),
    ("engine", "catalog"),
    ("media", "storage"),
    ("media", "catalog"),
    # The page knows what the API tells.
    ("web", "catalog"),
    ("web", "engine"),
    ("web", "storage"),
    ("web", "tasks"),
    ("web", "media"),
    ("web", "database"),
}
SOURCE = Path(anabranch.__file__).parent


def test_imports_point_down() -> None:
    rank = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    wrong = [
        f"{path.relative_to(SOURCE)} imports {imported}"
        for path in SOURCE.rglob("*.py")
        if (here := _layer(path)) != "__init__"
        for imported in _imports(path)
        if imported != here and (rank[imported] <= rank[here] or (here, imported) in STRANGERS)
    ]
    assert not wrong


def _layer(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        assert not getattr(node, "level", 0), f"{path.relative_to(SOURCE)} must name what it imports in full"
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "anabranch":
            parts = (node.module or "").split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {parts[1] for parts in names if parts[0] == "anabranch" and len(parts) > 1}
    return found
