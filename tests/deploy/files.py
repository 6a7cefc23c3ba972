"""Files: the deployment files as they stand, and what they say: variables, commands, ports, times."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted(path for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.name != "kustomization.yaml")
UNITS = sorted((DEPLOY / "systemd").iterdir())


def tool(name: str) -> str:
    """Where a tool is that the requirements bring, or the machine."""
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert found is not None, f"{name} is missing; make setup installs it"
    return found


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return document


def services() -> dict[str, Any]:
    """Those of compose.yaml that are Anabranch."""
    return {name: compose()["services"][name] for name in ("api", "worker")}


def manifests() -> list[dict[str, Any]]:
    return [one for path in MANIFESTS for one in yaml.safe_load_all(path.read_text())]


def manifest(kind: str, name: str) -> dict[str, Any]:
    return next(one for one in manifests() if (one["kind"], one["metadata"]["name"]) == (kind, name))


def pods() -> dict[str, dict[str, Any]]:
    """The pod of each Deployment, by what Anabranch is in it."""
    return {name: manifest("Deployment", f"anabranch-{name}")["spec"]["template"]["spec"] for name in ("api", "worker")}


def dockerfile() -> list[tuple[str, str]]:
    """Instructions and their arguments, lines joined, without comments."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines if line.strip()]


def said_last(instruction: str) -> str:
    """What the image is told by an instruction; the last one counts."""
    return [argument for name, argument in dockerfile() if name == instruction][-1]


def image_environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in said_last("ENV").split())


def health_command() -> list[str]:
    command: list[str] = json.loads(said_last("HEALTHCHECK").partition("CMD ")[2])
    return command


def unit(path: Path) -> dict[str, list[str]]:
    """A unit's directives, each with all that it is given."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def unit_environment(path: Path) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in unit(path)["Environment"])


def example_variables() -> set[str]:
    """What deploy/example.env names, set or commented out."""
    return set(re.findall(r"^(?:# )?([A-Z0-9_]+)=", (DEPLOY / "example.env").read_text(), re.MULTILINE))


def seconds(text: str) -> int:
    """A time such as 45s."""
    assert text.endswith("s"), text
    return int(text[:-1])
