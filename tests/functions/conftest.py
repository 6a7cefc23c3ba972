"""What the tests of functions share: a home with a database that has all tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.databases import put_migrated

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _migrated(tmp_path: Path) -> None:
    put_migrated(tmp_path / "anabranch.db")
