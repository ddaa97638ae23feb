"""One of two processes that race: both promote one version after the other at the same moments.

    python -m tests.support.racing ROOT FROM TO FOLDER NAME

Waits in FOLDER for the other before each decision, so that both expect the same champion, and prints each outcome.
"""

import json
import sys
import time
from pathlib import Path

from tasks.compare import choose_versions, compare
from tasks.promote import decide_promotion, set_champion_alias
from tests.support.promoting import MODEL, set_limits, without_prefect


def main(root: Path, first: int, last: int, folder: Path, name: str) -> None:
    # Few resamples are enough, because the race is about the log.
    params = set_limits(root, max_judgements=100, confidence=0.6, bootstrap=1000)
    for number in range(first, last + 1):
        meet(folder, f"{number}-before", name)
        pair = without_prefect(choose_versions)(root, params, str(number))
        case = without_prefect(compare)(root, params, pair)
        meet(folder, f"{number}-ready", name)
        promoted = without_prefect(decide_promotion)(root, params, pair, case, name)
        alias = without_prefect(set_champion_alias)(root, MODEL)
        outcome = {"version": number, "outcome": promoted.outcome, "message": promoted.message, "alias": alias}
        print(json.dumps(outcome), flush=True)


def meet(folder: Path, point: str, name: str) -> None:
    """Wait until both processes have reached a point."""
    (folder / f"{point}-{name}").touch()
    deadline = time.monotonic() + 120
    while len(list(folder.glob(f"{point}-*"))) < 2:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the other process did not reach {point}")
        time.sleep(0.002)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5])
