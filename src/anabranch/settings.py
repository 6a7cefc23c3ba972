"""Settings: read once from the environment, checked all at once, passed on from there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from anabranch import buckets
from anabranch.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping


def _storage(given: str) -> str:
    if buckets.is_address(given):
        buckets.place_of(given)
    elif not given or "://" in given:
        raise ValueError("should be a folder, or s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX")
    return given


def _losses(given: int) -> int:
    if given == 1:
        raise ValueError("should be 0 for never, or 2 or more: of one loss alone nobody can tell who was to blame")
    return given


def _listed(given: Any) -> Any:
    return tuple(filter(None, map(str.strip, given.split(",")))) if isinstance(given, str) else given


class Settings(BaseSettings):
    """What a person may set, each as `ANABRANCH_` and the name in capitals.

    Attributes:
        home: folder of the database, the outputs and the scratch files.
        engine: what drives the functions: the engine in this process, or an Inngest server elsewhere, which the
            `INNGEST_` variables of its SDK name.
        database_url: SQLAlchemy address of the database; SQLite in `home` when unset.
        storage: where sources and outputs are: a folder, which others may share, or `s3://bucket/prefix`, `gs://…` or
            `az://…`. The folder `storage` in `home` when unset.
        storage_endpoint: where the object store is, when it is none of Amazon's, Google's or Microsoft's.
        playback: whether this server reads objects for players (`proxy`) or sends those to the store (`redirect`).
        source_buckets: names of the buckets that clients of the API may name sources in.
        base_url: address of this server as others see it; outputs are under `/outputs` of it. File addresses when
            unset and nothing is served.
        host: interface that the server listens on.
        port: TCP port that it listens on; 0 for any free one.
        signing_key: signs calls to functions; made once and kept in the database when unset.
        password: lets a person sign in to the page who has no key; nobody signs in by password when unset.
        open_access: whether the API is open to everybody without a key. For development only.
        max_upload_bytes: the largest upload that is taken.
        ffmpeg: the ffmpeg to use; the one on PATH, else the one that is shipped, when unset.
        speech_model: name or folder of a faster-whisper model; the English one that is shipped when unset.
        cpu_slots: how many pieces of work may run at once; one for each core when unset.
        lease_s: after how many seconds of silence a process is lost, and others take up what it was doing.
        max_losses: at how many lost workers a piece that they were doing is quarantined; 0 for never.
        keep_history_days: for how many days it is remembered what has ended: runs, changes, deliveries, logs.
        keep_media_days: for how many days media are kept; for ever when unset.
        keep_sources: whether the bytes of an upload are kept for good (`always`), or until what is made of it is ready.
        drain_s: how many seconds what is being done may go on when the process is told to stop; when unset 30 for a
            worker, and none for a server.
        adaptive_video: options of `adaptive_video` for the HLS package of each upload, as JSON.
        tasks_url: another Task API, Ittybit's or another Anabranch, that does the tasks; they are done here when unset.
        tasks_key: key of that API.
        tasks_kinds: which kinds of task it does, comma between them; all but `import` when empty.
        tasks_timeout_s: how long it may take over a task, in seconds.
        retry_scale: factor on the wait between attempts; 1.0 is Inngest's schedule, 15 s to 2 h.
    """

    model_config = SettingsConfigDict(env_prefix="ANABRANCH_", frozen=True)

    home: Path = Path(".anabranch")
    engine: Literal["embedded", "inngest"] = "embedded"
    database_url: str | None = None
    storage: Annotated[str, AfterValidator(_storage)] | None = None
    storage_endpoint: Annotated[str | None, Field(pattern=r"^https?://[^/]")] = None
    playback: Literal["proxy", "redirect"] = "proxy"
    source_buckets: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = ()
    base_url: str | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    signing_key: Annotated[str | None, Field(pattern=r"^signkey-\w+-([0-9a-f]{2})+$")] = None
    password: Annotated[SecretStr | None, Field(min_length=8)] = None
    open_access: bool = False
    max_upload_bytes: Annotated[int, Field(ge=1)] = 50_000_000_000
    ffmpeg: Path | None = None
    speech_model: str | None = None
    cpu_slots: Annotated[int, Field(ge=1)] = Field(default_factory=lambda: len(os.sched_getaffinity(0)))
    lease_s: Annotated[float, Field(ge=1)] = 12.0
    max_losses: Annotated[int, Field(ge=0), AfterValidator(_losses)] = 3
    keep_history_days: Annotated[int, Field(ge=1, le=36_500)] = 90
    keep_media_days: Annotated[int | None, Field(ge=1, le=36_500)] = None
    keep_sources: Literal["always", "until_ready"] = "always"
    drain_s: Annotated[float | None, Field(ge=0)] = None
    adaptive_video: dict[str, Any] = {}
    tasks_url: Annotated[str | None, Field(pattern=r"^https?://[^/@?#\s]+[^@?#\s]*$")] = None
    tasks_key: SecretStr | None = None
    tasks_kinds: str = ""
    tasks_timeout_s: Annotated[int, Field(ge=1, le=7 * 24 * 3600)] = 6 * 3600
    retry_scale: Annotated[float, Field(ge=0)] = 1.0

    @property
    def database(self) -> str:
        """The database's address."""
        return self.database_url or f"sqlite:///{self.home / 'anabranch.db'}"

    @property
    def outputs_url(self) -> str | None:
        """Where others find the outputs, or None when this server's address is not set."""
        return f"{self.base_url.rstrip('/')}/outputs" if self.base_url else None


def read_settings(**given: Any) -> Settings:
    """The settings: those given, and the environment's for the others.

    Raises:
        SetupError: `invalid_setting`, naming every variable that is wrong, what was expected and what it was.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = "; ".join(
            f"ANABRANCH_{'_'.join(map(str, detail['loc'])).upper()}: {detail['msg']}{_got(detail)}"
            for detail in error.errors()
        )
        raise SetupError("invalid_setting", f"{wrong}.", "docs/configuration.md lists them all.") from None


def _got(detail: Mapping[str, Any]) -> str:
    # What is said here ends in logs.
    return (
        ""
        if detail["loc"][0] in ("password", "signing_key", "tasks_key", "tasks_url")
        else f", got {detail['input']!r}"
    )
