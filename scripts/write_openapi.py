"""Writes docs/openapi.json: the document that the server serves."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

from anabranch.api.server import create_api
from anabranch.app import open_app
from anabranch.settings import Settings

DOCUMENT = Path(__file__).parent.parent / "docs" / "openapi.json"


async def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        async with open_app(Settings(home=Path(home))) as app:
            DOCUMENT.write_text(json.dumps(create_api(app).openapi(), indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
