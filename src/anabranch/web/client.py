"""Client: the public API as the page asks it, in this process, as the person who looks at the page and nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import fastapi
import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping

Json = Any

# Who asks, and from where the request comes: the API judges both, as if the browser had asked it.
_PASSED_ON = ("cookie", "origin", "sec-fetch-site", "user-agent")
# A source that is fetched, or a form that carries a film, takes its time.
_PATIENT_S = 3600


class RefusedError(Exception):
    """The API's answer was an error: its problem document."""

    def __init__(self, status: int, problem: Mapping[str, Json]) -> None:
        super().__init__(problem.get("detail", ""))
        self.status = status
        self.code = str(problem.get("code", "internal_error"))
        self.message = str(problem.get("detail", "The server did not say what is wrong."))


def at(*parts: str) -> str:
    """The path of these parts, whatever a person has put into one.

    Raises:
        RefusedError: `not_found`, when one is no name of anything.
    """
    if any(part in ("", ".", "..") for part in parts):
        raise RefusedError(404, {"code": "not_found", "detail": "There is nothing at this address."})
    return "".join(f"/{quote(part, safe='')}" for part in parts)


class Client:
    """The API for one request to the page."""

    def __init__(self, request: fastapi.Request) -> None:
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        # So that the log tells what belongs together.
        headers["x-request-id"] = request.state.request_id
        address = request.client or ("127.0.0.1", 0)
        self._http = httpx2.AsyncClient(
            # From the person's own address, by which wrong passwords are counted.
            transport=httpx2.ASGITransport(request.app, raise_app_exceptions=False, client=(address[0], address[1])),
            base_url=str(request.base_url),
            headers=headers,
            timeout=_PATIENT_S,
            # Nothing leaves the process, so proxies and certificates are not looked for.
            trust_env=False,
        )

    async def get(self, path: str, **query: Any) -> Json:
        """What a GET answers.

        Raises:
            RefusedError: the API's error.
        """
        return (await self.answer("GET", path, query=query)).json()

    async def page(self, path: str, **query: Any) -> tuple[list[Json], bool]:
        """A page of a listing, and whether there is more."""
        answer = await self.answer("GET", path, query=query)
        rows = answer.json()
        # Inngest's API puts them into an envelope.
        return rows["data"] if isinstance(rows, dict) else rows, answer.headers.get("has-more") == "true"

    async def answer(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Json = None,
        content: AsyncIterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """The answer to a request.

        Raises:
            RefusedError: it was an error.
        """
        asked = {name: value for name, value in (query or {}).items() if value not in (None, "")}
        answer = await self._http.request(
            method, path, params=asked or None, json=json, content=content, headers=dict(headers or {})
        )
        if answer.is_error:
            raise RefusedError(answer.status_code, _problem(answer))
        return answer


def _problem(answer: httpx2.Response) -> Mapping[str, Json]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
