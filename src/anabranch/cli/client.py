"""Client: what commands ask of a server, over its public HTTP API and nothing else."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx2

from anabranch.cli.failures import Refused
from anabranch.errors import ResourceError, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = Any

_PAGE = 100
# As long as a loaded server may take over the last part of an upload, which it copies.
_PATIENCE_S = 120.0
# Streams say that they are still there every 15 s.
_SILENCE_S = 45.0


class Server:
    """A server, and the key that it is shown. Closed at the end of `with`.

    Args:
        url: its address, without a slash at the end.
        key: a key of its API; None where it lets everybody in.
        patience_s: how long an answer may take.
    """

    def __init__(self, url: str, key: str | None, patience_s: float = _PATIENCE_S) -> None:
        self.url = url
        # A key from a file often has a line break at its end.
        self._key = (key or "").strip()
        if not self._key.isascii():
            raise self._unknown_key()
        headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
        timeout = httpx2.Timeout(patience_s, connect=min(patience_s, 10.0))
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=timeout)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: Json) -> Json:
        """What is at a path."""
        return self._json(self._send("GET", path, params=_given(query)))

    def post(self, path: str, body: Json = None, **query: Json) -> Json:
        """What the server answers when it is asked to do something."""
        return self._json(self._send("POST", path, params=_given(query), json=body))

    def delete(self, path: str) -> Json:
        """What the server says of having deleted something."""
        return self._json(self._send("DELETE", path))

    def rows(self, path: str, limit: int, **query: Json) -> list[Json]:
        """The first rows of a listing, of as many pages as it takes."""
        found: list[Json] = []
        while True:
            after = found[-1]["id"] if found else None
            asked = _given({**query, "limit": min(_PAGE, limit - len(found)), "after": after})
            answer = self._send("GET", path, params=asked)
            page = self._json(answer)
            found += page["data"] if isinstance(page, dict) else page
            if not page or len(found) >= limit or answer.headers.get("has-more") != "true":
                return found

    def headers(self, method: str, path: str, headers: dict[str, str], content: Json = None) -> httpx2.Headers:
        """The headers of an answer in the protocol of uploads (tus)."""
        answer = self._send(method, path, headers=headers, content=content)
        if "tus-resumable" not in answer.headers:
            raise self._no_anabranch(answer)
        return answer.headers

    @contextmanager
    def lines(self, path: str, headers: dict[str, str]) -> Iterator[Iterator[str]]:
        """The lines of an answer that goes on and on."""
        timeout = httpx2.Timeout(_SILENCE_S, connect=10.0)
        try:
            with self._http.stream("GET", path, headers=headers, timeout=timeout) as answer:
                if answer.is_error:
                    answer.read()
                self._check(answer)
                yield answer.iter_lines()
        except httpx2.HTTPError as error:
            raise self._unreachable(_reason(error)) from error

    def _send(self, method: str, path: str, **request: Json) -> httpx2.Response:
        try:
            answer = self._http.request(method, path, **request)
        except httpx2.HTTPError as error:
            raise self._unreachable(_reason(error)) from error
        self._check(answer)
        return answer

    def _json(self, answer: httpx2.Response) -> Json:
        try:
            return answer.json()
        except ValueError:
            raise self._no_anabranch(answer) from None

    def _check(self, answer: httpx2.Response) -> None:
        """Raise what the server says went wrong, with what to do about it from here."""
        if answer.is_success:
            return
        if answer.request.method == "HEAD" and answer.status_code == 404:
            # It has no body that could say so.
            raise Refused("upload_not_found", f"The server at {self.url} has given the upload up.", "Repeat it.", 404)
        try:
            problem = answer.json()
            code, message = str(problem["code"]), str(problem["detail"])
        except (ValueError, KeyError, TypeError):
            if answer.status_code in (502, 503, 504):
                raise self._unreachable(f"what stands in front of it answers {answer.status_code}") from None
            raise self._no_anabranch(answer) from None
        if answer.status_code == 401:
            raise self._unknown_key() if self._key else self._no_key()
        hint = "Check --url; or the server is older than this command." if code == "not_found" else ""
        raise Refused(code, message, hint, answer.status_code)

    def _no_key(self) -> Refused:
        return Refused(
            "token_missing",
            f"The server at {self.url} wants a key.",
            "Set ANABRANCH_KEY, or give --key. Where the server runs, `anabranch keys create NAME` makes one.",
            401,
        )

    def _unknown_key(self) -> Refused:
        # No more of it than the list of keys shows.
        return Refused(
            "token_invalid",
            f"The server at {self.url} does not know the key that begins with {self._key[:12]!r}, or it was revoked.",
            "Where the server runs, `anabranch keys list` shows those there are, and `keys create NAME` makes one.",
            401,
        )

    def _no_anabranch(self, answer: httpx2.Response) -> SetupError:
        kind = answer.headers.get("content-type", "no content type").partition(";")[0]
        return SetupError(
            "not_anabranch",
            f"What answers at {self.url} does not answer as Anabranch does ({answer.status_code}, {kind}).",
            "Check --url or ANABRANCH_URL, and the proxy if there is one in front of it.",
        )

    def _unreachable(self, why: str) -> ResourceError:
        return ResourceError(
            "server_unreachable",
            f"There is no getting through to {self.url}: {why}.",
            "Start one with `anabranch serve`, or say where it is with --url or ANABRANCH_URL.",
        )


def _reason(error: httpx2.HTTPError) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "it does not answer in time"
    return str(error).removesuffix(".") or type(error).__name__


def _given(query: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in query.items() if value not in (None, [], "")}
