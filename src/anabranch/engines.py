"""Engines: what the rest of the project needs of whoever drives the functions, and the choice of one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

import inngest

from anabranch import inngest_engine
from anabranch.engine.host import Engine as EmbeddedEngine

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import sqlalchemy as sa

    from anabranch.engine.events import Event
    from anabranch.engine.journal import Journal, Run
    from anabranch.engine.protocol import Function
    from anabranch.settings import Settings
    from anabranch.wakeups import Wakeups
    from anabranch.workers import Membership

Json = Any


class Engine(Protocol):
    """Drives the functions, in this process or elsewhere. One elsewhere refuses what only it can answer.

    Beside `send` and `functions`, each may raise `SetupError` `engine_elsewhere`.
    """

    @property
    def functions(self) -> Mapping[str, Function]:
        """The functions that are known here, by id."""

    @property
    def journal(self) -> Journal:
        """What runs have come to."""

    def register(self, configs: Iterable[Mapping[str, Json]], app: Any = None) -> None:
        """Know functions, and call them in this process when there is an `app`."""

    async def start(self) -> None:
        """Take up what was left."""

    async def stop(self) -> None:
        """Leave the runs where they are."""

    async def send(self, events: Sequence[Event]) -> list[str]:
        """Publish events; their ids."""

    async def cancel(self, run_id: str) -> bool:
        """End a run where it stands."""

    async def rerun(self, run_id: str, from_step: str | None = None) -> str | None:
        """Start a run anew; its id."""

    async def register_app(
        self, app_id: str, url: str, configs: Sequence[Mapping[str, Json]], *, sdk: str = "", framework: str = ""
    ) -> None:
        """Register an app that is served elsewhere."""

    async def sync(self, url: str) -> dict[str, Json]:
        """Ask an app for its functions, and register them."""

    async def ended(self, run_id: str) -> Run:
        """The run, once it has ended."""

    async def drained(self) -> None:
        """Return once no run is left running."""


def new_client(app_id: str, settings: Settings, database: sa.Engine, key: str | None) -> inngest.Inngest:
    """The client of the functions, for the engine that the settings name.

    Args:
        app_id: the app's name.
        settings: which engine it is.
        database: holds what is known of attempts.
        key: what the embedded engine signs with: when others can reach the functions too; else None.

    Raises:
        SetupError: `inngest_key_missing`.
    """
    if settings.engine == "inngest":
        return inngest_engine.new_client(app_id, database)
    return inngest.Inngest(
        app_id=app_id, is_production=key is not None, signing_key=key, logger=logging.getLogger("inngest")
    )


def new_engine(
    settings: Settings,
    database: sa.Engine,
    wakeups: Wakeups,
    membership: Membership,
    client: inngest.Inngest,
    key: str | None,
) -> Engine:
    """The engine that the settings name."""
    if settings.engine == "inngest":
        return inngest_engine.InngestEngine(database, client)
    return EmbeddedEngine(database, wakeups, membership, retry_scale=settings.retry_scale, signing_key=key)


def most_piece_steps(settings: Settings) -> int | None:
    """How many steps the pieces of one task may take of a run; None where there is no limit."""
    return inngest_engine.MOST_PIECE_STEPS if settings.engine == "inngest" else None


def retries(engine: Engine, run_ids: Collection[str]) -> dict[str, tuple[int, int | None]]:
    """By run the failures of the step that has most of them, and when the next attempt at any is due, or None.

    A run of which nothing is known is left out.
    """
    if isinstance(engine, inngest_engine.InngestEngine):
        return engine.retries(run_ids)
    return engine.journal.retries(run_ids)
