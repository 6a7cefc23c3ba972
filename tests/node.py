"""Node: runs JavaScript with the packages that `make setup` installed from the lock file in examples/node."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

_HERE = Path(sys.executable).parent


def binary() -> str:
    """The node of this environment."""
    found = shutil.which("node", path=str(_HERE))
    assert found, "node is missing; run make setup"
    return found


def modules() -> Path:
    """The folder whose node_modules holds the packages."""
    folder = Path(__file__).parent.parent / "examples" / "node"
    assert (folder / "node_modules").is_dir(), "packages are missing; run make setup"
    return folder


def environment(**variables: str) -> dict[str, str]:
    """An environment without what this machine's own configuration says to SDKs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("INNGEST_", "NODE_"))}
    return {**kept, "PATH": f"{_HERE}:{kept.get('PATH', '')}", **variables}
