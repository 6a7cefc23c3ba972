"""Inngest engine: an Inngest server elsewhere, self-hosted or Cloud, as the rest of the project sees an engine.

It takes events and calls the functions. What it knows of runs it shows on its own pages; what tasks have come to
stands in this project's rows, whoever drives them.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, NoReturn

import inngest

from anabranch.catalog import steps
from anabranch.engine.protocol import Function
from anabranch.errors import ResourceError, SetupError
from anabranch.step_reports import reporting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import sqlalchemy as sa

    from anabranch.engine.events import Event
    from anabranch.engine.journal import Journal, Run

Json = Any

# At Inngest a run has 1,000 steps at the most, and each call carries the results of all of them.
MOST_PIECE_STEPS = 400
# What a request with events may have there, unless its server was told otherwise.
_MOST_EVENTS = 5000
_REQUEST_BYTES = 512 * 1024
# Around the events of a request, and between each two.
_AROUND_BYTES = 2


def new_client(app_id: str, database: sa.Engine) -> inngest.Inngest:
    """The client of an Inngest server; which one, and its keys, the SDK reads in the environment.

    Raises:
        SetupError: `inngest_key_missing`.
    """
    client = inngest.Inngest(app_id=app_id, logger=logging.getLogger("inngest"), middleware=[reporting(database)])
    if client.is_production:
        given = {"INNGEST_EVENT_KEY": client.event_key, "INNGEST_SIGNING_KEY": client.signing_key}
        missing = [name for name, value in given.items() if not value]
        if missing:
            raise SetupError(
                "inngest_key_missing",
                f"{' and '.join(missing)}: needed to work with {client.api_origin}, and not set.",
                "Set them as the server knows them, or INNGEST_DEV=1 for a development server. See docs/inngest.md.",
            )
    return client


class InngestEngine:
    """Hands events to an Inngest server. That one drives the functions.

    Args:
        database: holds what is known of the attempts at steps.
        client: sends the events.
    """

    def __init__(self, database: sa.Engine, client: inngest.Inngest) -> None:
        self._database = database
        self._client = client
        self._functions: dict[str, Function] = {}

    @property
    def functions(self) -> Mapping[str, Function]:
        """This project's functions by id."""
        return self._functions

    @property
    def journal(self) -> Journal:
        """What is known of runs; the server has that.

        Raises:
            SetupError: `engine_elsewhere`.
        """
        self._refuse()

    def retries(self, run_ids: Collection[str]) -> dict[str, tuple[int, int | None]]:
        """By run the failures of the step that has most of them, and when the next attempt at any is due, or None."""
        return steps.retries(self._database, run_ids)

    def register(self, configs: Iterable[Mapping[str, Json]], app: Any = None) -> None:
        """Know this project's functions. The server is told of them by the SDK: when it asks, or over Connect."""
        del app
        self._functions = {str(config["id"]): Function.from_registration(config) for config in configs}

    async def start(self) -> None:
        """There is nothing to take up; the server does that."""

    async def stop(self) -> None:
        """There is nothing to leave."""

    async def send(self, events: Sequence[Event]) -> list[str]:
        """Hand events to the server. When this returns it has them all.

        Raises:
            ResourceError: `engine_unavailable`.
        """
        for part in _parts(events):
            try:
                await self._client.send([_shaped(event) for event in part])
            # The SDK raises what it was told, and what its parser says of an answer that is none.
            except Exception as error:
                raise ResourceError(
                    "engine_unavailable",
                    f"{self._client.event_api_origin} did not take {len(part)} events: {error!r}.",
                    "Check that the Inngest server is up, and INNGEST_BASE_URL and INNGEST_EVENT_KEY.",
                ) from error
        return [event.id for event in events]

    async def cancel(self, run_id: str) -> bool:
        """Tasks are cancelled by events. A run is the server's to end.

        Raises:
            SetupError: `engine_elsewhere`.
        """
        self._refuse(run_id)

    async def rerun(self, run_id: str, from_step: str | None = None) -> str | None:
        """Branches are done again by events. A run is the server's to do again.

        Raises:
            SetupError: `engine_elsewhere`.
        """
        self._refuse(run_id, from_step)

    async def register_app(
        self, app_id: str, url: str, configs: Sequence[Mapping[str, Json]], *, sdk: str = "", framework: str = ""
    ) -> None:
        """Other apps register with the server.

        Raises:
            SetupError: `engine_elsewhere`.
        """
        self._refuse(app_id, url, configs, sdk, framework)

    async def sync(self, url: str) -> dict[str, Json]:
        """Other apps register with the server.

        Raises:
            SetupError: `engine_elsewhere`.
        """
        self._refuse(url)

    async def ended(self, run_id: str) -> Run:
        """Nobody here knows when a run ends.

        Raises:
            SetupError: `engine_elsewhere`.
        """
        self._refuse(run_id)

    async def drained(self) -> None:
        """Nobody here knows which runs there are.

        Raises:
            SetupError: `engine_elsewhere`.
        """
        self._refuse()

    def _refuse(self, *_: object) -> NoReturn:
        raise SetupError(
            "engine_elsewhere",
            f"The Inngest server at {self._client.api_origin} drives the functions, and has its runs, events and apps.",
            "Ask it, or look at its pages. Tasks, media and their attempts are here.",
        )


def _parts(events: Sequence[Event]) -> Iterator[list[Event]]:
    """The events in as many requests as their server's limits ask for. One that is too large goes alone."""
    part: list[Event] = []
    size = _AROUND_BYTES
    for event in events:
        more = len(json.dumps(event.to_dict())) + _AROUND_BYTES
        if part and (len(part) == _MOST_EVENTS or size + more > _REQUEST_BYTES):
            yield part
            part, size = [], _AROUND_BYTES
        part.append(event)
        size += more
    if part:
        yield part


def _shaped(event: Event) -> inngest.Event:
    return inngest.Event(name=event.name, data=event.data, id=event.id, ts=event.ts, user=event.user or {}, v=event.v)
