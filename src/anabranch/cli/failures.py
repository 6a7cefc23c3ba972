"""Failures: how an error is told, and what a script learns of it.

    0  done
    1  it could not be done
    2  the command was not written as it should be
    3  no server answers, or it is broken
    4  the key is missing or wrong
    5  there is none of this id

These numbers are promises; docs/cli.md lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import typer
from rich.text import Text

from anabranch.cli import output
from anabranch.errors import AnabranchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


class Refused(AnabranchError):  # noqa: N818  (it is the server that errs, or not)
    """What a server answered in place of what it was asked for. The code and the words are the server's."""

    def __init__(self, code: str, message: str, hint: str, status: int) -> None:
        super().__init__(code, message, hint)
        self.status = status


def exit_code(error: AnabranchError) -> int:
    """What the process exits with."""
    if error.code in ("server_unreachable", "not_anabranch", "not_found"):
        return 3
    if isinstance(error, Refused):
        if error.status >= 500:
            return 3
        return {401: 4, 403: 4, 404: 5}.get(error.status, 1)
    return 1


def tell(error: AnabranchError) -> None:
    """Say what went wrong, in a line that begins with the code."""
    lines = f"{error.code}: {error}".splitlines()
    output.errors().print(Text("\n".join(map(output.printable, lines)), style="red"))


def each(things: Iterable[str], do: Callable[[str], T]) -> tuple[list[T], int]:
    """Do something with each thing. One that fails is told, and does not keep the others from it.

    Returns:
        What came of those that did not fail, and what to exit with: the first failure's code, or 0.
    """
    done: list[T] = []
    code = 0
    for thing in things:
        try:
            done.append(do(thing))
        except AnabranchError as error:
            tell(error)
            this = exit_code(error)
            code = code or this
            if this in (3, 4):
                # The next ones would be told the same.
                break
    return done, code


def leave(code: int) -> None:
    """End the command with this code, unless all went well."""
    if code:
        raise typer.Exit(code)
