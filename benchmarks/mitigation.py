"""Mitigations: what each does to accuracy, to gaps between groups, and to answers when an identity term is swapped.

    GLEANER_DATA=../shared/data python -m benchmarks.mitigation hatexplain --seeds 0 1 2 [--only none penalty]

Runs the real stages on a data set whose example names group attributes. Labels and test rows follow the protocol of
tasks.py, with the number of labels a class that the example has. Pool and test rows are cut so that two cores train in
minutes. Prints a table for LOG.md: means over the seeds, and each seed's gap. Finished runs stay in scratch/mitigation.
"""

import argparse
import csv
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import project, tasks
from benchmarks.project import BenchmarkPaths
from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Params, to_yaml, validate_params
from pipeline.core.stage import Paths, read_json, write_json
from pipeline.experiments import stage_cache
from pipeline.experiments.stage_runner import apply_changes, run_stage, share_terms, stage_names
from pipeline.metrics import group_metrics, statistics
from pipeline.mitigation import offset_selection
from pipeline.stages.counterfactual.run import draw_swaps, swaps_of_rows
from pipeline.text import identity

POOL, TEST, SWAPS = 1000, 2000, 600  # rows, rows, and swapped test texts at most
SWAPPED = {"swaps.variants": 1, "swaps.pool": True}
TRAINED = {"finetune.method": "full"}
MITIGATIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "reweighing": {"mitigation.reweighing": True},
    "swaps": {"swaps.variants": 1},
    "swapped pool": SWAPPED,
    "swapped pool, reweighing": SWAPPED | {"mitigation.reweighing": True},
    "offsets": {"mitigation.offsets.budget": 0.01},
    "fine-tuned": TRAINED,
    "fine-tuned, penalty 1": TRAINED | {"mitigation.penalty": 1.0},
    "fine-tuned, penalty 10": TRAINED | {"mitigation.penalty": 10.0},
}
Outcome = dict[str, float]


def main() -> None:
    """Run what is missing, and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("dataset", choices=("hatexplain", "clothing_reviews"))
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--only", nargs="+", choices=list(MITIGATIONS), default=list(MITIGATIONS))
    asked = options.parse_args()
    benchmark_paths = BenchmarkPaths()
    header: list[str] = []
    for name in asked.only:
        outcomes = [measure_mitigation(asked.dataset, seed, MITIGATIONS[name], benchmark_paths) for seed in asked.seeds]
        if not header:
            header = ["mitigation", *outcomes[0]]
            print("", *header, "", sep=" | ", end="\n" + "|---" * len(header) + "|\n")
        print(
            "",
            name,
            *(table_cell(key, [row[key] for row in outcomes]) for key in outcomes[0]),
            "",
            sep=" | ",
            flush=True,
        )


def table_cell(key: str, values: list[float]) -> str:
    """Mean over the seeds; gaps and flips in points, with each seed's."""
    if key in ("accuracy", "macro-F1"):
        return f"{np.mean(values):.3f}"
    if key == "round kept":
        return ", ".join(f"{value:.0f}" for value in values)
    return f"{100 * np.mean(values):.1f} ({', '.join(f'{100 * value:.0f}' for value in values)})"


def measure_mitigation(dataset: str, seed: int, changes: dict[str, Any], benchmark_paths: BenchmarkPaths) -> Outcome:
    """Train with these changes of the example's params, and measure the network on the test rows."""
    home = benchmark_paths.scratch / "mitigation" / f"{dataset}-{seed}"
    content = apply_changes(ingest_rows(dataset, seed, home, benchmark_paths), changes)
    params = validate_params(content)
    name = table.row_id(dataset, repr(sorted(changes.items())))
    root = stage_cache.make_root(home / name, home / "data" / "ingest", content, benchmark_paths.store)
    for stage in stage_names("finetune", "pretrain"):
        print(f"{dataset}, seed {seed}, {changes or 'no mitigation'}: {stage}", end="\033[K\r", flush=True)
        folder, _ = stage_cache.run_cached(stage, root, home / "stages")
    file = folder / f"outcome-{name}.json"
    if not file.exists():
        write_json(measure_outcome(Paths(root), folder / "model", params), file)
    return read_json(file)


def measure_outcome(paths: Paths, model: Path, params: Params) -> Outcome:
    """Accuracy, macro-F1, gaps by attribute, the widest gap of a class's recall, and the share of swaps that flip."""
    splits = {name: table.read(paths.data("ingest") / f"{name}.parquet") for name in ("train", "validation", "test")}
    test, swapped = splits["test"], draw_test_swaps(splits["test"], params)
    offsets = offset_selection.select_offsets(model, splits, params.fairness, params.mitigation, paths)
    texts = [*test["text"], *swapped["text"]]
    answers = np.array(stage_cache.predict_labels(model, texts, params.encoder.batch_size, offsets), object)
    before, after = answers[: len(test)], answers[len(test) :]
    labels = sorted({*test["label"], *before})
    counts = group_metrics.confusion_matrix_of(test.assign(predicted=before), labels)
    _, gaps = group_metrics.measure_groups(test.assign(predicted=before), params.fairness)
    attributes = [column.removeprefix(table.GROUP_PREFIX) for column in table.group_columns(test)]
    outcome = {"accuracy": float(statistics.accuracy(counts)), "macro-F1": float(statistics.macro_f1(counts))}
    outcome |= {f"gap by {name}": gaps[f"{name}.accuracy_gap"] for name in attributes}
    outcome["widest recall gap"] = max(gaps[f"{name}.true_positive_rate_gap"] or 0.0 for name in attributes)
    outcome["flips"] = float((after != before[swapped["row"].to_numpy(int)]).mean())
    return outcome | {"round kept": read_json(paths.data("pseudo_label") / "metrics.json")["round"]}


def draw_test_swaps(test: pd.DataFrame, params: Params) -> pd.DataFrame:
    """The swapped texts of the test rows, as the stage counterfactual draws them."""
    axes = identity.load(tasks.ROOT / "data" / identity.FOLDER)
    fewer = params.counterfactual.model_copy(update={"max_swaps": SWAPS})
    return draw_swaps(swaps_of_rows(test, axes), fewer)


def ingest_rows(dataset: str, seed: int, home: Path, benchmark_paths: BenchmarkPaths) -> dict[str, Any]:
    """Run ingest on the protocol's rows in ``home``, unless it has run, and return the params that it runs with."""
    task = tasks.load_task(dataset)
    example = task.overlay["ingest"]
    content = project.cell_params(task, benchmark_paths.params)
    content["ingest"] |= {"train": ["rows.jsonl"], "test": [], "group_bins": example["group_bins"]}
    content["ingest"]["unlabelled_limit"] = POOL
    groups_of = {name: name for name in example["columns"]["groups"]}
    content["ingest"]["columns"] = {"text": ["text"], "label": "label", "split": "split", "groups": groups_of}
    content["back_translate"]["engine"] = "none"  # minutes a seed, and the same for every mitigation
    if not (home / "data" / "ingest" / "metrics.json").exists():
        (home / "raw").mkdir(parents=True, exist_ok=True)
        project.write_rows(list(protocol_rows(task, seed)), home / "raw" / "rows.jsonl")
        (home / "params.yaml").write_text(to_yaml(content), encoding="utf-8")
        share_terms(home)
        run_stage("ingest", home)
    return content


def protocol_rows(task: tasks.Task, seed: int) -> Iterator[dict[str, str]]:
    """The rows of a data set of one file with their group attributes, split as `tasks.load_task` splits them."""
    path = tasks.data_folder() / task.name / tasks.FILES[task.name]["train"]
    with path.open(encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file))
    rows, order = tasks.read_file(path, task.overlay), list(range(len(records)))
    random.Random(0).shuffle(order)
    cut = len(task.train.texts)
    gold = {order[index] for index in tasks.draw_labelled(task.train, task.overlay["ingest"]["labels_per_class"], seed)}
    for part, indices in (("unlabelled", order[:cut]), ("test", order[cut:][:TEST])):
        for index in indices:
            split = "train" if index in gold else part
            label = "" if split == "unlabelled" else rows.labels[index]
            groups_of = task.overlay["ingest"]["columns"]["groups"]
            values = {name: records[index][column] for name, column in groups_of.items()}
            yield {"text": rows.texts[index], "label": label, "split": split} | values


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
