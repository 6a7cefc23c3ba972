"""Driver: takes a run from where it stands to its end.

A function is called again each time a step of its run is done. Steps that are done answer from the journal; those
that are not come back as ops, are settled, and the function is called again, until it returns. So code outside
steps runs many times and must only decide, never act.

    function called with the results so far
      ├── returned      the run ends
      ├── met steps     plan them in the journal, settle them side by side, call again
      │     ├── StepPlanned      ask the SDK for this one step; on an error wait and ask again
      │     ├── Sleep            until its due time
      │     ├── WaitForEvent     until an event fulfils it or its due time
      │     └── InvokeFunction   until the run it started has ended
      └── raised        wait and call again, or the run fails

A process may be killed between any two of these lines. The next one calls the function with what the journal
holds and arrives at the same place: results are written once, due times are those of the first plan, and a step
whose process died is asked for again with the same attempt number, since it did not fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from anabranch import clock
from anabranch.engine import backoff, protocol
from anabranch.engine.admission import limits_of
from anabranch.engine.durations import read_duration_s
from anabranch.engine.journal import Step
from anabranch.engine.protocol import Errored, Met, Returned
from anabranch.wakeups import signalled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

    from anabranch.engine.events import Event
    from anabranch.engine.journal import Journal, Published, Run
    from anabranch.engine.places import Places
    from anabranch.engine.protocol import Function, Op
    from anabranch.gate import Gate
    from anabranch.wakeups import Wakeups

Json = Any

_log = structlog.get_logger(__name__)

# Whoever is woken by others looks again after this time.
LOOK_AGAIN_S = 30.0
# How many steps of one run are asked for at once, in the order in which they were met; enough for twice the cores. To
# ask is to call the function from its first line, and the SDK wakes ten times a second for each call without an answer:
# a film of 200 chunks would begin with 200 calls past 200 steps each.
ASKED_AT_ONCE = max(16, 2 * (os.cpu_count() or 1))
# Each call carries the results of all steps, so that a run of many costs the square of them. Inngest ends one at 1,000.
_MOST_STEPS = 10_000
# A run that was waiting when its driver was lost may be late by now; there may be a place for it all the same.
_WAITS_AT_LEAST_S = 1.0


@dataclass(frozen=True)
class Surroundings:
    """What a walk needs around it.

    Attributes:
        journal: where results stand.
        functions: the registered functions by id; whoever registers one adds to it.
        call: sends a request body to a function, for the whole of it or one step by hashed id.
        spread: told what publishing came to, so that new runs start and waiting steps wake.
        start: drives a run that somebody waits for, at once.
        learn: loads the functions that apps have registered with other processes.
        wakeups: where a step waits for what happens elsewhere in this process.
        gate: how many calls of a function run at once, here or over all processes.
        retry_scale: factor on the wait between attempts.
    """

    journal: Journal
    functions: Mapping[str, Function]
    call: Callable[[Function, str, bytes], Awaitable[protocol.Answer]]
    spread: Callable[[Published], None]
    start: Callable[[str], None]
    learn: Callable[[], Awaitable[None]]
    wakeups: Wakeups
    gate: Gate | Places
    retry_scale: float


async def drive(around: Surroundings, run_id: str) -> None:
    """Take the run to its end. Returns at once when it has ended."""
    run = await _begun(around, run_id)
    if run is None or run.status != "running":
        return
    if run.function_id not in around.functions:
        await around.learn()
    function = around.functions.get(run.function_id)
    if function is None:
        error = protocol.error("UnknownFunction", f"no app has registered the function {run.function_id}")
        await end(around, run, "failed", error=error)
        return
    with structlog.contextvars.bound_contextvars(run=run.id, function=function.id):
        events = await asyncio.to_thread(around.journal.events_of, run) if function.flow.batch else [run.event]
        limit_s = function.flow.finish_timeout_s
        left_s = None if limit_s is None else limit_s - (clock.now_ms() - (run.started_at or run.created_at)) / 1000
        try:
            async with asyncio.timeout(left_s) as limit:
                await _Walk(around, run, function, events).to_the_end()
        except TimeoutError:
            if not limit.expired():
                raise
            _log.warning("run took too long", limit_s=limit_s)
            await cancel(around, run.id, driven=True)


async def _begun(around: Surroundings, run_id: str) -> Run | None:
    """The run, once its time to start has come or it has ended."""
    while True:
        with around.wakeups.expect((run_id, "start")) as woken:
            run = await asyncio.to_thread(around.journal.begin, run_id)
            if run is None or run.status != "queued":
                return run
            function = around.functions.get(run.function_id)
            limit_s = function.flow.start_timeout_s if function else None
            deadline = None if limit_s is None else run.created_at + int(limit_s * 1000)
            if deadline is not None and clock.now_ms() >= deadline:
                await cancel(around, run_id, driven=True)
                return None
            await _woken(woken, min(at for at in (run.due_at, deadline) if at is not None))


async def end(
    around: Surroundings, run: Run, status: str, *, output: Json = None, error: Mapping[str, Json] | None = None
) -> None:
    """End the run, start the functions that listen to that, and wake the step that invoked it."""
    published = await asyncio.to_thread(
        around.journal.end,
        run.id,
        status,
        output=output,
        error=error,
        functions=list(around.functions.values()),
    )
    _log.info("run ended", run=run.id, function=run.function_id, status=status)
    if published is not None:
        around.spread(published)
    around.wakeups.wake(run.id)


async def cancel(around: Surroundings, run_id: str, *, driven: bool = False) -> bool:
    """End the run where it stands. False when it had ended already.

    Raises:
        Superseded: this worker ends it as its driver, and is not that any more.
    """
    functions = list(around.functions.values())
    published = await asyncio.to_thread(around.journal.cancel, run_id, functions, driven=driven)
    around.spread(published)
    return run_id in published.cancelled


class StartedTooLate(Exception):  # noqa: N818  (not an error of anybody's: the function asked for it)
    """The run waited longer for a place than its function allows."""


class _Walk:
    """One process's walk through one run: what it knows of the steps, and those it is settling."""

    def __init__(self, around: Surroundings, run: Run, function: Function, events: Sequence[Event]) -> None:
        self._events = [event.to_dict() for event in events]
        self._limits = limits_of(function, self._events[0])
        # A run that waits for its very first call has not started.
        self._started = False
        self._around = around
        self._journal = around.journal
        self._run = run
        self._function = function
        self._results: dict[str, Json] = {}
        self._names = {protocol.WHOLE_FUNCTION: "function"}
        self._settling: dict[str, asyncio.Task[Json]] = {}
        self._asking = asyncio.Semaphore(ASKED_AT_ONCE)

    async def to_the_end(self) -> None:
        known = await asyncio.to_thread(self._journal.steps, self._run.id)
        self._started = bool(known)
        self._results = {step.id: step.result for step in known.values() if step.status != "pending"}
        root = known.get(protocol.WHOLE_FUNCTION)
        failures = root.failures if root else 0
        try:
            while True:
                answer = await self._ask(protocol.WHOLE_FUNCTION, failures)
                if isinstance(answer, Returned):
                    await end(self._around, self._run, "completed", output=answer.output)
                    return
                refused = answer if isinstance(answer, Errored) else self._refused(answer.ops)
                if refused is not None:
                    failures = await self._fail_whole(refused, failures)
                    if failures == 0:
                        return
                    continue
                assert isinstance(answer, Met)
                await self._settle_met(answer.ops)
        except StartedTooLate:
            await cancel(self._around, self._run.id, driven=True)
        finally:
            await _cancel_all(self._settling.values())

    async def _ask(self, step_id: str, failures: int) -> protocol.Answer:
        async with self._place():
            body = protocol.request_body(
                run_id=self._run.id,
                function_id=self._function.id,
                events=self._events,
                steps={key: value for key, value in self._results.items() if key != protocol.WHOLE_FUNCTION},
                attempt=failures,
                max_attempts=self._function.max_attempts,
            )
            if len(body) > protocol.MOST_BYTES:
                message = f"the results of its steps come to more than {protocol.MOST_BYTES >> 20} MiB"
                return Errored(protocol.error("StateTooLarge", message), retriable=False)
            with structlog.contextvars.bound_contextvars(step=self._names.get(step_id, step_id), attempt=failures + 1):
                return await self._around.call(self._function, step_id, body)

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """A place among the calls that may run at once. Too long a wait for the first one cancels the run."""
        limit_s = self._function.flow.start_timeout_s
        if self._started or limit_s is None:
            async with self._around.gate.hold(self._limits, self._run.rank):
                yield
            return
        left_s = limit_s - (clock.now_ms() - self._run.created_at) / 1000
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(max(_WAITS_AT_LEAST_S, left_s)):
                    await stack.enter_async_context(self._around.gate.hold(self._limits, self._run.rank))
            except TimeoutError:
                raise StartedTooLate from None
            self._started = True
            yield

    async def _fail_whole(self, answer: Errored, failures: int) -> int:
        """Wait for the next attempt at the function, or end the run. Returns the failures so far, 0 when ended."""
        if not answer.retriable or failures + 1 >= self._function.max_attempts:
            await end(self._around, self._run, "failed", error=answer.error)
            return 0
        step = Step(protocol.WHOLE_FUNCTION, self._function.name, "Function", "pending", 0, {}, None, None)
        await asyncio.to_thread(self._journal.plan, self._run.id, [step])
        return await self._wait_for_next(protocol.WHOLE_FUNCTION, answer, failures)

    def _refused(self, ops: Sequence[Op]) -> Errored | None:
        """What is wrong with steps that lead nowhere, or None. The function would be called for them for ever."""
        if all(op.id in self._results for op in ops):
            names = ", ".join(op.display_name for op in ops[:3])
            return Errored(protocol.error("NoProgress", f"the function met steps that are done: {names}"))
        if len(self._results) + len(ops) > _MOST_STEPS:
            return Errored(
                protocol.error("TooManySteps", f"the run has more than {_MOST_STEPS} steps"), retriable=False
            )
        return None

    async def _settle_met(self, ops: tuple[Op, ...]) -> None:
        """Settle the steps that are new; return when it is worth calling the function again."""
        # By id: one that is told of twice is one step.
        new = {op.id: op for op in ops if op.id not in self._settling}
        fresh = list(new.values())
        if fresh:
            planned = [_as_step(op) for op in fresh]
            steps = await asyncio.to_thread(self._journal.plan, self._run.id, planned)
            for op in fresh:
                self._names[op.id] = op.display_name
                self._settling[op.id] = asyncio.create_task(self._settle(op, steps[op.id]))
        if not self._settling:
            raise RuntimeError(f"function {self._function.id} met no step and did not return")
        races = any(op.races for op in ops)
        done, _ = await asyncio.wait(
            self._settling.values(),
            return_when=asyncio.FIRST_COMPLETED if races else asyncio.ALL_COMPLETED,
        )
        for step_id in [step_id for step_id, task in self._settling.items() if task in done]:
            self._results[step_id] = self._settling.pop(step_id).result()

    async def _settle(self, op: Op, step: Step) -> Json:
        if step.status != "pending":
            return step.result
        if op.op == "Sleep":
            return await self._sleep(step)
        if op.op == "WaitForEvent":
            return await self._wait_for_event(step)
        if op.op == "InvokeFunction":
            return await self._invoke(op, step)
        if op.op == "StepRun":
            return await self._write(step.id, "completed", {"data": op.data})
        if op.op in ("StepPlanned", "StepError", "StepFailed"):
            return await self._perform(step)
        error = protocol.error("UnsupportedStep", f"this engine has no op {op.op!r}")
        return await self._write(step.id, "failed", protocol.error_result(error))

    async def _perform(self, step: Step) -> Json:
        failures = step.failures
        if step.due_at is not None:
            await _until(step.due_at)
        while True:
            async with self._asking:
                answer = _of_step(await self._ask(step.id, failures), step.id)
            if isinstance(answer, Returned):
                return await self._write(step.id, "completed", {"data": answer.output})
            if not answer.retriable or failures + 1 >= self._function.max_attempts:
                return await self._write(step.id, "failed", protocol.error_result(answer.error))
            failures = await self._wait_for_next(step.id, answer, failures)

    async def _wait_for_next(self, step_id: str, answer: Errored, failures: int) -> int:
        wait_s = backoff.wait_s(failures + 1, self._around.retry_scale)
        retry_at = answer.retry_at_ms or clock.now_ms() + int(wait_s * 1000)
        failures = await asyncio.to_thread(self._journal.fail_attempt, self._run.id, step_id, answer.error, retry_at)
        _log.info("attempt failed", step=step_id, attempt=failures, retry_at=retry_at, error=answer.error["message"])
        await _until(retry_at)
        return failures

    async def _sleep(self, step: Step) -> Json:
        await _until(step.due_at or 0)
        return await self._write(step.id, "completed", None)

    async def _wait_for_event(self, step: Step) -> Json:
        key = (self._run.id, step.id)
        with self._around.wakeups.expect(key) as woken:
            # An event may have fulfilled it between its plan and here, and a wakeup is a hint only.
            while not _past(step.due_at or 0):
                current = (await asyncio.to_thread(self._journal.steps, self._run.id))[step.id]
                if current.status != "pending":
                    break
                await _woken(woken, step.due_at)
                woken.clear()
        # Writes null unless an event was first; either way the journal has the last word.
        return await self._write(step.id, "completed", None)

    async def _invoke(self, op: Op, step: Step) -> Json:
        function_id = op.opts["function_id"]
        data = (op.opts.get("payload") or {}).get("data") or {}
        child, new = await asyncio.to_thread(self._journal.invoke, self._run.id, step.id, function_id, data)
        with self._around.wakeups.expect(child.id) as woken:
            if new:
                self._around.start(child.id)
            ended = await self._ended(child.id, step.due_at, woken)
        if ended is None:
            error = protocol.error("InvokeTimeout", f"{function_id} did not end in time")
            return await self._write(step.id, "failed", protocol.error_result(error))
        if ended.status == "completed":
            return await self._write(step.id, "completed", {"data": ended.output})
        error = ended.error or protocol.error("Cancelled", f"{function_id} was cancelled")
        return await self._write(step.id, "failed", protocol.error_result(error))

    async def _ended(self, run_id: str, due_at: int | None, woken: asyncio.Event) -> Run | None:
        while True:
            run = await asyncio.to_thread(self._journal.run, run_id)
            if run is None or run.ended_at is not None:
                return run
            if due_at is not None and _past(due_at):
                return None
            await _woken(woken, due_at)
            woken.clear()

    async def _write(self, step_id: str, status: str, result: Json) -> Json:
        """Write the step's result, or read the one that was there first."""
        if await asyncio.to_thread(self._journal.settle, self._run.id, step_id, status, result):
            return result
        steps = await asyncio.to_thread(self._journal.steps, self._run.id)
        return steps[step_id].result


def _as_step(op: Op) -> Step:
    """What the journal keeps of an op."""
    name, kind, due_at = op.display_name, op.op, None
    if op.op == "Sleep":
        due_at = protocol.read_instant(op.name)
    elif op.op == "WaitForEvent":
        name = op.opts.get("event") or op.name
        due_at = _after(op.opts["timeout"])
    elif op.op == "InvokeFunction":
        due_at = _after(op.opts["timeout"]) if op.opts.get("timeout") else None
    else:
        kind = "StepRun"
    return Step(op.id, name, kind, "pending", 0, op.opts, due_at, None)


def _after(duration: str) -> int:
    return clock.now_ms() + int(read_duration_s(duration) * 1000)


def _of_step(answer: protocol.Answer, step_id: str) -> Returned | Errored:
    """What an SDK said of the one step that was asked for."""
    if isinstance(answer, Errored):
        return answer
    if isinstance(answer, Met):
        for op in answer.ops:
            if op.id == step_id and op.op == "StepRun":
                return Returned(op.data)
            if op.id == step_id and op.error is not None:
                return Errored(op.error, retriable=op.op != "StepFailed" and answer.retriable)
    # The function took another way than when it planned this step.
    return Errored(protocol.error("StepNotFound", "the function did not come to the step it had planned"))


def _past(due_at: int) -> bool:
    return clock.now_ms() >= due_at


async def _until(due_at: int) -> None:
    """Wait until the due time.

    A clock that is put forward, and a machine that was asleep, end the wait within half a minute; one that is put back
    does not prolong it.
    """
    ends_at = time.monotonic() + (due_at - clock.now_ms()) / 1000
    while not _past(due_at) and (left_s := ends_at - time.monotonic()) > 0:
        await asyncio.sleep(min(left_s, LOOK_AGAIN_S))


async def _woken(woken: asyncio.Event, due_at: int | None) -> None:
    """Wait until woken, or the due time if there is one; not for long, since a wakeup may be lost."""
    wait_s = LOOK_AGAIN_S if due_at is None else max(0.0, (due_at - clock.now_ms()) / 1000)
    await signalled(woken, min(wait_s, LOOK_AGAIN_S))


async def _cancel_all(tasks: Iterable[asyncio.Task[Json]]) -> None:
    remaining = list(tasks)
    for task in remaining:
        task.cancel()
    await asyncio.gather(*remaining, return_exceptions=True)
