"""Following: which operations take the id that another has answered with, told as links of the OpenAPI document."""

from __future__ import annotations

from typing import Any

Json = Any

# By the operation that answers: where in its answer the id stands, and the operations that take it, with the name of
# the parameter.
_FOLLOWED: dict[str, tuple[str, dict[str, str]]] = {
    "createMedia": (
        "/id",
        {
            "getMedia": "media_id",
            "updateMedia": "media_id",
            "getTimeline": "media_id",
            "probeMedia": "media_id",
            "linkMedia": "media_id",
            "retryMedia": "media_id",
            "deleteMedia": "media_id",
        },
    ),
    "createTask": ("/id", {"getTask": "task_id", "cancelTask": "task_id", "deleteTask": "task_id"}),
    "createJob": ("/id", {"getJob": "job_id"}),
    "createFile": ("/id", {"getFile": "file_id", "updateFile": "file_id", "deleteFile": "file_id"}),
    "createEndpoint": (
        "/id",
        {
            "getEndpoint": "endpoint_id",
            "updateEndpoint": "endpoint_id",
            "replayEndpoint": "endpoint_id",
            "deleteEndpoint": "endpoint_id",
        },
    ),
    "createKey": ("/id", {"revokeKey": "key_id"}),
    "sendEvents": ("/ids/0", {"getEvent": "event_id", "getEventRuns": "event_id"}),
    "getEventRuns": ("/data/0/run_id", {"getRun": "run_id", "cancelRun": "run_id", "rerun": "run_id"}),
}


def link(document: dict[str, Json]) -> None:
    """Add the links to a document."""
    for methods in document["paths"].values():
        for operation in methods.values():
            if operation["operationId"] not in _FOLLOWED:
                continue
            pointer, taken_by = _FOLLOWED[operation["operationId"]]
            links = {
                name: {"operationId": name, "parameters": {parameter: f"$response.body#{pointer}"}}
                for name, parameter in taken_by.items()
            }
            for status, response in operation["responses"].items():
                if status.startswith("2"):
                    response["links"] = links
