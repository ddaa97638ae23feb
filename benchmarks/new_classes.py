"""How many classes that nobody labelled are found among the texts that get no label.

    python -m benchmarks.new_classes [--data banking77] [--known 0.75 0.9] [--seeds 0 1] [--k 8]

Some classes of a data set are left out: none of their rows has a label, and their texts stay in the pool. What abstains
is fitted as export does it on a frozen encoder. A left-out class is found if most rows of a candidate are its own.
"""

import argparse
import random
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks.tasks import draw_labelled, load_task
from pipeline.core.params import load_params
from pipeline.core.stage import Paths
from pipeline.models import encoder as encoders
from pipeline.models.abstention import AbstentionSettings
from pipeline.models.embeddings import embed
from pipeline.stages.export.abstention import conformal_threshold, parts_in_folds
from pipeline.stages.export.abstention_fit import Known, fit_abstention, make_pool, weigh_parts
from pipeline.stages.export.left_out_classes import answered_of_left_out
from pipeline.stages.export.new_classes import find_new_classes

ROOT = Path(__file__).parent.parent
DRAFT = AbstentionSettings(method="graph", threshold=0.0, coverage=1.0)


@dataclass(frozen=True)
class Draw:
    """One draw of known classes: gold rows and pool, as indices of the rows, and the classes that are left out."""

    gold: np.ndarray
    pool: np.ndarray
    left_out: set[str]


def draw(labels: np.ndarray, gold: list[int], known: float, max_pool: int, seed: int) -> Draw:
    """A share ``known`` of the classes keeps its ``gold`` rows; the pool is drawn from all other rows."""
    classes = sorted(set(labels))
    left_out = set(classes) - set(random.Random(seed).sample(classes, round(known * len(classes))))
    kept = np.array([row for row in gold if labels[row] not in left_out])
    others = np.setdiff1d(np.arange(len(labels)), kept)
    return Draw(kept, np.random.default_rng(seed).permutation(others)[:max_pool], left_out)


def measure(vectors: np.ndarray, labels: np.ndarray, drawn: Draw, coverage: float, seed: int) -> dict[str, float]:
    """What is refused, what the candidates hold, and how near the estimate by known classes comes to the truth."""
    classes = np.unique(labels[drawn.gold], return_inverse=True)[1]
    known, pool = Known(vectors[drawn.gold], classes), make_pool(vectors[drawn.pool], seed)
    model = fit_abstention(known, pool, DRAFT)
    held_out = parts_in_folds(known, drawn.gold.astype(str), pool, DRAFT, seed)
    weights = weigh_parts(held_out, model.parts(pool.vectors))
    threshold = conformal_threshold(held_out @ weights, coverage).value
    fitted = replace(model, weights=weights, settings=DRAFT.model_copy(update={"threshold": threshold}))
    refused = model.parts(pool.vectors) @ weights > threshold
    foreign = np.isin(labels[drawn.pool], list(drawn.left_out))
    rows = drawn.pool[refused]
    candidates = find_new_classes(vectors[rows], pd.Series(rows.astype(str)))
    truth = pd.Series(labels[candidates["id"].astype(int)])
    found, purities = set(), []
    for _, of_candidate in truth.groupby(candidates["candidate"]):
        shares = of_candidate.value_counts(normalize=True)
        purities.append(shares.iloc[0])
        found |= {shares.index[0]} & drawn.left_out if shares.iloc[0] > 0.5 else set()
    return {
        "refused": int(refused.sum()),
        "left_out_answered": round(float((~refused)[foreign].mean()), 3),
        "estimate": round(answered_of_left_out(fitted, known, len(drawn.gold), pool, seed) or 0.0, 3),
        "candidates": len(purities),
        "purity": round(float(np.mean(purities)), 3) if purities else 0.0,
        "found": len(found),
        "left_out": len(drawn.left_out),
    }


def main(arguments: list[str]) -> int:
    """Measure, and print a line for each draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="banking77")
    parser.add_argument("--known", type=float, nargs="+", default=[0.75, 0.9])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--k", type=int, default=8, help="labels a class")
    given = parser.parse_args(arguments)
    params, task = load_params(ROOT / "params.yaml"), load_task(given.data)
    with TemporaryDirectory() as folder:
        vectors = embed(task.train.texts, encoders.locate(params.encoder), params.encoder, Paths(Path(folder)))
    labels = np.array(task.train.labels)
    for seed in given.seeds:
        for known in given.known:
            drawn = draw(labels, draw_labelled(task.train, given.k, seed), known, params.abstain.max_pool, seed)
            measured = measure(vectors, labels, drawn, params.abstain.coverage, seed)
            print(f"seed {seed}, {known:.0%} known: {measured}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
