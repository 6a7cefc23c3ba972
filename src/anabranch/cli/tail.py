"""Tail: a server's stream of events, taken up again where it was when the connection is lost.

Source: HTML Living Standard, section 9.2 (server-sent events).
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anabranch.cli.failures import Refused
from anabranch.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anabranch.cli.client import Server

Json = Any

_LONGEST_WAIT_S = 10.0


@dataclass(frozen=True)
class Event:
    """One event of a stream.

    Attributes:
        number: where the stream is, to go on from there.
        name: what happened; `progress` is the status in between.
        data: the change with its `data`, or the status.
    """

    number: int
    name: str
    data: dict[str, Json]


def follow(server: Server, path: str, since: int | None, told: Callable[[str], None]) -> Iterator[Event]:
    """The events of a stream, for ever. `told` hears of connections that are lost and found again.

    Raises:
        AnabranchError: the first connection cannot be made, or a later one is refused.
    """
    number = since
    connected = lost = False
    wait_s = 1.0
    while True:
        headers = {} if number is None else {"last-event-id": str(number)}
        try:
            with server.lines(path, headers) as lines:
                if lost:
                    told("Connected again.")
                connected, lost, wait_s = True, False, 1.0
                for fields in _messages(lines):
                    number = int(fields.get("id", number or 0))
                    if "data" in fields:
                        yield Event(number, fields.get("event", "message"), json.loads(fields["data"]))
        except (ResourceError, Refused) as error:
            # What is refused now will be refused again, unless the server is only about to start or to stop.
            if not connected or (isinstance(error, Refused) and error.status < 500):
                raise
        if not lost:
            told("The connection is lost; trying again. Ctrl-C ends.")
        lost = True
        time.sleep(wait_s)
        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)


def _messages(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Fields of each message. One without data only says where the stream is."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value
        else:
            yield fields
            fields = {}
