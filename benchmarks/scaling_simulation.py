"""Scaling simulation: the product on up to a thousand workers, piece by piece.

Pieces are simulated one by one, in the lanes, places and turns of `tasks/turns.py`. A day of a million uploads is a
thousand million transactions, so what they share (the database's cores, the turn of changes, the lock of notifications,
the servers that drive runs) is simulated as queues whose load is summed every few seconds, and whose delay the pieces
of the next few seconds feel.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from anabranch.engine.driver import ASKED_AT_ONCE
from anabranch.tasks import turns
from benchmarks.scaling_load import Asked, film

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.scaling_load import Branch, Costs, Job, Piece

_DAY_S = 86400.0
_TICK_S = 10.0
_MEMORY_A_CORE = 4 << 30
# With this the busiest moment of the day has three times the mean.
_PEAKED = 1.768
_FULL = 0.98
_PAGE_LOOKS_EVERY_S = 0.5
# Of a commit that has written nothing.
_NO_DISK_S = 0.0001
# A turn of a server's loop for a call that waits takes a twenty-thousandth of a second.
_LOOKS_A_SECOND = 20_000


@dataclass(frozen=True)
class Setup:
    """What is simulated, and what could be changed in it.

    Attributes:
        workers: processes that do pieces, of `cores` each.
        uploads_a_day: the mean; they come by chance, with a daily curve unless `flat`.
        days: for how long they come; all are done to their end.
        thin: that many workers and uploads are simulated as one.
        servers: processes that take uploads and drive their runs.
        database_cores: of the database's server.
        report_every_s: how often a running piece says how far it is.
        beat_every_s: how often a process says that it lives.
        wake_one: a notification wakes one worker with room, in place of all.
        look_fits: who has no room does not look, and a look passes over nothing.
        notify_apart: notifications have transactions of their own, which wait for no disk.
        shards: how many turns there are of changes.
        show_apart: only the first showing of a package takes the turn of changes.
        affinity: a piece goes to a worker that has its source, if one has room.
        ranged: a piece reads its part of the source alone.
        replicas: what open pages ask is answered elsewhere.
        batch: how many pieces are claimed and completed in one transaction.
        crowded: pieces that run on more threads than there are cores take longer.
        seed: of all chance.
    """

    workers: int = 1
    cores: int = 2
    uploads_a_day: float = 100.0
    days: float = 1.0
    flat: bool = False
    thin: int = 1
    servers: int = 1
    database_cores: int = 16
    report_every_s: float = 0.5
    beat_every_s: float = 2.0
    wake_one: bool = False
    look_fits: bool = False
    notify_apart: bool = False
    shards: int = 1
    show_apart: bool = False
    affinity: bool = False
    ranged: bool = False
    replicas: bool = False
    batch: int = 1
    crowded: bool = True
    seed: int = 1


def erlang_c(servers: int, load: float) -> float:
    """The probability to wait in M/M/c, for a load in servers."""
    if load >= servers:
        return 1.0
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked / (1 - load / servers * (1 - blocked))


class Shared:
    """Something that all transactions share, so many at once: its load a tick, and what waits for it."""

    def __init__(self, servers: int) -> None:
        self.servers = servers
        self.wait_s = 0.0
        self.used: list[float] = []
        self._work_s = self._left_s = 0.0
        self._count = 0.0

    def add(self, work_s: float, count: float = 1.0) -> None:
        """Ask for so many seconds of it, in so many turns."""
        self._work_s += work_s
        self._count += count

    @property
    def asked_s(self) -> float:
        """Seconds that were asked for in this tick."""
        return self._work_s

    def tick(self, seconds: float) -> float:
        """End a tick; the load of it as a share of what could be done."""
        load = self._work_s / seconds
        self.used.append(load / self.servers)
        each_s = self._work_s / self._count if self._count else 0.0
        self._left_s = max(0.0, self._left_s + self._work_s - seconds * self.servers)
        bounded = min(load, self.servers * _FULL)
        waits = erlang_c(self.servers, bounded) * each_s / (self.servers - bounded) if bounded else 0.0
        self.wait_s = waits + self._left_s / self.servers
        self._work_s = self._count = 0.0
        return self.used[-1]


class Room:
    """Workers with room in a lane; one is taken by chance."""

    def __init__(self) -> None:
        self._all: list[int] = []
        self._at: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, worker: int) -> bool:
        return worker in self._at

    def set(self, worker: int, free: bool) -> None:
        """Note whether there is room."""
        if free and worker not in self._at:
            self._at[worker] = len(self._all)
            self._all.append(worker)
        elif not free and worker in self._at:
            at, last = self._at.pop(worker), self._all.pop()
            if last != worker:
                self._all[at] = last
                self._at[last] = at

    def any(self, chance: random.Random) -> int:
        """One of them."""
        return self._all[int(chance.random() * len(self._all))]


@dataclass(slots=True, eq=False)
class Upload:
    """An upload on its way."""

    job: Job
    came_s: float
    open_branches: int
    needed: int
    workers: set[tuple[int, int]] = field(default_factory=set)
    shown: bool = False


@dataclass(slots=True, eq=False)
class Part:
    """A piece, planning or joining on its way."""

    upload: Upload
    branch: Branch
    left: list[int]
    piece: Piece
    step: str
    asked_s: float


@dataclass
class Found:
    """What came of a simulation.

    Attributes:
        playable_s: of each upload, seconds until somebody could watch.
        ready_s: of each upload, seconds until all was done.
        waits_s: by lane, seconds from asking to beginning.
        busy: share of the workers' cores that was used, of the days that uploads came.
        peak: by what is shared, its load in the busiest ten minutes, 1 is all of it.
        mean: the same over the days.
        transactions: a second, in the busiest ten minutes.
        fetches: downloads of a source for each upload.
        fetched_bytes: a day.
        requests: of storage, a second, mean.
        lost: how many asked-for pieces nobody saw though there was room.
    """

    playable_s: list[float] = field(default_factory=list)
    ready_s: list[float] = field(default_factory=list)
    waits_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    busy: float = 0.0
    peak: dict[str, float] = field(default_factory=dict)
    mean: dict[str, float] = field(default_factory=dict)
    transactions: float = 0.0
    fetches: float = 0.0
    fetched_bytes: float = 0.0
    requests: float = 0.0
    lost: int = 0
    connections: float = 0.0


class Simulation:
    """One run of it.

    Args:
        setup: what is simulated.
        costs: the constants.
        make: an upload by chance.
        arrivals: when they come, in seconds; by chance when None.
    """

    def __init__(
        self,
        setup: Setup,
        costs: Costs,
        make: Callable[[Costs, random.Random], Job] = film,
        arrivals: list[float] | None = None,
    ) -> None:
        self._setup, self._costs, self._make = setup, costs, make
        self._chance = random.Random(setup.seed)
        self._arrivals = iter(arrivals) if arrivals is not None else self._come()
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = itertools.count()
        self.now = 0.0
        self._count = max(1, setup.workers // setup.thin)
        self._held: list[Counter[str]] = [Counter() for _ in range(self._count)]
        self._threads = [0.0] * self._count
        self._waiting: dict[str, list[tuple[float, int, Part]]] = defaultdict(list)
        self._rooms: dict[str, Room] = {}
        self._places: dict[str, dict[str, int]] = {}
        self.found = Found()
        self._shared = {
            "database": Shared(setup.database_cores),
            "changes": Shared(setup.shards),
            "notifications": Shared(1),
            "servers": Shared(setup.servers),
        }
        self._stretch = 1.0
        self._open = self._running = self._asking = 0
        self._in_tick: defaultdict[str, float] = defaultdict(float)
        self._transactions: list[float] = []
        self._busy_s = 0.0
        self._last = False

    # Time

    def _at(self, moment: float, do: Callable[..., None], *given: Any) -> None:
        heapq.heappush(self._events, (moment, next(self._order), do, given))

    def run(self) -> Found:
        """Simulate until the last upload is done."""
        self._next_upload()
        if self._costs.given:
            self._at(_TICK_S, self._tick)
        while self._events:
            self.now, _, do, given = heapq.heappop(self._events)
            do(*given)
        return self._finish()

    def _come(self) -> Iterator[float]:
        setup = self._setup
        mean = setup.uploads_a_day / setup.thin / _DAY_S
        # The curve's mean is 1: this is the modified Bessel function of order 0.
        whole = sum((_PEAKED / 2) ** (2 * n) / math.factorial(n) ** 2 for n in range(30))
        most = mean if setup.flat else mean * math.exp(_PEAKED) / whole
        now = 0.0
        while True:
            now += self._chance.expovariate(most)
            if now > setup.days * _DAY_S:
                return
            curve = math.exp(_PEAKED * (-math.cos(2 * math.pi * now / _DAY_S) - 1))
            if setup.flat or self._chance.random() < curve:
                yield now

    # Uploads

    def _next_upload(self) -> None:
        moment = next(self._arrivals, None)
        self._last = moment is None
        if moment is not None:
            self._at(moment, self._upload)

    def _upload(self) -> None:
        job = self._make(self._costs, self._chance)
        needed = sum(piece.role in ("first", "sound") for branch in job.branches for piece in branch.pieces)
        upload = Upload(job, self.now, len(job.branches), needed)
        self._open += 1
        self._ask_database(self._costs.base, shown=self._costs.shown_base)
        self._drive(self._costs.steps)
        self.found.requests += job.requests
        # An event, a run, an invoked run for each branch, and its first call.
        began_s = self.now + self._driven_s(3) + self._path_s("after") * 2
        for branch in job.branches:
            self._at(began_s, self._begin, upload, branch)
        self._next_upload()

    def _begin(self, upload: Upload, branch: Branch) -> None:
        if branch.plan is None:
            self._ask(upload, branch)
        else:
            self._queue([Part(upload, branch, [], branch.plan, "plan", self.now)])

    def _ask(self, upload: Upload, branch: Branch) -> None:
        left = [len(branch.pieces)]
        self._asking += min(ASKED_AT_ONCE, left[0])
        self._queue([Part(upload, branch, left, piece, "piece", self.now) for piece in branch.pieces])

    def _ended(self, part: Part) -> None:
        """A piece has ended, and whoever asked for it has heard of it."""
        upload, branch = part.upload, part.branch
        if part.step == "plan":
            self._ask(upload, branch)
            return
        if part.step == "piece":
            part.left[0] -= 1
            self._asking -= part.left[0] < ASKED_AT_ONCE
            if part.left[0]:
                return
            if branch.join is not None:
                self._queue([Part(upload, branch, [], branch.join, "join", self.now)])
                return
        upload.open_branches -= 1
        if not upload.open_branches:
            self._at(self.now + self._driven_s(2) + self._path_s("after"), self._ready, upload)

    def _ready(self, upload: Upload) -> None:
        self._open -= 1
        self.found.ready_s.append(self.now - upload.came_s)
        if not upload.shown:
            self._show(upload)
        self.found.fetches += len(upload.workers)

    def _show(self, upload: Upload) -> None:
        upload.shown = True
        self.found.playable_s.append(self.now - upload.came_s)

    # Work

    def _queue(self, parts: list[Part]) -> None:
        """Ask for pieces: a row each, and one notification."""
        self._in_tick["asks"] += 1
        lanes = set()
        for part in parts:
            lane = part.piece.lane
            due_s = part.upload.came_s + part.piece.position_s * turns._PUT_OFF
            heapq.heappush(self._waiting[lane], (due_s, next(self._order), part))
            lanes.add(lane)
        self._at(self.now + self._path_s("before"), self._woken, lanes)

    def _woken(self, lanes: set[str]) -> None:
        """Workers look, all at once: of those without room some hold the first row while those with room look."""
        for lane in sorted(lanes):
            free = len(self._room(lane))
            if not free:
                continue
            others = (self._count - free) * self._setup.thin
            if self._setup.look_fits or self._setup.wake_one or self._is_seen(free * self._setup.thin, others):
                self._serve(lane)
            else:
                self.found.lost += 1
                again_s = self._costs.given["look_again_s"] * (1 - self._chance.random() ** (1 / free))
                self._at(self.now + again_s, self._serve, lane)

    def _is_seen(self, free: int, others: int) -> bool:
        given = self._costs.given
        if not given:
            return True
        held_s = (4 * given["round_trip_ms"] + given["commit_ms"]) / 1000 + self._costs.full_s * self._stretch
        spread_s = given["herd_ms"] / 1000 * self._stretch
        tries = max(1.0, spread_s / (held_s + spread_s / (free + others)))
        return self._chance.random() >= float((others / (free + others)) ** tries)

    def _serve(self, lane: str) -> None:
        queue, room = self._waiting[lane], self._room(lane)
        while queue and len(room):
            _, _, part = heapq.heappop(queue)
            here = [worker for worker, _ in part.upload.workers if worker in room] if self._setup.affinity else []
            self._claim(here[0] if here else room.any(self._chance), part)

    def _claim(self, worker: int, part: Part) -> None:
        setup, piece, upload = self._setup, part.piece, part.upload
        self._hold(worker, piece.lane, 1)
        self._running += 1
        self.found.waits_s[piece.lane].append(self.now - part.asked_s)
        source = self._source(worker, upload) if part.step != "join" else None
        fetch_s = 0.0
        if source is not None and source not in upload.workers and upload.job.source_bytes:
            size = upload.job.source_bytes
            if not setup.ranged:
                upload.workers.add(source)
                fetch_s = size / self._costs.given["fetch_bytes_a_second"]
                self.found.fetched_bytes += size
        if setup.ranged and part.step != "join" and upload.job.duration_s:
            # Half as much again: from the keyframe before, and the sound beside the pictures.
            share = min(1.0, 1.5 * piece.core_s / sum(one.core_s for one in part.branch.pieces))
            self.found.fetched_bytes += upload.job.source_bytes * share
            fetch_s = share * upload.job.source_bytes / self._costs.given["fetch_bytes_a_second"]
        threads = min(piece.threads, setup.cores)
        crowd = max(1.0, (self._threads[worker] + threads) / setup.cores) if setup.crowded else 1.0
        self._threads[worker] += threads
        encode_s = piece.core_s / (1.81 if threads > 1 else 1.0) * crowd
        self._busy_s += piece.core_s
        if piece.role == "sound":
            heard_s = fetch_s + min(encode_s, 1.5)
            self._at(self.now + heard_s + self._path_s("holding"), self._usable, upload)
        self._at(self.now + fetch_s + encode_s, self._encoded, worker, part, threads)

    def _source(self, worker: int, upload: Upload) -> tuple[int, int]:
        """The process that fetches: of those that are simulated as one, one by chance or the one that has it."""
        if self._setup.affinity:
            return next((one for one in upload.workers if one[0] == worker), (worker, 0))
        return worker, int(self._chance.random() * self._setup.thin)

    def _encoded(self, worker: int, part: Part, threads: int) -> None:
        self._threads[worker] -= threads
        self._in_tick["claims"] += 1
        if part.step == "piece":
            self._ask_database(self._costs.piece, shown=self._costs.shown)
            self._drive(1)
        holding_s = self._path_s("holding") if part.step != "plan" else 0.0
        self._at(self.now + holding_s, self._freed, worker, part)

    def _freed(self, worker: int, part: Part) -> None:
        self._running -= 1
        self._hold(worker, part.piece.lane, -1)
        if part.piece.role == "first":
            self._usable(part.upload)
        self._at(self.now + self._path_s("after") + self._driven_s(1), self._ended, part)
        while True:
            fits = [lane for lane, queue in self._waiting.items() if queue and worker in self._room(lane)]
            if not fits:
                return
            lane = min(fits, key=lambda lane: self._waiting[lane][0][:2])
            self._claim(worker, heapq.heappop(self._waiting[lane])[2])

    def _usable(self, upload: Upload) -> None:
        upload.needed -= 1
        if not upload.needed:
            self._show(upload)

    def _lane(self, lane: str) -> dict[str, int]:
        if lane not in self._places:
            memory = self._setup.cores * _MEMORY_A_CORE
            self._places[lane] = turns.places(lane, self._setup.cores, memory)
        return self._places[lane]

    def _room(self, lane: str) -> Room:
        if lane not in self._rooms:
            self._lane(lane)
            self._rooms[lane] = Room()
            for worker in range(self._count):
                self._note_room(worker)
        return self._rooms[lane]

    def _hold(self, worker: int, lane: str, change: int) -> None:
        for key in self._lane(lane):
            self._held[worker][key] += change
        self._note_room(worker)

    def _note_room(self, worker: int) -> None:
        held = self._held[worker]
        for lane, room in self._rooms.items():
            room.set(worker, all(held[key] < limit for key, limit in self._places[lane].items()))

    # What is shared

    def _ask_database(self, asked: Asked, times: float = 1.0, *, shown: Asked | None = None) -> None:
        setup, given = self._setup, self._costs.given
        times *= setup.thin
        telling, telling_s = asked.telling, asked.telling_s
        if shown is not None and setup.show_apart:
            telling, telling_s = telling - shown.telling, telling_s - shown.telling_s
        self._in_tick["transactions"] += asked.transactions * times
        self._shared["database"].add(asked.backend_s * times, asked.transactions * times)
        self._shared["changes"].add(telling_s * times, telling * times)
        notified = asked.notifying * times
        commit_s = _NO_DISK_S if setup.notify_apart else given.get("commit_ms", 0.0) / 1000
        self._shared["notifications"].add(notified * commit_s, notified)

    def _drive(self, steps: float) -> None:
        self._shared["servers"].add(steps * self._costs.driver_step_s * self._setup.thin, steps * self._setup.thin)

    def _driven_s(self, steps: int) -> float:
        return steps * (self._costs.driver_step_s + self._shared["servers"].wait_s)

    def _path_s(self, name: str) -> float:
        trips, backend_s = self._costs.path_s.get(name, (0.0, 0.0))
        if not trips:
            return 0.0
        shared = self._shared
        waits_s = shared["notifications"].wait_s
        if name == "holding" and not self._setup.show_apart:
            waits_s += shared["changes"].wait_s
        return (
            trips * self._costs.given["round_trip_ms"] / 1000
            + backend_s * self._stretch
            + trips / 5 * shared["database"].wait_s
            + waits_s
        )

    def _tick(self) -> None:
        setup, costs, ticked = self._setup, self._costs, self._in_tick
        # Calls that wait are looked at in turn: when there are too many each is looked at less often.
        polled_s = min(self._asking * setup.thin * costs.driver_wait_s, setup.servers / 2) * _TICK_S
        self._shared["servers"].add(polled_s, polled_s * _LOOKS_A_SECOND)
        self._look(ticked["asks"] * setup.thin, ticked["claims"] * setup.thin)
        for one in self._shared.values():
            one.tick(_TICK_S)
        self._transactions.append(ticked["transactions"] / _TICK_S)
        ticked.clear()
        if not self._last or self._open:
            self._at(self.now + _TICK_S, self._tick)

    def _look(self, asks: float, claims: float) -> None:
        """What is asked by time, and by looks for work: one that finds for each piece, one that finds nothing after
        it, and those of all whom a notification woke."""
        setup, costs, database = self._setup, self._costs, self._shared["database"]
        workers, times = self._count * setup.thin, setup.thin * _TICK_S
        waiting = sum(map(len, self._waiting.values())) * setup.thin
        full_s = costs.full_s if setup.look_fits else costs.full_s + costs.full_more_s * waiting
        free = max((len(room) for room in self._rooms.values()), default=0) * setup.thin
        herd = min(asks, free) if setup.wake_one else (free if setup.look_fits else workers) * asks
        again = times / costs.given.get("look_again_s", math.inf)
        pages = 0.0 if setup.replicas else self._open * costs.given.get("pages_an_upload", 0.0)
        # How often each, what it costs, and who does it, once at a time.
        asked: list[tuple[float, Asked, float]] = [
            (2 * claims / setup.batch, Asked(1, (costs.look_s + full_s) / 2), 0),
            ((workers + setup.servers) * _TICK_S / setup.beat_every_s, costs.beat, workers),
            (self._running * times / setup.report_every_s, costs.report, self._running * setup.thin),
            ((self._asking + 2 * self._running) * again, Asked(1, 2 * costs.full_s), self._asking * setup.thin),
            (pages * times / _PAGE_LOOKS_EVERY_S, costs.page, pages * setup.thin),
            (herd + workers * again / setup.thin * (not setup.wake_one), Asked(1, full_s), workers),
        ]
        wanted_s = sum(many * one.backend_s for many, one, _ in asked)
        left_s = max(0.02 * database.servers * _TICK_S, database.servers * _TICK_S * _FULL - database.asked_s)
        # Each of these waits for its answer before it asks again. So when there is more than can be answered, they ask
        # less often, all backends are at one of them, and everybody is as slow.
        part = min(1.0, left_s / wanted_s) if wanted_s else 1.0
        askers = sum(who for _, _, who in asked)
        self._stretch = min(1 / part, max(1.0, askers / database.servers)) if part < 1 else 1.0
        for many, one, _ in asked:
            self._ask_database(one, many * part / setup.thin)

    # The end

    def _finish(self) -> Found:
        found, setup, ticks = self.found, self._setup, 60
        days = max(self.now / _DAY_S if setup.days == 0 else setup.days, 1e-9)
        found.busy = self._busy_s / (days * _DAY_S * self._count * setup.cores)
        for name, one in self._shared.items():
            found.peak[name] = _busiest(one.used, ticks)
            found.mean[name] = sum(one.used) * _TICK_S / (days * _DAY_S)
        found.transactions = _busiest(self._transactions, ticks)
        done = max(1, len(found.ready_s))
        found.fetches /= done
        found.fetched_bytes *= setup.thin / days
        found.requests *= setup.thin / (days * _DAY_S)
        found.connections = (setup.workers + setup.servers) * self._costs.connections
        return found


def _busiest(values: list[float], ticks: int) -> float:
    """The highest mean of so many in a row."""
    parts = [values[at : at + ticks] for at in range(0, len(values), ticks)]
    return max((sum(part) / len(part) for part in parts if part), default=0.0)


def share(values: list[float], part: float) -> float:
    """The value that a part of them is not above."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] if values else 0.0
