"""Secrets: none of them is logged or answered, whatever goes wrong; and none is compared by how far it is right."""

from __future__ import annotations

import ast
import logging
import re
import secrets
import sqlite3
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

import anabranch
from anabranch.cli import main
from tests import clips
from tests.api.served import Server, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import ObjectStore

SOURCE = Path(anabranch.__file__).parent


def canary() -> str:
    """Something that stands nowhere else."""
    return f"canary{secrets.token_hex(12)}"


class Talkative(Server):
    """A server that logs all that any library has to say."""

    program = ("-m", "tests.api.talkative")


@contextmanager
def talking(home: Path, **settings: str) -> Iterator[Talkative]:
    server = Talkative(home, **settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.mark.slow
def test_no_secret_is_logged_or_answered_whatever_goes_wrong(tmp_path: Path, nanio: ObjectStore) -> None:
    hidden = {name: canary() for name in ("password", "tasks key", "S3 secret", "guessed key", "source password")}
    hidden["signing key"] = secrets.token_hex(24)
    told: list[str] = []
    settings = {
        **nanio.below("secrets").environment,
        "AWS_SECRET_ACCESS_KEY": hidden["S3 secret"],
        "ANABRANCH_PASSWORD": hidden["password"],
        "ANABRANCH_SIGNING_KEY": f"signkey-test-{hidden['signing key']}",
        "ANABRANCH_TASKS_URL": "http://127.0.0.1:9/tasks-api",
        "ANABRANCH_TASKS_KEY": hidden["tasks key"],
        "ANABRANCH_TASKS_KINDS": "image",
        "ANABRANCH_TASKS_TIMEOUT_S": "1",
    }
    with talking(tmp_path / "home", **settings) as server:
        hidden["key"] = server.key
        address = "http://127.0.0.1:9/film.mp4"
        endpoint = server.post("/webhooks/endpoints", {"url": "http://127.0.0.1:9/hook", "topics": ["*"]})
        hidden["webhook secret"] = endpoint["secret"].removeprefix("whsec_")
        put = server.post("/signatures", {"filename": "a.mp4", "method": "put"})
        hidden["upload signature"] = put["signature"]
        tus = {"tus-resumable": "1.0.0"}
        place = server.api.post("/uploads", headers={**tus, "upload-length": "5"}).headers["location"]
        hidden["upload address"] = place.rpartition("/")[2]
        with closing(httpx2.Client(base_url=server.url, headers={"origin": server.url})) as browser:
            browser.post("/session", json={"password": hidden["password"]})
            hidden["cookie"] = browser.cookies["anabranch_session"].rpartition(".")[2]
            told.append(browser.get("/operations?view=doctor").text)
            told.append(browser.post("/login", data={"secret": hidden["password"] + "x"}).text)
        task = server.post("/tasks", {"input": address, "kind": "image", "webhook_url": f"{address}?hook"})
        server.post(f"/e/{server.key}", {"name": "app/thing"}, 200)
        told += [
            one.text
            for one in (
                server.api.post(f"/e/{server.key}", json={"name": ""}),
                server.api.post(f"/e/{hidden['guessed key']}", json={"name": "x"}),
                server.api.get("/media", headers={"authorization": f"Bearer {hidden['guessed key']}"}),
                server.api.post("/session", json={"key": hidden["guessed key"]}),
                server.api.post("/session", json={"password": hidden["password"], "more": hidden["guessed key"]}),
                server.api.post("/session", json={"password": [hidden["password"]]}),
                server.api.post("/session", content=f'{{"password": "{hidden["password"]}'),
                server.api.post("/fn/register", content=b"{"),
                server.api.put(put["url"], content=b"x"),
                server.api.put(put["url"].replace("expiry=", "expiry=1"), content=b"x"),
                server.api.patch(place, content=b"12345", headers={**tus, "upload-offset": "9"}),
                server.api.get("/signed/9999999999-" + hidden["upload signature"] + "/media/x/y"),
                server.api.post("/media", content=clips.plain().read_bytes(), headers={"content-type": "video/mp4"}),
                server.api.post("/media", json={"title": "x"}),
                server.api.get("/doctor"),
                server.api.get("/overview"),
                server.api.get("/ready"),
                server.api.get("/metrics"),
                server.api.get("/keys"),
                server.api.get("/webhooks/endpoints"),
                server.api.get("/v1/apps"),
            )
        ]
        # What a client says of a source it is told again, but nobody else.
        for source in ("user:{}@127.0.0.1:9/x.mp4", "127.0.0.1:9/x.mp4?X-Amz-Signature={}"):
            server.post("/media", {"url": f"http://{source.format(hidden['source password'])}"})
        until(lambda: "cannot be reached" in (server.home / "server.log").read_text(), 60)
        ended = until(lambda: (row := server.get(f"/tasks/{task['id']}"))["status"] == "failed" and row, 60)
        until(lambda: any(one["attempts"] for one in server.get("/webhooks/deliveries")), 60)
        told += [str(ended), server.api.get("/webhooks/deliveries").text]
        with closing(sqlite3.connect(server.home / "anabranch.db", timeout=30)) as rows:
            hidden |= {f"made: {name}": value for name, value in rows.execute("SELECT name, value FROM secrets")}
            # The database breaks under it.
            rows.execute("ALTER TABLE api_keys RENAME TO gone")
        broken = [server.api.get("/media"), server.api.post("/session", json={"key": server.key})]
        assert {one.status_code for one in broken} == {500}
        told += [one.text for one in broken]
    said = (server.home / "server.log").read_text()
    # It does talk.
    assert len(said.splitlines()) > 200
    assert "DEBUG" in said
    found = [f"{name} is logged: {_line(said, value)}" for name, value in hidden.items() if value in said]
    answers = "\n".join(told)
    found += [f"{name} is answered: {_line(answers, value)}" for name, value in hidden.items() if value in answers]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("ANABRANCH_DATABASE_URL", "postgresql://anabranch:{}@127.0.0.1:9/films"),
        ("ANABRANCH_DATABASE_URL", "postgresql://127.0.0.1:9/films?user=a&password={}"),
        ("ANABRANCH_DATABASE_URL", "mysql://anabranch:{}@127.0.0.1/films"),
        ("ANABRANCH_SIGNING_KEY", "{}"),
        ("ANABRANCH_TASKS_URL", "http://user:{}@127.0.0.1/x"),
        ("ANABRANCH_PASSWORD", "{:.7}"),
    ],
)
def test_a_setting_that_is_wrong_is_told_without_its_secret(
    tmp_path: Path,
    setting: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = canary()
    monkeypatch.setenv("ANABRANCH_HOME", str(tmp_path))
    monkeypatch.setenv(setting, value.format(secret))
    monkeypatch.setattr(sys, "argv", ["anabranch", "keys", "list"])
    caplog.set_level(logging.DEBUG)
    with pytest.raises(SystemExit):
        main()
    told = capsys.readouterr()
    assert setting in told.err
    assert secret[:7] not in told.err + told.out + caplog.text


def _line(text: str, value: str) -> str:
    return next(line for line in text.splitlines() if value in line)[:400]


# What is compared by `==` although it is called so. Nothing that a client says is compared with a secret here.
COMPARED = {
    "who signed in, once the proof has held; the word is no secret": {
        "api/context.py: who == cookies.PASSWORD",
        "api/cookies.py: who == PASSWORD",
    },
    "looked up by its SHA-256: how far that is right says nothing of the key": {
        "catalog/keys.py: api_keys.c.hash == _hash(text)",
    },
    "an id, which is in the listing of keys": {"catalog/keys.py: api_keys.c.id == key_id"},
    "a client's own Idempotency-Key, beside the id of who sent it": {"catalog/answers.py: answers.c.key == key"},
    "what an engine counts by, from the data of events": {
        "engine/admission.py: run_keys.c.key == key",
        "engine/places.py: taken.c.key == places.c.key",
    },
    "the name of a step": {"engine/driver.py: key != protocol.WHOLE_FUNCTION"},
    "where an object is in storage, or which column a row has": {
        "api/repairs.py: key != address",
        "catalog/published.py: published.c.key == key",
        "export.py: stored['key'] == output['key']",
        "moving/objects.py: one['key'] != (output or {}).get('key')",
        "moving/rows.py: key == sa.bindparam(f'key_{key.name}')",
        "retention.py: files.c.key == row.key",
        "tasks/sources.py: key == address",
    },
    "a keyframe": {"media/codecs.py: key == keys[0] + number * gop"},
    "which bytes these are, both of this installation": {
        "moving/objects.py: _digest(target.open(key)) == _digest(_blocks(path))",
        "moving/objects.py: _digest(target.open(key)) == _digest(source.open(key))",
        "tasks/adaptive_video/sound.py: earlier['sha256'] == digest",
        "web/assets.py: asked_hash == self.hash",
    },
    "which installation and which folder, read by whoever runs it": {
        "moving/move.py: said['installation'] != _secret(source.database, _INSTALLATION)",
        "workers.py: workers.c.home == self._token",
    },
}
_SECRETS = re.compile(r"(^|_)(key|token|secret|signature|proof|password|hash|digest|mac|hmac)s?($|_)", re.IGNORECASE)


def compared() -> Iterator[str]:
    """Comparisons by `==` and `!=` of what is called like a secret; of two values, not with a constant."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
                continue
            sides = [node.left, *node.comparators]
            if any(isinstance(side, ast.Constant) for side in sides):
                continue
            if any(_SECRETS.search(_name(side)) for side in sides):
                yield f"{path.relative_to(SOURCE).as_posix()}: {ast.unparse(node)}"


def _name(node: Any) -> str:
    """What a value is called: the last word of it."""
    if isinstance(node, ast.Call):
        return _name(node.func)
    if isinstance(node, ast.Subscript):
        return str(node.slice.value) if isinstance(node.slice, ast.Constant) else _name(node.value)
    return str(getattr(node, "id", getattr(node, "attr", "")))


def test_secrets_are_compared_in_constant_time() -> None:
    assert set(compared()) == set().union(*COMPARED.values())
