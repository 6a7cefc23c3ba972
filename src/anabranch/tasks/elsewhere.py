"""Elsewhere: tasks that another Task API does. Each method is one durable step; the rows are those of any other task.

    create    write the task down, make its source readable from there, and have it done
    look      see how far it is; its progress, errors and output become ours
    join      read what is said, if that was asked for, and end the task

What the other side was asked, and what it calls the task, is in the row of the attempt `remote`: a step that is
repeated asks the same again, with the same key, and finds the same task.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote, urlsplit

import structlog

from anabranch import clock
from anabranch.catalog import attempts, files, media, proofs, published, tasks, transcripts
from anabranch.errors import AnabranchError, FinalError, ResourceError, RetriableError, SetupError, SourceError
from anabranch.media import captions
from anabranch.tasks import written
from anabranch.tasks.desk import prefix_of
from anabranch.tasks.kinds import KINDS, kind_named
from anabranch.tasks.sources import STORED

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy as sa

    from anabranch.catalog.tasks import Task
    from anabranch.media.speech import Transcript
    from anabranch.settings import Settings
    from anabranch.storage import Storage
    from anabranch.tasks.remote import RemoteTasks, Seen

Json = Any
P = ParamSpec("P")
T = TypeVar("T")

_log = structlog.get_logger(__name__)

_PIECE = "remote"
# It brings the source here, and nothing else.
_ONLY_HERE = ("import",)
# A source is read again when the other side begins anew; its address outlives the task.
_READABLE_S = 24 * 3600


class Elsewhere:
    """Has tasks done by another Task API.

    Args:
        database: holds the catalog.
        storage: takes what is said, to be shown here.
        remote: the other side.
        settings: which kinds it does, how long it may take, and where this server is.
        hears: whether this process serves the route at which it can be told that a task has ended.

    Raises:
        SetupError: `invalid_setting`.
    """

    def __init__(
        self, database: sa.Engine, storage: Storage, remote: RemoteTasks, settings: Settings, *, hears: bool
    ) -> None:
        self._database = database
        self._storage = storage
        self._remote = remote
        self._kinds = _kinds(settings.tasks_kinds)
        self._limit_s = settings.tasks_timeout_s
        self._base_url = settings.base_url.rstrip("/") if settings.base_url else None
        self._tasks_url = settings.tasks_url or ""
        self._scratch = settings.home / "scratch"
        self._hears = hears
        # What goes on although whoever waited for it was stopped.
        self._creating: set[asyncio.Task[str]] = set()

    def takes(self, kind: str) -> bool:
        """Whether tasks of a kind are done there."""
        return kind in self._kinds

    async def create(self, order: Task) -> dict[str, Json]:
        """Write the task down and have it done there, once however often this is asked.

        Returns:
            `{"remote": …}`, the path of the task there.

        Raises:
            AnabranchError: it cannot be asked for, or was refused.
        """
        noted = await asyncio.to_thread(self._open, order)
        if "place" not in noted:
            # A run that is cancelled must not leave a task there of which nobody knows.
            creating = asyncio.create_task(self._create(order, noted))
            self._creating.add(creating)
            creating.add_done_callback(self._created)
            noted = {**noted, "place": await asyncio.shield(creating)}
        return {"remote": noted["place"]}

    async def look(self, order: Task) -> dict[str, Json]:
        """Look how far it is, and write that down.

        The other side may be away for as long as the task may take: what it has done is not lost by that.

        Returns:
            `{"ended": …, "wait_s": …}`: whether it is done, and how long the other side wants to be left alone.

        Raises:
            AnabranchError: it failed there, `timeout`, or what the other side answers makes no sense.
        """
        if await asyncio.to_thread(attempts.result_of, self._database, order.id, _PIECE) is not None:
            return {"ended": True, "wait_s": 0}
        noted = await asyncio.to_thread(self._noted, order)
        await asyncio.to_thread(self._check_wanted, order)
        attempt = await asyncio.to_thread(self._following, order, noted)
        wait_s = 0.0
        try:
            try:
                seen = await self._remote.look(noted["place"])
                ended = await asyncio.to_thread(self._see, order, noted, attempt, seen)
            except RetriableError as error:
                ended, wait_s = False, min(error.retry_after_s or 0.0, self._limit_s)
                await asyncio.to_thread(tasks.note_error, self._database, order.id, error.to_dict())
                if self._is_overdue(noted):
                    raise
            if not ended and self._is_overdue(noted):
                raise ResourceError(
                    "timeout",
                    f"{self._remote.host} has not ended {noted['place']} within {self._limit_s} s.",
                    "Do it again, or give it longer with ANABRANCH_TASKS_TIMEOUT_S.",
                )
        except AnabranchError as error:
            await asyncio.to_thread(self._fail, order.id, _PIECE, attempt, error)
            raise
        return {"ended": ended, "wait_s": wait_s}

    async def join(self, order: Task) -> dict[str, Json]:
        """End the task with what it came to there. Asked again, it answers with the output that it ended with.

        Raises:
            AnabranchError: what is said cannot be read.
        """
        task = await asyncio.to_thread(tasks.get, self._database, order.id)
        if task is not None and task.status == "completed" and task.output is not None:
            return task.output
        await asyncio.to_thread(self._check_wanted, order)
        noted = await asyncio.to_thread(attempts.result_of, self._database, order.id, _PIECE) or {}
        output: dict[str, Json] = noted["output"]
        attempt = await asyncio.to_thread(_note, self._database, attempts.begin, order.id, "join")
        try:
            said = await self._said(order, output)
            return await asyncio.to_thread(self._close, order, output, said, attempt)
        except AnabranchError as error:
            await asyncio.to_thread(self._fail, order.id, "join", attempt, error)
            raise

    async def withdraw(self, task_id: str) -> None:
        """Cancel a task there that nobody waits for any more, if it was created and has not ended as it should.

        Raises:
            ResourceError: `tasks_unreachable`.
        """
        noted = await asyncio.to_thread(attempts.told, self._database, task_id, _PIECE) or {}
        if "place" in noted and "output" not in noted:
            await self._remote.cancel(noted["place"])

    async def abandon(self, task_id: str) -> None:
        """Withdraw a task as far as that is possible now."""
        try:
            await self.withdraw(task_id)
        except AnabranchError as error:
            _log.warning("task elsewhere could not be cancelled", task=task_id, error=str(error))

    async def cancel(self, task_id: str) -> None:
        """Cancel a task that has not ended, here and there.

        Raises:
            ResourceError: `tasks_unreachable`.
        """
        # The row first: a create that is on its way sees it when it arrives.
        await asyncio.to_thread(tasks.cancel, self._database, task_id)
        task = await asyncio.to_thread(tasks.get, self._database, task_id)
        if task is not None and task.status == "cancelled":
            await self.withdraw(task_id)

    def _created(self, creating: asyncio.Task[str]) -> None:
        self._creating.discard(creating)
        if not creating.cancelled():
            # It is in the rows; whoever waited may have been stopped, and then nobody asks.
            creating.exception()

    def _open(self, order: Task) -> dict[str, Json]:
        """Write the task down; what was noted of it before, or the beginning of that."""
        if not media.open_for(self._database, order):
            # It was on its way when its media was deleted.
            raise _cancelled(order)
        tasks.begin(self._database, order.id, order.run_id)
        self._check_wanted(order)
        try:
            kind_named(order.kind).read_options(order.options)
            noted = self._noted(order) or {"run": order.run_id, "begun_at": clock.now_ms()}
            if "request" not in noted:
                noted["request"] = self._request(order, noted["begun_at"])
        except AnabranchError as error:
            tasks.note_error(self._database, order.id, error.to_dict())
            raise
        tasks.plan(self._database, order.id, [{"name": _PIECE, "weight": 1.0, "optional": False}])
        return noted

    async def _create(self, order: Task, noted: dict[str, Json]) -> str:
        attempt = await asyncio.to_thread(self._following, order, noted)
        try:
            # A run that is begun again wants a task of its own; one that goes on wants the same.
            once = f"{order.id}.{order.run_id or 'once'}"
            place = await self._remote.create(noted["request"], once)
        except AnabranchError as error:
            await asyncio.to_thread(self._fail, order.id, _PIECE, attempt, error)
            raise
        await asyncio.to_thread(
            attempts.tell,
            self._database,
            order.id,
            _PIECE,
            attempt,
            {**noted, "place": place, "host": self._remote.host},
        )
        task = await asyncio.to_thread(tasks.get, self._database, order.id)
        if task is None or task.status == "cancelled":
            await self._remote.cancel(place)
            raise _cancelled(order)
        return place

    def _noted(self, order: Task) -> dict[str, Json]:
        """What this run has noted of the task there; nothing of it when an earlier run did that."""
        noted = attempts.told(self._database, order.id, _PIECE) or {}
        return noted if noted.get("run") == order.run_id else {}

    def _following(self, order: Task, noted: dict[str, Json]) -> int:
        """The number of the attempt that is being made; of another one when whoever followed the last is gone."""
        made = [row for row in attempts.of_task(self._database, order.id) if row.piece == _PIECE]
        if made and made[-1].status == "running":
            return int(made[-1].attempt)
        attempt = _note(self._database, attempts.begin, order.id, _PIECE)
        attempts.tell(self._database, order.id, _PIECE, attempt, noted)
        return attempt

    def _request(self, order: Task, begun_at: int) -> dict[str, Json]:
        request: dict[str, Json] = {
            "input": self._readable(order.input, begun_at),
            "kind": order.kind,
            "options": order.options,
            "metadata": order.metadata,
        }
        base, there = urlsplit(self._base_url or ""), urlsplit(self._tasks_url)
        # Ittybit takes no address without TLS.
        if self._hears and self._reaches_us() and (base.scheme == "https" or there.scheme == "http"):
            request["webhook_url"] = f"{self._base_url}/tasks/remote/{token(self._database, order.id)}"
        return request

    def _readable(self, address: str, begun_at: int) -> str:
        """The address at which the other side can read a source."""
        if urlsplit(address).scheme.lower() in ("http", "https"):
            return address
        if not address.startswith(STORED):
            raise SourceError(
                "unsupported_address",
                f"{address[:200]!r} is on this machine, and {self._remote.host} cannot read it.",
                "Give an http or https address, or upload it to `anabranch serve`.",
            )
        if not self._reaches_us():
            raise SetupError(
                "base_url_missing",
                f"{self._remote.host} cannot read the source: this server is at {self._base_url or 'no address'}.",
                "Set ANABRANCH_BASE_URL to an address at which it reaches this server.",
            )
        expires_s = begun_at // 1000 + self._limit_s + _READABLE_S
        return f"{self._base_url}{proofs.signed_path(self._database, address.removeprefix(STORED), expires_s)}"

    def _reaches_us(self) -> bool:
        """Whether the other side can have an address of this server."""
        return self._base_url is not None and (not _is_loopback(self._base_url) or _is_loopback(self._tasks_url))

    def _is_overdue(self, noted: dict[str, Json]) -> bool:
        return bool(clock.now_ms() - noted["begun_at"] >= self._limit_s * 1000)

    def _check_wanted(self, order: Task) -> None:
        task = tasks.get(self._database, order.id)
        if task is not None and task.status == "cancelled":
            raise _cancelled(order)

    def _see(self, order: Task, noted: dict[str, Json], attempt: int, seen: Seen) -> bool:
        """Write down what was seen. Whether the task is done.

        Raises:
            FinalError: it failed or was cancelled there.
        """
        if seen.status == "cancelled":
            raise FinalError("cancelled", f"{noted['place']} was cancelled at {self._remote.host}.", "Do it again.")
        if seen.status == "failed":
            error = seen.error or {}
            failed = FinalError(error["code"], error["message"])
            # There it was tried as often as makes sense; a person may try again.
            failed.retryable = error["retryable"]
            raise failed
        if seen.output is not None:
            seen.output["elsewhere"] = {"host": self._remote.host, "task": noted["place"], "url": seen.output["url"]}
        if seen.status == "completed":
            _note(self._database, attempts.complete, order.id, _PIECE, attempt, {**noted, "output": seen.output})
        elif seen.progress is not None:
            attempts.advance(self._database, order.id, _PIECE, attempt, seen.progress, 0.0)
        if seen.status == "open" and seen.output is not None and seen.output["url"] and kind_named(order.kind).grows:
            # Whatever is under its address is the other side's to keep up to date.
            edition, _ = published.editions(self._database, order.id)
            tasks.show(self._database, order.id, seen.output, edition, {})
        tasks.advance(self._database, order.id)
        return seen.status == "completed"

    async def _said(self, order: Task, output: dict[str, Json]) -> Transcript | None:
        """What is said, when it was asked for as JSON and there is something."""
        wanted = order.kind == "speech" or (order.kind == "audio" and order.options.get("format") == "json")
        if not wanted or output["url"] is None:
            return None
        said = written.read(await self._remote.read(output["url"]), order.options.get("language"))
        if said is None:
            raise FinalError(
                "tasks_answer_invalid",
                f"{self._remote.host} made a transcript in a shape that is not known.",
                "docs/tasks.md says which are. Leave the kind out of ANABRANCH_TASKS_KINDS to have it done here.",
            )
        return said

    def _close(self, order: Task, output: dict[str, Json], said: Transcript | None, attempt: int) -> dict[str, Json]:
        if said is not None:
            output = {**output, **self._keep(order, said, attempt)}
            segments = [(one.start_s, one.end_s, one.text) for one in said.segments]
            transcripts.put(self._database, order.id, order.media_id, said.language or None, segments)
        if order.media_id is not None and order.kind == "adaptive_video":
            # Nobody has looked into the source here; the package is as long and as large as what is played.
            names = {"duration_s": "duration", "width": "width", "height": "height"}
            facts = {ours: output[theirs] for ours, theirs in names.items() if output.get(theirs) is not None}
            if facts:
                media.describe(self._database, order.media_id, facts)
        _note(self._database, attempts.complete, order.id, "join", attempt, output)
        tasks.complete(self._database, order.id, output)
        return output

    def _keep(self, order: Task, said: Transcript, attempt: int) -> dict[str, Json]:
        """Store what is said in this server's own shape, and as captions: the page, players and search read it here."""
        texts = {
            "transcript.json": (json.dumps(said.to_json(), ensure_ascii=False, indent=2) + "\n", "application/json"),
            "captions.vtt": (captions.webvtt(captions.cues(written.words_of(said))), "text/vtt"),
        }
        stored: list[dict[str, Json]] = []
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            for name, (text, mime) in texts.items():
                path = Path(folder) / name
                path.write_text(text, encoding="utf-8")
                size_bytes = path.stat().st_size
                stem, _, suffix = name.partition(".")
                key = f"{prefix_of(order)}/{stem}.{attempt}.{suffix}"
                self._storage.put(key, path, mime)
                stored.append({"name": name, "key": key, "size_bytes": size_bytes})
        main = stored[0]
        made = {"object": "intelligence", "kind": "text", "type": "application/json", "status": "ready"}
        about = {"media_id": order.media_id, "task_id": order.id, "ref": order.ref, "filename": main["name"]}
        facts = {"language": said.language or None, "duration": round(said.duration_s, 3)}
        where = {"key": main["key"], "filesize": main["size_bytes"], "facts": facts}
        file_id = files.id_of(order.id)
        files.create(self._database, file_id, {**about, **made, **where})
        files.change(self._database, file_id, {**made, **where})
        return {
            **facts,
            "kind": "text",
            "type": "application/json",
            "format": "json",
            "words": len(written.words_of(said)),
            "url": self._storage.url(main["key"]),
            "key": main["key"],
            "filesize": main["size_bytes"],
            "captionsUrl": self._storage.url(stored[1]["key"]),
            "files": stored,
        }

    def _fail(self, task_id: str, piece: str, attempt: int, error: AnabranchError) -> None:
        tasks.note_error(self._database, task_id, error.to_dict())
        _note(self._database, attempts.fail, task_id, piece, attempt, error.to_dict())


def token(database: sa.Engine, task_id: str) -> str:
    """What the other side is given to say that a task has ended."""
    return quote(f"{task_id}.{proofs.of(database, f'WAKE {task_id}', 0)}", safe="")


def task_of(database: sa.Engine, text: str) -> str | None:
    """The task that a token is for; None when it is no token of this server."""
    task_id, _, proof = text.rpartition(".")
    return task_id if proofs.holds(database, proof, f"WAKE {task_id}", 0) else None


def _kinds(setting: str) -> frozenset[str]:
    named = [name.strip() for name in setting.split(",") if name.strip()] or [*set(KINDS).difference(_ONLY_HERE)]
    wrong = [name for name in named if name not in KINDS or name in _ONLY_HERE]
    if wrong:
        known = ", ".join(name for name in KINDS if name not in _ONLY_HERE)
        raise SetupError(
            "invalid_setting",
            f"ANABRANCH_TASKS_KINDS: no kind that can be done elsewhere: {', '.join(wrong)}.",
            f"There are: {known}.",
        )
    return frozenset(named)


def _is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        there = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return there.is_loopback or there.is_unspecified


def _note(
    database: sa.Engine, noting: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Note something in a transaction of its own."""
    with database.begin() as connection:
        return noting(connection, *args, **kwargs)


def _cancelled(order: Task) -> FinalError:
    return FinalError("cancelled", f"{order.id} was cancelled.")
