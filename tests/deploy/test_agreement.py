"""The deployment files agree with the code and with each other: settings, commands, ports, times, versions."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from typing import Any

import pytest
import typer.main
import yaml

from anabranch.cli import cli
from anabranch.settings import Settings, read_settings
from anabranch.stopping import DRAIN_S
from tests.deploy import files
from tests.deploy.files import DEPLOY, ROOT, UNITS, pods, seconds, services

KNOWN = {f"ANABRANCH_{name.upper()}" for name in Settings.model_fields}
# What the files name that is not in this version yet.


def environments() -> dict[str, dict[str, Any]]:
    """What each way of running it sets; null is handed on, or comes from where a test cannot look."""
    found: dict[str, dict[str, Any]] = {f"compose {name}": one["environment"] for name, one in services().items()}
    found |= {path.name: dict(files.unit_environment(path)) for path in UNITS}
    found["Dockerfile"] = dict(files.image_environment())
    shared = files.manifest("ConfigMap", "anabranch")["data"] | files.manifest("Secret", "anabranch")["stringData"]
    for name, pod in pods().items():
        own = {one["name"]: one.get("value") for one in pod["containers"][0].get("env", [])}
        found[f"kubernetes {name}"] = shared | own
    found["example.env"] = dict.fromkeys(files.example_variables())
    return found


def commands() -> dict[str, list[str]]:
    """What each way of running it has `anabranch` do."""
    found: dict[str, list[str]] = {f"compose {name}": one["command"] for name, one in services().items()}
    found |= {f"kubernetes {name}": pod["containers"][0]["args"] for name, pod in pods().items()}
    found |= {path.name: shlex.split(files.unit(path)["ExecStart"][0])[1:] for path in UNITS}
    found["Dockerfile"] = json.loads(files.said_last("CMD"))
    return found


@pytest.mark.parametrize("way", environments())
def test_every_variable_is_a_setting_and_every_value_is_one_it_takes(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    named = {name: value for name, value in environments()[way].items() if name.startswith("ANABRANCH_")}
    assert named
    assert set(named) <= KNOWN
    for name, value in named.items():
        if value is not None and name in KNOWN:
            monkeypatch.setenv(name, value)
    read_settings()


@pytest.mark.parametrize("way", commands())
def test_every_command_is_one_of_the_command_line(way: str) -> None:
    name, *options = commands()[way]
    known: dict[str, Any] = typer.main.get_command(cli).commands  # type: ignore[attr-defined]
    taken = {option for parameter in known[name].params for option in [*parameter.opts, *parameter.secondary_opts]}
    assert set(options) <= taken


def test_it_is_reached_where_it_listens() -> None:
    port = files.image_environment()["ANABRANCH_PORT"]
    assert files.said_last("EXPOSE") == port
    assert services()["api"]["ports"] == [f"127.0.0.1:{port}:{port}"], "from this machine alone"
    assert "ports" not in services()["worker"]
    container = pods()["api"]["containers"][0]
    assert container["ports"] == [{"name": "http", "containerPort": int(port)}]
    probes = {container[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "readiness", "liveness")}
    assert probes == {files.manifest("Service", "anabranch")["spec"]["ports"][0]["targetPort"]} == {"http"}
    assert files.unit_environment(DEPLOY / "systemd/anabranch.service")["ANABRANCH_PORT"] == port
    assert f"server 127.0.0.1:{port};" in (DEPLOY / "nginx.conf").read_text()
    assert f"reverse_proxy 127.0.0.1:{port} {{" in (DEPLOY / "Caddyfile").read_text()


def test_nothing_is_killed_before_it_has_handed_over() -> None:
    longest = DRAIN_S + 10
    told = [one["ANABRANCH_DRAIN_S"] for way, one in environments().items() if "ANABRANCH_DRAIN_S" in one]
    assert set(told) == {f"{DRAIN_S:.0f}"}
    for service in services().values():
        assert seconds(service["stop_grace_period"]) >= longest
    for pod in pods().values():
        assert pod["terminationGracePeriodSeconds"] >= longest
    for path in UNITS:
        assert seconds(files.unit(path)["TimeoutStopSec"][0]) >= longest
        assert files.unit(path)["KillMode"] == ["mixed"]
    assert json.loads(files.said_last("ENTRYPOINT")) == ["anabranch"], "exec form: signals reach it"


def test_nobody_is_root_and_nothing_is_written_but_home_and_tmp() -> None:
    user = files.said_last("USER")
    home = files.image_environment()["ANABRANCH_HOME"]
    for name, pod in pods().items():
        assert f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" == user
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        container = pod["containers"][0]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {home, "/tmp"}
    for name, service in files.compose()["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
    for service in services().values():
        assert [volume.rpartition(":")[2] for volume in service["volumes"]] == [home]
        assert service["tmpfs"][0].startswith("/tmp:")


def test_there_is_one_api_and_each_worker_has_a_home_of_its_own() -> None:
    assert files.manifest("Deployment", "anabranch-api")["spec"]["replicas"] == 1
    assert files.manifest("Deployment", "anabranch-api")["spec"]["strategy"] == {"type": "Recreate"}
    assert "replicas" not in services()["api"]["deploy"]
    assert services()["worker"]["deploy"]["replicas"] == 2
    assert services()["worker"]["volumes"] == [files.said_last("VOLUME")], "no name, so none that two could share"
    assert {volume["name"]: list(volume)[1] for volume in pods()["worker"]["volumes"]}["home"] == "emptyDir"
    worker = DEPLOY / "systemd/anabranch-worker@.service"
    assert files.unit(worker)["StateDirectory"] == ["anabranch-workers/%i"]
    assert files.unit_environment(worker)["ANABRANCH_HOME"] == "%S/anabranch-workers/%i"


def test_a_worker_does_as_much_at_once_as_it_is_given_cores() -> None:
    worker = services()["worker"]
    assert worker["environment"]["ANABRANCH_CPU_SLOTS"] == worker["deploy"]["resources"]["limits"]["cpus"]
    container = pods()["worker"]["containers"][0]
    slots = next(one for one in container["env"] if one["name"] == "ANABRANCH_CPU_SLOTS")
    assert slots["valueFrom"]["resourceFieldRef"] == {"containerName": container["name"], "resource": "limits.cpu"}


def test_what_compose_asks_for_stands_in_the_example_and_no_secret_does() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{([A-Z_]+)", text))
    handed_on = {name for name, value in services()["api"]["environment"].items() if value is None}
    assert asked | handed_on == files.example_variables()
    filled = dict(re.findall(r"^([A-Z_0-9]+)=(.*)$", (DEPLOY / "example.env").read_text(), re.MULTILINE))
    assert {name for name, value in filled.items() if value} == {"ANABRANCH_BASE_URL"}


def test_versions_agree() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    image = yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text())["images"][0]
    assert image["newTag"] == version
    assert {service["image"] for service in services().values()} == {f"anabranch:{version}"}
    assert {pod["containers"][0]["image"] for pod in pods().values()} == {image["name"]}


def test_what_the_image_is_built_from_is_let_through_by_dockerignore() -> None:
    rules = (ROOT / ".dockerignore").read_text().split()
    through = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = [argument for name, argument in files.dockerfile() if name == "COPY" and not argument.startswith("--from")]
    wanted = {source for argument in copied for source in argument.split()[:-1]}
    assert wanted == through
    assert all((ROOT / source).exists() for source in wanted)


def test_what_runs_is_pinned_as_what_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tested = _pins("dev")
    for name, listed in (("run", project["project"]["dependencies"]), ("build", project["dependency-groups"]["build"])):
        assert _pins(name).items() <= tested.items()
        wanted = {re.split(r"[\[<>=]", requirement)[0] for requirement in listed}
        assert wanted <= set(_pins(name)), "make lock pins them anew"
    assert "pytest" not in _pins("run")


def _pins(name: str) -> dict[str, str]:
    """What a requirements file pins; each has to have a hash."""
    blocks = re.split(r"\n(?=\S)", (ROOT / f"requirements/{name}.txt").read_text().strip())
    assert all("--hash=sha256:" in block for block in blocks)
    return {block.partition("==")[0]: block.partition("==")[2].split()[0] for block in blocks}
