"""Export: a media record's outputs as a folder that can be moved, opened and served as it is."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from anabranch.catalog import media, tasks
from anabranch.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

    import sqlalchemy as sa

    from anabranch.storage import Storage

Json = Any

# Where each branch's files go; the others keep their own names at the top.
_FOLDERS = {"adaptive_video": "hls/"}
# Where what has to be fetched stands until it has its name; in the same file system, so that it is moved by a link.
_FETCHED = ".fetched"


def export(database: sa.Engine, storage: Storage, media_id: str, folder: Path) -> dict[str, Json]:
    """Put the outputs of a media row into `folder`, with `media.json` that points at them relatively.

    Files of a folder are hard links where the file system allows, so they take no second copy's room.

    Returns:
        the record, its addresses being those of the files in `folder`.

    Raises:
        SetupError: `output_unwritable`.
    """
    record = media.record(database, media_id)
    assert record is not None
    names: dict[str, str] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for task in tasks.of_media(database, media_id):
            names |= _place(task, storage, folder)
        shutil.rmtree(folder / _FETCHED, ignore_errors=True)
        relative = _with_addresses(record, names)
        (folder / "media.json").write_text(json.dumps(relative, indent=2) + "\n")
    except OSError as error:
        raise SetupError(
            "output_unwritable", f"{folder} cannot be written: {error.strerror}.", "Choose another folder with -o."
        ) from error
    absolute = {url: (folder / name).absolute().as_uri() for url, name in names.items()}
    return _with_addresses(record, absolute)


def _place(task: tasks.Task, storage: Storage, folder: Path) -> dict[str, str]:
    """Link a task's files into the folder; address in storage to name in the folder."""
    output = task.output or {}
    prefix = _FOLDERS.get(task.kind, "")
    placed: dict[str, str] = {}
    fetched = folder / _FETCHED
    for stored in output.get("files", []):
        # Playlists point at the stored names; what nothing points at gets its plain one.
        plain = not prefix or stored["key"] == output["key"]
        below = stored["key"].partition(f"{task.id}/")[2]
        name = prefix + (stored["name"] if plain else below)
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        _link(storage.local(stored["key"], fetched), target)
        storage.forget(stored["key"], fetched)
        placed[storage.url(stored["key"])] = name
    return placed


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def _with_addresses(record: dict[str, Json], names: dict[str, str]) -> dict[str, Json]:
    changed = {key: names.get(value, value) if isinstance(value, str) else value for key, value in record.items()}
    branches = [{**branch, "url": names.get(branch["url"], branch["url"])} for branch in record["branches"]]
    return {**changed, "branches": branches}
