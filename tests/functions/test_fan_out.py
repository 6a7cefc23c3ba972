from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import m3u8
import pytest
import sqlalchemy as sa

from anabranch.app import open_app, upload
from anabranch.catalog import attempts, changes, media, tasks
from anabranch.engine.events import Event
from anabranch.errors import EncodeError, SourceError
from anabranch.settings import Settings
from anabranch.tasks.adaptive_video import AdaptiveVideo
from anabranch.tasks.kinds import KINDS
from tests import clips, samples

if TYPE_CHECKING:
    from collections.abc import Callable

    from anabranch.tasks import Piece
    from anabranch.tasks.desk import Desk

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def performed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Counter[str]]:
    """Counts the pieces that are really performed, and makes some of them fail."""

    def arrange(**errors: list[Exception]) -> Counter[str]:
        counted: Counter[str] = Counter()

        def counting(kind: Any) -> Any:
            perform = kind.perform

            def wrapped(piece: Piece, options: Any, desk: Desk) -> Any:
                counted[f"{kind.name}/{piece.name}"] += 1
                if errors.get(kind.name):
                    raise errors[kind.name].pop(0)
                return perform(piece, options, desk)

            return wrapped

        for kind in KINDS.values():
            monkeypatch.setattr(kind, "perform", counting(kind))
        return counted

    return arrange


async def run(folder: Path, source: Path) -> tuple[dict[str, Any], list[str], Counter[str]]:
    """The record that a source comes to, every stored key, and the attempts by their status."""
    async with open_app(Settings(home=folder, retry_scale=0)) as app:
        run_id = await upload(app, "med_1", str(source))
        await app.engine.ended(run_id)
        await app.engine.drained()
        record = media.record(app.database, "med_1")
        assert record is not None
        rows = [
            row for task in tasks.of_media(app.database, "med_1") for row in attempts.of_task(app.database, task.id)
        ]
        return record, sorted(app.storage.keys("")), Counter(f"{row.piece} {row.status}" for row in rows)


def branch(record: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in record["branches"] if one["name"] == name)


async def test_an_upload_branches_and_rejoins(tmp_path: Path, performed: Callable[..., Counter[str]]) -> None:
    counted = performed()
    record, _, _ = await run(tmp_path, clips.plain())
    assert record["status"] == "ready"
    assert record["hlsUrl"].endswith(".m3u8")
    assert record["posterUrl"].endswith(".webp")
    assert record["gifUrl"].endswith(".gif")
    assert record["transcriptionUrl"].endswith(".json")
    assert [one["name"] for one in record["renditions"]] == ["240p", "144p"]
    assert counted == {
        "adaptive_video/audio": 1,
        "adaptive_video/chunk-0000": 1,
        "adaptive_video/storyboard": 1,
        "image/render": 1,
        "video/render": 1,
        "audio/transcribe": 1,
    }


@pytest.mark.slow
async def test_media_is_playable_long_before_it_is_ready(tmp_path: Path) -> None:
    async with open_app(Settings(home=tmp_path, retry_scale=0)) as app:
        run_id = await upload(app, "med_1", str(clips.plain(20, name="twenty.mp4")))
        await app.engine.ended(run_id)
        told = changes.since(app.database, 0, media_id="med_1")
        kinds = [change.type for change in told]
        playable = told[kinds.index("media.playable")]
        assert kinds.count("media.playable") == 1
        assert kinds.index("media.playable") < kinds.index("media.rendition.ready") < kinds.index("media.ready")
        (film,) = [task for task in tasks.of_media(app.database, "med_1") if task.kind == "adaptive_video"]
        ended = {row.piece: row.ended_at for row in attempts.of_task(app.database, film.id)}
        assert sum(at > playable.created_at for piece, at in ended.items() if piece.startswith("chunk")) >= 2
        assert playable.data["output"]["url"] == (film.output or {})["url"]


@pytest.mark.slow
async def test_what_is_said_joins_the_package_as_captions_under_the_same_address(tmp_path: Path) -> None:
    film = clips.make(
        "spoken.mkv",
        *("-i", str(clips.no_audio()), "-t", "8", "-i", str(samples.speech_wav())),
        *("-c:v", "copy", "-c:a", "pcm_s16le"),
    )
    async with open_app(Settings(home=tmp_path, retry_scale=0)) as app:
        run_id = await upload(app, "med_1", str(film))
        await app.engine.ended(run_id)
        record = media.record(app.database, "med_1")
        assert record is not None
        folder = Path(unquote(urlsplit(record["hlsUrl"]).path)).parent
        master = m3u8.load(str(folder / "master.m3u8"))
        (captions,) = [one for one in master.media if one.type == "SUBTITLES"]
        assert (captions.language, captions.name, captions.default) == ("en", "English", "NO")
        assert all(variant.stream_info.subtitles == captions.group_id for variant in master.playlists)
        (segment,) = m3u8.load(captions.absolute_uri).segments
        text = Path(segment.absolute_uri).read_text()
        assert text.startswith("WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n\n00:00:0")
        assert text.count("-->") >= 2
        assert "text/vtt" in (folder / "manifest.mpd").read_text()
        # A transcript that is made again takes the place of the earlier one.
        again = Event(
            "video/uploaded", {"mediaId": "med_1", "sourceUrl": str(film), "branches": ["audio-transcription"]}
        )
        await app.engine.send([again])
        (second,) = app.engine.journal.runs_of_event(again.id)
        await app.engine.ended(second.id)
        later = m3u8.load(str(folder / "master.m3u8"))
        (fresh,) = [one for one in later.media if one.type == "SUBTITLES"]
        assert fresh.uri != captions.uri
        named = {
            stored["key"] for task in tasks.of_media(app.database, "med_1") for stored in (task.output or {})["files"]
        }
        assert set(app.storage.keys("media/med_1/")) == named


@pytest.mark.slow
@pytest.mark.parametrize(("code", "are_kept"), [("verify_failed", False), ("disk_full", True)])
async def test_a_package_that_failed_is_made_whole_when_its_run_is_done_again(
    code: str, are_kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its other pieces had stored was removed with it if they do not fit together."""
    join = AdaptiveVideo.join

    def fail(kind: AdaptiveVideo, *given: Any) -> Any:
        raise SourceError(code, "hopeless")

    monkeypatch.setattr(AdaptiveVideo, "join", fail)
    async with open_app(Settings(home=tmp_path, retry_scale=0)) as app:
        run_id = await upload(app, "med_1", str(clips.no_audio()))
        await app.engine.ended(run_id)
        await app.engine.drained()
        (film,) = [task for task in tasks.of_media(app.database, "med_1") if task.kind == "adaptive_video"]
        assert (film.status, film.output) == ("failed", None)
        assert bool(list(app.storage.keys(f"media/med_1/{film.id}"))) == are_kept
        monkeypatch.setattr(AdaptiveVideo, "join", join)
        assert film.run_id is not None
        again = await app.engine.rerun(film.run_id)
        assert again is not None
        await app.engine.ended(again)
        mended = tasks.get(app.database, film.id)
        assert mended is not None
        assert mended.status == "completed"
        assert all(app.storage.exists(file["key"]) for file in (mended.output or {})["files"])


@pytest.mark.slow
async def test_a_storyboard_that_fails_does_not_keep_the_film_from_playing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    perform = AdaptiveVideo.perform

    def without(kind: AdaptiveVideo, piece: Piece, options: Any, desk: Desk) -> Any:
        if piece.name == "storyboard":
            raise EncodeError("encode_failed", "no picture came out")
        return perform(kind, piece, options, desk)

    monkeypatch.setattr(AdaptiveVideo, "perform", without)
    record, _, seen = await run(tmp_path, clips.plain())
    assert record["status"] == "ready"
    assert record["hlsUrl"] is not None
    assert record["storyboardUrl"] is None
    assert seen["storyboard failed"] == 4


@pytest.mark.slow
async def test_a_branch_that_fails_twice_costs_the_others_nothing(
    tmp_path: Path, performed: Callable[..., Counter[str]]
) -> None:
    broken = [EncodeError("encode_failed", "no luck"), EncodeError("encode_failed", "none again")]
    counted = performed(video=broken)
    record, _, seen = await run(tmp_path, clips.plain())
    assert record["status"] == "ready"
    assert all(record[name] for name in ("hlsUrl", "posterUrl", "gifUrl", "transcriptionUrl"))
    assert counted.pop("video/render") == 3
    assert set(counted.values()) == {1}
    assert seen["render failed"] == 2


@pytest.mark.slow
async def test_an_optional_branch_that_fails_for_good_degrades_the_record(
    tmp_path: Path, performed: Callable[..., Counter[str]]
) -> None:
    counted = performed(video=[SourceError("not_media", "hopeless")])
    record, keys, _ = await run(tmp_path, clips.plain())
    assert record["status"] == "degraded"
    assert record["gifUrl"] is None
    assert record["hlsUrl"] is not None
    assert branch(record, "gif-preview")["error"]["code"] == "not_media"
    assert counted["video/render"] == 1
    assert not [key for key in keys if branch(record, "gif-preview")["taskId"] in key]


@pytest.mark.slow
async def test_the_record_is_failed_when_the_package_is(tmp_path: Path, performed: Callable[..., Counter[str]]) -> None:
    performed(adaptive_video=[SourceError("not_media", "hopeless")] * 2)
    record, _, _ = await run(tmp_path, clips.plain())
    assert record["status"] == "failed"
    assert record["error"]["code"] == "not_media"
    assert record["posterUrl"] is not None


async def test_a_source_that_is_not_media_is_never_tried_again(tmp_path: Path) -> None:
    record, keys, _ = await run(tmp_path, clips.posing("only words"))
    assert record["status"] == "failed"
    assert {one["error"]["code"] for one in record["branches"]} == {"not_media"}
    assert keys == []


@pytest.mark.slow
async def test_a_film_without_sound_is_ready_without_a_transcript(tmp_path: Path) -> None:
    record, _, _ = await run(tmp_path, clips.no_audio())
    assert record["status"] == "ready"
    assert record["transcriptionUrl"] is None
    assert branch(record, "audio-transcription")["reason"] == "no_audio_stream"


@pytest.mark.slow
async def test_sound_alone_is_ready_without_pictures(tmp_path: Path) -> None:
    record, _, _ = await run(tmp_path, clips.audio_only())
    assert record["status"] == "ready"
    assert (record["posterUrl"], record["gifUrl"]) == (None, None)
    assert record["hlsUrl"] is not None
    assert branch(record, "poster-image")["reason"] == "no_video_stream"


@pytest.mark.slow
async def test_the_same_upload_is_done_once(tmp_path: Path, performed: Callable[..., Counter[str]]) -> None:
    counted = performed()
    first, _, _ = await run(tmp_path, clips.plain())
    second, _, _ = await run(tmp_path, clips.plain())
    assert first == second
    assert set(counted.values()) == {1}


@pytest.mark.slow
async def test_nothing_is_kept_that_no_output_names(tmp_path: Path, performed: Callable[..., Counter[str]]) -> None:
    performed(video=[EncodeError("encode_failed", "no luck")])
    async with open_app(Settings(home=tmp_path, retry_scale=0)) as app:
        # What a killed attempt had stored before its process died.
        run_id = await upload(app, "med_1", str(clips.plain()))
        await app.engine.ended(run_id)
        done = tasks.of_media(app.database, "med_1")
        named = {stored["key"] for task in done for stored in (task.output or {})["files"]}
        assert set(app.storage.keys("")) == named
    assert not [path for path in (tmp_path / "scratch").rglob("*") if path.is_file()]


@pytest.mark.slow
async def test_a_piece_whose_result_the_engine_lost_is_not_done_again(
    tmp_path: Path, performed: Callable[..., Counter[str]]
) -> None:
    """A process that dies between the catalog's row and the journal's."""
    counted = performed()
    first, keys, _ = await run(tmp_path, clips.plain())
    async with open_app(Settings(home=tmp_path, retry_scale=0)) as app:
        with app.database.begin() as connection:
            forget = "UPDATE steps SET status = 'pending', result = NULL, ended_at = NULL"
            connection.execute(sa.text(forget))
            connection.execute(sa.text("UPDATE runs SET status = 'running', ended_at = NULL"))
            ids = list(connection.scalars(sa.text("SELECT id FROM runs ORDER BY created_at")))
    async with open_app(Settings(home=tmp_path, retry_scale=0)) as app:
        await app.engine.ended(ids[0])
        await app.engine.drained()
        second = media.record(app.database, "med_1")
        assert sorted(app.storage.keys("")) == keys
    assert set(counted.values()) == {1}
    assert second is not None
    assert (second["status"], second["hlsUrl"]) == ("ready", first["hlsUrl"])


async def test_an_event_without_its_data_fails_and_says_what_it_needs(tmp_path: Path) -> None:
    async with open_app(Settings(home=tmp_path, retry_scale=0)) as app:
        (event_id,) = await app.engine.send([Event("video/uploaded", {"mediaId": "med_2"})])
        (started,) = app.engine.journal.runs_of_event(event_id)
        ended = await app.engine.ended(started.id)
        await app.engine.drained()
    assert ended.status == "failed"
    assert ended.error is not None
    assert "sourceUrl" in ended.error["message"]
