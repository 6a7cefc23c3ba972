"""Step reports: how often steps failed, told by the SDK's own middleware, for runs that an engine elsewhere drives.

An Inngest server shows attempts on its own pages and has no public way to ask for them. Whoever executes a step sees
each of its attempts, so that is where they are written down.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import inngest
import sqlalchemy as sa
import structlog

from anabranch import clock
from anabranch.catalog import steps
from anabranch.engine import backoff, protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_log = structlog.get_logger(__name__)


def reporting(database: sa.Engine) -> Callable[[inngest.Inngest, object], inngest.Middleware]:
    """The middleware, to be given to a client."""
    return lambda client, request: StepReports(client, request, database)


class StepReports(inngest.Middleware):
    """Writes down what became of the step that one request asked for.

    Args:
        client: the app's client.
        raw_request: the request as it came: over HTTP, or over Connect.
        database: holds the rows.
    """

    def __init__(self, client: inngest.Inngest, raw_request: object, database: sa.Engine) -> None:
        super().__init__(client, raw_request)
        self._database = database
        self._run_id = ""
        self._attempt = 0
        self._most = 1

    async def transform_input(
        self, ctx: inngest.Context | inngest.ContextSync, function: inngest.Function[Any], steps: object
    ) -> None:
        """Note whose attempt this is."""
        del steps
        self._run_id = ctx.run_id
        self._attempt = ctx.attempt
        self._most = _most_attempts(function)

    async def transform_output(self, result: inngest.TransformOutputResult) -> None:
        """Write down how it ended. What a step has done is not undone because this cannot be written."""
        step, name = self._step(result)
        op = result.step.op.value if result.step is not None else None
        try:
            if result.error is not None:
                again = op != "StepFailed" and _is_retriable(result.error) and self._attempt + 1 < self._most
                await asyncio.to_thread(self._fail, step, name, result.error, again)
            elif self._attempt > 0 and op == "StepRun":
                await asyncio.to_thread(steps.complete, self._database, self._run_id, step)
            elif self._attempt > 0 and op is None:
                await asyncio.to_thread(steps.close, self._database, self._run_id)
        except sa.exc.SQLAlchemyError as error:
            _log.warning("attempt not written down", run=self._run_id, step=name or step, error=str(error))

    def _fail(self, step: str, name: str | None, error: Exception, again: bool) -> None:
        failures = self._attempt + 1 if again else self._attempt
        due_at = self._due_at(error) if again else None
        told = {"name": type(error).__name__, "message": str(error)}
        steps.fail(self._database, self._run_id, step, name=name, failures=failures, error=told, due_at=due_at)
        if step == protocol.WHOLE_FUNCTION and not again:
            # The SDK tells of a step's final error so, when it did the step without being asked for that one.
            steps.close(self._database, self._run_id)
        this = {"run": self._run_id, "step": name or step, "attempt": self._attempt + 1}
        _log.info("attempt failed", **this, retry_at=due_at, error=str(error))

    def _due_at(self, error: Exception) -> int:
        """When the next attempt is due, as far as can be told: the server adds its jitter to the same schedule."""
        if isinstance(error, inngest.RetryAfterError):
            return int(error.retry_after.timestamp() * 1000)
        return clock.now_ms() + int(backoff.wait_s(self._attempt + 1) * 1000)

    def _step(self, result: inngest.TransformOutputResult) -> tuple[str, str | None]:
        """The hash and the name of the step that was done.

        The SDK says of an error that is final, or names its own next time, that it is the function's. Such a one is
        of the step that the request asked for.
        """
        name = result.step.id if result.step is not None else None
        asked = _asked_for(self.raw_request)
        if asked is not None:
            return asked, name
        if name is not None:
            # Not a secret: the SDKs name steps so.
            return hashlib.sha1(name.encode()).hexdigest(), name  # noqa: S324
        return protocol.WHOLE_FUNCTION, None


def _asked_for(request: Any) -> str | None:
    """The step that a request asks for by its hash, or None when it asks for the next one, whichever that is."""
    query = getattr(request, "query_params", None)
    asked = query.get("stepId") if query is not None else getattr(request, "step_id", None)
    return None if asked in (None, "", protocol.WHOLE_FUNCTION) else str(asked)


def _most_attempts(function: inngest.Function[Any]) -> int:
    config = function.get_config("http://app").main.to_dict()
    if isinstance(config, Exception):
        raise config
    return protocol.Function.from_registration(config).max_attempts


def _is_retriable(error: Exception) -> bool:
    # The SDK's own errors say so; of others it knows nothing, and has them tried again.
    return bool(getattr(error, "is_retriable", True))
