"""A simulated month of arrivals for the demo: what arrives in the inboxes on each day, drawn from a seed.

The rows continue those of data/demo: they come from the same generator, and none occurs twice.
"""

import csv
import importlib.util
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Literal

from pipeline.core.errors import UserError

Kind = Literal["quiet", "texts", "labels", "corrections", "drift", "bad labels", "withdrawn", "crash"]
COLUMNS = ("text", "intent", "customer")
UNLABELLED_COLUMNS = ("text", "customer")
# The sizes below make the month work: few labels at first leave room for better models, and the days of drift and of
# bad labels are large enough for the tests of drift and of the gate to be sure.
START_LABELS, START_POOL = 2, 60  # rows an intent, and of the pool, that the month begins with
TEXTS, LABELS, CORRECTIONS, DRIFT, BAD, CRASH = 40, 40, 12, 160, 150, 40  # rows of a day
OUTAGE = ("account_access", "billing_problem")  # what nearly all messages are about on the day of drift
OUTAGE_SHARE = 0.9
SPECIAL: dict[float, Kind] = {0.42: "drift", 0.55: "bad labels", 0.58: "withdrawn", 0.75: "crash"}  # share of the days
WEEK: tuple[Kind, ...] = ("labels", "texts", "quiet", "texts", "corrections", "texts", "quiet")


@dataclass(frozen=True)
class Day:
    """What arrives on a day: CSV files by their path below the inboxes."""

    kind: Kind
    files: dict[str, str]


def plan_days(days: int) -> list[Kind]:
    """The kind of each day: ordinary weeks, with one drift, one bad batch and one crash among them.

    Nothing arrives on the day after the crash, so that whatever its night does is recovery.
    """
    kinds: list[Kind] = ["quiet", *(WEEK[day % len(WEEK)] for day in range(days - 1))]
    for share, kind in SPECIAL.items():
        kinds[int(days * share)] = kind
    kinds[int(days * 0.58)] = "withdrawn"
    kinds[int(days * 0.75) + 1] = "quiet"
    return kinds


def generate_days(kinds: list[Kind], folder: Path, seed: int) -> Iterator[Day]:
    """The days of a plan; ``folder`` holds the demo's generator. A correction has ``@champion`` as its version."""
    rng = Random(seed)
    messages = new_messages(folder)
    for number, kind in enumerate(kinds):
        yield Day(kind, dict(files_of_day(kind, number, messages, rng)))


def files_of_day(kind: Kind, number: int, messages: Iterator[Any], rng: Random) -> Iterator[tuple[str, str]]:
    """The files of one day: path and content."""
    if kind in ("texts", "labels", "corrections"):
        yield f"texts/day-{number}.csv", unlabelled_csv(islice(messages, TEXTS))
    if kind in ("labels", "crash"):
        count = LABELS if kind == "labels" else CRASH
        yield f"texts/labels-{number}.csv", to_csv([labelled_row(row) for row in islice(messages, count)], COLUMNS)
    if kind == "corrections":
        corrections = [(message.text, message.asked, "@champion") for message in islice(messages, CORRECTIONS)]
        yield f"feedback/week-{number}.csv", to_csv(corrections, ("text", "label", "version"))
    if kind == "drift":
        outage = (message for message in messages if message.asked in OUTAGE or rng.random() > OUTAGE_SHARE)
        yield f"texts/day-{number}.csv", unlabelled_csv(islice(outage, DRIFT))
    if kind == "bad labels":
        rows = [labelled_row(message) for message in islice(messages, BAD)]
        labels = sorted({label for _, label, _ in rows})
        wrong = dict(zip(labels, labels[1:] + labels[:1], strict=True))  # every label becomes the next one
        bad_rows = [(text, wrong[label], customer) for text, label, customer in rows]
        yield f"texts/labels-{number}.csv", to_csv(bad_rows, COLUMNS)


def new_messages(folder: Path) -> Iterator[Any]:
    """The messages of the demo's generator that are not in its files. Raises UserError if there is no generator."""
    path = folder / "generate.py"
    if not path.exists():
        raise UserError(f"{path}: expected the demo's generator, found none; `git checkout data/demo` brings it back")
    spec = importlib.util.spec_from_file_location("demo_generator", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses need their module there
    spec.loader.exec_module(module)
    used = {message.text for split in module.splits().values() for message in split}
    return (message for message in module.messages() if message.text not in used)


def unlabelled_row(message: Any) -> tuple[str, str]:
    """A row of `UNLABELLED_COLUMNS`."""
    return message.text, message.customer


def labelled_row(message: Any) -> tuple[str, str, str]:
    """A row of `COLUMNS`."""
    return message.text, message.intent, message.customer


def unlabelled_csv(messages: Iterator[Any]) -> str:
    """Messages without their labels as CSV."""
    return to_csv([unlabelled_row(message) for message in messages], UNLABELLED_COLUMNS)


def to_csv(rows: Sequence[tuple[str, ...]], columns: tuple[str, ...]) -> str:
    """Rows as CSV, with a header."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([columns, *rows])
    return out.getvalue()


def shorten_demo(folder: Path, labels: int = START_LABELS, pool: int = START_POOL) -> None:
    """Cut the demo in ``folder`` to ``labels`` rows an intent and ``pool`` rows in the pool, so that it can improve."""
    for name, limit in (("train.csv", labels), ("unlabelled.csv", pool)):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        counts: dict[str, int] = {}
        kept = []
        for row in rows:
            intent = row[1] if name == "train.csv" else ""
            counts[intent] = counts.get(intent, 0) + 1
            if counts[intent] <= limit:
                kept.append(row)
        (folder / name).write_text(to_csv([tuple(row) for row in kept], tuple(header)), encoding="utf-8")
