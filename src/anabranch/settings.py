"""Settings: read once from the environment, checked all at once, passed on from there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from anabranch.errors import SetupError


class Settings(BaseSettings):
    """What a person may set, each as `ANABRANCH_` and the name in capitals.

    Attributes:
        home: folder of the database, the outputs and the scratch files.
        database_url: SQLAlchemy address of the database; SQLite in `home` when unset.
        base_url: address under which outputs are served; file addresses when unset.
        ffmpeg: the ffmpeg to use; the one on PATH, else the one that is shipped, when unset.
        speech_model: name or folder of a faster-whisper model; the English one that is shipped when unset.
        cpu_slots: how many pieces of work may run at once; one for each core when unset.
        retry_scale: factor on the wait between attempts; 1.0 is Inngest's schedule, 15 s to 2 h.
    """

    model_config = SettingsConfigDict(env_prefix="ANABRANCH_", frozen=True)

    home: Path = Path(".anabranch")
    database_url: str | None = None
    base_url: str | None = None
    ffmpeg: Path | None = None
    speech_model: str | None = None
    cpu_slots: Annotated[int, Field(ge=1)] = Field(default_factory=lambda: len(os.sched_getaffinity(0)))
    retry_scale: Annotated[float, Field(ge=0)] = 1.0

    @property
    def database(self) -> str:
        """The database's address."""
        return self.database_url or f"sqlite:///{self.home / 'anabranch.db'}"


def read_settings(home: Path | None = None) -> Settings:
    """The settings, with `home` in place of the environment's when given.

    Raises:
        SetupError: `invalid_setting`, naming every variable that is wrong, what was expected and what it was.
    """
    try:
        return Settings() if home is None else Settings(home=home)
    except ValidationError as error:
        wrong = "; ".join(
            f"ANABRANCH_{'_'.join(map(str, detail['loc'])).upper()}: {detail['msg']}, got {detail['input']!r}"
            for detail in error.errors()
        )
        raise SetupError("invalid_setting", f"{wrong}.", "docs/configuration.md lists them all.") from None
