"""Odd answers: an app that is served over HTTP, and says to the engine's calls what no SDK would."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import json
import socket
import struct
import threading
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anabranch.engine import driver, protocol
from anabranch.engine.events import Event
from anabranch.errors import OptionError
from tests.engine.apps import new_client, running
from tests.fuzz import TIMES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from anabranch.engine.host import Engine
    from anabranch.engine.journal import Run

    # Writes an answer to a connection, headers and all.
    Answering = Callable[["_Handler"], None]

pytestmark = pytest.mark.anyio
_ids = itertools.count()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class _Handler(BaseHTTPRequestHandler):
    """Answers each function as it is told; `step` is what was asked for: one step, or all of it."""

    protocol_version = "HTTP/1.1"
    answers: dict[str, Answering]
    # Set when those that hang may go.
    hang: threading.Event
    # How many bytes went out in chunks.
    chunked: list[int]
    step = ""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        query = parse_qs(urlsplit(self.path).query)
        self.step = query["stepId"][0]
        # The engine hangs up on some.
        with _HungUp():
            self.answers[query["fnId"][0]](self)

    def say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response_only(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def begin(self) -> None:
        """Begin an answer in chunks."""
        self.send_response_only(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.chunked[0] += len(data)

    def log_message(self, *_: Any) -> None:
        pass


class _HungUp(contextlib.suppress):
    """What happens to who writes to somebody who has hung up."""

    def __init__(self) -> None:
        super().__init__(BrokenPipeError, ConnectionResetError)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Those that hang are not waited for.
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        pass


class App:
    """An app whose functions answer as they are told, and an engine that drives them."""

    def __init__(self, engine: Engine, url: str, handler: type[_Handler]) -> None:
        self._engine = engine
        self._url = url
        self._answers = handler.answers
        self.chunked = handler.chunked

    async def run(self, answering: Answering, retries: int = 1, **config: Any) -> Run:
        """The run of a function that answers so, ended."""
        name = f"odd{next(_ids)}"
        self._answers[f"app-{name}"] = answering
        self._engine.register([
            {
                "id": f"app-{name}",
                "triggers": [{"event": name}],
                "steps": {"step": {"runtime": {"url": self._url}, "retries": {"attempts": retries}}},
                **config,
            }
        ])  # fmt: skip
        (event_id,) = await self._engine.send([Event(name)])
        (started,) = self._engine.journal.runs_of_event(event_id)
        return await asyncio.wait_for(self._engine.ended(started.id), 30)


@asynccontextmanager
async def odd(folder: Path) -> AsyncIterator[App]:
    """The app, and what must be true at the end: another function goes on as ever, and nothing is left."""
    hang = threading.Event()
    handler = type("Handler", (_Handler,), {"answers": {}, "hang": hang, "chunked": [0]})
    with _Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        async with running(folder, new_client(), []) as engine:
            before = len(asyncio.all_tasks())
            app = App(engine, f"http://127.0.0.1:{server.server_port}/", handler)
            yield app
            assert (await app.run(plain)).output == "done"
            for _ in range(100):
                if len(asyncio.all_tasks()) <= before:
                    break
                await asyncio.sleep(0.02)
            assert len(asyncio.all_tasks()) <= before
            assert not engine.journal.unfinished()
        hang.set()
        server.shutdown()


def plain(call: _Handler) -> None:
    call.say(200, b'"done"')


def met(*ops: Any, status: int = 206, **headers: str) -> Answering:
    """Answers that it met these steps, whatever it is asked."""
    return lambda call: call.say(status, json.dumps(ops).encode(), **headers)


def said(status: int, body: bytes, **headers: str) -> Answering:
    return lambda call: call.say(status, body, **headers)


def endless(call: _Handler) -> None:
    call.begin()
    while True:
        call.chunk(b" " * (1 << 20))


def hanging(call: _Handler) -> None:
    call.hang.wait(20)


def dripping(call: _Handler) -> None:
    call.begin()
    while not call.hang.wait(0.01):
        call.chunk(b" ")


def cut(call: _Handler) -> None:
    call.send_response_only(200)
    call.send_header("content-length", "1000")
    call.end_headers()
    call.wfile.write(b"[1, 2")
    call.close_connection = True


def broken_chunks(call: _Handler) -> None:
    call.begin()
    call.wfile.write(b"zz\r\nnot a chunk\r\n")
    call.close_connection = True


def reset(call: _Handler) -> None:
    call.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    call.close_connection = True
    call.connection.close()


def garbage(call: _Handler) -> None:
    call.wfile.write(b"\x00\xff\x00SSH-2.0-what\r\n\r\n")
    call.close_connection = True


def bomb(call: _Handler) -> None:
    call.say(200, gzip.compress(b" " * (100 << 20), 9), content_encoding="gzip")


def big_step(call: _Handler) -> None:
    """Steps whose results are each as large as an answer may be."""
    if call.step == protocol.WHOLE_FUNCTION:
        met(*({"id": f"step{number}", "op": "StepPlanned"} for number in range(3)))(call)
    else:
        call.say(206, json.dumps([{"id": call.step, "op": "StepRun", "data": "x" * (20 << 20)}]).encode())


def new_steps(call: _Handler) -> None:
    """Steps that were never met before, whenever it is called."""
    met(*({"id": f"step{next(_ids)}", "op": "StepRun", "data": 1} for _ in range(150)))(call)


def never_there(call: _Handler) -> None:
    """Plans a step, and does not come to it."""
    met({"id": "mine" if call.step == protocol.WHOLE_FUNCTION else "another", "op": "StepPlanned"})(call)


DEEP = b"[" * 100_000 + b"]" * 100_000
SOON = "2026-01-01T00:00:00Z"
# What is answered, and the name of the error that ends the run, or what is in its message.
ODD: dict[str, tuple[Answering, str]] = {
    "a step without an id": (met({"op": "StepRun"}), "UnreadableStep"),
    "a step whose id is a number": (met({"id": 7, "op": "StepRun"}), "UnreadableStep"),
    "a step with the id of the function": (met({"id": "step", "op": "StepRun"}), "UnreadableStep"),
    "a step whose id no database takes": (met({"id": "a\0b", "op": "StepPlanned"}), "UnreadableStep"),
    "a step whose id is half a letter": (met({"id": "\ud800", "op": "StepPlanned"}), "UnreadableStep"),
    "a step with an endless id": (met({"id": "x" * 100_000, "op": "StepRun"}), "UnreadableStep"),
    "a step that is a list": (met(["StepRun"]), "UnreadableStep"),
    "a step with a list as opts": (met({"id": "a", "op": "StepPlanned", "opts": [1]}), "UnreadableStep"),
    "a step with an object as name": (met({"id": "a", "op": "StepPlanned", "displayName": {"a": 1}}), "UnreadableStep"),
    "a sleep until nothing": (met({"id": "a", "op": "Sleep", "name": "soon"}), "UnreadableStep"),
    "a sleep without an end": (met({"id": "a", "op": "Sleep"}), "UnreadableStep"),
    "a wait without a timeout": (met({"id": "a", "op": "WaitForEvent", "name": "x"}), "UnreadableStep"),
    "a wait without a name": (met({"id": "a", "op": "WaitForEvent", "opts": {"timeout": "1s"}}), "UnreadableStep"),
    "a wait for ages": (
        met({"id": "a", "op": "WaitForEvent", "name": "x", "opts": {"timeout": "9" * 30 + "w"}}),
        "UnreadableStep",
    ),
    "an invoke of nothing": (met({"id": "a", "op": "InvokeFunction"}), "UnreadableStep"),
    "an invoke with a list as data": (
        met({"id": "a", "op": "InvokeFunction", "opts": {"function_id": "app-x", "payload": {"data": [1]}}}),
        "UnreadableStep",
    ),
    "the same step over and over": (met({"id": "a", "op": "StepRun", "data": 1}), "NoProgress"),
    "the same step twice at once": (met(*[{"id": "a", "op": "StepRun", "data": 1}] * 2), "NoProgress"),
    "an op that is unknown": (met({"id": "a", "op": "Teleport"}), "NoProgress"),
    "a step that is over before it began": (met({"id": "a", "op": "Sleep", "name": SOON}), "NoProgress"),
    "a step that is planned and never there": (never_there, "NoProgress"),
    "an error that is a text": (met({"id": "a", "op": "StepError", "error": "no"}), "NoProgress"),
    "an error without a message": (met({"id": "a", "op": "StepError", "error": {"x": 1}}), "NoProgress"),
    "no steps": (met(), "the app answered 206"),
    "steps that are an object": (said(206, b'{"id": "a", "op": "StepRun"}'), "the app answered 206"),
    "steps that are nothing": (said(206, b""), "the app answered 206"),
    "new steps for ever": (new_steps, "TooManySteps"),
    "results too large to send": (big_step, "StateTooLarge"),
    "a number that is none": (said(200, b"NaN"), "the app answered 502: NaN"),
    "lists in lists": (said(200, DEEP), "the app answered 502"),
    "objects in objects": (said(200, b'{"a":' * 300 + b"1" + b"}" * 300), "the app answered 502"),
    "bytes that are no text": (said(200, b'"\xff\xfe\xff"'), "the app answered 502"),
    "a page": (said(200, b"<html>Sorry</html>", content_type="text/html"), "Sorry"),
    "a page of a proxy": (said(503, b"<html>Busy</html>"), "the app answered 503: <html>Busy"),
    "another address": (said(307, b"", location="http://127.0.0.1:1/"), "the app answered 307"),
    "nothing": (said(204, b""), "the app answered 204"),
    "not found": (said(404, b"{}"), "the app answered 404"),
    "an endless message": (said(500, json.dumps({"message": "x" * (5 << 20)}).encode()), "xxx"),
    "a message that is an object": (said(500, b'{"message": {"a": 1}, "stack": [1], "name": null}'), "{'a': 1}"),
    "a time to try again that is none": (said(500, b"{}", retry_after="\u00b2"), "the app answered 500"),
    "a huge body": (said(200, b'"' + b"x" * (40 << 20) + b'"'), "AnswerTooLarge"),
    "a body without an end": (endless, "AnswerTooLarge"),
    "a body that is small until it is unpacked": (bomb, "AnswerTooLarge"),
    "a body that is not what it says": (said(200, b"{}", content_encoding="gzip"), "cannot be called"),
    "half a body": (cut, "cannot be called"),
    "chunks that are none": (broken_chunks, "cannot be called"),
    "a connection that is reset": (reset, "cannot be called"),
    "another protocol": (garbage, "cannot be called"),
}


@pytest.mark.slow
async def test_whatever_an_app_answers_its_run_fails_and_says_why_and_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What it really is costs a minute to get to.
    monkeypatch.setattr(driver, "_MOST_STEPS", 400)
    wrong = []
    async with odd(tmp_path) as app:
        for what, (answering, expected) in ODD.items():
            try:
                ended = await app.run(answering)
            except TimeoutError:
                wrong.append(f"{what}: the run did not end")
                continue
            error = ended.error or {}
            found = error.get("name") == expected or expected in str(error.get("message"))
            if ended.status != "failed" or not found or len(json.dumps(error)) > 30_000:
                wrong.append(f"{what}: {ended.status} {str(ended.output)[:100]} {str(error)[:300]}")
    assert not wrong, "\n".join(wrong)


async def test_an_answer_without_an_end_is_not_read_to_it(tmp_path: Path) -> None:
    async with odd(tmp_path) as app:
        ended = await app.run(endless, retries=0)
        assert "answered more than 32 MiB" in (ended.error or {})["message"]
        # What is on its way in both sockets comes on top.
        assert app.chunked[0] < protocol.MOST_BYTES + (16 << 20)


@pytest.mark.parametrize("answering", [hanging, dripping])
async def test_an_app_that_never_comes_to_an_end_is_given_the_time_that_its_function_has(
    tmp_path: Path, answering: Answering
) -> None:
    async with odd(tmp_path) as app:
        ended = await app.run(answering, timeouts={"finish": "1s"})
    assert ended.status == "cancelled"


async def test_steps_by_the_hundred_and_results_by_the_megabyte_are_taken(tmp_path: Path) -> None:
    done = [{"id": f"step{number}", "op": "StepRun", "data": number} for number in range(300)]
    done.append({"id": "large", "op": "StepRun", "data": "x" * (5 << 20)})
    answers = iter([met(*done), plain])
    async with odd(tmp_path) as app:
        assert (await app.run(lambda call: next(answers)(call))).output == "done"


_WHERE = {"url": "http://127.0.0.1/"}
UNDRIVABLE: tuple[dict[str, Any], ...] = (
    {"id": 7},
    {"id": "a\0b"},
    {"triggers": [{"event": 7}]},
    {"triggers": 7},
    {"throttle": {"limit": 0, "period": "1s"}},
    {"throttle": {"limit": 1, "period": "1s", "burst": "many"}},
    {"debounce": {"period": "9" * 30 + "w"}},
    {"steps": {}},
    {"steps": {"step": {"runtime": {"url": "no address"}}}},
    {"steps": {"step": {"runtime": {"url": "http://[::"}}}},
    {"steps": {"step": {"runtime": {"url": 7}}}},
    {"steps": {"step": {"runtime": _WHERE, "retries": {"attempts": "often"}}}},
)


async def test_a_function_that_could_not_be_driven_is_not_registered(tmp_path: Path) -> None:
    function = {"id": "app-f", "triggers": [{"event": "go"}], "steps": {"step": {"runtime": _WHERE}}}
    async with running(tmp_path, new_client(), []) as engine:
        engine.register([function])
        for part in UNDRIVABLE:
            with pytest.raises(OptionError, match="Send what an Inngest SDK sends") as raised:
                engine.register([{**function, **part}])
            assert raised.value.code == "invalid_registration", part


_WORDS = st.sampled_from(["", "a", "b", "step", "1s", "soon", "2020-01-01T00:00:00Z", "app-none", "go", "\0", "\udfff"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=6,
)
_OPTS = st.fixed_dictionaries(
    {},
    optional={
        "timeout": _WORDS | _JSON,
        "event": _WORDS | _JSON,
        "if": _WORDS | _JSON,
        "function_id": _WORDS | _JSON,
        "payload": _JSON | st.fixed_dictionaries({"data": _JSON}),
        "parallelMode": st.just("race") | _JSON,
    },
)
_OP = st.fixed_dictionaries(
    {"id": _WORDS | _JSON},
    optional={
        "op": st.sampled_from(["StepRun", "StepPlanned", "StepError", "StepFailed", "Sleep", "InvokeFunction"]) | _JSON,
        "name": _WORDS | _JSON,
        "displayName": _WORDS | _JSON,
        "opts": _OPTS | _JSON,
        "data": _JSON,
        "error": _JSON | st.fixed_dictionaries({"message": _JSON, "name": _JSON, "stack": _JSON}),
    },
)
_BODY = st.lists(_OP, max_size=4).map(json.dumps) | _JSON.map(json.dumps) | st.binary(max_size=20)
_ANSWER = st.tuples(
    st.sampled_from([206, 206, 206, 200, 201, 204, 302, 400, 500, 503]),
    _BODY,
    st.fixed_dictionaries(
        {},
        optional={
            "retry_after": st.sampled_from(["0", "-1", "\u00b2", "9" * 40, "soon", "Sun, 06 Nov 1994 08:49:37 GMT"]),
            "x_inngest_no_retry": st.sampled_from(["true", "false", "\u00e9"]),
            "content_type": st.sampled_from(["text/html", "application/json; charset=utf-16", "\u00e9"]),
        },
    ),
)


@pytest.mark.slow
def test_no_answers_that_are_made_up_keep_a_run_from_its_end(tmp_path: Path) -> None:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    def do(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    @settings(
        max_examples=60 * TIMES, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
    )
    @given(answers=st.lists(_ANSWER, min_size=1, max_size=3))
    def answer(answers: list[Any]) -> None:
        said_so_far = iter(answers)

        def one(call: _Handler) -> None:
            status, body, headers = next(said_so_far, (200, "1", {}))
            data = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
            call.say(status, data, **headers)

        assert do(app.run(one)).status in ("completed", "failed")

    context = odd(tmp_path)
    app = do(context.__aenter__())
    try:
        answer()
    finally:
        do(context.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
