"""The examples in the documents, run as they stand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import clips
from tests.api.typed import environment_of

if TYPE_CHECKING:
    from tests.api.served import Server

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["api.md", "webhooks.md"])
def test_every_curl_of_a_document_does_what_it_says(server: Server, plain_url: str, tmp_path: Path, name: str) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", (DOCS / name).read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 1
    assert all("curl" in block for block in blocks)
    (tmp_path / "film.mp4").write_bytes(clips.plain().read_bytes())
    # One after another in one shell, as a reader would type them.
    script = "\n".join(["set -eu", *blocks, "echo; echo all done"])
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "ANABRANCH": server.url,
        "KEY": server.key,
        "FILM_URL": plain_url,
    }
    done = subprocess.run(
        ["bash", "-x", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.rstrip().endswith("all done")


@pytest.mark.slow
def test_the_script_of_the_command_line_does_what_it_says(server: Server, tmp_path: Path) -> None:
    (script,) = re.findall(r"^```sh\n(.*?)^```", (DOCS / "cli.md").read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "film.mp4").write_bytes(clips.plain().read_bytes())
    environment = environment_of(server)
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    film = json.loads((tmp_path / "film.json").read_text())
    assert film["status"] == "ready"
    assert re.search(r" poster-image med_\w+$", done.stdout, re.MULTILINE)
    assert done.stdout.endswith(f"{film['id']} and all its files are gone.\n")
    assert server.api.get(f"/media/{film['id']}").status_code == 404
