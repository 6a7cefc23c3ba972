"""Tasks: a file here is a kind of task. It says which options it takes, plans the work, and does it.

A task is planned once, from its options and what the probe saw, into pieces. A piece is the unit that is
retried, resumed and remembered alone: a chunk of an encode, a poster, a stretch of speech. When all pieces are
done they are joined into the output. Planning and joining decide; only `perform` does long work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from anabranch.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anabranch.media.probe import Probe
    from anabranch.tasks.desk import Desk, StoredFile

Json = Any  # whatever json.dumps takes


class Options(BaseModel):
    """What a client may ask of a kind. An option that is not listed is refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True)
class Piece:
    """A part of a task that is done, retried and remembered alone.

    Attributes:
        name: its step id; a promise, for it is written to the database.
        arguments: what `perform` needs to know beside the options; JSON.
        weight: its share of the task's work, in any unit that the kind likes; for progress.
        slot: what it occupies while it runs: a core, the speech model, or, encoding several rungs, cores for two.
        urgent: whether it waits for no core but goes in a lane of its own; for a second of work that people wait for.
        position_s: where in the media its work begins, in seconds; what is further in goes later.
        optional: whether the task is done without it when it fails for good.
        requires: what a worker must be able to do to do it, such as `encoder:libx265`; see `capabilities.py`.
    """

    name: str
    arguments: dict[str, Json] = field(default_factory=dict)
    weight: float = 1.0
    slot: Literal["cpu", "rungs", "speech"] = "cpu"
    urgent: bool = False
    position_s: float = 0.0
    optional: bool = False
    requires: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, value: Mapping[str, Json]) -> Piece:
        """The piece as it is kept in a plan."""
        return cls(**{**value, "requires": tuple(value.get("requires", ()))})


@dataclass(frozen=True)
class Output:
    """What a task came to.

    Attributes:
        kind: `video`, `image`, `audio` or `text`.
        type: MIME type of the main file.
        main: the file whose address is the output's address, or None when there was nothing to make.
        files: every file of the output, the main one among them.
        reason: why there is no main file: a stable code such as `no_audio_stream`, else None.
        spoken: what is said, to be searched: start and end in seconds, and the text of each segment.
        facts: more about it, as clients see it: width, height, duration (seconds), renditions, language, text.
    """

    kind: str
    type: str
    main: StoredFile | None
    files: tuple[StoredFile, ...] = ()
    reason: str | None = None
    spoken: tuple[tuple[float, float, str], ...] = ()
    facts: dict[str, Json] = field(default_factory=dict)


class Kind(Generic[OptionsT]):
    """A kind of task. Subclass it in a file of its own and add it to `KINDS`.

    Attributes:
        name: what clients call it; a promise.
        options: the model of its options.
        grows: whether the first part of its output is of use while the rest is being made; then `grow` makes it so.
    """

    name: ClassVar[str]
    options: type[OptionsT]
    grows: ClassVar[bool] = False

    def plan(self, options: OptionsT, probe: Probe) -> Sequence[Piece]:
        """The pieces of work that this source needs; none when there is nothing to make of it. Pure.

        Raises:
            OptionError: an option is impossible for this source.
            SourceError: the source lacks what the kind cannot do without.
        """
        raise NotImplementedError

    def perform(self, piece: Piece, options: OptionsT, desk: Desk) -> dict[str, Json]:
        """Do one piece, verify what it made, store it, and say what it came to (JSON).

        Raises:
            AnabranchError: final or retriable, by its class.
            Cancelled: `desk.cancel` was set.
        """
        raise NotImplementedError

    def grow(self, results: Sequence[dict[str, Json] | None], options: OptionsT, desk: Desk) -> Output | None:  # noqa: ARG002
        """Make what is there so far usable, under the address that the output will have. None while it is too little.

        Args:
            results: in the order of the plan; None for a piece that has not said anything yet.
            options: of the task.
            desk: to publish from.
        """
        return None

    def join(self, results: Sequence[dict[str, Json]], options: OptionsT, desk: Desk) -> Output:
        """Make the output of the pieces' results, given in the order of the plan.

        Called with no results when the plan had no pieces; the results of optional pieces that failed are left out.
        """
        raise NotImplementedError

    def read_options(self, given: Mapping[str, Json]) -> OptionsT:
        """The options as a model.

        Raises:
            OptionError: `invalid_option`, naming each option that is unknown or impossible and why.
        """
        try:
            return self.options.model_validate(dict(given))
        except ValidationError as error:
            known = ", ".join(self.options.model_fields)
            problems = "; ".join(_problem(detail) for detail in error.errors())
            raise OptionError("invalid_option", f"Options of {self.name}: {problems}.", f"It takes: {known}.") from None


def _problem(detail: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f'there is no option "{where}"'
    said = str(detail["msg"]).removeprefix("Value error, ")
    return f'"{where}": {said}, got {detail["input"]!r}' if where else said
