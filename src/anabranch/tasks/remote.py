"""Remote: another Task API, as it is asked over HTTP. Ittybit's, or another Anabranch; rows are not its business.

Both generations of answers are read: `completed` and `succeeded`, an error as a string and as an object, `output`,
`output_url` and `outputs`. What makes no sense ends in `tasks_answer_invalid`, never in a guess.
"""

from __future__ import annotations

import asyncio
import functools
import json
import mimetypes
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal, TypeGuard
from urllib.parse import quote, urlsplit

import httpx2
import structlog

from anabranch import clock
from anabranch.errors import FinalError, ResourceError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

Json = Any

_log = structlog.get_logger(__name__)

_PATIENCE_S = 30.0
_LARGEST_ANSWER_BYTES = 4 << 20
# An hour of speech with the time of each word is some 2 MB.
_LARGEST_OUTPUT_BYTES = 64 << 20
_MOST_REDIRECTS = 5
_LONGEST_RETRY_AFTER_S = 3600.0
_LARGEST_FACT_BYTES = 64 << 10
_LONGEST_TEXT = 2000
# Refusals that another moment may change (RFC 9110 section 15.5; RFC 8470 section 5.2; RFC 6585 section 4).
_AGAIN = (408, 409, 425, 429)
_COMPLETED = ("completed", "succeeded", "ready")
_FAILED = ("failed", "error")
_CANCELLED = ("cancelled", "canceled")
# How the newest generation says that it wants a job where a task was asked for.
_WANTS_JOBS = ("request_invalid", "invalid_input")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,59}")


@dataclass(frozen=True)
class Seen:
    """A task as the other side has it.

    Attributes:
        status: `open` until it has ended.
        progress: the part that is done, 0 to 1; None when that is not told.
        output: what it came to, or has come to so far, as clients of this server see outputs; None without.
        error: code, message and whether it may be tried again, of one that failed.
    """

    status: Literal["open", "completed", "failed", "cancelled"]
    progress: float | None = None
    output: dict[str, Json] | None = None
    error: dict[str, Json] | None = None


class _RefusedError(FinalError):
    """The other side said no, with a status."""

    def __init__(self, status: int, code: str, message: str, hint: str) -> None:
        super().__init__(code, message, hint)
        self.status = status


class RemoteTasks:
    """The tasks of another Task API.

    Args:
        url: where `/tasks` is.
        key: a key of it; None where none is needed.
        patience_s: how long an answer may keep one waiting.
    """

    def __init__(self, url: str, key: str | None, *, patience_s: float = _PATIENCE_S) -> None:
        self.host = urlsplit(url).netloc
        self._url = url.rstrip("/")
        self._key = key
        self._patience_s = patience_s

    async def create(self, request: Mapping[str, Json], once: str) -> str:
        """Have a task done, and return the path at which it is asked for.

        Args:
            request: input, kind, options, metadata and perhaps `webhook_url`.
            once: the same for a request that is repeated, which then makes no second task.

        Raises:
            FinalError: it was refused, by the other side's code, or `tasks_answer_invalid`.
            ResourceError: `tasks_unreachable`.
        """
        try:
            return await self._create("tasks", request, once)
        except _RefusedError as refused:
            if refused.status not in (404, 405) and not (refused.status == 400 and refused.code in _WANTS_JOBS):
                raise
            try:
                return await self._create("jobs", _as_job(request), once)
            except _RefusedError:
                # What it said of a task is what the person asked.
                raise refused from None

    async def look(self, place: str) -> Seen:
        """How far a task is.

        Args:
            place: what `create` returned.

        Raises:
            FinalError: it is not there, or `tasks_answer_invalid`.
            ResourceError: `tasks_unreachable`.
        """
        task = _unwrapped(await self._ask("GET", place))
        status = task.get("status")
        if not isinstance(status, str):
            raise self._odd(f"its task {place} has no status")
        error = self._error_of(task)
        if status in _FAILED:
            return Seen("failed", error=error)
        if status in _CANCELLED:
            return Seen("cancelled", error=error)
        progress = task.get("progress")
        part = min(1.0, max(0.0, progress / 100)) if _is_number(progress) else None
        output = _output(task)
        if status not in _COMPLETED:
            return Seen("open", part, output)
        if output is None:
            raise self._odd(f"its task {place} is {status} and has no address of an output")
        return Seen("completed", 1.0, output)

    async def cancel(self, place: str) -> None:
        """Say that a task is not wanted any more. One that has ended, or cannot be cancelled, is left as it is.

        Raises:
            ResourceError: `tasks_unreachable`.
        """
        try:
            await self._ask("POST", f"{place}/cancel")
        except FinalError as error:
            _log.info("task elsewhere was not cancelled", place=place, code=error.code)

    async def read(self, address: str) -> Json:
        """An output that is JSON.

        Raises:
            FinalError: `tasks_answer_invalid`, or it is not there.
            ResourceError: `tasks_unreachable`.
        """
        status, _, body = await self._receive("GET", address, {}, None, _LARGEST_OUTPUT_BYTES, redirects=True)
        if status != 200:
            raise self._refused(status, None, f"the output at {_short(address)}")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise self._odd(f"what is at {_short(address)} is no JSON") from None

    async def _create(self, name: str, request: Mapping[str, Json], once: str) -> str:
        task = _unwrapped(await self._ask("POST", name, request, {"idempotency-key": once}))
        if not isinstance(task.get("id"), str) or not task["id"]:
            raise self._odd("the task that it made has no id")
        return f"{name}/{quote(task['id'], safe='')}"

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Json] | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Json]:
        said = {"accept": "application/json", **(headers or {})}
        if self._key:
            said["authorization"] = f"Bearer {self._key}"
        status, heard, answer = await self._receive(
            method, f"{self._url}/{path}", said, body, _LARGEST_ANSWER_BYTES, redirects=False
        )
        try:
            value = json.loads(answer)
        except (ValueError, RecursionError):
            value = None
        if status >= 500 or status in _AGAIN:
            error = ResourceError(
                "tasks_unreachable",
                f"{self.host} answered {status}{self._said(value)}.",
                "It is asked again; see how that server is.",
            )
            error.retry_after_s = _retry_after_s(heard.get("retry-after"))
            raise error
        if status >= 400:
            raise self._refused(status, value, f"{method} /{path}")
        if not isinstance(value, dict):
            raise self._odd(f"to {method} /{path} it answered {status} with something other than a JSON object")
        return value

    async def _receive(
        self,
        method: str,
        address: str,
        headers: Mapping[str, str],
        body: Mapping[str, Json] | None,
        most_bytes: int,
        *,
        redirects: bool,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of an answer. As a whole, and not only between its bytes, it has to come in time."""
        try:
            async with (
                asyncio.timeout(2 * self._patience_s),
                httpx2.AsyncClient(
                    verify=_tls(),
                    timeout=self._patience_s,
                    # A proxy of the environment would see what is nobody's business.
                    trust_env=False,
                    follow_redirects=redirects,
                    max_redirects=_MOST_REDIRECTS,
                ) as client,
                client.stream(method, address, headers=dict(headers), json=body) as response,
            ):
                received = bytearray()
                async for block in response.aiter_bytes():
                    received += block
                    if len(received) > most_bytes:
                        raise self._odd(f"its answer has more than {most_bytes >> 20} MiB")
                return response.status_code, response.headers, bytes(received)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            # Its own words could repeat what was sent; the name says enough.
            late = isinstance(error, (TimeoutError, httpx2.TimeoutException))
            raise ResourceError(
                "tasks_unreachable",
                f"{self.host} {'did not answer in time' if late else 'cannot be reached'} ({type(error).__name__}).",
                "It is asked again; check ANABRANCH_TASKS_URL and that server.",
            ) from None

    def _refused(self, status: int, value: Json, what: str) -> _RefusedError:
        code, message = _code_and_message(value)
        hint = "Check ANABRANCH_TASKS_KEY." if status in (401, 403) else ""
        said = f": {self._clean(message)}" if message else ""
        # The earlier generation refuses in words alone.
        named = {"code": code} if code else {"code": "tasks_refused"}
        return _RefusedError(status, named["code"], f"{self.host} answered {status} to {what}{said}", hint)

    def _odd(self, what: str) -> FinalError:
        return FinalError(
            "tasks_answer_invalid",
            f"{self.host} does not answer as a Task API: {self._clean(what)}.",
            "Check ANABRANCH_TASKS_URL; see docs/tasks.md.",
        )

    def _said(self, value: Json) -> str:
        _, message = _code_and_message(value)
        return f": {self._clean(message).rstrip('.')}" if message else ""

    def _clean(self, text: str) -> str:
        """What the other side says, of a length that can be shown, without the key, should it repeat that."""
        clean = text.replace(self._key, "…") if self._key else text
        return re.sub(r"[\x00-\x1f\x7f]+", " ", clean)[:_LONGEST_TEXT]

    def _error_of(self, task: Mapping[str, Json]) -> dict[str, Json]:
        """Why a task failed, in the shape in which this server keeps errors."""
        code, message = _code_and_message(task)
        told = task.get("error")
        retryable = task.get("error_retryable", told.get("retryable") if isinstance(told, dict) else None)
        return {
            "code": code or "task_failed",
            "message": self._clean(message) if message else f"{self.host} did not say why it failed.",
            "retryable": retryable is True,
        }


def _code_and_message(value: Json) -> tuple[str | None, str | None]:
    """The code and the words of an error, or of what has one, in whichever shape."""
    if not isinstance(value, dict):
        return None, None
    inner = value.get("error")
    within = inner if isinstance(inner, dict) else {}
    codes = (value.get("error_code"), within.get("code"), within.get("kind"), value.get("error_kind"))
    # The kind of a task is no code.
    own = () if "status" in value and "id" in value else (value.get("code"), value.get("kind"))
    messages = (inner, within.get("message"), value.get("error_message"), value.get("message"), value.get("detail"))
    code = next((one for one in (*codes, *own) if isinstance(one, str) and _CODE.fullmatch(one)), None)
    return code, next((one for one in messages if isinstance(one, str) and one), None)


def _unwrapped(body: dict[str, Json]) -> dict[str, Json]:
    """A task from the envelope that the earliest generation puts it into."""
    inner = body.get("data")
    return inner if isinstance(inner, dict) and "status" not in body and "id" not in body else body


def _output(task: Mapping[str, Json]) -> dict[str, Json] | None:
    """What a task came to, as this server tells it. None when there is neither an address nor a reason for that."""
    told, listed, results = task.get("output"), task.get("outputs"), task.get("results")
    first = listed[0] if isinstance(listed, list) and listed else None
    found = next((one for one in (told, first) if isinstance(one, dict)), {})
    elsewhere = results.get("url") if isinstance(results, dict) else None
    addresses = (told, found.get("url"), task.get("output_url"), first, elsewhere)
    address = next((one for one in addresses if _is_address(one)), None)
    reason = found.get("reason") if isinstance(found.get("reason"), str) else None
    if address is None and reason is None:
        return None
    mime = found.get("type") if isinstance(found.get("type"), str) else None
    mime = mime or mimetypes.guess_type(urlsplit(address or "").path)[0] or "application/octet-stream"
    return {
        **_facts(found),
        "object": "file",
        "kind": _kind(found.get("kind"), mime),
        "type": mime,
        "url": address,
        # Its bytes are not here.
        "key": None,
        "files": [],
        "reason": None if address else reason,
    }


def _facts(found: Mapping[str, Json]) -> dict[str, Json]:
    """What else is said of an output; of what this server reads itself, what makes sense."""
    facts: dict[str, Json] = {}
    for name, value in found.items():
        if name in ("id", "ref", "media_id", "status", "metadata"):
            continue
        if name in ("width", "height", "filesize", "duration"):
            if _is_number(value) and value >= 0:
                facts[name] = value
        elif name.endswith(("Url", "_url")):
            if _is_address(value):
                facts[name] = value
        elif name == "renditions":
            if isinstance(value, list) and all(
                isinstance(one, dict) and isinstance(one.get("name"), str) for one in value
            ):
                facts[name] = value
        elif len(json.dumps(value)) <= _LARGEST_FACT_BYTES:
            facts[name] = value
    return {"filesize": None, **facts}


def _kind(told: Json, mime: str) -> str:
    if told in ("video", "image", "audio", "text"):
        return str(told)
    if "mpegurl" in mime:
        return "video"
    begins = mime.partition("/")[0]
    return begins if begins in ("video", "image", "audio") else "text"


def _as_job(request: Mapping[str, Json]) -> dict[str, Json]:
    """A request in the words of the newest generation, which has moving pictures as a kind of their own."""
    options = dict(request.get("options") or {})
    kind, form = request["kind"], options.get("format")
    moves = (kind in ("video", "image") and form == "gif") or (kind == "video" and form == "webp")
    if form in ("jpg", "m4a"):
        options["format"] = {"jpg": "jpeg", "m4a": "aac"}[form]
    return {**request, "kind": "animation" if moves else kind, "options": options}


def _is_address(value: Json) -> bool:
    if not isinstance(value, str) or re.search(r"[\s\x00-\x1f\"<>]", value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_number(value: Json) -> TypeGuard[float]:
    # NaN is what JSON has no word for and Python reads all the same.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**53


def _retry_after_s(text: str | None) -> float | None:
    if not text:
        return None
    try:
        wait_s = float(text) if text.strip().isdigit() else (parsedate_to_datetime(text) - clock.now()).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(0.0, wait_s), _LONGEST_RETRY_AFTER_S)


def _short(address: str) -> str:
    """An address without what may be secret in it."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"[:200]


@functools.cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the certificates takes some 50 ms."""
    return httpx2.create_ssl_context(trust_env=False)
