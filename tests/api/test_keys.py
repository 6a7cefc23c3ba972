"""Keys of the API, made and ended by the API."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import httpx2
import pytest

from anabranch.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.served import Server


def test_a_key_is_shown_once_opens_the_api_and_is_revoked(server: Server) -> None:
    made = server.post("/keys", {"name": "upload form"})
    assert (made["name"], made["key"].startswith(made["prefix"])) == ("upload form", True)
    headers = {"authorization": f"Bearer {made['key']}"}
    assert httpx2.get(f"{server.url}/media?limit=1", headers=headers).status_code == 200
    (listed,) = [one for one in server.get("/keys") if one["id"] == made["id"]]
    assert listed["lastUsedAt"] >= listed["createdAt"]
    assert (listed["revokedAt"], "key" in listed) == (None, False)
    assert server.api.delete(f"/keys/{made['id']}").json()["deleted"]
    assert httpx2.get(f"{server.url}/media?limit=1", headers=headers).json()["code"] == "token_invalid"
    assert server.api.delete(f"/keys/{made['id']}").json()["code"] == "key_not_found"
    (revoked,) = [one for one in server.get("/keys") if one["id"] == made["id"]]
    assert revoked["revokedAt"] >= revoked["createdAt"]
    assert made["key"].encode() not in (server.home / "anabranch.db").read_bytes()


@pytest.mark.slow
def test_a_stream_ends_when_its_key_does(server: Server) -> None:
    made = server.post("/keys", {"name": "who listens"})
    headers = {"authorization": f"Bearer {made['key']}"}
    with httpx2.stream("GET", f"{server.url}/events", headers=headers, timeout=40) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("retry")
        server.api.delete(f"/keys/{made['id']}").raise_for_status()
        # It comes to its end, and does not only fall silent.
        for _ in lines:
            pass


def test_a_key_that_was_told_once_is_not_told_to_who_asks_twice(server: Server) -> None:
    asked = [server.post("/keys", {"name": "twice"}, 201, **{"idempotency-key": "twice"}) for _ in range(2)]
    assert asked[0]["id"] != asked[1]["id"]
    assert asked[0]["key"] != asked[1]["key"]


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 201}, {"name": "x", "scope": "all"}])
def test_a_key_needs_a_name_and_nothing_else(server: Server, body: dict[str, str]) -> None:
    assert server.post("/keys", body, 422)["code"] == "invalid_request"


def test_keys_are_made_for_scopes_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANABRANCH_HOME", str(tmp_path))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["anabranch", "keys", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    scopes = ("--scope", "upload", "--scope", "read")
    code, made, said = run("create", "upload form", *scopes, "--requests-per-minute", "60", "--json")
    assert (code, said) == (0, "")
    assert (json.loads(made)["scopes"], json.loads(made)["requests_per_minute"]) == (["read", "upload"], 60)
    code, made, said = run("create", "all of it")
    assert made.startswith("ab_live_")
    assert "may do everything" in said
    listed = run("list")[1]
    assert "read, upload" in listed
    assert "admin" in listed
    assert run("create", "x", "--scope", "all")[0] == 2
