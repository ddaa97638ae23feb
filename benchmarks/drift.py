"""How often drift is reported where there is none, and where there is some, by how many rows arrived.

    GLEANER_DATA=../shared/data python -m benchmarks.drift

Old and new rows are drawn without replacement from the training files. The champion is a linear probe with 8 labels a
class, of other rows. There are three kinds of arrivals: the same as before; a shifted mix, in which 30% of the rows
come from a tenth of the classes; another topic, in which 30% come from the other data set. Prints a table for LOG.md.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.tasks import ROOT, load_task
from pipeline.core.params import load_params
from pipeline.core.stage import Paths
from pipeline.models import encoder as encoders
from pipeline.models.embeddings import embed
from pipeline.policies import drift

SETS = ("banking77", "ag_news")
ROWS, OLD, SHARE, K = 8000, 500, 0.3, 8
SIZES = (50, 200, 1000)
TRIALS = {"same": {50: 200, 200: 200, 1000: 100}, "shifted mix": {50: 50, 200: 50, 1000: 25}}
TRIALS["other topic"] = TRIALS["shifted mix"]


def main() -> None:
    """Print the table."""
    params = load_params(ROOT / "params.yaml")
    limits = params.drift.model_copy(update={"permutations": 500})
    folder = encoders.locate(params.encoder)
    data = {}
    for name in SETS:
        task = load_task(name)
        order = np.random.default_rng(0).permutation(len(task.train.texts))[:ROWS]
        texts = [task.train.texts[i] for i in order]
        data[name] = embed(texts, folder, params.encoder, Paths(ROOT)), [task.train.labels[i] for i in order]
    print(f"old rows {OLD}, alpha {limits.alpha}, separation {limits.min_separation}, shift {limits.min_shift}")
    print("| data | arrivals | rows | looks | drift | texts: p, size, both | answers: p, size, both |")
    print("|---|---|---|---|---|---|---|")
    for name in SETS:
        other = data[next(other for other in SETS if other != name)][0]
        for kind, trials in TRIALS.items():
            for size in SIZES:
                reports = [run_trial(*data[name], other, kind, size, seed, limits) for seed in range(trials[size])]
                print(f"| {name} | {kind} | {size} | {len(reports)} | {table_cells(reports, limits)} |", flush=True)


def run_trial(
    vectors: np.ndarray,
    labels: Sequence[str],
    other: np.ndarray,
    kind: str,
    size: int,
    seed: int,
    limits: drift.DriftLimits,
) -> drift.DriftReport:
    """The drift report on ``size`` arrivals of a kind; ``other`` are the vectors of the other data set."""
    rng = np.random.default_rng([seed, size])
    rows = rng.permutation(len(vectors))
    names = np.array(labels)
    probe, rest = fit_probe(vectors, names, rows)
    rest = rng.permutation(rest)  # the first rows lack the classes whose labels were drawn last
    old, rest = rest[:OLD], rest[OLD:]
    new, extra = rest[: size - round(SHARE * size)], round(SHARE * size)
    arrived = vectors[new]
    if kind == "same":
        arrived = vectors[rest[:size]]
    elif kind == "shifted mix":
        classes = sorted(set(labels))
        chosen = rng.choice(classes, max(1, len(classes) // 10), replace=False)
        pool = rest[len(new) :]
        arrived = np.concatenate([arrived, vectors[pool[np.isin(names[pool], chosen)][:extra]]])
    else:
        arrived = np.concatenate([arrived, other[rng.choice(len(other), extra, replace=False)]])
    answers = {"answers": (probe.predict(vectors[old]).tolist(), probe.predict(arrived).tolist())}
    return drift.detect_drift(vectors[old], arrived, answers, limits.model_copy(update={"seed": seed}))


def fit_probe(vectors: np.ndarray, names: np.ndarray, rows: np.ndarray) -> tuple[Any, np.ndarray]:
    """A probe with K labels a class, and the rows that it was not fitted on."""
    from sklearn.linear_model import LogisticRegression

    gold = np.concatenate([rows[names[rows] == name][:K] for name in sorted(set(names))])
    return LogisticRegression(C=10, max_iter=200).fit(vectors[gold], names[gold]), rows[~np.isin(rows, gold)]


def table_cells(reports: list[drift.DriftReport], limits: drift.DriftLimits) -> str:
    """Cells with the rate of drift, then for each test the rates of significant, large, and both."""
    level = limits.alpha / 2
    parts = [f"{np.mean([report.status == 'drift' for report in reports]):.3f}"]
    for index in (0, 1):
        tests = [report.tests[index] for report in reports]
        rates = (
            [(test.p or 0) <= level for test in tests],
            [(test.size or 0) >= (test.limit or 0) for test in tests],
            [test.status == "drift" for test in tests],
        )
        size = float(np.mean([test.size or 0 for test in tests]))
        parts.append(", ".join(f"{np.mean(rate):.3f}" for rate in rates) + f" (size {size:.3f})")
    return " | ".join(parts)


if __name__ == "__main__":
    main()
