"""The OpenAPI document, and requests made from it: no answer that it does not announce."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import run_state_machine_as_test
from prometheus_client.parser import text_string_to_metric_families

from tests.api.served import serving
from tests.fuzz import TIMES

if TYPE_CHECKING:
    from tests.api.served import Server

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "openapi.json"


schemathesis.checks.load_all_checks()
CHECKS = [
    schemathesis.checks.CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    )
]
# Streams never end, and what is read from storage is tested by name.
UNTRIED = {"streamMedia", "streamAll", "readOutput", "readSigned"}


@pytest.mark.slow
def test_no_request_breaks_the_server_or_is_answered_as_was_not_announced(tmp_path: Path) -> None:
    # Not the one that others share: what is asked for here is done long after, webhooks to nobody above all.
    with serving(tmp_path / "home") as server:
        wrong = ask_everything(server)
    assert not wrong, "\n\n".join(wrong)[:6000]


def ask_everything(server: Server) -> list[str]:
    """Requests made up for each operation; what was wrong with the answers."""
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    tried, wrong = 0, []
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        if operation.definition.raw["operationId"] in UNTRIED:
            continue

        @settings(max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            answer = case.call(headers={"authorization": f"Bearer {server.key}"})
            case.validate_response(answer, checks=CHECKS)

        try:
            ask()
        except Exception as error:  # noqa: BLE001  (all that is wrong is told at once)
            wrong.append(f"{operation.label}: {error}")
        tried += 1
    assert tried > 50
    return wrong


# Beside those above, what takes more than one request to be seen. Not `positive_data_acceptance`: that an address names
# nothing is for the server to say; nor `missing_required_header`: there is one of two ways to say who calls; nor
# `ignored_auth`: whoever shows wrong keys is made to wait, and test_scopes.py asks every route for what it wants.
FOLLOWING_CHECKS = [
    *CHECKS,
    *(
        schemathesis.checks.CHECKS.get_one(name)
        for name in (
            "use_after_free",
            "ensure_resource_availability",
            "unsupported_method",
            "negative_data_rejection",
        )
    ),
]
# What ends all media, or the session, of whoever follows.
UNFOLLOWED = UNTRIED | {"deleteAllMedia", "retryAllMedia", "signIn", "signOut", "getSession"}


@pytest.mark.slow
def test_where_an_answer_leads_is_there_until_it_is_deleted(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json").exclude(operation_id=sorted(UNFOLLOWED))
        followed: set[str] = set()

        @schema.auth()
        class Key:
            def get(self, case: Any, context: Any) -> str:
                return f"Bearer {server.key}"

            def set(self, case: Any, data: str, context: Any) -> None:
                case.headers["authorization"] = data

        class Machine(schema.as_state_machine()):  # type: ignore[misc]
            def before_call(self, case: Any) -> None:
                # The key that follows is enough; a made up session beside it would be taken for what let it in.
                case.cookies.clear()

            def validate_response(self, response: Any, case: Any, **given: Any) -> None:
                if response.status_code < 300 and case.path_parameters:
                    followed.add(case.operation.definition.raw["operationId"])
                case.validate_response(
                    response, checks=FOLLOWING_CHECKS, transport_kwargs=given, recorder=self.recorder
                )

        # Where a walk leads is left to chance.
        for _ in range(5):
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=12 * TIMES,
                    stateful_step_count=8,
                    # Told as it was found: each request that makes it shorter is one more to a server that remembers.
                    phases=[Phase.generate],
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
            # Made up ids name nothing, so that these were led to.
            if len(followed - {"sendEvents"}) >= 6:
                return
    raise AssertionError(followed)


def test_the_document_in_the_repository_is_the_one_that_is_served(server: Server) -> None:
    served = server.get("/openapi.json")
    assert served["openapi"].startswith("3.1")
    # make openapi writes it.
    assert json.loads(DOCUMENT.read_text()) == served


def test_every_operation_has_a_name_a_sentence_and_its_errors(server: Server) -> None:
    operations = [
        (path, method, one)
        for path, methods in server.get("/openapi.json")["paths"].items()
        for method, one in methods.items()
    ]
    assert len(operations) > 50
    names = [one["operationId"] for _, _, one in operations]
    assert len(set(names)) == len(names)
    for path, method, one in operations:
        assert one.get("description"), (path, method)
        assert "application/problem+json" in one["responses"]["4XX"]["content"], (path, method)


def test_every_body_has_an_example_that_it_would_take(server: Server) -> None:
    document = server.get("/openapi.json")
    schemas = document["components"]["schemas"]
    named = {*re.findall(r"#/components/schemas/(\w+)", json.dumps([
        one["requestBody"] for methods in document["paths"].values() for one in methods.values() if "requestBody" in one
    ])), "TaskView", "MediaView"}  # fmt: skip
    assert len(named) > 10
    for name in named:
        examples = schemas[name].get("examples") or [
            {field: value["examples"][0] for field, value in schemas[name]["properties"].items() if "examples" in value}
        ]
        for example in examples:
            assert example, name
            # What is null in an example is left out of the document.
            whole = {**dict.fromkeys(schemas[name].get("required", [])), **example}
            jsonschema_rs.validator_for({**schemas[name], "components": document["components"]}).validate(whole)


def test_metrics_are_counted_from_rows_and_requests(server: Server, plain_media: str) -> None:
    answer = server.api.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    ready = [one.value for one in families["anabranch_media"].samples if one.labels == {"status": "ready"}]
    assert ready[0] >= 1
    routes = {one.labels["route"] for one in families["anabranch_http_requests"].samples}
    assert "/media/{media_id}" in routes
    assert not any(plain_media in route for route in routes)
    assert families["anabranch_disk_free_bytes"].samples[0].value > 0


def test_log_lines_say_what_they_are_about_and_no_secrets(server: Server, plain_media: str) -> None:
    server.api.post(f"/e/{server.key}", json={"name": "logged"})
    lines = [json.loads(line) for line in (server.home / "server.log").read_text().splitlines() if line.startswith("{")]
    piece = next(line for line in lines if line["event"] == "piece completed")
    assert piece["task"].startswith("task_")
    assert piece["run"].startswith("run_")
    assert (piece["piece"], piece["attempt"]) == ("plan", 1)
    assert piece["worker"].startswith("wrk_")
    request = next(line for line in lines if line["event"] == "request answered")
    assert request["request"].startswith("req_")
    assert server.key not in (server.home / "server.log").read_text()
