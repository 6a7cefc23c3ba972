"""Keys: who may call the API, for what, and how often."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import fastapi
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from anabranch.api.context import MayAdminister, Running
from anabranch.api.problems import RESPONSES, Problem
from anabranch.api.tasks import Deleted
from anabranch.catalog import keys
from anabranch.settings import MOST_REQUESTS

Json = Any

# No memory of answers here: what is told once must not be kept.
router = fastapi.APIRouter(tags=["keys"], responses=RESPONSES)


class KeyRequest(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "upload form", "scopes": ["upload"], "requestsPerMinute": 600}]},
    )

    name: str = Field(min_length=1, max_length=200, description="What it is for, so that it can be told from others.")
    scopes: Annotated[list[Literal["read", "upload", "write", "admin"]], Field(min_length=1, max_length=4)] = ["admin"]
    requestsPerMinute: int | None = Field(  # noqa: N815  (as in the record)
        None, ge=1, le=MOST_REQUESTS, description="How many requests it may make; as many as the server says when null."
    )


class KeyView(BaseModel):
    """A key. Times are Unix milliseconds."""

    id: str
    name: str
    prefix: str = Field(description="Its first characters.")
    scopes: list[str] = Field(description="What it may: read, upload, write or admin.")
    requestsPerMinute: int | None  # noqa: N815
    createdAt: int  # noqa: N815  (as in the record)
    lastUsedAt: int | None = Field(description="To the minute.")  # noqa: N815
    revokedAt: int | None  # noqa: N815


class NewKeyView(KeyView):
    """A new key, with its text, which cannot be had again."""

    key: str


@router.get("/keys", operation_id="listKeys", response_model=list[KeyView])
def list_keys(app: Running, _: MayAdminister) -> JSONResponse:
    """All keys, oldest first, the revoked ones too."""
    return JSONResponse([_show(key) for key in keys.every(app.database)])


@router.post("/keys", status_code=201, operation_id="createKey", response_model=NewKeyView)
def create_key(body: KeyRequest, app: Running, _: MayAdminister) -> JSONResponse:
    """Make a key. Its text is shown here, and never again: only its hash is kept."""
    key, text = keys.create(app.database, body.name, body.scopes, body.requestsPerMinute)
    return JSONResponse({**_show(key), "key": text}, 201, {"cache-control": "no-store"})


@router.delete("/keys/{key_id}", operation_id="revokeKey", response_model=Deleted)
def revoke_key(key_id: str, app: Running, _: MayAdminister) -> JSONResponse:
    """End a key, and the sessions that it began."""
    if not keys.revoke(app.database, key_id):
        raise Problem("key_not_found", 404, f"There is no key {key_id[:100]} that is not revoked.")
    return JSONResponse({"id": key_id, "deleted": True, "message": f"{key_id} opens nothing any more."})


def _show(key: keys.Key) -> dict[str, Json]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "requestsPerMinute": key.requests_per_minute,
        "createdAt": key.created_at,
        "lastUsedAt": key.last_used_at,
        "revokedAt": key.revoked_at,
    }
