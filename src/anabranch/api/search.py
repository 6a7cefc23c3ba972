"""Search: what was said, in all transcripts, and when."""

from __future__ import annotations

from typing import Annotated, Any

import fastapi
from fastapi import Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from anabranch.api.context import MayRead, Running
from anabranch.api.problems import RESPONSES
from anabranch.catalog import transcripts

router = fastapi.APIRouter(tags=["search"], responses=RESPONSES)


class MatchView(BaseModel):
    """A place in a transcript."""

    start_s: float = Field(description="Where to seek to, in seconds.")
    end_s: float
    snippet: str = Field(description="HTML: the words found are in <mark>, all else is escaped.")


class HitView(BaseModel):
    """A transcript in which all of the query is said."""

    media_id: str | None
    task_id: str
    language: str | None
    match_count: int
    matches: list[MatchView]


class FoundView(BaseModel):
    """The hits, best first."""

    total: int
    hits: list[HitView]


@router.get("/search", operation_id="search", response_model=FoundView)
def search(
    app: Running,
    _: MayRead,
    q: Annotated[str, Query(max_length=1000, description='Words, "a phrase", the beginning of a word and a star.')],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, le=10_000)] = 0,
    media_id: Annotated[str | None, Query(description="Only in this media row.")] = None,
) -> JSONResponse:
    """The transcripts in which all of the query is said, with when it is said."""
    found = transcripts.search(app.database, q, limit=limit, offset=offset, media_id=media_id)
    hits: list[dict[str, Any]] = [
        {**vars(hit), "matches": [vars(match) for match in hit.matches]} for hit in found.hits
    ]
    return JSONResponse({"total": found.total, "hits": hits})
