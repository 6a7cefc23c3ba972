"""Watch: the media page. The film, what is said in it, how it was made, where its parts are, and what can be done."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import fastapi
from fastapi.responses import RedirectResponse, Response

from anabranch.errors import without_hint
from anabranch.web import facts, lines, words
from anabranch.web.client import RefusedError, at
from anabranch.web.context import Asked, Posted, Rendered
from anabranch.web.styles import POLICY

if TYPE_CHECKING:
    from anabranch.web.client import Client
    from anabranch.web.rendering import Renderer

Json = Any

router = fastapi.APIRouter(include_in_schema=False)

# What a person may copy: member of the record, what it is, and what it is good for.
_OUTPUTS = (
    ("hlsUrl", "HLS", "Adaptive video for players and for Apple's devices"),
    ("dashUrl", "DASH", "The same segments, for players of MPEG-DASH"),
    ("posterUrl", "Poster", "A still picture, WebP"),
    ("gifUrl", "Preview", "Three seconds that move, GIF"),
    ("transcriptionUrl", "Transcript", "What is said, with the time of each word, JSON"),
    ("captionsUrl", "Captions", "What is said, to be read along, WebVTT"),
    ("storyboardUrl", "Storyboard", "Small pictures for the scrub bar, WebVTT"),
)
# What the player and the browser's refreshing need of a record.
_PLAYED = (
    "title", "playable", "private", "width", "durationS", "hlsUrl", "posterUrl", "storyboardUrl", "captionsUrl",
)  # fmt: skip
_OPEN = ("queued", "processing")
_DEFAULT_SIZE = (16, 9)


@dataclass(frozen=True)
class Notice:
    """Something that went wrong, in one place however many branches it stopped.

    Attributes:
        title: what, in a few words.
        message: what happened, with which thing.
        hint: what to do about it; may be empty.
        code: for the documentation.
        branches: those that it stopped; none when it was the whole.
        final: whether nothing is tried by itself any more.
        next_retry_at: when it is, Unix milliseconds.
        attempt: which attempt failed, of how many; None when not known.
        log: address of what was run last, or None.
    """

    title: str
    message: str
    hint: str
    code: str
    branches: tuple[str, ...]
    final: bool
    next_retry_at: int | None = None
    attempt: tuple[int, int | None] | None = None
    log: str | None = None


@router.get("/watch/{media_id}")
async def show_media(media_id: str, request: fastapi.Request, api: Asked, page: Rendered) -> Response:
    """A film and everything about it."""
    record = await api.get(at("media", media_id))
    timeline, probe, said = await asyncio.gather(
        api.get(at("media", media_id, "timeline")), _probe(api, media_id), _transcript(api, page, record)
    )
    lanes = _lanes(record, timeline)
    return page.page(
        request,
        "watch.html",
        policy=POLICY,
        media=record,
        played=json.dumps(_played(record)),
        size=(record["width"], record["height"]) if record["width"] else _DEFAULT_SIZE,
        lanes=lanes,
        attempts=_attempts(lanes, media_id),
        notices=_notices(record, lanes, media_id),
        said=said,
        language=next((one["language"] for one in record["files"] if one["ref"] == "audio-transcription"), None),
        silent=_reason(record, "audio-transcription"),
        outputs=[(name, what, why, record[name]) for name, what, why in _OUTPUTS if record.get(name)],
        renditions=[{**one, "rate": facts.bitrate(one.get("averageBps"))} for one in record["renditions"]],
        facts=facts.of_source(record, probe),
        embed=_embed(record, page),
    )


@router.get("/watch/{media_id}/attempts/{task_id}/{piece}/{attempt}")
async def show_attempt(
    media_id: str, task_id: str, piece: str, attempt: int, request: fastapi.Request, api: Asked, page: Rendered
) -> Response:
    """An attempt: how it went, what was run, and what can be done now."""
    record, timeline, told = await asyncio.gather(
        api.get(at("media", media_id)),
        api.get(at("media", media_id, "timeline")),
        api.get(at("tasks", task_id, "attempts", piece, str(attempt))),
    )
    lane = next((one for one in timeline["lanes"] for task in _tasks(one) if task["taskId"] == told["taskId"]), None)
    if lane is None:
        said = f"{task_id} is no task of {media_id}."
        raise RefusedError(404, {"code": "attempt_not_found", "detail": said})
    return page.page(
        request,
        "attempt.html",
        media=record,
        lane=lane,
        attempt={**told, "took": _took(told, timeline["now"])},
        error=_split(told["error"]),
        current=lane["taskId"] == told["taskId"],
        is_open=lane["status"] in _OPEN,
    )


@router.post("/watch/{media_id}")
async def act(media_id: str, api: Asked, page: Rendered, form: Posted) -> Response:
    """Do what a form of the page asks for, by the call of the API that it names for browsers with JavaScript.

    Raises:
        RefusedError: the API's own, or `invalid_request`.
    """
    here = at("media", media_id)
    do = form.one("do")
    if do == "delete":
        await api.answer("DELETE", here)
        return RedirectResponse(page.here("/?done=deleted"), 303)
    if do == "title":
        await api.answer("PATCH", here, json={"title": form.one("title")})
    elif do in ("private", "public"):
        await api.answer("PATCH", here, json={"private": do == "private"})
    elif do == "retry":
        await api.answer("POST", f"{here}/retry")
    elif do == "again":
        await api.answer(
            "POST", at("media", media_id, "branches", form.one("branch"), "retry"), query={"from": form.one("piece")}
        )
    elif do == "cancel":
        await api.answer("POST", at("media", media_id, "branches", form.one("branch"), "cancel"))
    else:
        raise RefusedError(422, {"code": "invalid_request", "detail": "The form does not say what to do."})
    return RedirectResponse(page.here(f"/watch/{media_id}"), 303)


async def _probe(api: Client, media_id: str) -> dict[str, Json] | None:
    try:
        seen: dict[str, Json] = await api.get(at("media", media_id, "probe"))
    except RefusedError as error:
        # Nobody has looked into it yet, or what came was no film.
        if error.status != 404:
            raise
        return None
    return seen


async def _transcript(api: Client, page: Renderer, record: dict[str, Json]) -> list[lines.Line] | None:
    """What is said, line by line; None while it is not written down."""
    if not record["transcriptionUrl"]:
        return None
    try:
        written = await api.get(page.own_path(record["transcriptionUrl"]))
    except RefusedError as error:
        # Between the record and this it may have been made again.
        if error.status not in (403, 404):
            raise
        return None
    return lines.cut(written)


def _played(record: dict[str, Json]) -> dict[str, Json]:
    files = [{"ref": one["ref"], "language": one["language"]} for one in record["files"]]
    return {**{name: record.get(name) for name in _PLAYED}, "files": files}


def _reason(record: dict[str, Json], name: str) -> str | None:
    return next((branch["reason"] for branch in record["branches"] if branch["name"] == name), None)


def _tasks(lane: dict[str, Json]) -> list[dict[str, Json]]:
    return [*lane["earlier"], lane]


def _lanes(record: dict[str, Json], timeline: dict[str, Json]) -> list[dict[str, Json]]:
    """A lane for each branch, also for those of which nothing is known yet."""
    found = {lane["branch"]: lane for lane in timeline["lanes"]}
    status = "waiting" if record["status"] in ("waiting", "processing") else record["status"]
    unknown: dict[str, Json] = {
        "status": status,
        "percent": 0.0,
        "pieces": [],
        "earlier": [],
        "taskId": None,
        "error": None,
    }
    lanes = [found.get(name, {**unknown, "branch": name}) for name in words.BRANCHES]
    return [
        {
            **lane,
            "planned": len(_planned(lane)),
            "done": sum(piece["status"] == "completed" for piece in _planned(lane)),
            "is_open": lane["status"] in _OPEN,
        }
        for lane in lanes
    ]


def _planned(lane: dict[str, Json]) -> list[dict[str, Json]]:
    """The pieces of a lane, without what joins them: nobody counts that."""
    return [piece for piece in lane["pieces"] if piece["name"] != "join"]


def _attempts(lanes: list[dict[str, Json]], media_id: str) -> list[dict[str, Json]]:
    """Every attempt, oldest first, as the table has it. What one task took over from another is the later one's."""
    found = {
        (lane["branch"], piece["name"], attempt["attempt"], attempt["startedAt"]): {
            **attempt,
            "branch": lane["branch"],
            "piece": piece["name"],
            "took": _took(attempt, None),
            "url": _attempt_url(media_id, task["taskId"], piece["name"], attempt["attempt"]),
        }
        for lane in lanes
        for task in _tasks(lane)
        for piece in task["pieces"]
        for attempt in piece["attempts"]
    }
    return sorted(found.values(), key=lambda attempt: attempt["startedAt"])


def _attempt_url(media_id: str, task_id: str, piece: str, attempt: int) -> str:
    return f"/watch/{media_id}/attempts/{task_id}/{piece}/{attempt}"


def _took(attempt: dict[str, Json], now: int | None) -> str:
    end = attempt["endedAt"] or now
    return "" if end is None else words.lasted(end - attempt["startedAt"])


def _split(error: dict[str, Json] | None) -> dict[str, Json] | None:
    """An error with what to do about it apart from what happened."""
    if error is None:
        return None
    return {**error, "message": without_hint(error), "hint": error.get("hint") or ""}


def _notices(record: dict[str, Json], lanes: list[dict[str, Json]], media_id: str) -> list[Notice]:
    """What went wrong, each thing once: a file that cannot be read stops four branches in the same words."""
    wrong = [branch for branch in record["branches"] if _is_wrong(branch)]
    if not wrong and record["error"]:
        error = _split(record["error"]) or {}
        return [Notice("It failed", error["message"], error["hint"], error["code"], (), final=True)]
    by_branch = {lane["branch"]: lane for lane in lanes}

    def cause(branch: dict[str, Json]) -> tuple[bool, str, str]:
        error = branch["error"] or {}
        return branch["status"] in _OPEN, error.get("code", ""), error.get("message", "")

    notices = []
    for (is_open, _, _), group in groupby(sorted(wrong, key=cause), cause):
        branches = list(group)
        names = tuple(branch["name"] for branch in branches)
        error = _split(branches[0]["error"]) or {"message": "Nothing is known of why.", "hint": "", "code": ""}
        called = words.together([words.branch(name) for name in names]) if len(names) < len(lanes) else "All of it"
        notices.append(
            Notice(
                f"{called}: trying again" if is_open else f"{called}: failed",
                error["message"],
                error["hint"],
                error["code"],
                names,
                final=not is_open,
                next_retry_at=branches[0]["nextRetryAt"],
                attempt=(branches[0]["attempt"], branches[0]["maxAttempts"]),
                log=_last_failure(by_branch[names[0]], media_id),
            )
        )
    return [*sorted(notices, key=lambda notice: not notice.final), *_waiting(record)]


def _waiting(record: dict[str, Json]) -> list[Notice]:
    """What nothing is done of for now, though nothing went wrong."""
    waits = [branch for branch in record["branches"] if branch["waitingFor"]]
    if not waits:
        return []
    told, names = waits[0]["waitingFor"], tuple(branch["name"] for branch in waits)
    called = words.together([words.branch(name) for name in names])
    message = f"{told['piece']} {told['message']}."
    return [Notice(f"{called}: waiting for room", message, told["hint"], told["for"], names, final=False)]


def _is_wrong(branch: dict[str, Json]) -> bool:
    if branch["status"] in _OPEN:
        return bool(branch["error"]) and branch["attempt"] > 1
    return bool(branch["status"] == "failed")


def _last_failure(lane: dict[str, Json], media_id: str) -> str | None:
    failed = [
        (attempt["startedAt"], piece["name"], attempt["attempt"])
        for piece in lane["pieces"]
        for attempt in piece["attempts"]
        if attempt["status"] == "failed"
    ]
    if not failed:
        return None
    _, piece, attempt = max(failed)
    return _attempt_url(media_id, lane["taskId"], piece, attempt)


def _embed(record: dict[str, Json], page: Renderer) -> tuple[str, str] | None:
    """How to put the film into a page of one's own: for every browser, and for those that play HLS themselves."""
    film = record["hlsUrl"]
    if not film:
        return None
    size = f' width="{record["width"]}" height="{record["height"]}"' if record["width"] else ""
    poster = f' poster="{record["posterUrl"]}"' if record["posterUrl"] else ""
    element_id = record["id"]
    module = page.lasting("vendor/hls.js/hls.min.mjs")
    every = f"""\
<video id="{element_id}" controls playsinline{size}{poster}></video>
<script type="module">
  import Hls from "{module}";
  const video = document.getElementById("{element_id}");
  const film = "{film}";
  if (Hls.isSupported()) {{
    const hls = new Hls();
    hls.loadSource(film);
    hls.attachMedia(video);
  }} else {{
    video.src = film;
  }}
</script>"""
    plain = f'<video controls playsinline{size}{poster} src="{film}"></video>'
    return every, plain
