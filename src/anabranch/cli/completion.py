"""Completion: ids, from the server that the line or the environment names. Without it there is quietly nothing."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import typer

from anabranch.cli.options import DEFAULT_URL

if TYPE_CHECKING:
    from collections.abc import Callable

Json = Any

# Who presses tab does not wait longer than this.
_PATIENCE_S = 2.0
_NEWEST = 100
# Zsh evaluates what it is offered, and whoever sends events names the media.
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


def media_ids(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Media rows, the newest first."""
    return _ask(ctx, incomplete, "/media", lambda row: f"{row['status']} {row['title'] or ''}")


def task_ids(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Tasks, the newest first."""
    return _ask(ctx, incomplete, "/tasks", lambda row: f"{row['status']} {row['kind']}")


def run_ids(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Runs, the newest first."""
    return _ask(ctx, incomplete, "/v1/runs", lambda row: f"{row['status']} {row['function_id']}")


def branches() -> list[str]:
    """The branches of the fan-out."""
    from anabranch.catalog.branches import BRANCHES

    return [branch.step_id for branch in BRANCHES]


def _ask(ctx: typer.Context, incomplete: str, path: str, about: Callable[[Json], str]) -> list[tuple[str, str]]:
    from anabranch.cli.client import Server

    url = ctx.params.get("url") or os.environ.get("ANABRANCH_URL") or DEFAULT_URL
    key = ctx.params.get("key") or os.environ.get("ANABRANCH_KEY")
    try:
        with Server(url.rstrip("/"), key, _PATIENCE_S) as server:
            rows = server.rows(path, _NEWEST)
        found = [(str(row["id"]), _harmless(about(row))) for row in rows]
    except Exception:  # noqa: BLE001  (whatever it is, it must not be printed into the line that is being typed)
        return []
    return [(id_, text) for id_, text in found if id_.startswith(incomplete) and _PLAIN.fullmatch(id_)]


def _harmless(text: str) -> str:
    """What shells show beside an id. Zsh evaluates it, and whoever uploaded the film wrote the title."""
    return " ".join(re.sub(r"[^\w.,-]", " ", text).split())[:60]
