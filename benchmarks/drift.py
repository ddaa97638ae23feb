"""How often drift is reported where there is none, and where there is some, by how many rows arrived.

    GLEANER_DATA=../shared/data python -m benchmarks.drift

Old and new rows are drawn without replacement from the training files; the champion is a linear probe with 8 labels a
class of other rows. Three kinds of arrivals: the same as before; a shifted mix, in which 30% of the rows come from a
tenth of the classes; another topic, in which 30% come from the other data set. Prints a table for LOG.md.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.tasks import ROOT, load
from pipeline.core.params import load as load_params
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
        task = load(name)
        order = np.random.default_rng(0).permutation(len(task.train.texts))[:ROWS]
        texts = [task.train.texts[i] for i in order]
        data[name] = embed(texts, folder, params.encoder, Paths(ROOT)), [task.train.labels[i] for i in order]
    print(f"old rows {OLD}, alpha {limits.alpha}, separation {limits.min_separation}, shift {limits.min_shift}")
    print("| data | arrivals | rows | looks | drift | texts: p, size, both | answers: p, size, both |")
    print("|---|---|---|---|---|---|---|")
    for name in SETS:
        other = data[next(one for one in SETS if one != name)][0]
        for kind, trials in TRIALS.items():
            for size in SIZES:
                found = [look(*data[name], other, kind, size, seed, limits) for seed in range(trials[size])]
                print(f"| {name} | {kind} | {size} | {len(found)} | {cells(found, limits)} |", flush=True)


def look(
    vectors: np.ndarray, labels: Sequence[str], other: np.ndarray, kind: str, size: int, seed: int, limits: drift.Limits
) -> drift.Drift:
    """One look at so many arrivals of a kind."""
    rng = np.random.default_rng([seed, size])
    rows = rng.permutation(len(vectors))
    names = np.array(labels)
    probe, rest = taught(vectors, names, rows)
    rest = rng.permutation(rest)  # the first rows lack the classes that gave their labels late
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
    return drift.look(vectors[old], arrived, answers, limits.model_copy(update={"seed": seed}))


def taught(vectors: np.ndarray, names: np.ndarray, rows: np.ndarray) -> tuple[Any, np.ndarray]:
    """A probe with K labels a class, and the rows that it has not seen."""
    from sklearn.linear_model import LogisticRegression

    gold = np.concatenate([rows[names[rows] == name][:K] for name in sorted(set(names))])
    return LogisticRegression(C=10, max_iter=200).fit(vectors[gold], names[gold]), rows[~np.isin(rows, gold)]


def cells(found: list[drift.Drift], limits: drift.Limits) -> str:
    """Rates: any drift; then for each test significant, large, and both."""
    level = limits.alpha / 2
    parts = [f"{np.mean([one.status == 'drift' for one in found]):.3f}"]
    for place in (0, 1):
        tests = [one.tests[place] for one in found]
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
