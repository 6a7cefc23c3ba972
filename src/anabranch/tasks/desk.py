"""Desk: where one piece of a task is done. The source on it, an empty scratch folder, and a tray for outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from anabranch.errors import EncodeError
from anabranch.media import ffmpeg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anabranch.catalog.tasks import Task
    from anabranch.media.ffmpeg import Ffmpeg
    from anabranch.media.probe import Probe
    from anabranch.media.process import CancelToken, Tape
    from anabranch.media.sandbox import Sandbox
    from anabranch.storage import Storage


@dataclass(frozen=True)
class StoredFile:
    """A file in storage.

    Attributes:
        name: what it is called within the task's outputs, such as `720p/00003.m4s`.
        key: where it is, such as `media/med_1/task_2/720p/00003.1.m4s`; the attempt is in the name.
        size_bytes: its size.
    """

    name: str
    key: str
    size_bytes: int

    def to_dict(self) -> dict[str, object]:
        """As kept in a step's result."""
        return {"name": self.name, "key": self.key, "size_bytes": self.size_bytes}


@dataclass(frozen=True)
class Desk:
    """What a kind of task may use while it performs one piece.

    Attributes:
        source: the media file, local and readable.
        probe: what is in it.
        scratch: an empty folder that is removed afterwards, whatever happens.
        ffmpeg: the binary to encode with.
        storage: where outputs go.
        prefix: where this task's outputs begin, such as `media/med_1/task_2`.
        attempt: which start of this piece this is, from 1; it makes the keys of outputs unique.
        on_progress: told the fraction done, 0 to 1, and the speed (media seconds a second; 0 when unknown).
        cancel: set when nobody wants the piece any more.
        speech_model: the name or path of the speech model, or None for the one that is shipped.
        threads: how many threads an encoder may use.
        nice: how far what is started here gives way to whoever else wants the processor, up to 19.
        on_partial: told what the piece has come to so far, in the form of its result; for pieces whose first part is
            of use while the rest is being made.
        earlier: what an attempt that did not end told last, or None; what it stored is still there.
        texts: takes what is published, type and text by key, so that all of it is published at once; when None each
            text is stored as it comes.
        shown: keys that are published already.
    """

    source: Path
    probe: Probe
    scratch: Path
    ffmpeg: Ffmpeg
    storage: Storage
    prefix: str
    attempt: int
    on_progress: Callable[[float, float], None]
    cancel: CancelToken
    speech_model: str | None = None
    threads: int = 1
    nice: int = 0
    on_partial: Callable[[dict[str, Any]], None] = lambda _result: None
    earlier: dict[str, Any] | None = None
    texts: dict[str, tuple[str, str]] | None = None
    shown: frozenset[str] = frozenset()
    saved: list[StoredFile] = field(default_factory=list)

    @property
    def tape(self) -> Tape | None:
        """Is told what is run here, and what it says."""
        return self.ffmpeg.tape

    @property
    def sandbox(self) -> Sandbox:
        """Where what reads the source is run."""
        return self.ffmpeg.sandbox

    def save(self, path: Path, name: str, content_type: str) -> StoredFile:
        """Store a verified file as the output `name`. Bytes are durable when this returns.

        Raises:
            ResourceError: `disk_full`, or `storage_unavailable`.
        """
        key = self.key(name)
        size_bytes = path.stat().st_size
        self.storage.put(key, path, content_type)
        stored = StoredFile(name, key, size_bytes)
        self.saved.append(stored)
        return stored

    def save_bytes(self, data: bytes, name: str, content_type: str) -> StoredFile:
        """Store bytes as the output `name`, as `save` does a file."""
        return self.save(self._written(data, name), name, content_type)

    def publish_text(self, text: str, name: str, content_type: str) -> StoredFile:
        """Publish a text as the output `name`, over what is there. For playlists: players hold their addresses.

        Raises:
            ResourceError: `disk_full`, or `storage_unavailable`.
        """
        key = self.published_key(name)
        if self.texts is not None:
            self.texts[key] = (content_type, text)
        else:
            self.storage.put(key, self._written(text.encode(), name), content_type)
        return StoredFile(name, key, len(text.encode()))

    def is_published(self, name: str) -> bool:
        """Whether there is a text at the output `name`."""
        key = self.published_key(name)
        return key in self.shown if self.texts is not None else self.storage.exists(key)

    def _written(self, data: bytes, name: str) -> Path:
        path = self.scratch / f"{len(self.saved)}-{name.replace('/', '-')}"
        # Storage may have linked to what stood here.
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        return path

    def published_key(self, name: str) -> str:
        """Where `publish_text` puts the output `name`."""
        return f"{self.prefix}/{name}"

    def key(self, name: str) -> str:
        """Where `save` puts the output `name`."""
        pure = PurePosixPath(name)
        return f"{self.prefix}/{pure.with_name(f'{pure.stem}.{self.attempt}{pure.suffix}')}"


def check_picture(desk: Desk, file: Path, size: tuple[int, int]) -> None:
    """Decode a picture and compare its size with what was asked for.

    Raises:
        EncodeError: `verify_failed`.
    """
    # rawvideo of one byte a pixel: the count of bytes is the count of pixels.
    raw = desk.scratch / "verify.gray"
    arguments = ["-protocol_whitelist", "file", "-i", str(file), "-frames:v", "1", "-pix_fmt", "gray"]
    arguments += ["-f", "rawvideo", str(raw)]
    ffmpeg.run(desk.ffmpeg, arguments, making="a check of the picture", scratch=desk.scratch, cancel=desk.cancel)
    if raw.stat().st_size != size[0] * size[1]:
        raise EncodeError(
            "verify_failed",
            f"{file.name} should be {size[0]}x{size[1]} and has {raw.stat().st_size} pixels.",
            "The step is tried again.",
        )


def prefix_of(task: Task) -> str:
    """Where the outputs of a task begin."""
    return f"media/{task.media_id}/{task.id}" if task.media_id else f"tasks/{task.id}"
