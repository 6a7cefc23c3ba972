"""Playback out of a bucket: what players ask is answered by this server, or by the store that it sends them to."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import m3u8
import pytest

from anabranch.buckets import place_of
from anabranch.storage.objects import ObjectStorage
from tests import clips
from tests.api.served import anyone, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.served import Server
    from tests.servers import ObjectStore

SEGMENT, PLAYLIST = "media/med_1/task_1/720p/1.1.m4s", "media/med_1/task_1/720p/index.m3u8"
CONTENT = bytes(range(256)) * 40_000


@pytest.fixture(scope="module")
def there(moto: ObjectStore) -> ObjectStore:
    return moto.below(f"playback/{secrets.token_hex(8)}")


@pytest.fixture(scope="module")
def store(there: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    """What is in the bucket: more than is read at once, and a playlist."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in there.environment.items():
            patch.setenv(name, value)
        store = ObjectStorage(place_of(there.url), endpoint=there.endpoint)
        for key, content in ((SEGMENT, CONTENT), (PLAYLIST, b"#EXTM3U\n")):
            (folder / "file").write_bytes(content)
            store.put(key, folder / "file", "video/iso.segment")
        yield store


@pytest.fixture(scope="module")
def proxy(there: ObjectStore, store: ObjectStorage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("proxy")
    with serving(home, **there.environment, ANABRANCH_SOURCE_BUCKETS=f"other, {there.bucket}") as running:
        yield running


@pytest.fixture(scope="module")
def media_id(proxy: Server) -> str:
    """A media row that everybody may see."""
    return row(proxy)


def row(server: Server) -> str:
    return str(server.post("/media", {"title": "Film", "upload": {"filename": "film.mp4"}})["id"])


def open_address(server: Server, media_id: str, key: str) -> str:
    """The address of an object, as that of a media row."""
    return f"{server.url}/outputs/{key.replace('med_1', media_id)}"


@pytest.fixture(scope="module")
def segment(proxy: Server, media_id: str, store: ObjectStorage) -> str:
    store.copy(SEGMENT, SEGMENT.replace("med_1", media_id), "video/iso.segment")
    return open_address(proxy, media_id, SEGMENT)


@pytest.mark.slow
def test_an_upload_becomes_a_film_that_plays_out_of_a_bucket_and_deleting_it_leaves_nothing(
    proxy: Server, store: ObjectStorage
) -> None:
    made = proxy.upload(clips.plain(4))
    record = proxy.media(made, "ready", "degraded", "failed")
    assert record["status"] == "ready"
    assert all(record[name] for name in ("hlsUrl", "posterUrl", "gifUrl"))
    assert not list((proxy.home / "storage").rglob("*")), "nothing is in the home folder"
    master = m3u8.loads(anyone.get(record["hlsUrl"]).text, uri=record["hlsUrl"])
    for variant in master.playlists:
        playlist = m3u8.loads(anyone.get(variant.absolute_uri).text, uri=variant.absolute_uri)
        assert playlist.segments
        for one in playlist.segments:
            answer = anyone.get(one.absolute_uri)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "video/iso.segment")
            key = urlsplit(one.absolute_uri).path.removeprefix("/outputs/")
            assert answer.content == b"".join(store.open(key))
    task = proxy.post("/tasks", {"kind": "image", "input": proxy.file_id(made)})
    assert proxy.task(task["id"], "completed", "failed")["status"] == "completed"
    assert list(store.keys(f"sources/{made}/"))
    assert proxy.api.delete(f"/media/{made}").status_code == 200
    assert not [key for key in store.keys("") if made in key]


def test_parts_of_an_object_are_read_by_ranges(segment: str) -> None:
    size = len(CONTENT)
    whole = anyone.get(segment)
    assert (whole.status_code, whole.content, whole.headers["content-length"]) == (200, CONTENT, str(size))
    assert whole.headers["accept-ranges"] == "bytes"
    ranges = {
        "bytes=0-9": slice(0, 10),
        "bytes=10-": slice(10, None),
        "bytes=-7": slice(-7, None),
        "bytes=4000000-9000000": slice(4_000_000, 9_000_001),
        f"bytes={size - 1}-{size + 100}": slice(-1, None),
        f"bytes=-{size * 2}": slice(None),
    }
    for given, part in ranges.items():
        answer = anyone.get(segment, headers={"range": given})
        assert (answer.status_code, answer.content) == (206, CONTENT[part])
        assert answer.headers["content-length"] == str(len(CONTENT[part]))
        assert answer.headers["content-range"].endswith(f"/{size}")
    for given in (f"bytes={size}-", "bytes=-0"):
        answer = anyone.get(segment, headers={"range": given})
        assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{size}")
    for given in ("bytes=5-2", "bytes=-", "bytes=0-1,5-6", "lines=1-2", "bytes=a-b"):
        assert anyone.get(segment, headers={"range": given}).status_code == 200
    for given, status in (("bytes=0-9", 206), ("", 200)):
        head = anyone.head(segment, headers={"range": given} if given else {})
        assert (head.status_code, head.content) == (status, b"")
        assert head.headers["content-length"] == ("10" if given else str(size))


def test_caches_are_told_what_they_are_told_of_files(segment: str) -> None:
    first = anyone.get(segment)
    assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
    etag = first.headers["etag"]
    for given in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = anyone.get(segment, headers={"if-none-match": given})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    part = {"range": "bytes=0-9"}
    assert anyone.get(segment, headers={**part, "if-range": '"other"'}).status_code == 200
    assert anyone.get(segment, headers={**part, "if-range": etag}).status_code == 206
    for name, value in {"access-control-allow-origin": "*", "x-content-type-options": "nosniff"}.items():
        assert first.headers[name] == value


def test_a_playlist_that_grows_has_another_tag(
    proxy: Server, media_id: str, store: ObjectStorage, tmp_path: Path
) -> None:
    address = open_address(proxy, media_id, PLAYLIST)
    tags = []
    for content in (b"#EXTM3U\n#one\n", b"#EXTM3U\n#two\n"):
        (tmp_path / "file").write_bytes(content)
        store.put(PLAYLIST.replace("med_1", media_id), tmp_path / "file", "application/vnd.apple.mpegurl")
        answer = anyone.get(address)
        assert answer.content == content
        assert answer.headers["cache-control"] == "public, no-cache"
        assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
        tags.append(answer.headers["etag"])
    assert tags[0] != tags[1]


@pytest.mark.parametrize("path", ["media/x/y", "%2e%2e/films", "media", "", ".hidden"])
def test_nothing_but_outputs_is_served(proxy: Server, path: str) -> None:
    answer = anyone.get(f"{proxy.url}/outputs/{path}")
    assert answer.status_code in (403, 404)
    assert answer.json()["code"] in ("output_not_found", "signature_required", "not_found")


@pytest.mark.slow
def test_a_source_may_be_named_in_a_bucket_that_is_listed(
    proxy: Server, there: ObjectStore, store: ObjectStorage, tmp_path: Path
) -> None:
    store.put("incoming/film.mp4", clips.plain(4), "video/mp4")
    task = proxy.post("/tasks", {"kind": "image", "input": f"{there.url}/incoming/film.mp4"})
    assert proxy.task(task["id"], "completed", "failed")["status"] == "completed"
    for given, code in {
        "s3://secret/film.mp4": "source_forbidden",
        f"gs://{there.bucket}x/film.mp4": "source_forbidden",
        f"s3://{there.bucket}": "unsupported_address",
        "s3://../x": "unsupported_address",
    }.items():
        refused = proxy.post("/tasks", {"kind": "image", "input": given}, status=422)
        assert refused["code"] == code
    assert proxy.post("/v1/apps", {"url": f"{there.url}/app"}, status=422)["code"] == "unsupported_address"


@pytest.mark.slow
def test_players_are_sent_to_the_bucket_for_all_but_playlists(
    there: ObjectStore, store: ObjectStorage, tmp_path: Path
) -> None:
    with serving(tmp_path / "home", **there.environment, ANABRANCH_PLAYBACK="redirect") as server:
        made = row(server)
        for key in (SEGMENT, PLAYLIST):
            store.copy(key, key.replace("med_1", made), "video/iso.segment")
        address = open_address(server, made, SEGMENT)
        sent = anyone.get(address, headers={"range": "bytes=5-14"}, follow_redirects=False)
        assert (sent.status_code, sent.headers["cache-control"]) == (302, "private, max-age=1800")
        assert sent.headers["location"].startswith(there.endpoint)
        assert "X-Amz-Expires=3600" in sent.headers["location"]
        assert sent.headers["access-control-allow-origin"] == "*"
        read = anyone.get(address, headers={"range": "bytes=5-14"}, follow_redirects=True)
        assert (read.status_code, read.content) == (206, CONTENT[5:15])
        assert read.headers["content-type"] == "video/iso.segment"
        head = anyone.head(address, follow_redirects=False)
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(CONTENT)))
        assert anyone.get(open_address(server, made, PLAYLIST), follow_redirects=False).status_code == 200
        # The page plays them as well, so its browser may follow.
        policy = anyone.get(f"{server.url}/login").headers["content-security-policy"]
        assert f"connect-src 'self' {there.endpoint};" in policy
        private = anyone.get(f"{server.url}/outputs/sources/{made}/source.mp4", follow_redirects=False)
        assert private.json()["code"] == "signature_required"
        store.delete_all(list(store.keys(f"media/{made}/")))
