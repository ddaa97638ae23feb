"""Minutes of load on `gleaner serve` beside promotions, a rollback and a killed worker: is any answer wrong or lost?

    python -m benchmarks.serving_chaos [--minutes 10] [--workers 2] [--clients 4] [--pause 0.02]

It makes a project of its own in a temporary folder, whose versions are right on known rows, so that each answer can be
checked against the version that it names. Loopback only.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from benchmarks.serving import percentile
from tasks import registry
from tests.support.promoting import promote, register_scored, rollback, set_limits, start_project
from tests.support.service_load import Load, under_load
from tests.support.service_process import serving, set_serve

RIGHT = {"1": 280, "2": 320, "3": 360, "4": 396}  # version: the first so many of 400 rows get the right label
Event = tuple[float, str, Callable[[], str]]  # share of the time, what happens, and what does it


@contextmanager
def made_project(workers: int) -> Iterator[Path]:
    """A project with version 1 as champion, for the block."""
    with TemporaryDirectory(prefix="gleaner-chaos-") as folder, pytest.MonkeyPatch.context() as patch:
        store = Path(folder) / "store"
        store.mkdir()
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        registry.connect(store)
        root = start_project(Path(folder), store / "mlflow.db", patch)
        register_scored(root, RIGHT["1"])
        limits = {"requests_per_second": 1_000_000, "burst": 1_000_000}
        set_serve(root, workers=workers, threads=1, limits=limits)
        yield root


def main(arguments: list[str]) -> int:
    """Run it and print what was seen; exit code 1 if an answer was wrong or a correction lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--pause", type=float, default=0.02, help="seconds from an answer to the next request")
    given = parser.parse_args(arguments)
    load = Load(RIGHT)
    with made_project(given.workers) as root, serving(root) as served:
        params = set_limits(root)

        def promote_next(number: str) -> str:
            register_scored(root, RIGHT[number])
            promote(root, params)
            return f"{served.wait_for('version', number, 60):.1f} s until it answers"

        def roll_back() -> str:
            rollback(root, params, why="chaos")
            return f"{served.wait_for('version', '3', 60):.1f} s until version 3 answers"

        def kill() -> str:
            served.kill_worker()
            return "kill -9"

        events: list[Event] = [
            (0.15, "promotion of 2", lambda: promote_next("2")),
            (0.35, "promotion of 3", lambda: promote_next("3")),
            (0.50, "a worker is killed", kill),
            (0.65, "promotion of 4", lambda: promote_next("4")),
            (0.85, "rollback", roll_back),
        ]
        began, seconds = time.monotonic(), 60 * given.minutes
        with under_load(served, load, given.clients, given.pause):
            for share, what, happen in events:
                time.sleep(max(0.0, began + share * seconds - time.monotonic()))
                at = time.monotonic() - began
                print(f"{at:6.1f} s  {what}: {happen()}", flush=True)
            time.sleep(max(0.0, began + seconds - time.monotonic()))
        workers, lost = len(served.workers()), load.lost(root)
        served_text = served.log.read_text()
    seen = {
        "minutes": round((time.monotonic() - began) / 60, 1),
        "answers": dict(sorted(load.answers.items())),
        "wrong": len(load.wrong),
        "corrections_confirmed": len(load.confirmed),
        "corrections_lost": len(lost),
        "connections_broken": load.broken,
        "workers_at_the_end": workers,
        "p50_ms": percentile(load.seconds, 0.5),
        "p99_ms": percentile(load.seconds, 0.99),
        "tracebacks": served_text.count("Traceback"),
    }
    print(json.dumps(seen, indent=2))
    print("\n".join(load.wrong[:10]))
    return int(bool(load.wrong or lost or seen["tracebacks"]))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
