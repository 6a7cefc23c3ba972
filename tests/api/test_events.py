"""The Event API: sending, looking at runs, cancelling, doing again."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import inngest
import pytest

from tests import clips, node
from tests.api.served import anyone, elsewhere, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.served import Server


@pytest.mark.slow
def test_an_event_of_the_official_client_starts_the_fan_out_once(server: Server, plain_url: str) -> None:
    client = inngest.Inngest(app_id="a", is_production=True, event_api_base_url=server.url, event_key=server.key)
    media_id = f"med_{time.time_ns()}"
    event = inngest.Event(name="video/uploaded", data={"mediaId": media_id, "sourceUrl": plain_url}, id=f"u-{media_id}")
    assert client.send_sync([event, event]) == [f"u-{media_id}"] * 2
    assert server.media(media_id, "ready", "degraded", "failed")["status"] == "ready"
    runs = server.get(f"/v1/events/u-{media_id}/runs")["data"]
    assert [one["function_id"] for one in runs] == ["anabranch-fanout-adaptive-streaming"]
    run = until(
        lambda: (one := server.get(f"/v1/runs/{runs[0]['run_id']}")["data"])["status"] == "Completed" and one, 10
    )
    assert run["output"]["id"] == media_id
    assert {step["name"] for step in run["steps"]} >= {"hls-package", "poster-image", "assemble"}
    assert server.get(f"/v1/events/u-{media_id}")["data"]["name"] == "video/uploaded"


@pytest.mark.slow
def test_an_event_of_the_official_javascript_client_is_kept(server: Server) -> None:
    code = """
    import { Inngest } from "inngest";
    const client = new Inngest({ id: "sender" });
    console.log(JSON.stringify(await client.send([{ name: "js/one", data: { a: 1 } }, { name: "js/two" }])));
    """
    environment = node.environment(INNGEST_DEV="0", INNGEST_BASE_URL=server.url, INNGEST_EVENT_KEY=server.key)
    command = [node.binary(), "--input-type=module", "-e", code]
    said = subprocess.run(command, cwd=node.modules(), env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    ids = said.stdout.split('"')[3::2]
    assert [server.get(f"/v1/events/{one}")["data"]["name"] for one in ids] == ["js/one", "js/two"]
    assert server.get(f"/v1/events/{ids[0]}")["data"]["data"]["a"] == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"data": {}}, 422, "invalid_request"),
        ({"name": "a", "data": []}, 422, "invalid_request"),
        ({"name": "inngest/function.invoked"}, 400, "invalid_event"),
        ({"name": "video/uploaded", "data": {"mediaId": "m", "sourceUrl": "/etc/passwd"}}, 400, "invalid_event"),
        ([{"name": "fine"}, {"name": "task/created", "data": {"input": "file:///etc/passwd"}}], 400, "invalid_event"),
    ],
)
def test_events_that_make_no_sense_are_refused_whole(server: Server, body: Any, status: int, code: str) -> None:
    answer = anyone.post(f"{server.url}/e/{server.key}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_events_and_runs_need_keys(server: Server) -> None:
    assert anyone.post(f"{server.url}/e/wrong", json={"name": "a"}).status_code == 401
    for path in ("/v1/runs/x", "/v1/events/x/runs", "/v1/apps", "/v1/runs", "/v1/events"):
        assert anyone.get(f"{server.url}{path}").status_code == 401
    assert anyone.post(f"{server.url}/fn/register", json={"url": "http://x", "functions": []}).status_code == 401
    answer = server.post("/fn/register", {"url": "http://127.0.0.1:1/", "functions": [{"id": "x", "steps": {}}]}, 422)
    assert answer["code"] == "invalid_registration"


@pytest.mark.slow
def test_a_run_is_cancelled_and_done_again_from_a_step(server: Server) -> None:
    clip = clips.plain(30, "1280x720", "30", "long.mp4")
    with elsewhere(clip.parent) as url:
        made = server.post("/tasks", {"input": f"{url}/long.mp4", "kind": "adaptive_video"})
        run_id = until(lambda: server.get(f"/tasks/{made['id']}")["run_id"], 60)
        until(lambda: any(made["id"] in line for line in server.children()), 60)
        assert server.api.delete(f"/v1/runs/{run_id}").json()["data"]["status"] == "Cancelled"
        until(lambda: not any(made["id"] in line for line in server.children()), 5)
        assert server.api.delete(f"/v1/runs/{run_id}").json()["code"] == "run_ended"
    small = server.post("/tasks", {"input": f"{server.url}/outputs/none", "kind": "image"}, 422)
    assert small["code"] == "source_not_found"


@pytest.mark.slow
def test_a_finished_run_is_done_again(server: Server, plain_url: str) -> None:
    made = server.post("/tasks", {"input": plain_url, "kind": "image"})
    run_id = server.task(made["id"], "completed")["run_id"]
    first = until(lambda: (one := server.get(f"/v1/runs/{run_id}")["data"])["status"] == "Completed" and one, 60)
    again = server.post(f"/v1/runs/{run_id}/rerun", {"from_step": "join"})["data"]
    assert again["original_run_id"] == run_id
    done = until(
        lambda: (one := server.get(f"/v1/runs/{again['run_id']}")["data"])["status"] == "Completed" and one, 10
    )
    assert done["output"] == first["output"]
    assert server.post(f"/v1/runs/{run_id}/rerun", {"from_step": "nope"}, 404)["code"] == "step_not_found"
    assert server.post("/v1/runs/run_none/rerun", status=404)["code"] == "run_not_found"


def test_runs_are_listed_by_status_and_function_page_by_page(server: Server, plain_media: str) -> None:
    first = server.api.get("/v1/runs", params={"function": "process-task", "status": "completed", "limit": 2})
    rows = first.json()["data"]
    assert len(rows) == 2
    assert {(row["function_id"], row["status"]) for row in rows} == {("anabranch-process-task", "Completed")}
    assert [row["id"] for row in rows] == sorted((row["id"] for row in rows), reverse=True)
    assert (first.headers["limit"], first.headers["has-more"]) == ("2", "true")
    following = server.api.get(first.headers["link"].partition("<")[2].partition(">")[0]).json()["data"]
    assert following[0]["id"] < rows[1]["id"]
    (fan_out,) = server.get("/v1/runs?function=anabranch-fanout-adaptive-streaming&limit=1")["data"]
    assert fan_out["event_name"] == "video/uploaded"
    assert "output" not in fan_out
    steps = server.get(f"/v1/runs/{fan_out['id']}")["data"]["steps"]
    assert "hls-package" in {step["name"] for step in steps}
    assert server.get("/v1/runs?function=nobody")["data"] == []
    assert server.api.get("/v1/runs?status=Sleeping").json()["code"] == "invalid_request"
    assert server.api.get("/v1/runs?after=nope").json()["code"] == "invalid_cursor"


def test_events_are_listed_in_the_order_in_which_they_came_whatever_their_ids(server: Server) -> None:
    # Ids that sort against their age.
    sent = [f"listed {letter}?&" for letter in "zyxwv"]
    for one in sent:
        anyone.post(f"{server.url}/e/{server.key}", json={"name": "test/listed", "id": one, "data": {"a": 1}})
    newest = server.api.get("/v1/events", params={"name": "test/listed", "limit": 2})
    assert [row["id"] for row in newest.json()["data"]] == sent[:2:-1]
    assert newest.json()["data"][0]["data"] == {"a": 1}
    rest = server.api.get(newest.headers["link"].partition("<")[2].partition(">")[0])
    assert [row["id"] for row in rest.json()["data"]] == sent[2:0:-1]
    assert rest.headers["has-more"] == "true"
    last = server.api.get(rest.headers["link"].partition("<")[2].partition(">")[0])
    assert ([row["id"] for row in last.json()["data"]], last.headers["has-more"]) == ([sent[0]], "false")
    upwards = server.api.get("/v1/events", params={"name": "test/listed", "order": "asc", "after": sent[1], "limit": 2})
    assert [row["id"] for row in upwards.json()["data"]] == sent[2:4]
    up_to = server.api.get("/v1/events", params={"name": "test/listed", "before": sent[2], "limit": 1})
    assert [row["id"] for row in up_to.json()["data"]] == [sent[3]]
    assert server.api.get("/v1/events?after=nope").json()["code"] == "invalid_cursor"


@pytest.mark.slow
def test_a_failed_task_is_done_when_its_run_is_done_again(server: Server, tmp_path: Path) -> None:
    with elsewhere(tmp_path) as url:
        made = server.post("/tasks", {"input": f"{url}/late.mp4", "kind": "image"})
        failed = server.task(made["id"], "failed", "completed")
        assert failed["error_code"] == "source_not_found"
        (tmp_path / "late.mp4").write_bytes(clips.plain().read_bytes())
        server.post(f"/v1/runs/{failed['run_id']}/rerun")
        done = until(lambda: (task := server.get(f"/tasks/{made['id']}"))["status"] == "completed" and task, 60)
    assert done["error"] is None
    assert anyone.get(done["output"]["url"]).status_code == 200


def test_runs_of_a_function_are_cancelled_by_what_their_event_says(server: Server) -> None:
    cancelled = server.post(
        "/v1/cancellations",
        {"app_id": "anabranch", "function_id": "process-task", "if": "event.data.ref == 'nobody'"},
    )
    assert cancelled["data"]["cancelled"] == []


@pytest.mark.slow
def test_keys_are_made_listed_and_revoked_on_the_command_line(server: Server) -> None:
    environment = node.environment(ANABRANCH_HOME=str(server.home))

    def keys(*arguments: str) -> str:
        command = [sys.executable, "-m", "anabranch", "keys", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    text = keys("create", "for tests").strip()
    assert anyone.get(f"{server.url}/tasks", headers={"authorization": f"Bearer {text}"}).status_code == 200
    row = next(line for line in keys("list").splitlines() if "for tests" in line)
    assert text not in row
    keys("revoke", row.split()[0])
    assert anyone.get(f"{server.url}/tasks", headers={"authorization": f"Bearer {text}"}).status_code == 401
