"""Serving measured: `gleaner serve` beside `mlflow models serve` and a plain FastAPI + Transformers pipeline.

    python -m benchmarks.serving PROJECT [--seconds 10] [--texts 1 16]

PROJECT is a folder in which `gleaner run` registered a champion, whose network `data/finetune/model` still has. All
three answer the same texts on loopback, one after the other, from the same closed loop of clients: each client sends
its next request once it has the answer to the last. The number of clients doubles until the texts a second stop
growing. Rates at equal p99 compare each peer's best with what `gleaner serve` does within the same p99.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from pipeline.core.params import read_yaml, to_yaml
from tests.support.service_process import serving

ROOT = Path(__file__).parents[1]
CLIENTS = (1, 2, 4, 8, 16, 32, 64)
PORT = 18_931
PLAIN = ROOT / "benchmarks" / "serving_peer.py"


@dataclass(frozen=True)
class Load:
    """What one load came to."""

    clients: int
    rate: float  # texts a second
    p50: float  # ms
    p99: float  # ms
    failed: int


async def drive(url: str, body: Callable[[int], Any], texts: int, clients: int, seconds: float, headers: Any) -> Load:
    """Send requests for so many seconds from so many clients, after a second of warming up."""
    times: list[float] = []
    failed = 0
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(limits=limits, timeout=60, headers=headers, trust_env=False) as client:
        began = time.perf_counter() + 1
        end = began + seconds

        async def ask(number: int) -> None:
            nonlocal failed
            sent = number * 7919
            while (now := time.perf_counter()) < end:
                response = await client.post(url, json=body(sent))
                sent += texts
                if now >= began:
                    times.append(time.perf_counter() - now)
                    failed += response.status_code != 200

        await asyncio.gather(*map(ask, range(clients)))
    median, slow = (percentile(times, share) for share in (0.5, 0.99))
    return Load(clients, len(times) * texts / seconds, median, slow, failed)


def percentile(seconds: list[float], share: float) -> float:
    """The time in ms that a share, 0 to 1, of the times stays below."""
    return round(1000 * sorted(seconds)[int(len(seconds) * share)], 2)


def measure(url: str, body: Callable[[int], Any], texts: int, seconds: float, headers: Any = None) -> list[Load]:
    """The loads from one client on, until two doublings in a row bring less than a tenth."""
    loads: list[Load] = []
    for clients in CLIENTS:
        loads.append(asyncio.run(drive(url, body, texts, clients, seconds, headers or {})))
        print(f"    {loads[-1]}", flush=True)
        if len(loads) > 3 and loads[-1].rate < 1.1 * loads[-3].rate:
            break
    return loads


@contextmanager
def peer(command: list[str], folder: Path, ready: str) -> Iterator[None]:
    """Run a server for the block, once it answers at ``ready``."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            end = time.monotonic() + 120
            while not answers(ready):
                assert process.poll() is None and time.monotonic() < end, f"{command[0]} did not start"
                time.sleep(0.2)
            yield
        finally:
            os.killpg(process.pid, 15)
            process.wait()


def answers(url: str) -> bool:
    """Whether a server answers."""
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def pool_texts(project: Path) -> list[str]:
    """The distinct texts of the project's pool."""
    import pandas as pd

    texts = pd.read_parquet(project / "data" / "ingest" / "unlabelled.parquet")["text"]
    return list(dict.fromkeys(texts))


def at_p99(loads: list[Load], limit: float) -> float:
    """The most texts a second within a p99 of ``limit`` ms; 0 if no load is."""
    return max((load.rate for load in loads if load.p99 <= limit), default=0.0)


def compare(project: Path, count: int, seconds: float) -> dict[str, list[Load]]:
    """The loads of the three servers with ``count`` texts a request."""
    pool = pool_texts(project)

    def texts(first: int) -> list[str]:
        return [pool[(first + row) % len(pool)] for row in range(count)]

    model = read_yaml(project / "params.yaml")["registry"]["model"]
    results = {}
    print(f"  mlflow models serve, {count} texts a request")
    serve = ["mlflow", "models", "serve", "-m", f"models:/{model}@champion", "--env-manager", "local", "-p", str(PORT)]
    with peer(serve, project, f"http://127.0.0.1:{PORT}/ping"):
        url = f"http://127.0.0.1:{PORT}/invocations"
        results["mlflow"] = measure(
            url, lambda first: {"dataframe_records": [{"text": text} for text in texts(first)]}, count, seconds
        )
    print(f"  FastAPI + Transformers, {count} texts a request")
    with peer([sys.executable, str(PLAIN), str(project), str(PORT)], project, f"http://127.0.0.1:{PORT}/ping"):
        results["plain"] = measure(
            f"http://127.0.0.1:{PORT}/predict", lambda first: {"texts": texts(first)}, count, seconds
        )
    print(f"  gleaner serve, {count} texts a request")
    with serving(project) as served:
        url = f"{served.client.base_url}/v1/predict"
        results["gleaner"] = measure(
            url, lambda first: {"texts": texts(first)}, count, seconds, dict(served.client.headers)
        )
    return results


def lift_rate_limit(project: Path) -> None:
    """Let one key ask as often as it can: the load comes from one."""
    content = read_yaml(project / "params.yaml")
    content["serve"]["limits"] |= {"requests_per_second": 1_000_000, "burst": 1_000_000}
    (project / "params.yaml").write_text(to_yaml(content))


def main(arguments: list[str]) -> int:
    """Measure, and print loads and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--texts", type=int, nargs="+", default=[1, 16])
    given = parser.parse_args(arguments)
    project = given.project.resolve()
    lift_rate_limit(project)
    for count in given.texts:
        results = compare(project, count, given.seconds)
        for name in ("mlflow", "plain"):
            best = max(results[name], key=lambda load: load.rate)
            ours = at_p99(results["gleaner"], best.p99)
            print(json.dumps({"texts": count, "peer": name, "rate": best.rate, "p99": best.p99, "gleaner": ours}))
            print(
                f"  beside {name}: {ours / best.rate:.1f} times the texts a second within its p99 of {best.p99:.0f} ms"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
