"""Watching: what a page must never do: complain, break, or ask anybody but its own server."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import ConsoleMessage, Locator, Page, Request

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
_OWN_SCHEMES = ("blob:", "data:", "about:")
_TRANSFER = """(given) => {
  const transfer = new DataTransfer();
  for (const one of given) {
    const bytes = Uint8Array.from(atob(one.data), (letter) => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], one.name, { type: "video/mp4", lastModified: 1 }));
  }
  return transfer;
}"""
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@contextmanager
def watched(page: Page, origin: str) -> Iterator[list[str]]:
    """What was wrong, which a test may clear when it meant it; at the end there must be nothing."""
    wrong: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            wrong.append(f"console {message.type}: {message.text}")

    def asked(request: Request) -> None:
        if not request.url.startswith((f"{origin}/", *_OWN_SCHEMES)):
            wrong.append(f"asked elsewhere: {request.url}")

    page.on("console", said)
    page.on("pageerror", lambda error: wrong.append(f"broke: {error}"))
    page.on("request", asked)
    yield wrong
    assert not wrong, "\n".join(wrong)


def drop(page: Page, *files: Path) -> None:
    """Drop files on the page, as from a folder of the desktop."""
    given = [{"name": one.name, "data": base64.b64encode(one.read_bytes()).decode()} for one in files]
    transfer = page.evaluate_handle(_TRANSFER, given)
    page.dispatch_event("main", "dragover", {"dataTransfer": transfer})
    page.dispatch_event("main", "drop", {"dataTransfer": transfer})


def card(page: Page, media_id: str) -> Locator:
    """The card of a film."""
    return page.locator(f'.card[data-id="{media_id}"]')


def violations(page: Page) -> list[str]:
    """What axe finds wrong with a page as it is now: rule, and where."""
    assert AXE.is_file(), "axe-core is missing; run make setup"
    # By the debugger, so that the page's own policy stays as strict as it is.
    page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.evaluate("tags => axe.run(document, {runOnly: tags})", _RULES)
    return [
        f"{one['id']}: {node['html'][:160]} {' '.join(said['message'] for said in node['any'][:1])}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
