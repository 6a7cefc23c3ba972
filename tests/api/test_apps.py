"""Apps of the official SDKs, in processes of their own, driven by the server's engine."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import inngest
import pytest

from tests import clips, node
from tests.api.served import anyone, elsewhere, free_port, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.served import Server

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "examples"


def signing_key(server: Server) -> str:
    """As a person asks for it."""
    command = [sys.executable, "-m", "anabranch", "keys", "signing"]
    environment = node.environment(ANABRANCH_HOME=str(server.home))
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def app(server: Server, command: list[str], folder: Path, **variables: str) -> Iterator[str]:
    """An app in a process of its own, pointed at the server by its environment alone; its address."""
    port = free_port()
    environment = node.environment(
        PORT=str(port),
        INNGEST_DEV="0",
        INNGEST_BASE_URL=server.url,
        INNGEST_API_BASE_URL=server.url,
        INNGEST_EVENT_API_BASE_URL=server.url,
        INNGEST_EVENT_KEY=server.key,
        INNGEST_SIGNING_KEY=variables.pop("signing", "") or signing_key(server),
        ITTYBIT_API_URL=server.url,
        ITTYBIT_API_KEY=server.key,
        **variables,
    )
    log = (server.home / f"app-{port}.log").open("w")
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, (server.home / f"app-{port}.log").read_text()[-3000:]
        try:
            return httpx2.get(f"{url}/api/inngest", timeout=5).status_code < 500
        except httpx2.HTTPError:
            return False

    try:
        until(answers, 60)
        yield url
    finally:
        process.kill()
        process.wait()
        log.close()


def python(name: str) -> list[str]:
    return [sys.executable, str(HERE / name)]


def run_of(server: Server, event_id: str, *statuses: str) -> Any:
    """The run that an event has started, once it has one of these statuses."""

    def look() -> Any:
        runs = server.get(f"/v1/events/{event_id}/runs")["data"]
        return runs and runs[0]["status"] in statuses and server.get(f"/v1/runs/{runs[0]['run_id']}")["data"]

    return until(look, 60)


@pytest.mark.slow
def test_an_express_app_creates_and_polls_four_tasks_and_is_driven_by_the_engine(server: Server) -> None:
    clip = clips.plain(4)
    with (
        elsewhere(clip.parent) as source,
        app(server, [node.binary(), "app.ts"], EXAMPLES / "node") as url,
    ):
        synced = server.post("/v1/apps", {"url": f"{url}/api/inngest"})["data"]
        assert synced["functions"] == ["video-app-fanout-adaptive-streaming"]
        body = {"mediaId": "v1", "sourceUrl": f"{source}/{clip.name}"}
        event_id = anyone.post(f"{url}/videos", json=body).json()["eventId"]
        run = run_of(server, event_id, "Completed", "Failed")
        assert run["status"] == "Completed", run["error"]
        record = anyone.get(f"{url}/videos/v1").json()
        assert record["status"] == "ready"
        starts = {"hlsUrl": b"#EXTM3U", "posterUrl": b"RIFF", "gifUrl": b"GIF89a", "transcriptionUrl": b"{"}
        for name, start in starts.items():
            assert anyone.get(record[name]).content.startswith(start)
        again = anyone.post(f"{url}/videos", json=body).json()["eventId"]
        assert len(server.get(f"/v1/events/{again}/runs")["data"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fastapi_app.py", "flask_app.py"])
def test_python_apps_are_registered_by_url_and_driven(server: Server, name: str) -> None:
    with app(server, python(name), HERE, APP_ID=name.partition("_")[0]) as url:
        synced = server.post("/v1/apps", {"url": f"{url}/api/inngest"})["data"]
        app_id = name.partition("_")[0]
        assert sorted(synced["functions"]) == [f"{app_id}-count", f"{app_id}-fail"]
        client = inngest.Inngest(
            app_id="sender", is_production=True, event_api_base_url=server.url, event_key=server.key
        )
        (event_id,) = client.send_sync(inngest.Event(name=f"{app_id}/go", data={"n": 3}))
        run = run_of(server, event_id, "Completed", "Failed")
        assert (run["status"], run["output"]) == ("Completed", {"squares": [0, 1, 4], "sum": 5})
        assert sorted(step["name"] for step in run["steps"]) == ["nap", "square-0", "square-1", "square-2", "sum"]
        (event_id,) = client.send_sync(inngest.Event(name=f"{app_id}/fail"))
        run = run_of(server, event_id, "Completed", "Failed")
        assert (run["status"], run["error"]["message"]) == ("Failed", "no use")


@pytest.mark.slow
def test_an_app_with_another_signing_key_is_neither_driven_nor_believed(server: Server) -> None:
    with app(server, python("fastapi_app.py"), HERE, APP_ID="stranger", signing="signkey-prod-" + "ab" * 32) as url:
        answer = server.post("/v1/apps", {"url": f"{url}/api/inngest"}, 422)
        assert answer["code"] == "app_unreachable"
        # Now the app itself tries to register, with the hash of a key that is not ours.
        anyone.put(f"{url}/api/inngest")
        assert "stranger" not in [one["id"] for one in server.get("/v1/apps")["data"]]


@pytest.mark.slow
def test_an_app_registers_itself_when_it_is_asked_to(server: Server) -> None:
    with app(server, python("fastapi_app.py"), HERE, APP_ID="own") as url:
        assert anyone.put(f"{url}/api/inngest").status_code == 200
        known = {one["id"]: one for one in server.get("/v1/apps")["data"]}
        assert {one["id"] for one in known["own"]["functions"]} == {"own-count", "own-fail"}


@pytest.mark.slow
def test_the_functions_of_the_server_itself_cannot_be_called_unsigned(server: Server) -> None:
    address = f"{server.url}/api/inngest?fnId=anabranch-process-task&stepId=step"
    for headers in ({}, {"x-inngest-server-kind": "dev"}, {"x-inngest-signature": "t=1&s=00"}):
        answer = anyone.post(address, json={"ctx": {}, "event": {}, "events": [], "steps": {}}, headers=headers)
        assert answer.status_code == 401
