"""Whether the memory of `gleaner serve` grows with the requests that it has answered, and how long its start takes.

    python -m benchmarks.serving_memory PROJECT [--bundle FOLDER] [--requests 5000 50000 100000] [--seconds 900]

PROJECT is a folder in which `gleaner run` registered a champion, unless a bundle is named. Each request has one text of
the project's pool, which never comes twice, so that whatever is kept by text would show. It stops after so many
seconds. Loopback only.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

import httpx
import psutil

from benchmarks.serving import lift_rate_limit, pool_texts
from tests.support.service_process import Served, serving

CLIENTS = 8


def memory(served: Served) -> float:
    """The memory of all workers (resident set size), in 10⁶ bytes."""
    return sum(psutil.Process(worker).memory_info().rss for worker in served.workers()) / 1e6


async def send(served: Served, texts: list[str], first: int, last: int, deadline: float) -> int:
    """Send requests ``first`` to ``last`` from several clients; returns how many were answered before the deadline."""
    numbers = iter(range(first, last))
    answered = 0
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(
        base_url=served.client.base_url, headers=served.client.headers, limits=limits, timeout=60, trust_env=False
    ) as client:

        async def ask() -> None:
            nonlocal answered
            for number in numbers:
                if time.monotonic() > deadline:
                    return
                text = f"{texts[number % len(texts)]} {number}"
                response = await client.post("/v1/predict", json={"texts": [text]})
                response.raise_for_status()
                answered += 1

        await asyncio.gather(*(ask() for _ in range(CLIENTS)))
    return answered


def main(arguments: list[str]) -> int:
    """Measure, and print a line at each number of requests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--requests", type=int, nargs="+", default=[5000, 50_000, 100_000])
    parser.add_argument("--seconds", type=float, default=900)
    given = parser.parse_args(arguments)
    project = given.project.resolve()
    lift_rate_limit(project)
    texts = pool_texts(project)
    deadline = time.monotonic() + given.seconds
    with serving(project, *(["--bundle", str(given.bundle.resolve())] if given.bundle else [])) as served:
        print(
            json.dumps({"start_seconds": round(served.seconds, 2), "megabytes": round(memory(served), 1)}), flush=True
        )
        sent = 0
        for wanted in sorted(given.requests):
            began = time.monotonic()
            answered = asyncio.run(send(served, texts, sent, wanted, deadline))
            rate = answered / (time.monotonic() - began)
            sent += answered
            seen = {"requests": sent, "megabytes": round(memory(served), 1), "requests_per_second": round(rate, 1)}
            print(json.dumps(seen), flush=True)
            if sent < wanted:
                print(f"stopped after {given.seconds:g} s")
                break
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
