"""Options: what all commands that speak to a server take."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, urlsplit

import typer

DEFAULT_URL = "http://127.0.0.1:8000"
_PANEL = "Server"


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise typer.BadParameter(f"{url!r} is no address of a server. Give one like {DEFAULT_URL}.")
    return url.rstrip("/")


def in_path(id_: str) -> str:
    """An id as a part of a path: whatever it is, it leads nowhere else."""
    return quote(id_, safe="") or "-"


Url = Annotated[
    str,
    typer.Option(
        "--url", envvar="ANABRANCH_URL", callback=_checked, help="Address of the server.", rich_help_panel=_PANEL
    ),
]
Key = Annotated[
    str | None, typer.Option("--key", envvar="ANABRANCH_KEY", help="A key of its API.", rich_help_panel=_PANEL)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]
Limit = Annotated[int, typer.Option("-n", "--limit", min=1, help="How many at the most, the newest first.")]

WhichEngine = Annotated[
    str | None,
    typer.Option("--engine", help="What drives the functions: embedded, or inngest.", envvar="ANABRANCH_ENGINE"),
]
