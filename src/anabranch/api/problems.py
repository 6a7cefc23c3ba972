"""Problems: every error that a client is told, in one body that both generations of clients can read.

The body is a problem document (RFC 9457) with a stable `code`, and beside it the members that earlier clients look
for: `kind`, `message` and `error.message`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from anabranch.database import is_out_of_order, is_transient, words
from anabranch.errors import AnabranchError, OptionError, ResourceError, SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import fastapi

Json = Any

_log = structlog.get_logger(__name__)

_HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_type"}
_TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Precondition failed",
    413: "Too large",
    415: "Unsupported media type",
    416: "Range not satisfiable",
    422: "Not acceptable as it is",
    423: "Locked",
    429: "Too many requests",
    500: "Internal error",
    501: "Not answered here",
    507: "No room",
}


class Problem(Exception):  # noqa: N818  (the standard's own name for it)
    """A request that cannot be answered as asked: a stable code, an HTTP status, and what to do next."""

    def __init__(
        self,
        code: str,
        status: int,
        message: str,
        *,
        errors: Sequence[Mapping[str, Json]] = (),
        headers: Mapping[str, str] | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.retryable = retryable


def invalid_request(errors: Sequence[Mapping[str, Json]]) -> Problem:
    """A request with wrong parts: `pointer`, `code` and `message` of each, and `in` when it is not the body alone."""
    places = [f"{one['in']} {one['pointer']}" if "in" in one else one["pointer"] for one in errors]
    said = "; ".join(f"{place}: {one['message']}" for place, one in zip(places, errors, strict=True))
    return Problem("invalid_request", 422, f"The request is not as it should be: {said}.", errors=errors)


def missing_media(media_id: str) -> Problem:
    """There is no such media row."""
    return Problem("media_not_found", 404, f"There is no media {media_id}.")


class ProblemDocument(BaseModel):
    """The body of every error. RFC 9457, with members of our own."""

    type: str = Field(description="Address of the code's explanation, relative to the documentation.")
    title: str
    status: int
    detail: str = Field(description="What went wrong with which thing, and what to do next.")
    code: str = Field(description="Stable; docs/errors.md lists them.")
    errors: list[dict[str, Any]] = Field(description="Each wrong part of the request: pointer, code, message.")
    request_id: str
    retryable: bool
    kind: str
    message: str
    error: dict[str, Any]


RESPONSES: dict[int | str, dict[str, Any]] = {
    code: {
        "description": "The request cannot be answered as asked.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
    }
    for code in ("4XX", 422, "5XX")
}


def register(api: fastapi.FastAPI) -> None:
    """Answer every error of the application with a problem document."""
    api.add_exception_handler(Problem, _problem)
    api.add_exception_handler(AnabranchError, _own)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(SQLAlchemyError, _database)


async def _problem(request: fastapi.Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return _answer(request, error)


async def _own(request: fastapi.Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AnabranchError)
    status = 500
    if isinstance(error, OptionError | SourceError):
        status = 422
    elif isinstance(error, ResourceError):
        status = 507 if error.code == "disk_full" else 503
    elif error.code == "engine_elsewhere":
        status = 501
    return _answer(request, Problem(error.code, status, str(error), retryable=error.retryable))


async def _invalid(request: fastapi.Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        {
            "pointer": "/" + "/".join(str(part) for part in detail["loc"][1:]),
            "in": str(detail["loc"][0]),
            "code": detail["type"],
            "message": detail["msg"],
        }
        for detail in error.errors()
    ]
    return _answer(request, invalid_request(errors))


async def _http(request: fastapi.Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _HTTP_CODES.get(error.status_code, "invalid_request")
    message = f"{request.method} {request.url.path}: {error.detail}."
    headers = dict(error.headers or {})
    return _answer(request, Problem(code, error.status_code, message, headers=headers))


async def _database(request: fastapi.Request, error: Exception) -> JSONResponse:
    if is_transient(error):
        message = "The database does not answer: it may be restarting. Ask again in a moment."
    elif is_out_of_order(error):
        message = f"The database cannot be read or written: {words(error)}. Nothing was changed; ask again later."
    else:
        return unexpected(request, error)
    _log.warning("database is away", path=request.url.path, error=str(error)[:300])
    return _answer(request, Problem("database_failed", 503, message, retryable=True, headers={"retry-after": "1"}))


def unexpected(request: fastapi.Request, error: Exception) -> JSONResponse:
    """The answer to what nobody has thought of."""
    _log.error("request broke", path=request.url.path, exc_info=error)
    message = f"{type(error).__name__}. This is a mistake of ours; please report it with the request id."
    return _answer(request, Problem("internal_error", 500, message, retryable=True))


def _answer(request: fastapi.Request, problem: Problem) -> JSONResponse:
    request_id = getattr(request.state, "request_id", "")
    body = {
        "type": f"errors.md#{problem.code}",
        "title": _TITLES.get(problem.status, "Error"),
        "status": problem.status,
        "detail": problem.message,
        "code": problem.code,
        "errors": problem.errors,
        "request_id": request_id,
        "retryable": problem.retryable,
        "kind": problem.code,
        "message": problem.message,
        "error": {"message": problem.message},
    }
    return JSONResponse(body, problem.status, problem.headers, media_type="application/problem+json")
