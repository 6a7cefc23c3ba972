"""How fast the server answers, beside the engine's own numbers. Run: python benchmarks/server.py

One server in a process of its own, on SQLite, as `anabranch serve` starts it, and clients in this process. Events start
a function that ends at once, so the engine works while it answers.
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

ROUNDS = 3
EVENTS = 1000
CLIENTS = 20
TASKS = 200
# A function of the server itself that finds nothing to deliver and ends.
EVENT = "webhook/delivery.created"


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        environment = {**os.environ, "ANABRANCH_HOME": folder, "ANABRANCH_CPU_SLOTS": "1"}
        with (Path(folder) / "log").open("w") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "anabranch", "serve", "--port", str(port)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            assert server.stdout is not None
            key = server.stdout.readline().strip()
            try:
                await measure(url, key, server.pid)
            finally:
                server.kill()
                server.wait()


async def measure(url: str, key: str, pid: int) -> None:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=120) as client:
        while True:
            try:
                await client.get("/ready")
                break
            except httpx2.HTTPError:
                await asyncio.sleep(0.05)
        print(f"memory at the start: {memory_mib(pid):.0f} MiB")
        for number in range(ROUNDS):
            single = [event(f"{number}-{index}") for index in range(EVENTS)]
            batches = [[event(f"b{number}-{index}-{place}") for place in range(100)] for index in range(EVENTS // 100)]
            one = await rate(client, f"/e/{key}", single)
            many = await rate(client, f"/e/{key}", batches) * 100
            drained_s = await drained(client)
            print(f"round {number + 1}: {one:,.0f} events/s accepted one a request, {many:,.0f}/s a hundred a request")
            print(f"         all {2 * EVENTS:,} runs had ended {drained_s:.1f} s after the last was accepted")
        body = {"kind": "image", "input": "http://127.0.0.1:1/none.mp4"}
        made: list[str] = []

        async def create(_: int) -> httpx2.Response:
            answer = await client.post("/tasks", json=body)
            made.append(answer.json()["id"])
            return answer

        await latencies("task create, idle", create, TASKS, apart=True)
        await latencies("task get, idle", lambda index: client.get(f"/tasks/{made[index]}"), TASKS, apart=True)
        await latencies(f"task get, {CLIENTS} at once", lambda index: client.get(f"/tasks/{made[index]}"), TASKS)
        await latencies(f"task create, {CLIENTS} at once", create, TASKS)
        print(f"memory at the end: {memory_mib(pid):.0f} MiB")


def event(name: str) -> dict[str, object]:
    return {"name": EVENT, "id": name, "data": {"deliveryId": name}}


async def rate(client: httpx2.AsyncClient, path: str, bodies: Sequence[object]) -> float:
    """Requests answered a second."""
    started = time.perf_counter()
    await together(lambda index: client.post(path, json=bodies[index]), len(bodies))
    return len(bodies) / (time.perf_counter() - started)


async def together(ask: Callable[[int], Awaitable[httpx2.Response]], count: int) -> list[float]:
    """Each request's milliseconds, so many clients at once."""
    times: list[float] = []
    numbers = iter(range(count))

    async def client() -> None:
        for number in numbers:
            started = time.perf_counter()
            answer = await ask(number)
            assert answer.status_code < 300, answer.text
            times.append((time.perf_counter() - started) * 1000)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return times


async def latencies(
    name: str, ask: Callable[[int], Awaitable[httpx2.Response]], count: int, *, apart: bool = False
) -> None:
    times = []
    if apart:
        for number in range(count):
            started = time.perf_counter()
            await ask(number)
            times.append((time.perf_counter() - started) * 1000)
            # What the request started is done before the next one.
            await asyncio.sleep(0.05)
    else:
        times = await together(ask, count)
    p99 = statistics.quantiles(times, n=100)[98]
    print(f"{name:24} p50 {statistics.median(times):6.1f} ms   p99 {p99:6.1f} ms")


async def drained(client: httpx2.AsyncClient) -> float:
    started = time.perf_counter()
    while 'status="running"' in (await client.get("/metrics")).text:
        await asyncio.sleep(0.1)
    return time.perf_counter() - started


def memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


if __name__ == "__main__":
    asyncio.run(main())
