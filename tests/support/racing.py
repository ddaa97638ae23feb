"""One of two processes that race: each promotes version after version, both at the same moment.

    python -m tests.support.racing ROOT FROM TO FOLDER NAME

Waits in FOLDER for the other before each judgement, so that both expect the same champion; prints what became of each.
"""

import json
import sys
import time
from pathlib import Path

from tasks.compare import choose, compare
from tasks.promote import judge, set_alias
from tests.support.promoting import MODEL, change, plain


def main(root: Path, first: int, last: int, folder: Path, name: str) -> None:
    params = change(root, max_judgements=100, confidence=0.6, bootstrap=1000)  # few resamples: this is about the log
    for number in range(first, last + 1):
        meet(folder, f"{number}-before", name)
        pair = plain(choose)(root, params, str(number))
        case = plain(compare)(root, params, pair)
        meet(folder, f"{number}-ready", name)
        found = plain(judge)(root, params, pair, case, name)
        shown = plain(set_alias)(root, MODEL)
        print(json.dumps({"version": number, "outcome": found.outcome, "said": found.said, "shown": shown}), flush=True)


def meet(folder: Path, point: str, name: str) -> None:
    """Go on as soon as both are here."""
    (folder / f"{point}-{name}").touch()
    deadline = time.monotonic() + 120
    while len(list(folder.glob(f"{point}-*"))) < 2:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the other one did not come to {point}")
        time.sleep(0.002)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5])
