"""Host: the embedded engine as the rest of the project sees it. Events in, runs driven, results out.

A run's row says which worker drives it. Whoever publishes an event drives what it starts; what a worker left behind
that was lost, or has gone, is adopted by the others. What a run has come to is the journal's.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import json
from typing import TYPE_CHECKING, Any

import httpx2
import structlog

from anabranch import clock
from anabranch.database import persist
from anabranch.engine import driver, protocol, schedule, signing
from anabranch.engine.journal import ABANDONED, APPS, Journal, Published, Run, Superseded, cancelled
from anabranch.engine.places import Places
from anabranch.engine.protocol import Errored, Function
from anabranch.errors import OptionError
from anabranch.gate import Gate
from anabranch.wakeups import signalled

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Iterable, Mapping, Sequence

    import sqlalchemy as sa

    from anabranch.engine.events import Event
    from anabranch.wakeups import Wakeups
    from anabranch.workers import Membership

Json = Any

# How many calls run at once is for each function to say.
_NO_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=64)

_log = structlog.get_logger(__name__)

# How many runs that an event has started may be in their first moments, and how long those are. Runs that other runs
# invoke begin at once: somebody waits for them.
_BEGINNING_AT_ONCE = 4
_BEGINS_FOR_S = 0.1

# How many runs of others are adopted with one beat, so that several who live share them.
_ADOPTED_AT_ONCE = 200


class Engine:
    """Drives the functions of registered apps by events, on SQLite or Postgres. One for each process.

    Args:
        database: holds the journal.
        wakeups: how steps that wait hear of what happens elsewhere.
        membership: under which name this process drives runs.
        retry_scale: factor on the wait between attempts; 1.0 is Inngest's schedule.
        signing_key: signs every call, and every answer must be signed with it; None for apps in development.
    """

    def __init__(
        self,
        database: sa.Engine,
        wakeups: Wakeups,
        membership: Membership,
        *,
        retry_scale: float = 1.0,
        signing_key: str | None = None,
    ) -> None:
        self._signing_key = signing_key
        self._membership = membership
        self._functions: dict[str, Function] = {}
        self._clients: dict[str, httpx2.AsyncClient] = {}
        self._wakeups = wakeups
        self._driving: dict[str, asyncio.Task[None]] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._background: list[asyncio.Task[None]] = []
        self._sending: list[tuple[list[Event], asyncio.Future[None]]] = []
        self._publishing: asyncio.Task[None] | None = None
        self._beginning = asyncio.Semaphore(_BEGINNING_AT_ONCE)
        self._stopping = False
        self._adopting: concurrent.futures.Future[None] | None = None
        self.journal = Journal(database, lambda: membership.id)
        membership.with_each_beat.append(self._adopt_soon)
        membership.when_lost.append(self._let_go_soon)
        # On SQLite there is no other process.
        shared = database.dialect.name == "postgresql"
        self._places = Places(database, wakeups, membership) if shared else None
        self._around = driver.Surroundings(
            journal=self.journal,
            functions=self._functions,
            call=self._call,
            spread=self._spread,
            start=self._start_run,
            learn=self._load_apps,
            wakeups=self._wakeups,
            gate=self._places or Gate(),
            retry_scale=retry_scale,
        )

    @property
    def functions(self) -> Mapping[str, Function]:
        """The registered functions by id."""
        return self._functions

    def register(self, configs: Iterable[Mapping[str, Json]], app: Any = None) -> None:
        """Register an app's functions, given as in the body of a registration request.

        Args:
            configs: the entries of `functions`.
            app: an ASGI application that answers in this process; None when the URLs are to be called for real.

        Raises:
            OptionError: `invalid_registration`.
        """
        functions = [_read_function(config) for config in configs]
        transport = httpx2.ASGITransport(app) if app is not None else None
        # A step may take hours, so reading has no time limit; a host that cannot be reached is known sooner.
        client = httpx2.AsyncClient(
            transport=transport, timeout=httpx2.Timeout(None, connect=10.0), limits=_NO_LIMITS, trust_env=False
        )
        for function in functions:
            self._functions[function.id] = function
            self._clients[function.id] = client
        self._wakeups.wake("schedule")

    async def register_app(
        self, app_id: str, url: str, configs: Sequence[Mapping[str, Json]], *, sdk: str = "", framework: str = ""
    ) -> None:
        """Register an app that is served elsewhere, and remember it. Functions that it had and has no more are gone.

        Raises:
            OptionError: `invalid_registration`.
        """
        known = {row.id: row for row in await asyncio.to_thread(self.journal.apps)}
        self.register(configs)
        now = {str(config["id"]) for config in configs}
        if app_id in known:
            for config in known[app_id].functions:
                if config["id"] not in now:
                    self._functions.pop(config["id"], None)
                    self._clients.pop(config["id"], None)
        await asyncio.to_thread(self.journal.save_app, app_id, url, sdk, framework, list(configs))
        _log.info("app registered", app=app_id, url=url, functions=len(now))

    async def sync(self, url: str) -> dict[str, Json]:
        """Ask an app that is served at `url` for its functions, and register them.

        Returns:
            the app's id, its url, and the ids of its functions.

        Raises:
            OptionError: `app_unreachable` or `invalid_registration`.
        """
        body = json.dumps({"url": url}).encode()
        headers = {"content-type": "application/json", "x-inngest-sync-kind": "in_band"}
        if self._signing_key is not None:
            headers |= {signing.HEADER: signing.sign(body, self._signing_key), "x-inngest-server-kind": "cloud"}
        hint = "Check that the app is up, and that it has this server's signing key (INNGEST_SIGNING_KEY)."
        try:
            async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
                response = await client.put(url, content=body, headers=headers)
                answer = response.json()
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise OptionError("app_unreachable", f"{url}: {type(error).__name__}: {error}.", hint) from None
        if response.status_code >= 400 or not isinstance(answer, dict):
            raise OptionError("app_unreachable", f"{url} answered {response.status_code}: {response.text[:300]}.", hint)
        if "functions" in answer:
            sdk = f"{answer.get('sdk_language', '')} {answer.get('sdk_version', '')}".strip()
            framework = str(answer.get("framework") or "")
            await self.register_app(str(answer["app_id"]), url, answer["functions"], sdk=sdk, framework=framework)
        # An app that does not answer with its functions has sent them to /fn/register by now.
        known = [row for row in await asyncio.to_thread(self.journal.apps) if row.url.split("?")[0] == url]
        if not known:
            raise OptionError("app_unreachable", f"{url} answered, but registered no functions here.", hint)
        return {"id": known[0].id, "url": url, "functions": [one["id"] for one in known[0].functions]}

    async def start(self) -> None:
        """Take up what was left running, and be ready for events. Call within the event loop that will drive."""
        self._loop = asyncio.get_running_loop()
        if self._places is not None:
            self._places.start()
        await self._load_apps()
        await self._adopt()
        self._background = [
            self._loop.create_task(one, context=contextvars.Context())
            for one in (self._follow_schedules(), self._follow_apps(), self._follow_abandoned())
        ]

    async def stop(self) -> None:
        """Leave the runs where they are, for whoever lives or starts next."""
        self._stopping = True
        tasks = [*self._starting.values(), *self._driving.values(), *self._background]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._places is not None:
            await self._places.stop()
        await asyncio.to_thread(persist, self.journal.let_go)
        for client in set(self._clients.values()):
            await client.aclose()

    async def send(self, events: Sequence[Event]) -> list[str]:
        """Publish events. When this returns they are in the database, and so are the runs they start."""
        published: asyncio.Future[None] = self._loop.create_future()
        self._sending.append((list(events), published))
        if self._publishing is None or self._publishing.done():
            self._publishing = self._loop.create_task(self._publish_all(), context=contextvars.Context())
        await published
        return [event.id for event in events]

    async def _publish_all(self) -> None:
        """Publish what is being sent, all that has come meanwhile in one transaction."""
        while self._sending:
            batch, self._sending = self._sending, []
            try:
                await self._publish([event for events, _ in batch for event in events])
                failures: list[Exception | None] = [None] * len(batch)
            except Exception:  # noqa: BLE001  (it is told below, to who sent what cannot be published)
                failures = [await self._publish_alone(events) for events, _ in batch]
            for (_, published), failure in zip(batch, failures, strict=True):
                if published.cancelled():
                    continue
                if failure is None:
                    published.set_result(None)
                else:
                    published.set_exception(failure)

    async def _publish_alone(self, events: list[Event]) -> Exception | None:
        try:
            await self._publish(events)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is the sender's to hear)
            return error
        return None

    async def _publish(self, events: list[Event]) -> None:
        self._spread(await asyncio.to_thread(persist, self.journal.publish, events, list(self._functions.values())))

    async def ended(self, run_id: str) -> Run:
        """The run, once it has ended."""
        with self._wakeups.expect(run_id) as woken:
            while True:
                run = await asyncio.to_thread(self.journal.run, run_id)
                if run is None:
                    raise KeyError(run_id)
                if run.ended_at is not None:
                    return run
                await signalled(woken, driver.LOOK_AGAIN_S)
                woken.clear()

    async def drained(self) -> None:
        """Return once no run is left running, those that ended runs have started among them."""
        while unfinished := await asyncio.to_thread(self.journal.unfinished):
            for run_id in unfinished:
                await self.ended(run_id)

    async def cancel(self, run_id: str) -> bool:
        """End a run where it stands. False when it had ended already, or there is none."""
        return await driver.cancel(self._around, run_id)

    async def rerun(self, run_id: str, from_step: str | None = None) -> str | None:
        """Start a run anew for the same event, from its beginning or from a step. None when there is no such thing."""
        new = await asyncio.to_thread(self.journal.rerun, run_id, from_step)
        if new is not None:
            self._start_run(new)
        return new

    async def _follow_schedules(self) -> None:
        """Start the runs of functions with a schedule, for ever."""
        looked_at = clock.now_ms()
        while True:
            with self._wakeups.expect("schedule") as changed:
                scheduled = [(one, cron) for one in self._functions.values() for cron in one.crons]
                due = [(schedule.next_ms(cron, looked_at), cron, one) for one, cron in scheduled]
                now = clock.now_ms()
                for moment, cron, function in due:
                    if moment <= now:
                        self._spread(await asyncio.to_thread(self._tick, function, cron, moment))
                looked_at = now
                waits_s = [(moment - now) / 1000 for moment, _, _ in due if moment > now]
                # A look a minute, since clocks are set and laptops sleep.
                wait_s = 0.0 if len(waits_s) < len(due) else min([60.0, *waits_s])
                await signalled(changed, wait_s)

    def _tick(self, function: Function, cron: str, moment: int) -> Published:
        return self.journal.tick(function, cron, moment, list(self._functions.values()))

    def _spread(self, published: Published) -> None:
        for run_id in published.run_ids:
            self._start_later(run_id)
        for key in published.woken:
            self._wakeups.wake(key)
        for run_id in published.cancelled:
            # Whoever waits to start it, drives it, or waits for its end.
            self._wakeups.wake((run_id, "start"))
            if run_id in self._driving:
                self._driving[run_id].cancel()
            self._wakeups.wake(run_id)

    def _start_run(self, run_id: str) -> None:
        if run_id in self._driving or self._stopping:
            return
        # In an empty context: what is logged of it is its own.
        driving = self._loop.create_task(self._drive(run_id), context=contextvars.Context())
        self._driving[run_id] = driving
        driving.add_done_callback(lambda _done: self._driving.pop(run_id, None))

    def _start_later(self, run_id: str) -> None:
        if run_id in self._driving or run_id in self._starting:
            return
        starting = self._loop.create_task(self._start_in_turn(run_id), context=contextvars.Context())
        self._starting[run_id] = starting
        starting.add_done_callback(lambda _done: self._starting.pop(run_id, None))

    async def _start_in_turn(self, run_id: str) -> None:
        # Of a thousand runs that begin at once each would slow all others, and whoever sends the next event.
        async with self._beginning:
            with self._wakeups.expect(run_id) as ended:
                self._start_run(run_id)
                await signalled(ended, _BEGINS_FOR_S)

    async def _adopt(self) -> None:
        """Drive what nobody drives who lives, and what is this worker's to drive and was dropped."""
        for run_id in await asyncio.to_thread(self.journal.adopt, _ADOPTED_AT_ONCE):
            self._start_later(run_id)

    def _adopt_soon(self) -> None:
        if self._stopping or self._membership.draining:
            return
        if self._adopting is None or self._adopting.done():
            self._adopting = asyncio.run_coroutine_threadsafe(self._adopt(), self._loop)

    async def _follow_abandoned(self) -> None:
        with self._wakeups.expect(ABANDONED) as abandoned:
            while True:
                await abandoned.wait()
                abandoned.clear()
                await self._adopt()

    def _let_go_soon(self) -> None:
        """Stop driving: this process was taken for lost, and others drive its runs."""
        self._loop.call_soon_threadsafe(self._let_go)

    def _let_go(self) -> None:
        for one in [*self._starting.values(), *self._driving.values()]:
            one.cancel()

    async def _load_apps(self) -> None:
        """Know the functions that apps have registered, here or with another process."""
        for row in await asyncio.to_thread(self.journal.apps):
            self.register(row.functions)

    async def _follow_apps(self) -> None:
        with self._wakeups.expect(APPS) as changed:
            while True:
                await changed.wait()
                changed.clear()
                await self._load_apps()

    async def _drive(self, run_id: str) -> None:
        """Drive the run to its end, through what the database or the machine may throw in between.

        A run whose driver gave up would stay where it is until this process ends.
        """
        driving = asyncio.current_task()
        assert driving is not None
        watching = self._loop.create_task(self._stop_when_cancelled(run_id, driving))
        try:
            for stumbles in itertools.count(1):
                try:
                    await driver.drive(self._around, run_id)
                except Superseded:
                    _log.warning("another worker drives this run", run=run_id)
                    return
                except Exception as error:  # noqa: BLE001  (whatever it is, the run must not be dropped for it)
                    wait_s = min(60, 2**stumbles)
                    _log.warning("run stumbled", run=run_id, error=repr(error)[:300], again_in_s=wait_s)
                    await asyncio.sleep(wait_s)
                else:
                    return
        finally:
            watching.cancel()

    async def _stop_when_cancelled(self, run_id: str, driving: asyncio.Task[None]) -> None:
        """Stop driving a run that was ended by another process."""
        with self._wakeups.expect(cancelled(run_id)) as told:
            while True:
                await told.wait()
                told.clear()
                run = await asyncio.to_thread(persist, self.journal.run, run_id)
                if run is None or run.ended_at is not None:
                    driving.cancel()

    async def _call(self, function: Function, step_id: str, body: bytes) -> protocol.Answer:
        client = self._clients[function.id]
        url = httpx2.URL(function.url).copy_merge_params({"fnId": function.id, "stepId": step_id})
        kind = "dev" if self._signing_key is None else "cloud"
        headers = {"content-type": "application/json", "x-inngest-server-kind": kind}
        if self._signing_key is not None:
            headers[signing.HEADER] = signing.sign(body, self._signing_key)
        try:
            async with client.stream("POST", url, content=body, headers=headers) as response:
                answered = await _read_body(response)
        except httpx2.HTTPError as error:
            return Errored(protocol.error(type(error).__name__, f"{function.url} cannot be called: {error}"))
        if answered is None:
            message = f"{function.url} answered more than {protocol.MOST_BYTES >> 20} MiB"
            return Errored(protocol.error("AnswerTooLarge", message))
        if self._signing_key is not None and response.status_code < 400:
            signature = response.headers.get(signing.HEADER)
            if not signing.is_signed(answered, signature, self._signing_key):
                message = f"{function.url} answered without a good signature; has the app this engine's signing key?"
                return Errored(protocol.error("UnsignedAnswer", message))
        return protocol.read_answer(response.status_code, response.headers, answered)


async def _read_body(response: httpx2.Response) -> bytes | None:
    """What an app answers; None when it is more than it may be. The rest is not waited for."""
    parts, size = [], 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > protocol.MOST_BYTES:
            return None
    return b"".join(parts)


def _read_function(config: Mapping[str, Json]) -> Function:
    try:
        function = Function.from_registration(config)
        for cron in function.crons:
            schedule.next_ms(cron, clock.now_ms())
        if httpx2.URL(function.url).scheme not in ("http", "https"):
            raise ValueError(f"an address begins with http:// or https://, got {function.url!r}")
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration, httpx2.InvalidURL) as error:
        raise OptionError(
            "invalid_registration",
            f"Function {config.get('id', '?')} cannot be registered: {type(error).__name__}: {error}.",
            "Send what an Inngest SDK sends.",
        ) from None
    return function
