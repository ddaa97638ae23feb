"""Gleaner's stages on a pool of any size: seconds and peak memory of each, and what they add to the log.

    python -m benchmarks.growing_pool 1000000 --last report
    python -m benchmarks.growing_pool 10000000 --last ingest --format parquet

The pool is made of real sentences: the first half of one news text of ag_news and the second half of another. Its test
file is the published one, and 100 texts a topic have a label. Each stage runs as a process of its own, as DVC runs it.
"""

import argparse
import csv
import gzip
import io
import json
import os
import random
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

from benchmarks.log import ROOT, add_row, commit
from benchmarks.processes import ProcessCost, run_measured
from benchmarks.tasks import Task, load_task
from pipeline.core.params import to_yaml, validate_params
from pipeline.core.stage import write_json
from pipeline.core.yaml_file import parse_yaml
from pipeline.experiments.stage_runner import apply_changes, parse_changes, share_terms, stage_names

HEADING = "## Stages on a growing pool"
TABLE = """
Texts of ag_news halved and joined anew, 400 labelled; two cores. Memory is the highest sum over a stage's processes.
| date, commit | pool, format | stage | seconds | peak memory |
|---|---|---|---|---|
"""
GOLD_ROWS = 400
PART_ROWS = 100_000  # of a Parquet file, in memory at a time
PACKERS = {"": "", "gzip": ".gz", "zstd": ".zst"}


def main(args: argparse.Namespace) -> None:
    """Make the pool if it is not there yet, run the stages, write costs.json, and add a row for each to the log."""
    ending = args.format + PACKERS[args.packer]
    folder = ROOT / "benchmarks" / "scratch" / "growing_pool" / f"{args.rows}_{ending}"
    make_project(folder, args.rows, args.format, args.packer, args.set)
    costs = {}
    for stage in stage_names(args.last):
        cost = run_stage(stage, folder)
        costs[stage] = {"seconds": round(cost.seconds, 1), "gigabytes": round(cost.memory / 1e9, 2)}
        write_json(costs, folder / "costs.json")
        print(f"{stage}: {costs[stage]['seconds']} s, {costs[stage]['gigabytes']} GB", flush=True)
        if args.date:
            cells = [f"{args.date}, {commit()}", f"{args.rows:,}, {ending}", stage, *map(str, costs[stage].values())]
            add_row(f"| {' | '.join(cells)} GB |", HEADING, TABLE)


def make_project(folder: Path, rows: int, form: str, packer: str, changes: str) -> None:
    """Write the raw files, unless they are there, params.yaml and dvc.yaml of a project."""
    task, raw = load_task("ag_news"), folder / "raw"
    if not (raw / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        raw.mkdir(parents=True)
        gold = zip(task.train.texts[:GOLD_ROWS], task.train.labels[:GOLD_ROWS], strict=True)
        write_texts(raw / "train.jsonl", ({"text": text, "topic": label} for text, label in gold))
        test = zip(task.test.texts, task.test.labels, strict=True)
        write_texts(raw / "test.jsonl", ({"text": text, "topic": label} for text, label in test))
        write_pool(raw / f"pool.{form}{PACKERS[packer]}", joined_halves(task, rows), packer)
        (raw / "made").touch()
    (folder / "params.yaml").write_text(to_yaml(project_params(raw, changes)), encoding="utf-8")
    share_terms(folder)
    shutil.copy(ROOT / "dvc.yaml", folder)  # the report reads it


def project_params(raw: Path, changes: str) -> dict[str, Any]:
    """The content of params.yaml for these raw files, with ``changes`` such as ``pseudo_label.rounds=3``."""
    plain = cast(dict[str, Any], parse_yaml((ROOT / "params.yaml").read_text(encoding="utf-8"), ROOT / "params.yaml"))
    pool = next(path.name for path in raw.iterdir() if path.name.startswith("pool."))
    plain["ingest"] |= {"path": "raw", "train": ["train.jsonl"], "test": ["test.jsonl"], "unlabelled": [pool]}
    plain["ingest"]["columns"] = {"text": ["text"], "label": "topic", "split": None, "groups": {}}
    plain["ingest"]["labels"] |= {"rename": {}, "descriptions": {}}
    plain = apply_changes(plain, parse_changes(changes)) if changes else plain
    validate_params(plain)
    return plain


def joined_halves(task: Task, count: int) -> Iterator[str]:
    """So many texts: the first half of one text of the data set, and the second half of another."""
    words = [text.split() for text in [*task.train.texts, *task.pool] if text]
    rng = random.Random(0)
    for _ in range(count):
        first, second = rng.choice(words), rng.choice(words)
        yield " ".join([*first[: len(first) // 2], *second[len(second) // 2 :]])


def write_texts(path: Path, rows: Iterator[dict[str, str]]) -> None:
    """Write JSON Lines."""
    with path.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_pool(path: Path, texts: Iterator[str], packer: str) -> None:
    """Write the texts in the format that the name of the file says."""
    if ".parquet" in path.name:
        write_parquet(path, texts)
        return
    with open_packed(path, packer) as out:
        if ".csv" in path.name:
            rows = csv.writer(out)
            rows.writerow(["text"])
            rows.writerows([text] for text in texts)
        else:
            out.writelines(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)


def write_parquet(path: Path, texts: Iterator[str]) -> None:
    """Write a Parquet file of one column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema({"text": pa.string()})
    with pq.ParquetWriter(path, schema) as writer:
        while part := list(islice(texts, PART_ROWS)):
            writer.write_table(pa.table({"text": part}, schema))


@contextmanager
def open_packed(path: Path, packer: str) -> Iterator[IO[str]]:
    """A text file to write, packed by gzip or zstd if one is named."""
    import pyarrow as pa

    if packer == "gzip":
        with gzip.open(path, "wt", compresslevel=1, encoding="utf-8", newline="") as out:
            yield out
    elif packer == "zstd":
        with (
            pa.CompressedOutputStream(str(path), "zstd") as binary,
            io.TextIOWrapper(binary, "utf-8", newline="") as out,
        ):
            yield out
    else:
        with path.open("w", encoding="utf-8", newline="") as out:
            yield out


def run_stage(stage: str, folder: Path) -> ProcessCost:
    """What one stage costs. Raises SystemExit, with the end of its log, if it fails."""
    log = folder / f"{stage}.log"
    command = [sys.executable, "-m", f"pipeline.stages.{stage}"]
    cost = run_measured(command, folder, log, os.environ | {"PYTHONPATH": str(ROOT)})
    if cost.code:
        raise SystemExit(f"{stage}, exit code {cost.code}: {log.read_text(errors='replace')[-2000:]}")
    return cost


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("rows", type=int, help="texts of the pool")
    parser.add_argument("--last", default="report", help="the last stage to run")
    parser.add_argument("--format", choices=["csv", "jsonl", "parquet"], default="csv")
    parser.add_argument("--packer", choices=list(PACKERS), default="")
    parser.add_argument("--set", default="", help="changes of params, such as ingest.mask_pii=true,ingest.seed=1")
    parser.add_argument("--date", help="add rows of this date to the log")
    main(parser.parse_args())
