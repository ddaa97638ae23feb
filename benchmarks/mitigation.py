"""What each mitigation does to accuracy, to the gaps between groups, and to answers when an identity term is swapped.

    GLEANER_DATA=../shared/data python -m benchmarks.mitigation hatexplain --seeds 0 1 2 [--only none penalty]

The real stages on a data set whose example names group attributes: labels and test rows by the protocol of tasks.py,
the example's own number of labels a class, pool and test rows cut to a size that two cores train on in minutes. Prints
a table for LOG.md: means over the seeds, and each seed's gap. What is finished is kept in scratch/mitigation.
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
from benchmarks.project import Places
from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Params, to_yaml, validate
from pipeline.core.stage import Paths, read_json, write_json
from pipeline.experiments import stage_cache
from pipeline.experiments.stage_runner import changed, run_stage, share_terms, stages
from pipeline.metrics import group_metrics, statistics
from pipeline.mitigation import offset_selection
from pipeline.stages.counterfactual.run import some, swaps
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
    """Run what is missing, print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("dataset", choices=("hatexplain", "clothing_reviews"))
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--only", nargs="+", choices=list(MITIGATIONS), default=list(MITIGATIONS))
    asked = options.parse_args()
    places = Places()
    header: list[str] = []
    for name in asked.only:
        found = [measure(asked.dataset, seed, MITIGATIONS[name], places) for seed in asked.seeds]
        if not header:
            header = ["mitigation", *found[0]]
            print("", *header, "", sep=" | ", end="\n" + "|---" * len(header) + "|\n")
        print("", name, *(cell(key, [one[key] for one in found]) for key in found[0]), "", sep=" | ", flush=True)


def cell(key: str, values: list[float]) -> str:
    """Mean over the seeds; gaps and flips in points, with each seed's."""
    if key in ("accuracy", "macro-F1"):
        return f"{np.mean(values):.3f}"
    if key == "round kept":
        return ", ".join(f"{value:.0f}" for value in values)
    return f"{100 * np.mean(values):.1f} ({', '.join(f'{100 * value:.0f}' for value in values)})"


def measure(dataset: str, seed: int, changes: dict[str, Any], places: Places) -> Outcome:
    """Train with these changes of the example's params, and judge the network's answers to the test rows."""
    home = places.scratch / "mitigation" / f"{dataset}-{seed}"
    content = changed(ingested(dataset, seed, home, places), changes)
    params = validate(content)
    name = table.row_id(dataset, repr(sorted(changes.items())))
    root = stage_cache.root_for(home / name, home / "data" / "ingest", content, places.store)
    for stage in stages("finetune", "pretrain"):
        print(f"{dataset}, seed {seed}, {changes or 'no mitigation'}: {stage}", end="\033[K\r", flush=True)
        folder, _ = stage_cache.bring(stage, root, home / "stages")
    file = folder / f"outcome-{name}.json"
    if not file.exists():
        write_json(judge(Paths(root), folder / "model", params), file)
    return read_json(file)


def judge(paths: Paths, model: Path, params: Params) -> Outcome:
    """Accuracy, macro-F1, gaps by attribute, the widest gap of a class's recall, and the share of swaps that flip."""
    kept = {name: table.read(paths.data("ingest") / f"{name}.parquet") for name in ("train", "validation", "test")}
    test, swapped = kept["test"], drawn_swaps(kept["test"], params)
    moved = offset_selection.look(model, kept, params.fairness, params.mitigation, paths)
    texts = [*test["text"], *swapped["text"]]
    given = np.array(stage_cache.answers(model, texts, params.encoder.batch_size, moved), object)
    before, after = given[: len(test)], given[len(test) :]
    labels = sorted({*test["label"], *before})
    counts = group_metrics.matrix(test.assign(predicted=before), labels)
    _, found = group_metrics.measure(test.assign(predicted=before), params.fairness)
    attributes = [column.removeprefix(table.GROUP) for column in table.group_columns(test)]
    outcome = {"accuracy": float(statistics.accuracy(counts)), "macro-F1": float(statistics.macro_f1(counts))}
    outcome |= {f"gap by {name}": found[f"{name}.accuracy_gap"] for name in attributes}
    outcome["widest recall gap"] = max(found[f"{name}.true_positive_rate_gap"] or 0.0 for name in attributes)
    outcome["flips"] = float((after != before[swapped["row"].to_numpy(int)]).mean())
    return outcome | {"round kept": read_json(paths.data("pseudo_label") / "metrics.json")["round"]}


def drawn_swaps(test: pd.DataFrame, params: Params) -> pd.DataFrame:
    """The swapped texts of the test rows, as the stage counterfactual draws them."""
    axes = identity.load(tasks.ROOT / "data" / identity.FOLDER)
    drawn = params.counterfactual.model_copy(update={"max_swaps": SWAPS})
    return some(swaps(test, axes), drawn)


def ingested(dataset: str, seed: int, home: Path, places: Places) -> dict[str, Any]:
    """What `ingest` makes of the protocol's rows, left in ``home``; the params that it was made by are returned."""
    task = tasks.load(dataset)
    own = task.overlay["ingest"]
    content = project.content(task, places.params)
    content["ingest"] |= {"train": ["rows.jsonl"], "test": [], "group_bins": own["group_bins"]}
    content["ingest"]["unlabelled_limit"] = POOL
    groups_of = {name: name for name in own["columns"]["groups"]}
    content["ingest"]["columns"] = {"text": ["text"], "label": "label", "split": "split", "groups": groups_of}
    content["back_translate"]["engine"] = "none"  # minutes a seed, and the same for every mitigation
    if not (home / "data" / "ingest" / "metrics.json").exists():
        (home / "raw").mkdir(parents=True, exist_ok=True)
        project.write_rows(list(protocol(task, seed)), home / "raw" / "rows.jsonl")
        (home / "params.yaml").write_text(to_yaml(content), encoding="utf-8")
        share_terms(home)
        run_stage("ingest", home)
    return content


def protocol(task: tasks.Task, seed: int) -> Iterator[dict[str, str]]:
    """The rows of a data set of one file with their group attributes, split as `tasks.load` splits them."""
    path = tasks.data_folder() / task.name / tasks.FILES[task.name]["train"]
    with path.open(encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file))
    rows, order = tasks.read(path, task.overlay), list(range(len(records)))
    random.Random(0).shuffle(order)
    cut = len(task.train.texts)
    gold = {order[place] for place in tasks.draw(task.train, task.overlay["ingest"]["labels_per_class"], seed)}
    for part, places in (("unlabelled", order[:cut]), ("test", order[cut:][:TEST])):
        for place in places:
            split = "train" if place in gold else part
            label = "" if split == "unlabelled" else rows.labels[place]
            groups_of = task.overlay["ingest"]["columns"]["groups"]
            values = {name: records[place][column] for name, column in groups_of.items()}
            yield {"text": rows.texts[place], "label": label, "split": split} | values


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
