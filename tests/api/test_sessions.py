"""Sessions: signing in by key and by password, and what a cookie is good for."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.api.conftest import PASSWORD
from tests.api.served import serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.served import Server

COOKIE = "anabranch_session"


def signed_in(server: Server, **said: str) -> httpx2.Client:
    """A browser's state: no key, but a cookie."""
    browser = httpx2.Client(base_url=server.url, timeout=120)
    answer = browser.post("/session", json=said or {"key": server.key})
    assert answer.status_code == 204, answer.text
    assert browser.cookies.get(COOKIE)
    return browser


def same_origin(server: Server) -> dict[str, str]:
    return {"origin": server.url}


def test_a_key_gives_a_session_that_reads_and_changes_what_the_key_does(server: Server, plain_media: str) -> None:
    with closing(signed_in(server)) as browser:
        who = browser.get("/session").json()
        assert who["caller"].startswith("key_")
        assert (who["name"], who["expiresAt"] > 0) == ("first", True)
        assert browser.get(f"/media/{plain_media}").status_code == 200
        assert browser.get("/v1/apps").status_code == 200
        changed = browser.patch(f"/media/{plain_media}", json={"alt": "Bars"}, headers=same_origin(server))
        assert (changed.status_code, changed.json()["alt"]) == (200, "Bars")
        fetched = browser.patch(f"/media/{plain_media}", json={"alt": ""}, headers={"sec-fetch-site": "same-origin"})
        assert fetched.status_code == 200
        assert browser.delete("/session", headers=same_origin(server)).status_code == 204
        assert browser.cookies.get(COOKIE) is None
        assert browser.get("/session").json()["code"] == "token_missing"


def test_the_password_gives_a_session_too(server: Server) -> None:
    with closing(signed_in(server, password=PASSWORD)) as browser:
        assert browser.get("/session").json()["caller"] == "password"
        assert browser.get("/media?limit=1").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        # Another port of the same machine: the cookie is sent, and only this tells.
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
def test_no_other_page_changes_anything_with_the_cookie(
    server: Server, plain_media: str, headers: dict[str, str]
) -> None:
    with closing(signed_in(server)) as browser:
        asked = [
            browser.patch(f"/media/{plain_media}", json={"alt": "forged"}, headers=headers),
            browser.post(f"/media/{plain_media}/retry", headers=headers),
            browser.post("/media", json={"title": "forged"}, headers={**headers, "idempotency-key": "forged"}),
            browser.post("/v1/cancellations", json={"function_id": "x"}, headers=headers),
            browser.delete("/session", headers=headers),
        ]
        assert {(one.status_code, one.json()["code"]) for one in asked} == {(403, "cross_site")}
        # It may look: what it sees, a browser does not show it.
        assert browser.get(f"/media/{plain_media}", headers=headers).json()["alt"] != "forged"
    # Who sends the key itself was not made to.
    assert server.api.post(f"/media/{plain_media}/retry", headers=headers).status_code == 200


def test_nobody_elses_page_signs_a_person_in(server: Server) -> None:
    answer = httpx2.post(f"{server.url}/session", json={"key": server.key}, headers={"origin": "http://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert COOKIE not in answer.cookies


def test_a_revoked_key_and_a_forged_cookie_are_no_session(server: Server) -> None:
    made = server.post("/keys", {"name": "short-lived"})
    with closing(signed_in(server, key=made["key"])) as browser:
        cookie = browser.cookies[COOKIE]
        assert browser.get("/media?limit=1").status_code == 200
        assert server.api.delete(f"/keys/{made['id']}").status_code == 200
        ended = browser.get("/media?limit=1")
        assert (ended.status_code, ended.json()["code"]) == (401, "session_ended")
    expires, _, proof = cookie.split(".")
    own = server.get("/session")["caller"]
    for forged in (
        f"{expires}.{own}.{proof}",
        f"9{expires[1:]}.{own}.{proof}",
        f"{expires}.password.{proof}",
        "x",
        "1.",
    ):
        answer = httpx2.get(f"{server.url}/media", headers={"cookie": f"{COOKIE}={forged}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "session_ended"), forged


def test_the_cookie_is_for_this_server_alone_and_no_script_reads_it(server: Server) -> None:
    plain = httpx2.post(f"{server.url}/session", json={"key": server.key}).headers["set-cookie"]
    parts = {part.strip().lower() for part in plain.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/", f"max-age={30 * 24 * 3600}"} <= parts
    assert "secure" not in parts
    # As a proxy on this machine says that it was asked by TLS.
    secure = httpx2.post(
        f"{server.url}/session", json={"key": server.key}, headers={"x-forwarded-proto": "https"}
    ).headers["set-cookie"]
    assert "secure" in {part.strip().lower() for part in secure.split(";")}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"key": "ab_live_" + "0" * 32}, 401, "token_invalid"),
        ({"password": "wrong"}, 401, "password_wrong"),
        ({}, 422, "invalid_request"),
        ({"key": "a", "password": "b"}, 422, "invalid_request"),
        ({"pass": "b"}, 422, "invalid_request"),
    ],
)
def test_a_wrong_way_in_is_told_so(server: Server, body: dict[str, str], status: int, code: str) -> None:
    answer = httpx2.post(f"{server.url}/session", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert COOKIE not in answer.cookies


@pytest.mark.slow
def test_guessing_is_slowed_down_and_another_password_ends_sessions(tmp_path: Path) -> None:
    with serving(tmp_path / "home", ANABRANCH_PASSWORD=PASSWORD) as server:
        browser = signed_in(server, password=PASSWORD)
        codes = [browser.post("/session", json={"password": f"guess {n}"}).json()["code"] for n in range(12)]
        assert codes == ["password_wrong"] * 10 + ["too_many_attempts"] * 2
        # The right one has to wait as well; a key does not.
        refused = browser.post("/session", json={"password": PASSWORD})
        assert (refused.status_code, int(refused.headers["retry-after"]) <= 30) == (429, True)
        assert browser.post("/session", json={"key": server.key}).status_code == 204
        with_password = httpx2.Client(base_url=server.url, timeout=120)
        server.stop()
        server.start()
        assert with_password.post("/session", json={"password": PASSWORD}).status_code == 204
        assert with_password.get("/session").status_code == 200
        server.stop()
        server.settings["ANABRANCH_PASSWORD"] = "another password"
        server.start()
        assert with_password.get("/session").json()["code"] == "session_ended"
        with_password.close()
        browser.close()
