"""The real stages on the corpus of planted_bias.py, with one mitigation or none: accuracy and gap on its test rows.

python tests/support/planted_runs.py 0 1 2        # seeds; prints what each mitigation did
"""

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core import table
from pipeline.core.params import Params, read_yaml, validate
from pipeline.core.stage import Paths, write_json
from pipeline.experiments import stage_cache
from pipeline.experiments.stage_runner import changed, share_embeddings, share_terms
from pipeline.mitigation import offset_selection
from pipeline.models import encoder as encoders
from pipeline.stages import finetune, pseudo_label, swaps
from tests.support.planted_bias import ATTRIBUTE, LABELS, Corpus, corpus

ROOT = Path(__file__).parents[2]
NONE: dict[str, Any] = {"pseudo_label.whiten_last_graph": False}  # the defaults' compact graph mostly leaves little
SWAPPED = NONE | {"swaps.variants": 1, "swaps.pool": True}  # the one that the README recommends
TRAINED = NONE | {"finetune.method": "full"}  # a penalty wants weights that learn
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
    """Accuracy on the test rows, by how much more of the rows on men are right, and the same among praise alone."""

    accuracy: float
    gap: float
    praise_gap: float


def project(root: Path, own: Corpus, store: Path, encoder: Path) -> Paths:
    """What ingest, pretrain, synonyms and back_translate would leave, with vectors shared by all runs."""
    paths, none = Paths(root), own.train.iloc[:0]
    tables = {"ingest/train": own.train, "ingest/unlabelled": own.pool, "ingest/validation": none}
    for name, rows in (tables | {"synonyms/train": none, "back_translate/train": none}).items():
        table.write(rows, root / "data" / f"{name}.parquet")
    write_json({"labels": LABELS, "descriptions": {}}, paths.data("ingest") / "labels.json")
    paths.data("pretrain").mkdir()
    (paths.data("pretrain") / "encoder").symlink_to(encoder, target_is_directory=True)
    share_terms(root)
    share_embeddings(root, store)
    return paths


def run(root: Path, own: Corpus, changes: Mapping[str, Any], store: Path) -> Outcome:
    """Train by this project's params.yaml with these changes, and answer the test rows."""
    params: Params = validate(changed(read_yaml(ROOT / "params.yaml"), changes))
    paths = project(root, own, store, encoders.locate(params.encoder))
    swaps.run(params.swaps, paths)
    told = pseudo_label.run(params.pseudo_label, params.encoder, params.mitigation, paths)
    write_json(told, paths.data("pseudo_label") / "metrics.json")
    finetune.run(params.finetune, params.encoder, params.mitigation, paths)
    model = paths.data("finetune") / "model"
    tables = {"train": own.train, "validation": own.train.iloc[:0]}
    moved = offset_selection.look(model, tables, params.fairness, params.mitigation, paths)
    answers = stage_cache.answers(model, own.test["text"].tolist(), params.encoder.batch_size, moved)
    return measure(own, np.array(answers))


def measure(own: Corpus, answers: np.ndarray) -> Outcome:
    """Hold the answers against the truth."""
    truth, group = own.test["label"].to_numpy(), own.test[f"group.{ATTRIBUTE}"].to_numpy()
    right = answers == truth

    def gap(rows: np.ndarray) -> float:
        return float(right[rows & (group == "men")].mean() - right[rows & (group == "women")].mean())

    return Outcome(float(right.mean()), gap(truth != ""), gap(truth == "praise"))


def main(seeds: list[int]) -> None:
    """Means over the seeds, and the single gaps, as a Markdown table."""
    print("| mitigation | accuracy | gap, points | gap of each seed | praise gap, points |\n|---|---|---|---|---|")
    for name, changes in MITIGATIONS.items():
        found = []
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                found.append(run(Path(folder), corpus(seed), changes, Path(tempfile.gettempdir()) / "planted-vectors"))
        accuracy, gap, praise = (np.mean([getattr(one, key) for one in found]) for key in Outcome.__annotations__)
        each = ", ".join(f"{100 * one.gap:+.1f}" for one in found)
        print(f"| {name} | {accuracy:.3f} | {100 * gap:+.1f} | {each} | {100 * praise:+.1f} |", flush=True)


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]])
