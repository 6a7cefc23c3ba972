"""The Task API, as clients of both generations use it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import ittybit
import pytest
from ittybit.core.api_error import ApiError

from tests import clips
from tests.api.served import anyone, elsewhere, until

if TYPE_CHECKING:
    from tests.api.served import Server

POSTER = {"start": 1, "width": 160, "format": "webp"}


def test_a_task_is_created_and_asked_for_until_it_is_completed(server: Server, plain_url: str) -> None:
    body = {"input": plain_url, "kind": "image", "options": POSTER, "metadata": {"mediaId": "42", "any": [1]}}
    made = server.post("/tasks", body)
    assert (made["object"], made["status"], made["progress"], made["output"]) == ("task", "waiting", 0, None)
    done = server.task(made["id"], "completed", "failed")
    assert (done["status"], done["progress"], done["error"]) == ("completed", 100, None)
    assert (done["kind"], done["options"], done["metadata"]) == ("image", POSTER, body["metadata"])
    output = done["output"]
    assert (output["width"], output["height"], output["type"]) == (160, 120, "image/webp")
    assert done["output_url"] == output["url"] == done["outputs"][0]["url"]
    picture = anyone.get(output["url"])
    assert picture.headers["content-type"] == "image/webp"
    assert picture.content[8:12] == b"WEBP"
    assert len(picture.content) == output["filesize"]


def test_options_may_stand_beside_the_input_and_the_input_may_be_called_url(server: Server, plain_url: str) -> None:
    made = server.post("/tasks", {"url": plain_url, "kind": "image", "width": 64, "format": "jpg", "ref": "small"})
    done = server.task(made["id"], "completed", "failed")
    assert (done["output"]["width"], done["output"]["format"], done["ref"]) == (64, "jpeg", "small")


@pytest.mark.slow
def test_an_output_is_an_input_by_its_address_and_by_its_file_id(server: Server, plain_url: str) -> None:
    first = server.post("/tasks", {"input": plain_url, "kind": "video", "options": {"width": 160, "end": 1}})
    output = server.task(first["id"], "completed", "failed")["output"]
    for source in ({"input": output["url"]}, {"file_id": output["id"]}, {"input": {"url": output["url"]}}):
        made = server.post("/tasks", {**source, "kind": "image"})
        assert server.task(made["id"], "completed", "failed")["output"]["width"] == 160


@pytest.mark.slow
def test_the_newer_generation_reads_the_same_task_in_its_own_words(server: Server, plain_url: str) -> None:
    made = server.post("/jobs", {"input": plain_url, "kind": "image"})
    assert (made["object"], made["status"]) == ("job", "queued")
    assert made["id"].startswith("job_")
    done = until(lambda: (job := server.get(f"/jobs/{made['id']}"))["status"] == "succeeded" and job, 60)
    assert isinstance(done["output"], str)
    assert isinstance(done["created_at"], int)
    assert done["tasks"][0]["output"]["url"] == done["output"]
    assert server.get(f"/tasks/{made['id']}")["status"] == "completed"
    newest = server.api.get(f"/tasks/{made['id']}", headers={"accept-version": "2026-03-01"}).json()
    runs = server.api.get(f"/tasks/{made['id']}", headers={"accept-version": "2025-10-01"}).json()
    assert newest["status"] == runs["status"] == "succeeded"
    assert runs["created_at"] == newest["created_at"] // 1000


@pytest.mark.slow
def test_the_published_client_works_with_its_base_url_changed(server: Server, plain_url: str) -> None:
    client = ittybit.Ittybit(base_url=server.url, api_key=server.key)
    task = client.tasks.create(request={"url": plain_url, "kind": "image", "width": 64})
    done = until(lambda: (seen := client.tasks.get(task.id)).status == "completed" and seen, 60)
    assert done.output is not None
    assert done.output["width"] == 64
    assert done.created.year >= 2026
    assert task.id in [one.id for one in client.tasks.list(limit=100)]
    assert [one.id for one in client.tasks.list(page=2, limit=1)] == [client.tasks.list(limit=2)[1].id]

    file = client.files.create(url=plain_url, folder="films", filename="a.mp4", metadata={"a": 1})
    ready = until(lambda: (seen := client.files.get(file.id)).status == "ready" and seen, 60)
    assert (ready.kind, ready.type, ready.width, ready.folder, ready.metadata) == (
        "video", "video/mp4", 320, "films", {"a": 1},
    )  # fmt: skip
    assert anyone.get(ready.url).content == clips.plain().read_bytes()
    assert client.files.update(file.id, filename="b.mp4").filename == "b.mp4"
    assert file.id in [one.id for one in client.files.list(limit=100)]
    assert client.files.delete(file.id).message
    with pytest.raises(ApiError) as told:
        client.files.get(file.id)
    assert told.value.status_code == 404
    assert told.value.body["message"]

    row = client.media.create(title="A film", alt="What it shows", metadata={"b": 2})
    assert (row.title, client.media.get(row.id).metadata) == ("A film", {"b": 2})
    assert client.media.update(row.id, title="Another").title == "Another"
    assert row.id in [one.id for one in client.media.list(limit=100)]
    assert client.media.delete(row.id).message

    signed = client.signatures.create(filename="up.mp4", method="put")
    put = anyone.put(signed.url, content=clips.plain().read_bytes(), headers={"content-type": "video/mp4"}).json()
    assert server.media(put["media_id"], "ready", "failed")["status"] == "ready"


@pytest.mark.parametrize(
    ("body", "code", "named"),
    [
        ({"kind": "image"}, "input_missing", "input"),
        ({"kind": "sculpture", "input": "http://127.0.0.1:1/a"}, "unknown_kind", "sculpture"),
        ({"kind": "image", "input": "http://127.0.0.1:1/a", "options": {"widht": 3}}, "invalid_option", "widht"),
        ({"kind": "image", "input": "http://127.0.0.1:1/a", "width": -1}, "invalid_option", "width"),
        ({"kind": "image", "input": "/etc/passwd"}, "unsupported_address", "/etc/passwd"),
        ({"kind": "image", "input": "file:///etc/passwd"}, "unsupported_address", "file:"),
        ({"kind": "image", "input": "storage:sources/x"}, "unsupported_address", "storage:"),
        ({"kind": "image", "input": "http://[broken"}, "unsupported_address", "broken"),
        ({"input": "http://127.0.0.1:1/a"}, "invalid_request", "/kind"),
        ({"kind": "image", "input": "http://127.0.0.1:1/a", "webhook_url": "ftp://x"}, "invalid_option", "ftp"),
    ],
)
def test_a_request_that_makes_no_sense_is_told_why_for_both_generations(
    server: Server, body: dict[str, Any], code: str, named: str
) -> None:
    answer = server.api.post("/tasks", json=body)
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] == problem["kind"] == code
    assert named in problem["detail"]
    assert problem["detail"] == problem["message"] == problem["error"]["message"]
    assert problem["request_id"] == answer.headers["x-request-id"]


def test_own_outputs_that_do_not_exist_are_no_input(server: Server) -> None:
    for path in ("outputs/media/none/x.mp4", "outputs/../../etc/passwd", "outputs/"):
        body = {"kind": "image", "input": f"{server.url}/{path}"}
        assert server.post("/tasks", body, 422)["code"] == "source_not_found"


def test_who_has_no_key_is_turned_away(server: Server) -> None:
    for headers, code in (({}, "token_missing"), ({"authorization": "Bearer ab_live_wrong"}, "token_invalid")):
        answer = anyone.get(f"{server.url}/tasks", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_source_that_is_not_there_fails_the_task_with_its_code(server: Server, plain_url: str) -> None:
    made = server.post("/tasks", {"input": f"{plain_url}.gone", "kind": "image"})
    failed = server.task(made["id"], "completed", "failed")
    assert (failed["status"], failed["error_code"], failed["error_retryable"]) == ("failed", "source_not_found", False)
    assert isinstance(failed["error"], str)
    job = server.get(f"/jobs/{made['id']}")
    assert (job["status"], job["error"]["kind"]) == ("failed", "source_not_found")
    assert server.post("/tasks/task_00000000000000000000000000/cancel", status=404)["code"] == "task_not_found"
    assert server.post(f"/tasks/{made['id']}/cancel", status=409)["code"] == "task_ended"


def test_an_idempotency_key_makes_one_task_of_repeated_requests(server: Server, plain_url: str) -> None:
    body = {"input": plain_url, "kind": "image"}
    headers = {"idempotency-key": f"key-{time.time()}"}
    first = server.api.post("/tasks", json=body, headers=headers)
    again = server.api.post("/tasks", json=body, headers=headers)
    assert first.json() == again.json()
    assert (first.status_code, again.status_code) == (201, 201)
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")
    other = server.api.post("/tasks", json={**body, "kind": "video"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    elsewhere = server.api.post("/tasks?page=2", json=body, headers=headers)
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "idempotency_key_reused")
    # However its type is written, it is the body that is compared.
    for kind in ("application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"):
        typed = {"idempotency-key": f"{kind} {time.time()}", "content-type": kind}
        image, video = (json.dumps({"input": plain_url, "kind": name}) for name in ("image", "video"))
        assert len(image) == len(video)
        assert server.api.post("/tasks", content=image, headers=typed).status_code == 201
        assert server.api.post("/tasks", content=video, headers=typed).json()["code"] == "idempotency_key_reused"
    wrong = {"idempotency-key": f"wrong-{time.time()}"}
    assert server.api.post("/tasks", json={"kind": "image"}, headers=wrong).status_code == 422
    assert server.api.post("/tasks", json=body, headers=wrong).status_code == 201


def test_a_listing_is_read_page_by_page_in_both_directions(server: Server, plain_url: str) -> None:
    url = f"{plain_url}?list"
    ids = [server.post("/tasks", {"input": url, "kind": "image"})["id"] for _ in range(5)]
    seen: list[str] = []
    following = f"/tasks?limit=2&input={url}"
    while following:
        answer = server.api.get(following)
        seen += [one["id"] for one in answer.json()]
        following = answer.links.get("next", {}).get("url", "")
        assert (answer.headers["has-more"] == "true") == bool(following)
    assert seen == ids[::-1]

    def listed(query: str) -> list[str]:
        return [one["id"] for one in server.get(f"/tasks?input={url}&{query}")]

    assert listed("order=asc&limit=2") == ids[:2]
    assert listed(f"order=asc&after={ids[1]}&limit=2") == ids[2:4]
    assert listed(f"before={ids[2]}&limit=1") == [ids[3]]
    assert listed("page=2&limit=2") == ids[::-1][2:4]
    assert listed("status=pending&status=succeeded&status=processing") == ids[::-1]
    assert listed("kind=video") == []
    assert server.api.get("/tasks?after=nonsense").json()["code"] == "invalid_cursor"
    # Whoever sends events names the media.
    assert server.api.get("/media?after=med_1").status_code == 200
    assert server.api.get("/tasks?limit=101").status_code == 422
    assert server.api.get("/tasks?status=lost").json()["code"] == "invalid_request"


@pytest.mark.slow
@pytest.mark.alone
def test_cancelling_ends_the_encode_within_two_seconds_and_removes_what_it_wrote(server: Server) -> None:
    clip = clips.plain(30, "1280x720", "30", "long.mp4")
    with elsewhere(clip.parent) as url:
        made = server.post("/tasks", {"input": f"{url}/long.mp4", "kind": "adaptive_video"})
        until(lambda: any(made["id"] in line for line in server.children()), 60)
        started = time.monotonic()
        cancelled = server.post(f"/tasks/{made['id']}/cancel", status=200)
        until(lambda: not any(made["id"] in line for line in server.children()), 5)
        assert time.monotonic() - started < 2
        assert (cancelled["status"], cancelled["error_code"]) == ("cancelled", "cancelled")
        until(lambda: not (server.home / "storage/tasks" / made["id"]).exists(), 5)
        until(lambda: not list((server.home / "scratch").glob(f"{made['id']}.*")), 5)
        assert server.post(f"/tasks/{made['id']}/cancel", status=200)["status"] == "cancelled"


@pytest.mark.slow
def test_deleting_a_task_removes_its_output_and_the_task(server: Server, plain_url: str) -> None:
    made = server.post("/tasks", {"input": plain_url, "kind": "image", "options": {"start": 1}})
    url = server.task(made["id"], "completed")["output"]["url"]
    assert anyone.get(url).status_code == 200
    assert server.api.delete(f"/tasks/{made['id']}").json()["deleted"]
    assert anyone.get(url).status_code == 404
    assert server.api.get(f"/tasks/{made['id']}").status_code == 404
    assert server.api.delete(f"/tasks/{made['id']}").status_code == 404
