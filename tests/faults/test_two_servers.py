"""Two servers on what is for one: the second is told so, and the first does not notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.served import serving
from tests.faults.test_database import refused

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def test_the_second_server_on_a_home_or_a_sqlite_file_is_told_who_has_it(tmp_path: Path) -> None:
    with serving(tmp_path / "first") as first:
        assert first.process is not None
        pid = first.process.pid
        # By another path, in the same folder.
        (tmp_path / "link").symlink_to(tmp_path / "first", target_is_directory=True)
        said = refused(tmp_path / "link")
        assert f"home_in_use: Process {pid} works in {tmp_path / 'link'} already." in said
        said = refused(tmp_path / "second", ANABRANCH_DATABASE_URL=f"sqlite:///{tmp_path / 'link' / 'anabranch.db'}")
        assert f"database_in_use: Process {pid} works on the database" in said
        assert first.post("/media", {"title": "Undisturbed"})["status"] == "waiting"
