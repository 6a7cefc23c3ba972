from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.engine import backoff, protocol
from anabranch.engine.durations import read_duration_s
from anabranch.engine.expressions import holds
from anabranch.engine.protocol import Errored, Met, Returned


def test_an_answer_of_200_is_the_end() -> None:
    assert protocol.read_answer(200, {}, b'{"a": 1}') == Returned({"a": 1})
    assert protocol.read_answer(200, {}, b"") == Returned(None)


def test_an_answer_of_206_is_steps() -> None:
    body = json.dumps([{"id": "abc", "op": "StepPlanned", "displayName": "poster"}]).encode()
    answer = protocol.read_answer(206, {}, body)
    assert isinstance(answer, Met)
    assert (answer.ops[0].id, answer.ops[0].display_name) == ("abc", "poster")


def test_an_error_says_whether_and_when_to_try_again() -> None:
    headers = {"x-inngest-no-retry": "true", "retry-after": "30"}
    answer = protocol.read_answer(500, headers, b'{"name": "Oops", "message": "no"}')
    assert isinstance(answer, Errored)
    assert not answer.retriable
    assert answer.retry_at_ms == pytest.approx(time.time() * 1000 + 30_000, abs=2000)
    assert answer.error["name"] == "Oops"


def test_a_page_of_a_proxy_is_an_error_to_try_again() -> None:
    answer = protocol.read_answer(200, {}, b"<html>Bad gateway</html>")
    assert isinstance(answer, Errored)
    assert answer.retriable
    assert "Bad gateway" in answer.error["message"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "op", "message", "x"]), inner),
    max_leaves=8,
)


@given(status=st.sampled_from([200, 201, 204, 206, 302, 400, 500]), body=st.binary(max_size=50) | JSON.map(json.dumps))
def test_no_answer_breaks_the_reader(status: int, body: bytes | str) -> None:
    answer = protocol.read_answer(status, {}, body.encode() if isinstance(body, str) else body)
    assert isinstance(answer, (Returned, Met, Errored))


@pytest.mark.parametrize(("text", "seconds"), [("1h30m", 5400), ("500ms", 0.5), ("2d", 172800), ("1w", 604800)])
def test_durations_are_read(text: str, seconds: float) -> None:
    assert read_duration_s(text) == seconds


def test_a_duration_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="soon"):
        read_duration_s("soon")


def test_waits_follow_the_schedule_with_jitter() -> None:
    for failures, base in ((1, 15), (2, 30), (3, 60), (10, 7200), (50, 7200)):
        assert base <= backoff.wait_s(failures) <= base + 30
    assert backoff.wait_s(3, scale=0) == 0


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (None, True),
        ("event.data.n == 1", True),
        ("event.data.n == async.data.n", False),
        ("event.data.missing == 1", False),
        ("this is not CEL", False),
        ("event.data.n", False),
    ],
)
def test_conditions_are_true_or_they_are_not(expression: str | None, expected: bool) -> None:
    assert holds(expression, {"event": {"data": {"n": 1}}, "async": {"data": {"n": 2}}}) is expected
