"""Limits: how often a key may ask, how often an address may guess, and that no header changes that."""

from __future__ import annotations

import itertools
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from anabranch.api.limits import Guesses, Requests
from anabranch.api.problems import Problem
from tests import clips

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.served import Server

_hosts = (f"127.0.0.{number}" for number in itertools.count(11))


@pytest.fixture
def somewhere() -> Iterator[httpx2.Client]:
    """A client at an address of its own, which is not the proxy's."""
    with httpx2.Client(transport=httpx2.HTTPTransport(local_address=next(_hosts)), timeout=60) as client:
        yield client


def limited(server: Server, most: int) -> dict[str, str]:
    """The header of a new key that may make so many requests a minute."""
    return {"authorization": f"Bearer {server.post('/keys', {'name': 'limited', 'requestsPerMinute': most})['key']}"}


def test_a_key_may_ask_so_often_a_minute_and_is_told_how_often(server: Server) -> None:
    key = limited(server, 3)
    for left in (2, 1, 0):
        answer = httpx2.get(f"{server.url}/session", headers=key)
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == '"requests";q=3;w=60'
        assert re.fullmatch(rf'"requests";r={left};t=(60|59|58)', answer.headers["ratelimit"])
    refused = httpx2.get(f"{server.url}/session", headers=key)
    assert (refused.status_code, refused.json()["code"], refused.json()["retryable"]) == (
        429,
        "too_many_requests",
        True,
    )
    assert refused.headers["ratelimit-policy"] == '"requests";q=3;w=60'
    assert 50 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["ratelimit"] == f'"requests";r=0;t={refused.headers["retry-after"]}'
    # Whatever else it is asked for, and whatever the API would say to it.
    assert httpx2.delete(f"{server.url}/keys/key_x", headers=key).status_code == 429
    text = key["authorization"].partition(" ")[2]
    assert httpx2.post(f"{server.url}/e/{text}", json={"name": "x"}).json()["code"] == "too_many_requests"
    headers = {**key, "idempotency-key": "once more"}
    assert httpx2.post(f"{server.url}/media/retry", headers=headers).json()["code"] == "too_many_requests"
    # Another key is not the worse for it.
    assert "ratelimit" not in server.api.get("/session").headers


def test_a_request_that_is_repeated_counts_each_time(server: Server) -> None:
    key = limited(server, 3)
    for _ in range(3):
        answer = httpx2.post(f"{server.url}/media/retry", headers={**key, "idempotency-key": "again"})
        assert answer.status_code == 200
        assert "ratelimit" in answer.headers
    assert httpx2.post(f"{server.url}/media/retry", headers={**key, "idempotency-key": "again"}).status_code == 429


def test_a_session_asks_as_often_as_its_key(server: Server) -> None:
    key = limited(server, 3)
    with httpx2.Client(base_url=server.url) as browser:
        text = key["authorization"].partition(" ")[2]
        assert browser.post("/session", json={"key": text}).status_code == 204
        assert [browser.get("/session").status_code for _ in range(2)] == [200, 200]
        assert httpx2.get(f"{server.url}/session", headers=key).status_code == 200
        assert browser.get("/session").status_code == 429
        page = browser.get("/")
        assert (page.status_code, "too_many_requests" in page.text) == (429, True)


@pytest.mark.slow
def test_parts_of_uploads_and_segments_of_films_are_not_counted(server: Server, plain_media: str) -> None:
    key = limited(server, 1)
    clip = clips.plain().read_bytes()
    tus = {**key, "tus-resumable": "1.0.0"}
    made = httpx2.post(f"{server.url}/uploads", headers={**tus, "upload-length": str(len(clip) + 1)})
    assert made.status_code == 201
    place = made.headers["location"]
    for number in range(8):
        part = {**tus, "upload-offset": str(number), "content-type": "application/offset+octet-stream"}
        assert httpx2.patch(place, content=b"x", headers=part).status_code == 204
        assert httpx2.head(place, headers=tus).status_code == 200
    film = server.get(f"/media/{plain_media}")["hlsUrl"]
    assert {httpx2.get(film, headers=key).status_code for _ in range(8)} == {200}
    assert httpx2.get(f"{server.url}/session", headers=key).status_code == 429
    assert httpx2.delete(place, headers=tus).status_code == 204


def test_the_settings_limit_keys_that_have_no_limit_of_their_own() -> None:
    requests = Requests(2)
    assert requests.count("key_a", None).left == 1  # type: ignore[union-attr]
    assert requests.count("key_a", None).left == 0  # type: ignore[union-attr]
    with pytest.raises(Problem) as refused:
        requests.count("key_a", None)
    assert refused.value.code == "too_many_requests"
    assert requests.count("key_b", 5).left == 4  # type: ignore[union-attr]
    assert Requests(None).count("key_a", None) is None


def test_as_many_as_are_allowed_come_through_at_once_and_not_one_more() -> None:
    requests = Requests(50)

    def ask(_: int) -> bool:
        try:
            return requests.count("key_a", None) is not None
        except Problem:
            return False

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(ask, range(200))) == 50


def test_after_the_wait_that_was_told_a_key_may_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    requests = Requests(2)
    requests.count("key_a", None)
    now[0] += 40
    requests.count("key_a", None)
    with pytest.raises(Problem) as refused:
        requests.count("key_a", None)
    now[0] += int(refused.value.headers["retry-after"]) - 1
    with pytest.raises(Problem):
        requests.count("key_a", None)
    now[0] += 1.01
    assert requests.count("key_a", None) is not None
    with pytest.raises(Problem):
        requests.count("key_a", None)


def wrong(client: httpx2.Client, server: Server, **headers: str) -> tuple[int, str]:
    headers = {"authorization": "Bearer ab_live_" + "0" * 32, **headers}
    answer = client.get(f"{server.url}/media?limit=1", headers=headers)
    return answer.status_code, answer.json()["code"]


def test_who_shows_wrong_keys_is_told_to_wait_and_keys_that_are_known_are_not(
    server: Server, somewhere: httpx2.Client
) -> None:
    known = {"authorization": f"Bearer {server.key}"}
    fresh = server.post("/keys", {"name": "not seen yet"})["key"]
    assert {wrong(somewhere, server) for _ in range(10)} == {(401, "token_invalid")}
    assert wrong(somewhere, server) == (429, "too_many_attempts")
    # By every way in, and whatever key it is that was not seen before: nobody looks.
    refused = [
        somewhere.post(f"{server.url}/e/not-a-key", json={"name": "x"}),
        somewhere.post(f"{server.url}/session", json={"key": "ab_live_x"}),
        somewhere.get(f"{server.url}/v1/runs", headers={"authorization": "Bearer x"}),
        somewhere.get(f"{server.url}/media", headers={"authorization": f"Bearer {fresh}"}),
    ]
    assert {(one.status_code, one.json()["code"]) for one in refused} == {(429, "too_many_attempts")}
    assert all(1 <= int(one.headers["retry-after"]) <= 30 for one in refused)
    assert somewhere.get(f"{server.url}/media?limit=1", headers=known).status_code == 200
    # Who shows none is told that, and other addresses are not the worse for it.
    assert somewhere.get(f"{server.url}/media").json()["code"] == "token_missing"
    assert httpx2.get(f"{server.url}/media", headers={"authorization": f"Bearer {fresh}"}).status_code == 200


def test_no_header_of_a_clients_own_gives_it_more_guesses(server: Server, somewhere: httpx2.Client) -> None:
    """It is not the proxy, so what it says of where it comes from is not believed."""
    for number in range(10):
        headers = {"x-forwarded-for": f"203.0.113.{number}", "forwarded": f"for=203.0.113.{number}"}
        assert wrong(somewhere, server, **headers) == (401, "token_invalid")
    assert wrong(somewhere, server, **{"x-forwarded-for": "203.0.113.99"}) == (429, "too_many_attempts")
    codes = [
        somewhere.post(
            f"{server.url}/session", json={"password": "guess"}, headers={"x-forwarded-for": f"203.0.113.{number}"}
        ).json()["code"]
        for number in range(12)
    ]
    assert codes == ["password_wrong"] * 10 + ["too_many_attempts"] * 2


def test_behind_a_proxy_the_address_counts_that_the_proxy_saw(server: Server) -> None:
    """A proxy adds the address at the end; what stands before it is what the client said."""
    with httpx2.Client(timeout=60) as proxy:
        for number in range(10):
            seen = {"x-forwarded-for": f"192.0.2.{number}, 203.0.113.50"}
            assert wrong(proxy, server, **seen) == (401, "token_invalid")
        assert wrong(proxy, server, **{"x-forwarded-for": "192.0.2.200, 203.0.113.50"}) == (429, "too_many_attempts")
        assert wrong(proxy, server, **{"x-forwarded-for": "192.0.2.200, 203.0.113.51"}) == (401, "token_invalid")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.1", "203.0.113.2", False),
        # A customer has at least 64 bits of these to choose from.
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("unix", "unix", True),
    ],
)
def test_who_has_a_network_of_addresses_has_no_more_guesses(one: str, other: str, same: bool) -> None:
    guesses = Guesses("keys")
    for _ in range(10):
        guesses.was_wrong(one)
    if same:
        with pytest.raises(Problem):
            guesses.check(other)
    else:
        guesses.check(other)


def test_guessing_from_ever_new_addresses_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anabranch.api.limits._MOST_REMEMBERED", 100)
    guesses: Any = Guesses("keys")
    for number in range(1000):
        guesses.was_wrong(f"10.0.{number >> 8}.{number & 255}")
        guesses.was_right(f"key {number}")
    assert len(guesses._stored.storage) <= 100
    assert len(guesses._right) <= 100
