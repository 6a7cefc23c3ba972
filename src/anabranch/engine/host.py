"""Host: the embedded engine as the rest of the project sees it. Events in, runs driven, results out.

Who drives a run is DBOS's business: each run is a DBOS workflow of the same id, so a run whose process died is
taken up again when the process comes back. What a run has come to is the journal's.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx2
import structlog
from dbos import DBOS, SetWorkflowID

from anabranch.engine import driver, protocol
from anabranch.engine.journal import Event, Journal, Published, Run
from anabranch.engine.protocol import Errored, Function
from anabranch.engine.wakeups import Wakeups

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import sqlalchemy as sa
    from dbos import DBOSConfig

Json = Any

_log = structlog.get_logger(__name__)

# A run outlives a deploy. DBOS would leave behind the runs of another version; the protocol finds each step by
# its name, so a newer process can go on with an older one's run.
_APPLICATION_VERSION = "1"


class Engine:
    """Drives the functions of registered apps by events, on SQLite or Postgres. One for each process.

    Args:
        database: holds the journal and DBOS's own tables.
        executor_id: who this process is. Two that live at once must differ; one that comes back after a crash
            must be the same, since it takes up the runs it left.
        retry_scale: factor on the wait between attempts; 1.0 is Inngest's schedule.
    """

    def __init__(self, database: sa.Engine, *, executor_id: str = "local", retry_scale: float = 1.0) -> None:
        self._database = database
        self._executor_id = executor_id
        self._functions: dict[str, Function] = {}
        self._clients: dict[str, httpx2.AsyncClient] = {}
        self._wakeups = Wakeups()
        self._driving: set[asyncio.Task[None]] = set()
        self._starting: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.journal = Journal(database)
        self._around = driver.Surroundings(
            journal=self.journal,
            functions=self._functions,
            call=self._call,
            spread=self._spread,
            wakeups=self._wakeups,
            retry_scale=retry_scale,
        )

    def register(self, configs: Iterable[Mapping[str, Json]], app: Any = None) -> None:
        """Register an app's functions, given as in the body of a registration request.

        Args:
            configs: the entries of `functions`.
            app: an ASGI application that answers in this process; None when the URLs are to be called for real.
        """
        transport = httpx2.ASGITransport(app) if app is not None else None
        # A step may take hours, so reading has no time limit; a host that cannot be reached is known sooner.
        client = httpx2.AsyncClient(transport=transport, timeout=httpx2.Timeout(None, connect=10.0), trust_env=False)
        for config in configs:
            function = Function.from_registration(config)
            self._functions[function.id] = function
            self._clients[function.id] = client

    async def start(self) -> None:
        """Take up what was left running, and be ready for events. Call within the event loop that will drive."""
        self._loop = asyncio.get_running_loop()
        config: DBOSConfig = {
            "name": "anabranch",
            "system_database_url": self._database.url.render_as_string(hide_password=False),
            "system_database_engine": self._database,
            "application_version": _APPLICATION_VERSION,
            "executor_id": self._executor_id,
            # How long its threads sleep between looks, and so how long stopping takes.
            "notification_listener_polling_interval_sec": 0.1,
            "log_level": "ERROR",
            "enable_otlp": False,
        }
        DBOS(config=config)
        # DBOS says through its own handler what is said here in this project's words.
        logging.getLogger("dbos").setLevel(logging.ERROR)

        @DBOS.workflow(name="drive")
        async def drive(run_id: str) -> None:
            await self._drive(run_id)

        self._workflow = drive
        DBOS.launch()
        for run_id in await asyncio.to_thread(self.journal.running):
            self._start_run(run_id)

    async def stop(self) -> None:
        """Leave the runs where they are; the next start takes them up."""
        self._stopping = True
        for task in [*self._starting, *self._driving]:
            task.cancel()
        await asyncio.gather(*self._starting, *self._driving, return_exceptions=True)
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        # DBOS had made its own threads the loop's, and has shut them down.
        self._loop.set_default_executor(ThreadPoolExecutor())
        for client in set(self._clients.values()):
            await client.aclose()

    async def send(self, events: Sequence[Event]) -> list[str]:
        """Publish events. When this returns they are in the database, and so are the runs they start."""
        published = await asyncio.to_thread(self.journal.publish, events, list(self._functions.values()))
        self._spread(published)
        return [event.id for event in events]

    async def ended(self, run_id: str) -> Run:
        """The run, once it has ended."""
        with self._wakeups.expect(run_id) as woken:
            run = await asyncio.to_thread(self.journal.run, run_id)
            if run is None:
                raise KeyError(run_id)
            if run.status == "running":
                await woken.wait()
                run = await asyncio.to_thread(self.journal.run, run_id)
        assert run is not None
        return run

    async def drained(self) -> None:
        """Return once no run is left running, those that ended runs have started among them."""
        while running := await asyncio.to_thread(self.journal.running):
            for run_id in running:
                await self.ended(run_id)

    def _spread(self, published: Published) -> None:
        for run_id in published.run_ids:
            self._start_run(run_id)
        for key in published.woken:
            self._wakeups.wake(key)

    def _start_run(self, run_id: str) -> None:
        # In an empty context: DBOS would take a run started from within another for its child.
        task = self._loop.create_task(self._hand_over(run_id), context=contextvars.Context())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _hand_over(self, run_id: str) -> None:
        with SetWorkflowID(run_id):
            await DBOS.start_workflow_async(self._workflow, run_id)

    async def _drive(self, run_id: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._stopping:
            # It began between the cancelling and the end; DBOS keeps as pending what is cancelled.
            raise asyncio.CancelledError
        self._driving.add(task)
        try:
            await self._drive_on(run_id)
        finally:
            self._driving.discard(task)

    async def _drive_on(self, run_id: str) -> None:
        """Drive the run to its end, through what the database or the machine may throw in between.

        A run whose driver gave up would stay where it is for ever: DBOS takes up what a dead process left, not
        what a living one dropped.
        """
        for stumbles in itertools.count(1):
            try:
                await driver.drive(self._around, run_id)
            except Exception as error:  # noqa: BLE001  (whatever it is, the run must not be dropped for it)
                wait_s = min(60, 2**stumbles)
                _log.warning("run stumbled", run=run_id, error=repr(error)[:300], again_in_s=wait_s)
                await asyncio.sleep(wait_s)
            else:
                return

    async def _call(self, function: Function, step_id: str, body: bytes) -> protocol.Answer:
        client = self._clients[function.id]
        url = httpx2.URL(function.url).copy_merge_params({"fnId": function.id, "stepId": step_id})
        headers = {"content-type": "application/json", "x-inngest-server-kind": "dev"}
        try:
            response = await client.post(url, content=body, headers=headers)
        except httpx2.HTTPError as error:
            return Errored(protocol.error(type(error).__name__, f"{function.url} cannot be called: {error}"))
        return protocol.read_answer(response.status_code, response.headers, response.content)
