"""Members: processes that share a Postgres, as far as places go. As a program: one that holds a place until it ends."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from anabranch.database import open_database
from anabranch.engine.places import Places
from anabranch.engine.tables import places
from anabranch.wakeups import Wakeups, hearing
from anabranch.workers import Membership


class Member:
    """What a process has of its own: connections, a heartbeat, an ear, and its places.

    Args:
        url: of the database.
        home: a folder that no other has.
        lease_s: after which it is lost. By default so long that no heartbeat comes in a test.
    """

    def __init__(self, url: str, home: Path, lease_s: float = 600) -> None:
        home.mkdir()
        self.database = open_database(url)
        self.membership = Membership(self.database, home, {}, lease_s)
        self._wakeups = Wakeups()
        self.places = Places(self.database, self._wakeups, self.membership)
        self._stack = ExitStack()

    async def __aenter__(self) -> Self:
        self._stack.enter_context(hearing(self.database, self._wakeups))
        self.places.start()
        self.membership.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.places.stop()
        await asyncio.to_thread(self.membership.leave)
        self._stack.close()
        self.database.dispose()

    def rows(self) -> tuple[int, int]:
        """How many calls were let in, and how many wait, of all members."""
        calls = sa.func.count(places.c.call_id.distinct())
        with self.database.connect() as connection:
            let_in, waiting = (
                connection.scalar(sa.select(calls).where(places.c.granted == granted)) for granted in (True, False)
            )
        return int(let_in or 0), int(waiting or 0)


async def _hold(url: str, home: str, key: str, lease_s: str) -> None:
    async with Member(url, Path(home), float(lease_s)) as member:
        member.membership.when_lost.append(lambda: print("lost", flush=True))
        async with member.places.hold({key: 1}, 0):
            print("in", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_hold(*sys.argv[1:]))
