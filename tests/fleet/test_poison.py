"""Poison: a film that takes down whoever encodes it, and the film beside it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from anabranch.catalog import tables
from anabranch.media import ffmpeg
from tests import clips
from tests.api.served import until
from tests.fleet.processes import fleet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fleet.processes import Fleet
    from tests.servers import ObjectStore

pytestmark = pytest.mark.slow


def deadly(folder: Path, film: Path) -> Path:
    """An ffmpeg that kills who started it, a moment after it was told to encode this film."""
    path = folder / "ffmpeg"
    path.write_text(f"""\
#!/bin/sh
case "$*" in
*libx264*)
    for word in "$@"; do
        if [ -f "$word" ] && [ "$(stat -c %s "$word")" = {film.stat().st_size} ]; then
            sleep 2
            kill -9 $PPID
        fi
    done ;;
esac
exec "{ffmpeg.find().path}" "$@"
""")
    path.chmod(0o755)
    return path


def keep_alive(running: Fleet, ended: Any) -> int:
    """Start workers again that have died, as whoever runs them does, until it has ended. How many that were."""
    deaths = 0

    def look() -> bool:
        nonlocal deaths
        for worker in running.workers:
            assert worker.process is not None
            if worker.process.poll() is not None:
                deaths += 1
                worker.start()
        return bool(ended())

    until(look, 240)
    return deaths


@pytest.mark.timeout(300)
def test_a_film_that_kills_its_workers_is_quarantined_and_the_one_beside_it_ends_well(
    moto: ObjectStore, postgres_url: str, tmp_path: Path
) -> None:
    place = moto.below(tmp_path.name)
    poison, well = clips.silent(2, name="poison.mp4"), clips.plain(14, name="pieces.mp4")
    wrapper = deadly(tmp_path, poison)
    settings = {**place.environment, "ANABRANCH_FFMPEG": str(wrapper), "ANABRANCH_CPU_SLOTS": "2"}
    # In the sandbox it could kill nobody.
    settings["ANABRANCH_SANDBOX"] = "off"
    with fleet(tmp_path, postgres_url, 1, **settings) as running:
        ids = [running.server.upload(poison), running.server.upload(well)]

        def ended() -> bool:
            return all(running.server.get(f"/media/{one}")["status"] not in ("waiting", "processing") for one in ids)

        assert keep_alive(running, ended) == 3
        assert running.server.get(f"/media/{ids[1]}")["status"] == "ready"
        record = running.server.get(f"/media/{ids[0]}")
        assert (record["status"], record["error"]["code"]) == ("failed", "quarantined")
        report = record["error"]["report"]
        assert len({one["workerId"] for one in report}) == 3
        assert all("libx264" in one["command"] for one in report)
        assert all(one["worker"] in record["error"]["message"] for one in report)
        # Its other branches, and all of the film beside it, were at most unlucky.
        with running.database.connect() as connection:
            row = tables.attempts.c
            made = connection.execute(sa.select(row.task_id, row.piece, row.status)).all()
        lost = Counter((one.task_id, one.piece) for one in made if one.status == "lost")
        (quarantined,) = [which for which, times in lost.items() if times >= 3]
        assert quarantined[1] == "chunk-0000"
        # By hand it is done again, once it can be.
        wrapper.write_text(f'#!/bin/sh\nexec "{ffmpeg.find().path}" "$@"\n')
        running.server.post(f"/media/{ids[0]}/branches/hls-package/retry", status=200)
        assert keep_alive(running, ended) == 0
        assert running.server.get(f"/media/{ids[0]}")["status"] == "ready"
