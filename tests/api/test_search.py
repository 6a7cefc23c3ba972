"""Search, from a voice that was uploaded to the moment at which it says a word."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests import samples
from tests.api.served import anyone

if TYPE_CHECKING:
    from tests.api.served import Server


@pytest.mark.slow
def test_what_is_said_in_an_upload_is_found_with_its_time(server: Server) -> None:
    media_id = server.upload(samples.speech_wav())
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
    assert server.api.delete(f"/media/{media_id}").status_code == 200
    assert server.api.get("/search", params={"q": f'"{phrase}"', "media_id": media_id}).json()["total"] == 0


def test_a_query_without_a_word_is_refused(server: Server) -> None:
    answer = server.api.get("/search", params={"q": '"*"'})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_query")
