"""The engine against a model of it: events, steps that fail, sleeps, waits and invokes, while it is stopped and killed.

What an event starts follows a program that stands in the event, so that the model knows what must come of it. The world
outside counts what steps do to it, over all engines that there were.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastapi
import inngest
import inngest.fast_api
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from anabranch.database import open_database
from anabranch.engine.events import Event
from anabranch.engine.host import Engine
from anabranch.wakeups import Wakeups
from anabranch.workers import Membership
from tests.databases import put_migrated
from tests.engine.apps import new_client, registration
from tests.fuzz import TIMES

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from anabranch.engine.journal import Run

_RETRIES = 2
_ALWAYS = 99
_WITHIN_S = 60

# What a run does, one after another. A step fails as often as it says; of several side by side each does.
_FAILS = st.sampled_from([0, 0, 0, 1, _RETRIES, _ALWAYS])
_DOES = st.one_of(
    st.fixed_dictionaries({"do": st.just("step"), "fails": _FAILS}),
    st.fixed_dictionaries({"do": st.just("sleep"), "ms": st.integers(0, 30)}),
    st.fixed_dictionaries({"do": st.just("wait")}),
    st.fixed_dictionaries({"do": st.just("invoke"), "fails": _FAILS}),
    st.fixed_dictionaries({"do": st.just("parallel"), "fails": st.lists(_FAILS, min_size=2, max_size=3)}),
)
_PROGRAM = st.lists(_DOES, min_size=1, max_size=3)


@dataclass
class World:
    """What steps do to it.

    Attributes:
        begun: how often a step was begun, by run and name.
        failed: how often it failed.
        inside: how many are in a step of the function that is alone.
        most: how many were at once.
        entered: runs of it in the order in which they were first called.
        held: set while the step of the one that holds its place goes on.
    """

    begun: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    inside: int = 0
    most: int = 0
    entered: list[str] = field(default_factory=list)
    held: asyncio.Event = field(default_factory=asyncio.Event)


def outcome(program: list[dict[str, Any]]) -> tuple[str, list[str] | None]:
    """What a run must come to: its status and what it returns."""
    done = []
    for number, one in enumerate(program):
        fails = one.get("fails", 0)
        if _ALWAYS in (fails if isinstance(fails, list) else [fails]):
            return "failed", None
        done.append(f"{one['do']}{number}")
    return "completed", done


def functions_of(world: World, client: inngest.Inngest) -> list[inngest.Function[Any]]:
    """Three functions: two that an event starts, of which one has a single place, and one that they invoke."""

    def step(ctx: inngest.Context, name: str, fails: int, alone: bool) -> Any:
        async def body() -> str:
            key = (ctx.run_id, name)
            world.begun[key] += 1
            world.inside += alone
            world.most = max(world.most, world.inside)
            try:
                # So that there is a middle in which it can be killed.
                await asyncio.sleep(0.002)
                if world.failed[key] < fails:
                    world.failed[key] += 1
                    raise RuntimeError(f"{name} broke")
            finally:
                world.inside -= alone
            return name

        return lambda: ctx.step.run(name, body)

    async def follow(ctx: inngest.Context, child: inngest.Function[Any], alone: bool) -> list[str]:
        done: list[str] = []
        program: Any = ctx.event.data["program"]
        for number, one in enumerate(program):
            name = f"{one['do']}{number}"
            if one["do"] == "step":
                await step(ctx, name, one["fails"], alone)()
            elif one["do"] == "sleep":
                await ctx.step.sleep(name, one["ms"])
            elif one["do"] == "wait":
                condition = f"async.data.of == event.id && async.data.name == '{name}'"
                found = await ctx.step.wait_for_event(name, event="signal", if_exp=condition, timeout=3_600_000)
                assert found is not None
            elif one["do"] == "invoke":
                await ctx.step.invoke(name, function=child, data={"fails": one["fails"]})
            else:
                steps = [step(ctx, f"{name}.{n}", fails, alone) for n, fails in enumerate(one["fails"])]
                await ctx.group.parallel(tuple(steps))
            done.append(name)
        return done

    @client.create_function(fn_id="child", trigger=inngest.TriggerEvent(event="never"), retries=_RETRIES)
    async def child(ctx: inngest.Context) -> Any:
        return await step(ctx, "only", ctx.event.data["fails"], False)()  # type: ignore[arg-type]

    @client.create_function(fn_id="free", trigger=inngest.TriggerEvent(event="go"), retries=_RETRIES)
    async def free(ctx: inngest.Context) -> list[str]:
        return await follow(ctx, child, alone=False)

    @client.create_function(
        fn_id="alone",
        trigger=inngest.TriggerEvent(event="go"),
        retries=_RETRIES,
        concurrency=[inngest.Concurrency(limit=1)],
    )
    async def alone(ctx: inngest.Context) -> list[str]:
        return await follow(ctx, child, alone=True)

    @client.create_function(
        fn_id="queued",
        trigger=inngest.TriggerEvent(event="queue"),
        concurrency=[inngest.Concurrency(limit=1)],
    )
    async def queued(ctx: inngest.Context) -> None:
        world.entered.append(ctx.event.id)
        await world.held.wait()

    return [child, free, alone, queued]


class Machine(RuleBasedStateMachine):
    """Does something to an engine, and knows what must be true."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.folder = Path(tempfile.mkdtemp())
        self.database = open_database(put_migrated(self.folder / "engine.db"))
        self.world = World()
        client = new_client()
        self.functions = functions_of(self.world, client)
        self.asgi = fastapi.FastAPI()
        inngest.fast_api.serve(self.asgi, client, self.functions)
        self.engine: Engine | None = None
        # What was accepted: the program by the event's id, and the runs that were cancelled.
        self.programs: dict[str, list[dict[str, Any]]] = {}
        self.cancelled: set[str] = set()
        # How often steps had been begun that were done when an engine was stopped or killed.
        self.done: dict[tuple[str, str], int] = {}
        self.interruptions = 0
        self.numbers = itertools.count()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Have it done in the loop of the engine."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(_WITHIN_S)

    @initialize()
    def begin(self) -> None:
        self.start()

    # A database file has one process; a second engine begins when the first is gone.
    @precondition(lambda self: self.engine is None)
    @rule()
    def start(self) -> None:
        async def started() -> Engine:
            self.membership = Membership(self.database, self.folder, {}, lease_s=600)
            engine = Engine(self.database, Wakeups(), self.membership, retry_scale=0)
            engine.register(registration(self.functions), self.asgi)
            await engine.start()
            return engine

        self.engine = self.do(started())
        self.membership.start()

    @precondition(lambda self: self.engine is not None)
    @rule()
    def stop(self) -> None:
        assert self.engine is not None
        self.do(self.engine.stop())
        self.membership.leave()
        self._is_gone()

    @precondition(lambda self: self.engine is not None)
    @rule()
    def kill(self) -> None:
        """Nothing is said to anybody, and nothing is put away."""

        async def gone() -> None:
            others = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
            for one in others:
                one.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.do(gone())
        self.membership._stopped.set()
        self._is_gone()

    def _is_gone(self) -> None:
        assert self.engine is not None
        self.interruptions += 1
        for run_id in self._run_ids():
            for step in self.engine.journal.steps(run_id).values():
                if step.status != "pending":
                    self.done[run_id, step.name] = self.world.begun[run_id, step.name]
        self.engine = None

    @precondition(lambda self: self.engine is not None)
    @rule(program=_PROGRAM)
    def send(self, program: list[dict[str, Any]]) -> None:
        event_id = f"event{next(self.numbers)}"
        self._send(Event("go", {"program": program}, id=event_id))
        self.programs[event_id] = program

    @precondition(lambda self: self.engine is not None and self.programs)
    @rule(data=st.data())
    def send_the_same_again(self, data: st.DataObject) -> None:
        event_id = data.draw(st.sampled_from(sorted(self.programs)))
        self._send(Event("go", {"program": []}, id=event_id))

    @precondition(lambda self: self.engine is not None)
    @rule(programs=st.lists(_PROGRAM, min_size=2, max_size=4))
    def send_several_at_once(self, programs: list[list[dict[str, Any]]]) -> None:
        assert self.engine is not None
        events = [Event("go", {"program": one}, id=f"event{next(self.numbers)}") for one in programs]
        engine = self.engine

        async def sent() -> None:
            await asyncio.gather(*(engine.send([event]) for event in events))

        self.do(sent())
        self.programs |= {event.id: event.data["program"] for event in events}

    @precondition(lambda self: self.engine is not None and self.programs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        assert self.engine is not None
        run_id = data.draw(st.sampled_from(self._run_ids()))
        if self.do(self.engine.cancel(run_id)):
            self.cancelled.add(run_id)
            run = self.engine.journal.run(run_id)
            assert run is not None
            assert run.status == "cancelled"

    @precondition(lambda self: self.engine is not None)
    @rule(ms=st.integers(0, 40))
    def let_time_pass(self, ms: int) -> None:
        self.do(asyncio.sleep(ms / 1000))

    @precondition(lambda self: self.engine is not None)
    @rule()
    def signal(self) -> None:
        """What somebody waits for, happens."""
        self._signal_all()

    @precondition(lambda self: self.engine is not None)
    @rule(count=st.integers(2, 4))
    def queue(self, count: int) -> None:
        """Who waits for a place goes in by turn."""
        ids = [f"event{next(self.numbers)}" for _ in range(count + 1)]
        self.world.held.clear()
        self._send(Event("queue", id=ids[0]))
        self._until(lambda: ids[0] in self.world.entered)
        for event_id in ids[1:]:
            self._send(Event("queue", id=event_id))
        self._until(lambda: self._waiting() >= count)
        self.loop.call_soon_threadsafe(self.world.held.set)
        for event_id in ids:
            (run,) = self._runs(event_id)
            assert self._ended(run.id).status == "completed"
        assert [one for one in self.world.entered if one in ids] == ids

    def teardown(self) -> None:
        try:
            if self.engine is None:
                self.start()
            self._finish()
            self.stop()
        finally:
            if self.engine is not None:
                self.kill()
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join()
            self.loop.close()
            self.database.dispose()
            shutil.rmtree(self.folder)

    def _finish(self) -> None:
        """Have everything come to its end, and compare it with what must be."""
        assert self.engine is not None
        deadline = time.monotonic() + _WITHIN_S
        while self.engine.journal.unfinished():
            assert time.monotonic() < deadline, [self.engine.journal.run(one) for one in self._run_ids()]
            self._signal_all()
            self.do(asyncio.sleep(0.01))
        for event_id, program in self.programs.items():
            runs = self._runs(event_id)
            assert sorted(run.function_id for run in runs) == ["app-alone", "app-free"], event_id
            for run in runs:
                self._check_run(run, program)
        assert self.world.most <= 1
        for key, begun in self.done.items():
            assert self.world.begun[key] == begun, f"{key} was done, and begun again"

    def _check_run(self, run: Run, program: list[dict[str, Any]]) -> None:
        assert self.engine is not None
        steps = self.engine.journal.steps(run.id)
        assert all(step.failures <= _RETRIES for step in steps.values())
        if run.id in self.cancelled:
            assert run.status == "cancelled"
            return
        assert (run.status, run.output) == outcome(program), (program, run.error)
        for number, one in enumerate(program):
            if one["do"] == "step":
                self._check_step((run.id, f"step{number}"), one["fails"])
            if _ALWAYS in (one.get("fails"), *(one["fails"] if one["do"] == "parallel" else ())):
                break

    def _check_step(self, key: tuple[str, str], fails: int) -> None:
        """As many attempts as it takes, or as there may be; each interruption may cost one more."""
        attempts = min(fails, _RETRIES) + 1
        assert attempts <= self.world.begun[key] <= attempts + self.interruptions, key

    def _send(self, event: Event) -> None:
        assert self.engine is not None
        self.do(self.engine.send([event]))

    def _signal_all(self) -> None:
        assert self.engine is not None
        for run_id in self.engine.journal.unfinished():
            run = self.engine.journal.run(run_id)
            assert run is not None
            for step in self.engine.journal.steps(run_id).values():
                if step.op == "WaitForEvent" and step.status == "pending":
                    name = step.opts["if"].rpartition(" == ")[2].strip("'")
                    self._send(Event("signal", {"of": run.event.id, "name": name}))

    def _runs(self, event_id: str) -> list[Run]:
        assert self.engine is not None
        return self.engine.journal.runs_of_event(event_id)

    def _run_ids(self) -> list[str]:
        return [run.id for event_id in self.programs for run in self._runs(event_id)]

    def _ended(self, run_id: str) -> Run:
        assert self.engine is not None
        run: Run = self.do(self.engine.ended(run_id))
        return run

    def _waiting(self) -> int:
        """How many calls wait for a place of the function that queues."""
        assert self.engine is not None
        queues = self.engine._around.gate._queues  # type: ignore[union-attr]
        return sum(len(queue) for places, queue in queues.items() if places[0][0].startswith("app-queued"))

    def _until(self, look: Any) -> None:
        deadline = time.monotonic() + _WITHIN_S
        while not look():
            assert time.monotonic() < deadline
            time.sleep(0.005)


def check(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=TIMES == 1,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


@pytest.mark.timeout(600 * TIMES)
@pytest.mark.slow
def test_whatever_happens_to_an_engine_nothing_is_lost_or_done_twice() -> None:
    check(40 * TIMES, 14)


def test_what_happens_to_an_engine_in_seconds_loses_nothing() -> None:
    check(3, 8)
