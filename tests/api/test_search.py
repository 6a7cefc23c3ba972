"""Search, from a voice that was uploaded to the moment at which it says a word."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests import clips
from tests.api.served import anyone, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.served import Server
    from tests.databases import PostgresServer


@pytest.fixture(scope="module")
def on_postgres(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("postgres"), ANABRANCH_DATABASE_URL=postgres_server.create()) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, server: Server) -> Server:
    """A server on each of the databases."""
    found: Server = request.getfixturevalue("on_postgres") if request.param == "postgresql" else server
    return found


@pytest.mark.slow
def test_what_is_said_in_an_upload_is_found_with_its_time(server: Server) -> None:
    media_id = server.upload(clips.said())
    row = server.media(media_id, "ready", "degraded", "failed")
    said = json.loads(anyone.get(row["transcriptionUrl"]).content)
    segment = said["segments"][0]
    words = segment["text"].split()
    phrase = " ".join(words[1:4]).strip(".,!?")
    found = server.api.get("/search", params={"q": f'"{phrase}"', "media_id": media_id}).json()
    assert found["total"] == 1
    (hit,) = found["hits"]
    assert hit["media_id"] == media_id
    assert hit["matches"][0]["start_s"] == segment["start"]
    assert "<mark>" in hit["matches"][0]["snippet"]
    listed = server.api.get("/media", params={"q": f'"{phrase}"'}).json()
    (row,) = [one for one in listed if one["id"] == media_id]
    assert (row["at"], row["snippet"]) == (segment["start"], hit["matches"][0]["snippet"])
    assert server.api.delete(f"/media/{media_id}").status_code == 200
    assert server.api.get("/search", params={"q": f'"{phrase}"', "media_id": media_id}).json()["total"] == 0


def test_a_query_without_a_word_is_refused(server: Server) -> None:
    answer = server.api.get("/search", params={"q": '"*"'})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_query")


def test_media_is_found_by_its_title_among_all_that_it_may_be_asked_for(server: Server) -> None:
    titles = ["Ötzi & the Glacier", "the glacier of 1991", "A Meadow", "100% ICE"]
    ids = [server.post("/media", {"title": title})["id"] for title in titles]

    def found(**asked: str) -> dict[str, tuple[str, float | None]]:
        rows = server.api.get("/media", params=asked).json()
        return {row["id"]: (row["snippet"], row["at"]) for row in rows}

    assert found(q="glacier") == {
        ids[1]: ("the <mark>glacier</mark> of 1991", None),
        ids[0]: ("Ötzi &amp; the <mark>Glacier</mark>", None),
    }
    assert list(found(q="glac", limit="1")) == [ids[1]]
    assert list(found(q="glac", after=ids[1])) == [ids[0]]
    assert list(found(q="ÖTZI glacier")) == [ids[0]]
    assert list(found(q='"the glacier"', status="waiting")) == [ids[1], ids[0]]
    assert found(q="glacier", status="ready") == {}
    # What is a sign to a database is a letter here.
    assert list(found(q="100%")) == [ids[3]]
    assert found(q="1%0") == {}
    assert found(q="glacier meadow") == {}
    rows = server.get("/media?q=%20&limit=1")
    assert (len(rows), "snippet" in rows[0]) == (1, False)
    assert server.api.get("/media?q=%26").json()["code"] == "invalid_query"
