"""A month of arrivals for the demo, from a seed: what is dropped into the inboxes on which day, and what goes wrong.

The rows go on where those of data/demo end: they come from the same generator, and none occurs twice.
"""

import csv
import importlib.util
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Literal

from pipeline.core.errors import UserError

Kind = Literal["quiet", "texts", "labels", "corrections", "drift", "bad labels", "withdrawn", "crash"]
COLUMNS = ("text", "intent", "customer")
START_LABELS, START_POOL = 2, 60  # rows an intent, and of the pool, that the month begins with
TEXTS, LABELS, CORRECTIONS, DRIFT, BAD, CRASH = 40, 40, 12, 160, 150, 40  # rows of a day
OUTAGE = ("account_access", "billing_problem")  # what nearly everybody writes about on the day of drift
OUTAGE_SHARE = 0.9
SPECIAL: dict[float, Kind] = {0.42: "drift", 0.55: "bad labels", 0.58: "withdrawn", 0.75: "crash"}
WEEK: tuple[Kind, ...] = ("labels", "texts", "quiet", "texts", "corrections", "texts", "quiet")


@dataclass(frozen=True)
class Day:
    """What arrives on a day: CSV files by their place below the inboxes."""

    kind: Kind
    files: dict[str, str]


def plan(days: int) -> list[Kind]:
    """What kind of day each is: weeks of ordinary ones, with one drift, one bad batch and one crash among them.

    The night after the crash brings nothing, so that whatever it does is recovery.
    """
    kinds: list[Kind] = ["quiet", *(WEEK[day % len(WEEK)] for day in range(days - 1))]
    for share, kind in SPECIAL.items():
        kinds[int(days * share)] = kind
    kinds[int(days * 0.58)] = "withdrawn"
    kinds[int(days * 0.75) + 1] = "quiet"
    return kinds


def arrivals(kinds: list[Kind], folder: Path, seed: int) -> Iterator[Day]:
    """The days of a plan; ``folder`` holds the demo's generator. Corrections name no version: see `corrections`."""
    rng = Random(seed)
    stream = rows(folder)
    for number, kind in enumerate(kinds):
        yield Day(kind, dict(files(kind, number, stream, rng)))


def files(kind: Kind, number: int, stream: Iterator[Any], rng: Random) -> Iterator[tuple[str, str]]:
    """The files of one day."""
    if kind in ("texts", "labels", "corrections"):
        yield f"texts/day-{number}.csv", table([bare(one) for one in islice(stream, TEXTS)], COLUMNS[::2])
    if kind in ("labels", "crash"):
        count = LABELS if kind == "labels" else CRASH
        yield f"texts/labels-{number}.csv", table([whole(one) for one in islice(stream, count)], COLUMNS)
    if kind == "corrections":
        told = [(one.text, one.asked, "@champion") for one in islice(stream, CORRECTIONS)]
        yield (
            f"feedback/week-{number}.csv",
            table(told, ("text", "label", "version")),
        )
    if kind == "drift":
        outage = (one for one in stream if one.asked in OUTAGE or rng.random() > OUTAGE_SHARE)
        yield f"texts/day-{number}.csv", table([bare(one) for one in islice(outage, DRIFT)], COLUMNS[::2])
    if kind == "bad labels":
        found = [whole(one) for one in islice(stream, BAD)]
        names = sorted({label for _, label, _ in found})
        wrong = dict(zip(names, names[1:] + names[:1], strict=True))  # every label slipped by one
        yield f"texts/labels-{number}.csv", table([(text, wrong[label], who) for text, label, who in found], COLUMNS)


def rows(folder: Path) -> Iterator[Any]:
    """The generator's messages after those that are in the demo's files."""
    place = folder / "generate.py"
    if not place.exists():
        raise UserError(f"{place}: expected the demo's generator, found none; `git checkout data/demo` brings it back")
    spec = importlib.util.spec_from_file_location("demo_generator", place)
    assert spec and spec.loader
    import sys

    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    used = {one.text for split in module.splits().values() for one in split}
    return (one for one in module.messages() if one.text not in used)


def bare(message: Any) -> tuple[str, str]:
    return message.text, message.customer


def whole(message: Any) -> tuple[str, str, str]:
    return message.text, message.intent, message.customer


def table(found: Sequence[tuple[str, ...]], names: tuple[str, ...]) -> str:
    """Rows as CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([names, *found])
    return out.getvalue()


def shorten(folder: Path, labels: int = START_LABELS, pool: int = START_POOL) -> None:
    """Leave the demo in ``folder`` with few labels (rows an intent) and few rows in the pool: something is to gain."""
    for name, limit in (("train.csv", labels), ("unlabelled.csv", pool)):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            head, *lines = csv.reader(file)
        seen: dict[str, int] = {}
        kept = []
        for line in lines:
            key = line[1] if name == "train.csv" else ""
            seen[key] = seen.get(key, 0) + 1
            if seen[key] <= limit:
                kept.append(line)
        (folder / name).write_text(table([tuple(line) for line in kept], tuple(head)), encoding="utf-8")
