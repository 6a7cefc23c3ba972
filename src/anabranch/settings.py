"""Settings: read once from the environment, checked all at once, passed on from there."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from anabranch import buckets
from anabranch.errors import SetupError
from anabranch.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anabranch.outbound import Network


# A minute, of one key. More is no limit.
MOST_REQUESTS = 100_000


def _storage(given: str) -> str:
    if buckets.is_address(given):
        buckets.place_of(given)
    elif not given or "://" in given:
        raise ValueError("should be a folder, or s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX")
    return given


def _origin(given: str) -> str:
    if given != "*" and not re.fullmatch(r"https?://[^/?#@\s,]+", given):
        raise ValueError("should be * or origins such as https://example.com, comma between, without a path")
    return given


def _listed(given: Any) -> Any:
    return tuple(filter(None, map(str.strip, given.split(",")))) if isinstance(given, str) else given


def _networks(given: Any) -> tuple[Network, ...]:
    return tuple(one if not isinstance(one, str) else ipaddress.ip_network(one) for one in _listed(given))


def _folders(given: Any) -> tuple[Path, ...]:
    folders = tuple(map(Path, _listed(given)))
    if not all(map(Path.is_absolute, folders)):
        raise ValueError("should be absolute paths, such as /srv/films, comma between")
    return folders


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
        source_folders: folders of this machine that clients of the API may name sources in.
        source_timeout_s: how long it may take until a source has come, in seconds.
        private_networks: networks that sources and webhooks may be in, beside the public internet.
        base_url: address of this server as others see it; outputs are under `/outputs` of it. File addresses when
            unset and nothing is served.
        host: interface that the server listens on.
        port: TCP port that it listens on; 0 for any free one.
        signing_key: signs calls to functions; made once and kept in the database when unset.
        password: lets a person sign in to the page who has no key; nobody signs in by password when unset.
        open_access: whether the API is open to everybody without a key. For development only.
        cors_origins: whose pages in a browser may call the API, comma between; `*` is all of them.
        requests_per_minute: how many requests a key may make that has no limit of its own; any number when unset.
        max_upload_bytes: the largest upload that is taken, and the largest source that is fetched.
        ffmpeg: the ffmpeg to use; the one on PATH, else the one that is shipped, when unset.
        speech_model: name or folder of a faster-whisper model; the English one that is shipped when unset.
        cpu_slots: how many pieces of work may run at once; one for each core when unset.
        sandbox: whether ffmpeg, the probe and the speech model are kept from files and the network that they do not
            need: where this kernel can (`auto`), or else nothing is done (`required`), or never (`off`).
        max_duration_s: how long a source may be, in seconds.
        max_pixels: how many pixels its pictures may have, width times height.
        max_frame_rate: how many pictures it may have a second.
        max_streams: how many streams it may have.
        max_memory_bytes: how much memory each ffmpeg, probe or speech model may take; half of the machine's when unset.
        max_output_bytes: how large a file they may write.
        max_child_s: how long each of them may run, in seconds.
        lease_s: after how many seconds of silence a process is lost, and others take up what it was doing.
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
    source_folders: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_folders)] = ()
    source_timeout_s: Annotated[int, Field(ge=1)] = 2 * 3600
    private_networks: Annotated[
        tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...], NoDecode, BeforeValidator(_networks)
    ] = ()
    base_url: str | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    signing_key: Annotated[str | None, Field(pattern=r"^signkey-\w+-([0-9a-f]{2})+$")] = None
    password: Annotated[SecretStr | None, Field(min_length=8)] = None
    open_access: bool = False
    cors_origins: Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_listed)] = (
        "*",
    )
    requests_per_minute: Annotated[int | None, Field(ge=1, le=MOST_REQUESTS)] = None
    max_upload_bytes: Annotated[int, Field(ge=1)] = 50_000_000_000
    ffmpeg: Path | None = None
    speech_model: str | None = None
    cpu_slots: Annotated[int, Field(ge=1)] = Field(default_factory=lambda: len(os.sched_getaffinity(0)))
    sandbox: Literal["auto", "required", "off"] = "auto"
    max_duration_s: Annotated[float, Field(gt=0)] = Limits.duration_s
    max_pixels: Annotated[int, Field(ge=1)] = Limits.pixels
    max_frame_rate: Annotated[int, Field(ge=1)] = Limits.frame_rate
    max_streams: Annotated[int, Field(ge=1)] = Limits.streams
    # Less than that, and the probe itself does not start.
    max_memory_bytes: Annotated[int, Field(ge=256 << 20)] = Limits.memory_bytes
    max_output_bytes: Annotated[int, Field(ge=1)] = Limits.output_bytes
    max_child_s: Annotated[float, Field(gt=0)] = Limits.child_s
    lease_s: Annotated[float, Field(ge=1)] = 12.0
    drain_s: Annotated[float | None, Field(ge=0)] = None
    adaptive_video: dict[str, Any] = {}
    tasks_url: Annotated[str | None, Field(pattern=r"^https?://[^/@?#\s]+[^@?#\s]*$")] = None
    tasks_key: SecretStr | None = None
    tasks_kinds: str = ""
    tasks_timeout_s: Annotated[int, Field(ge=1, le=7 * 24 * 3600)] = 6 * 3600
    retry_scale: Annotated[float, Field(ge=0)] = 1.0

    @property
    def limits(self) -> Limits:
        """What a source may be like, and what reads it may use."""
        return Limits(
            duration_s=self.max_duration_s,
            pixels=self.max_pixels,
            frame_rate=self.max_frame_rate,
            streams=self.max_streams,
            memory_bytes=self.max_memory_bytes,
            output_bytes=self.max_output_bytes,
            child_s=self.max_child_s,
        )

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
