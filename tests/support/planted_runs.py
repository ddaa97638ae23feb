"""The real stages on the corpus of planted_bias.py, with one mitigation or none: accuracy and gap on its test rows.

python -m tests.support.planted_runs 0 1 2        # seeds; prints what each mitigation does
"""

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.params import Params, read_yaml, validate_params
from pipeline.core.stage import Paths, write_json
from pipeline.experiments import stage_cache
from pipeline.experiments.stage_runner import apply_changes, share_embeddings, share_terms
from pipeline.metrics import label_scores
from pipeline.mitigation import offset_selection
from pipeline.models import encoder as encoders
from pipeline.stages import finetune, pseudo_label, swaps
from tests.support.planted_bias import ATTRIBUTE, LABELS, Corpus, corpus

ROOT = Path(__file__).parents[2]
NONE: dict[str, Any] = {}
SWAPPED = NONE | {"swaps.variants": 1, "swaps.pool": True}  # the one that the docs recommend to try first
TRAINED = NONE | {"finetune.method": "full"}  # a penalty needs weights that are trained
MITIGATIONS: dict[str, dict[str, Any]] = {
    "none": NONE,
    "whitened graph": {},
    "reweighing": NONE | {"mitigation.reweighing": True},
    "swaps": NONE | {"swaps.variants": 1},
    "swapped pool": SWAPPED,
    "swapped pool, reweighing": SWAPPED | {"mitigation.reweighing": True},
    "offsets": NONE | {"mitigation.offsets.budget": 0.01},
    "fine-tuned": TRAINED,
    "fine-tuned, penalty 1": TRAINED | {"mitigation.penalty": 1.0},
    "fine-tuned, penalty 10": TRAINED | {"mitigation.penalty": 10.0},
}


@dataclass(frozen=True)
class Outcome:
    """Results on the test rows. A gap is the accuracy on men less the accuracy on women, -1 to 1."""

    accuracy: float  # 0 to 1
    gap: float
    praise_gap: float  # among praise only


def write_project(root: Path, planted: Corpus, store: Path, encoder: Path) -> Paths:
    """Write what ingest, pretrain, synonyms and back_translate would write; all runs share the vectors in ``store``."""
    paths, no_rows = Paths(root), planted.train.iloc[:0]
    tables = {"ingest/train": planted.train, "ingest/unlabelled": planted.pool, "ingest/validation": no_rows}
    for name, rows in (tables | {"synonyms/train": no_rows, "back_translate/train": no_rows}).items():
        table.write(rows, root / "data" / f"{name}.parquet")
    write_json({"labels": LABELS, "descriptions": {}}, paths.data("ingest") / "labels.json")
    paths.data("pretrain").mkdir()
    (paths.data("pretrain") / "encoder").symlink_to(encoder, target_is_directory=True)
    share_terms(root)
    share_embeddings(root, store)
    return paths


def run(root: Path, planted: Corpus, changes: Mapping[str, Any], store: Path) -> Outcome:
    """Train by this project's params.yaml with ``changes``, and measure on the test rows."""
    params: Params = validate_params(apply_changes(read_yaml(ROOT / "params.yaml"), changes))
    paths = write_project(root, planted, store, encoders.locate(params.encoder))
    swaps.run(params.swaps, paths)
    metrics = pseudo_label.run(params.pseudo_label, params.encoder, params.mitigation, paths)
    write_json(metrics, paths.data("pseudo_label") / "metrics.json")
    finetune.run(params.finetune, params.encoder, params.mitigation, paths)
    model = paths.data("finetune") / "model"
    tables = {"train": planted.train, "validation": planted.train.iloc[:0]}
    offsets = offset_selection.select_offsets(model, tables, params.fairness, params.mitigation, paths)
    answers = stage_cache.predict_labels(model, planted.test["text"].tolist(), params.encoder.batch_size, offsets)
    return measure(planted, np.array(answers))


def measure(planted: Corpus, predicted: np.ndarray) -> Outcome:
    """Compare the predicted labels of the test rows, (rows,), str, with the true ones."""
    truth, group = planted.test["label"].to_numpy(), planted.test[f"group.{ATTRIBUTE}"].to_numpy()
    correct = predicted == truth

    def gap(rows: np.ndarray) -> float:
        by_group = label_scores.accuracy_by_group(pd.Series(correct[rows]), pd.Series(group[rows]))
        return float(by_group["men"] - by_group["women"])

    return Outcome(float(correct.mean()), gap(truth != ""), gap(truth == "praise"))


def main(seeds: list[int]) -> None:
    """Print a Markdown table: for each mitigation the means over the seeds, and the gap of each seed."""
    print("| mitigation | accuracy | gap, points | gap of each seed | praise gap, points |\n|---|---|---|---|---|")
    for name, changes in MITIGATIONS.items():
        outcomes = []
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                vectors = Path(tempfile.gettempdir()) / "planted-vectors"
                outcomes.append(run(Path(folder), corpus(seed), changes, vectors))
        accuracy, gap, praise = (
            np.mean([getattr(outcome, key) for outcome in outcomes]) for key in Outcome.__annotations__
        )
        gaps = ", ".join(f"{100 * outcome.gap:+.1f}" for outcome in outcomes)
        print(f"| {name} | {accuracy:.3f} | {100 * gap:+.1f} | {gaps} | {100 * praise:+.1f} |", flush=True)


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]])
