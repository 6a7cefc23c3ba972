"""Keys: who may call the API, for what, and the secrets that this installation made for itself."""

from __future__ import annotations

import hashlib
import secrets as random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from anabranch import clock
from anabranch.catalog.tables import api_keys, secrets
from anabranch.database import insert_once
from anabranch.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# What a key may, from the least on; beside each all that it may then.
SCOPES: dict[str, frozenset[str]] = {
    "read": frozenset({"read"}),
    "upload": frozenset({"upload"}),
    "write": frozenset({"read", "upload", "write"}),
    "admin": frozenset({"read", "upload", "write", "admin"}),
}
# How often the time of the last use is written; a write for each request would be the most of it.
_USE_EVERY_MS = 60_000


@dataclass(frozen=True)
class Key:
    """A key of the API. The key itself is shown once and then known by its hash alone.

    Attributes:
        scopes: those that it was given.
        requests_per_minute: how many requests it may make; None for as many as the settings say.
    """

    id: str
    name: str
    prefix: str
    scopes: list[str]
    requests_per_minute: int | None
    created_at: int
    last_used_at: int | None
    revoked_at: int | None


def create(
    database: sa.Engine, name: str, scopes: Iterable[str] = ("admin",), requests_per_minute: int | None = None
) -> tuple[Key, str]:
    """A new key, and its text, which cannot be had again."""
    text = f"ab_live_{random.token_hex(16)}"
    given = [scope for scope in SCOPES if scope in scopes]
    key = Key(new_id("key"), name, text[:12], given, requests_per_minute, clock.now_ms(), None, None)
    with database.begin() as connection:
        connection.execute(api_keys.insert().values(hash=_hash(text), **vars(key)))
    return key, text


def all_of(scopes: Iterable[str]) -> frozenset[str]:
    """All that these scopes allow. One that is not known, as of a later version, allows nothing."""
    return frozenset().union(*(SCOPES.get(scope, frozenset()) for scope in scopes))


def find(database: sa.Engine, text: str) -> Key | None:
    """The key with this text, unless it is unknown or revoked."""
    return _used(database, api_keys.c.hash == _hash(text))


def get(database: sa.Engine, key_id: str) -> Key | None:
    """The key of this id, unless it is unknown or revoked. Whoever asks uses it."""
    return _used(database, api_keys.c.id == key_id)


def _used(database: sa.Engine, which: sa.ColumnElement[bool]) -> Key | None:
    with database.connect() as connection:
        row = connection.execute(_select().where(which, api_keys.c.revoked_at.is_(None))).one_or_none()
    if row is None:
        return None
    key = Key(**row._mapping)
    now = clock.now_ms()
    if key.last_used_at is None or now - key.last_used_at > _USE_EVERY_MS:
        with database.begin() as connection:
            connection.execute(api_keys.update().where(api_keys.c.id == key.id).values(last_used_at=now))
    return key


def every(database: sa.Engine) -> list[Key]:
    """All keys, oldest first, the revoked ones too."""
    with database.connect() as connection:
        return [Key(**row._mapping) for row in connection.execute(_select().order_by(api_keys.c.id))]


def revoke(database: sa.Engine, key_id: str) -> bool:
    """End a key. False when there is none of this id that is not revoked."""
    with database.begin() as connection:
        changed = connection.execute(
            api_keys.update()
            .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
            .values(revoked_at=clock.now_ms())
        )
    return bool(changed.rowcount)


def secret(database: sa.Engine, name: str, make: Callable[[], str]) -> str:
    """The secret of this name, made the first time that it is asked for."""
    kept = sa.select(secrets.c.value).where(secrets.c.name == name)
    with database.connect() as connection:
        value: str | None = connection.scalar(kept)
    if value is not None:
        # Every segment of a private film asks; none of them may wait for a writer.
        return value
    with database.begin() as connection:
        connection.execute(insert_once(database, secrets).values(name=name, value=make(), created_at=clock.now_ms()))
        return str(connection.execute(kept).scalar_one())


def _select() -> sa.Select[tuple[object, ...]]:
    return sa.select(*(column for column in api_keys.c if column.name != "hash"))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
