"""Storage: a store that says that all went well, and has nothing or half of it, through a whole upload.

What each use of a store does on a bad day is in `tests/storage/test_faults.py`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from anabranch.catalog import changes
from anabranch.database import open_database
from anabranch.storage.opening import open_storage
from tests import clips
from tests.api.served import serving, until
from tests.faults.invariants import Installation, check
from tests.servers import Fault, in_front_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Front, ObjectStore

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def front(moto: ObjectStore) -> Iterator[Front]:
    with in_front_of(moto.endpoint) as running:
        yield running


@pytest.fixture(scope="module")
def held(moto: ObjectStore, front: Front, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A server whose bucket is behind something that lies."""
    folder = tmp_path_factory.mktemp("lies")
    place = moto.below(folder.name)
    with pytest.MonkeyPatch.context() as patch, serving(folder / "home", **place.behind(front.url).environment) as one:
        for name, value in place.environment.items():
            patch.setenv(name, value)
        database = open_database(f"sqlite:///{one.home / 'anabranch.db'}")
        storage = open_storage(place.url, folder / "unused", endpoint=place.endpoint)
        yield Installation(one, database, storage, [one.home])
        database.dispose()


@pytest.mark.parametrize("lie", ["lie", "half"])
def test_what_a_store_has_not_stored_is_stored_again_before_anything_is_ready(
    lie: str, held: Installation, front: Front
) -> None:
    media_id = held.server.upload(clips.silent(2, name="little.mp4"))
    # All of them may hit the same piece, which has four attempts.
    front.fault = Fault(lie, method="PUT", times=3)
    until(lambda: front.fault is not None and front.fault.times == 0, 100)
    check(held, media_id)
    told = held.rows("SELECT error FROM attempts WHERE status = 'failed'")
    assert any("storage_unavailable" in row.error for row in told)


def test_media_is_never_ready_out_of_a_store_that_keeps_nothing(held: Installation, front: Front) -> None:
    media_id = held.server.upload(clips.silent(2, name="little.mp4"))
    front.fault = Fault("lie", method="PUT")
    row = held.server.media(media_id, "ready", "degraded", "failed")
    front.fault = None
    assert (row["status"], row["playable"], row["error"]["code"]) == ("failed", False, "storage_unavailable")
    assert all(row[name] is None for name in ("hlsUrl", "posterUrl", "gifUrl", "transcriptionUrl"))
    told = Counter(change.type for change in changes.since(held.database, 0, media_id=media_id, limit=1000))
    assert (told["media.ready"], told["media.playable"], told["media.failed"]) == (0, 0, 1)
    # And it is made whole when the store keeps what it is given.
    assert held.server.post(f"/media/{media_id}/retry", status=200)["media"]
    assert held.server.media(media_id, "ready", "degraded")["status"] == "ready"
