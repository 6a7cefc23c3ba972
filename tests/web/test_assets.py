"""What the page loads, and how it gets into the package."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from anabranch.web import assets
from tests.api.served import anyone

if TYPE_CHECKING:
    from tests.api.served import Server

ROOT = Path(__file__).parent.parent.parent


def test_assets_are_kept_for_ever_and_older_ones_are_asked_for_anew(site: Server) -> None:
    html = anyone.get(site.url).text
    found = re.findall(r'(?:src|href)="(/static/[^"#]+)', html)
    assert len(found) > 5
    for path in found:
        answer = anyone.get(site.url + path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        older = anyone.get(f"{site.url}/static/0000/{path.split('/', 3)[3]}")
        assert older.headers["cache-control"] == "no-cache"
        assert older.content == answer.content
    packed = anyone.get(site.url + found[1], headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    for wrong in (
        "/static/0/none.css",
        "/static/0/%2e%2e/pages.py",
        "/static/0/vendor/hls.js/LICENSE",
    ):
        assert anyone.get(site.url + wrong).status_code == 404


def test_every_page_lets_nothing_in_from_elsewhere(site: Server) -> None:
    for path in ("/", "/?q=words", "/login", "/operations", "/operations?view=keys", "/nowhere?", "/watch/med_unknown"):
        answer = anyone.get(site.url + path)
        if "text/html" not in answer.headers["content-type"]:
            continue
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'self'"
        assert policy["script-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert policy["object-src"] == "'none'"
        assert "unsafe" not in str(policy)
        # Nothing is written into the page that the policy would refuse.
        assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", answer.text)


@pytest.mark.parametrize(
    "path",
    ["/watch/%01", "/watch/%3F", "/watch/..%2F..", "/operations?view=runs&run=%0A", "/operations?view=runs&run=.."],
)
def test_an_address_of_nothing_is_told_to_be_one(site: Server, path: str) -> None:
    answer = anyone.get(site.url + path)
    assert (answer.status_code, "not_found" in answer.text) == (404, True)


@pytest.mark.slow
def test_a_wheel_carries_the_page_and_building_from_what_it_was_made_of_fetches_nothing(tmp_path: Path) -> None:
    copy = tmp_path / "anabranch"
    shutil.copytree(
        ROOT,
        copy,
        ignore=shutil.ignore_patterns(".venv", ".git", "node_modules", ".clips", "samples", ".*_cache", "tests"),
    )
    # Without npm, so that whatever would fetch fails.
    build = [
        sys.executable,
        "-I",
        "-c",
        "import sys, hatchling.build; print(hatchling.build.build_wheel(sys.argv[1]))",
        str(tmp_path),
    ]
    made = subprocess.run(build, cwd=copy, env={"PATH": "/nowhere"}, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(tmp_path / made.stdout.strip().splitlines()[-1]) as wheel:
        names = set(wheel.namelist())
    static = "anabranch/web/static"
    own = {
        f"{static}/{path.relative_to(assets.FOLDER).as_posix()}" for path in assets.FOLDER.rglob("*") if path.is_file()
    }
    assert own <= names
    for name in ("hls.js/hls.min.mjs", "hls.js/hls.worker.js", "media-chrome/all.js", "tus-js-client/tus.min.js"):
        assert f"{static}/vendor/{name}" in names
        assert f"{static}/vendor/{name.split('/', maxsplit=1)[0]}/LICENSE" in names
    assert "anabranch/web/templates/base.html" in names


def test_a_build_without_the_modules_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sys.path.insert(0, str(ROOT))
    try:
        import hatch_build
    finally:
        sys.path.remove(str(ROOT))
    (tmp_path / "modules").mkdir()
    shutil.copy(ROOT / "modules" / "package-lock.json", tmp_path / "modules")
    assert not hatch_build.present(tmp_path)
    monkeypatch.setattr(hatch_build, "_npm", lambda: None)
    hook = object.__new__(hatch_build.ModulesHook)
    monkeypatch.setattr(hatch_build.ModulesHook, "root", property(lambda self: str(tmp_path)))
    assert hook.dependencies() == [hatch_build.NPM]
    with pytest.raises(RuntimeError, match="npm, which is missing"):
        hatch_build.fetch(tmp_path)
    monkeypatch.setattr(hatch_build.ModulesHook, "root", property(lambda self: str(ROOT)))
    assert hook.dependencies() == []
