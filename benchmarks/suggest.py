"""What labels chosen by `gleaner suggest` are worth, beside random ones, the least sure ones and two published rules.

    GLEANER_DATA=../shared/data python benchmarks/suggest.py [banking77 ag_news hatexplain]

A quarter of the training file is held out, and k rows a class are gold. From the rest a rule picks further rows by the
probabilities of a linear probe on frozen vectors. The score is the accuracy on the held-out rows of a probe fitted on
all labels; the test file stays closed. Prints a table for LOG.md: mean ± std over seeds.
"""

import csv
import os
import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.params import load_params
from pipeline.core.stage import Paths
from pipeline.labelling import facility_location
from pipeline.models import encoder as encoders
from pipeline.models.embeddings import embed

ROOT = Path(__file__).parent.parent
DATA = {  # file, column of the text, of the label, rows picked
    "banking77": ("train.csv", "text", "category", (77,)),
    "ag_news": ("pool.csv", "text", "topic", (16, 40)),
    "hatexplain": ("posts.csv", "comment", "label", (30, 77)),
}
ROWS = 8000  # of each file: embedding more takes minutes
K = 4
SEEDS = 5
# probabilities (rows, classes) and vectors (rows, width) of the pool, vectors of the gold rows, how many, a seed
Rule = Callable[[np.ndarray, np.ndarray, np.ndarray, int, int], np.ndarray]


def at_random(probabilities: np.ndarray, vectors: np.ndarray, gold: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Rows drawn uniformly: no rule."""
    return np.random.default_rng(seed).choice(len(vectors), count, replace=False)


def least_sure(probabilities: np.ndarray, vectors: np.ndarray, gold: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Margin sampling: the smallest lead of the likeliest label over the second."""
    return np.argsort(facility_location.margin(probabilities), kind="stable")[:count]


def k_means(probabilities: np.ndarray, vectors: np.ndarray, gold: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Zhdanov (2019), "Diverse mini-batch active learning": weighted k-means on the 10 x count least sure rows."""
    rows = least_sure(probabilities, vectors, gold, 10 * count, seed)
    near, group = clusters(vectors[rows], count, 1 - facility_location.margin(probabilities)[rows])
    return np.array(
        [rows[members[near[members, c].argmin()]] for c in range(count) if len(members := np.flatnonzero(group == c))]
    )


def typical(probabilities: np.ndarray, vectors: np.ndarray, gold: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Hacohen et al. (2022), TypiClust: the densest row of each of the largest clusters that have the fewest labels."""
    number = min(len(gold) + count, 500)
    _, group = clusters(np.concatenate([gold, vectors]), number, None)
    labelled, size = (np.bincount(part, minlength=number) for part in (group[: len(gold)], group))
    picked = []
    for c in sorted(range(number), key=lambda c: (labelled[c], -size[c]))[:count]:
        members = np.flatnonzero(group[len(gold) :] == c)
        near = np.sort(vectors[members] @ vectors[members].T, axis=1)[:, -21:]
        picked += [members[near.mean(axis=1).argmax()]] if len(members) else []
    return np.array(picked)


def gleaner_suggest(
    probabilities: np.ndarray, vectors: np.ndarray, gold: np.ndarray, count: int, seed: int
) -> np.ndarray:
    """The rule of `gleaner suggest`: facility location."""
    return facility_location.choose_rows(probabilities, vectors, gold, count)


def clusters(vectors: np.ndarray, count: int, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each vector to each of ``count`` centres, (rows, count), and the nearest centre."""
    from sklearn.cluster import KMeans

    fitted = KMeans(count, n_init=1, random_state=0, max_iter=50).fit(vectors, sample_weight=weights)
    return fitted.transform(vectors), fitted.labels_


RULES: dict[str, Rule] = {
    "at random": at_random,
    "least sure (margin)": least_sure,
    "weighted k-means": k_means,
    "TypiClust": typical,
    "gleaner suggest": gleaner_suggest,
}


def main(names: list[str]) -> None:
    """Measure every rule on these data sets, and print the table."""
    for name in names:
        file, text, label, counts = DATA[name]
        with (Path(os.environ.get("GLEANER_DATA", "../shared/data")) / name / file).open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        random.Random(0).shuffle(rows)
        rows = rows[:ROWS]
        encoder = load_params(ROOT / "params.yaml").encoder
        vectors = embed([row[text] for row in rows], encoders.locate(encoder), encoder, Paths(ROOT))
        _, labels = np.unique([row[label] for row in rows], return_inverse=True)
        scores: dict[tuple[int, str], list[float]] = {}
        for seed in range(SEEDS):
            for key, score in simulate(vectors, labels, counts, seed):
                scores.setdefault(key, []).append(score)
        for (count, rule), values in sorted(scores.items(), key=lambda item: item[0][0]):
            print(f"| {name}, k={K} | {count} | {rule} | {np.mean(values):.3f} ± {np.std(values):.3f} |", flush=True)


def simulate(
    vectors: np.ndarray, labels: np.ndarray, counts: tuple[int, ...], seed: int
) -> list[tuple[tuple[int, str], float]]:
    """Accuracy on the held-out rows, by number of rows picked and rule."""
    order = np.random.default_rng(seed).permutation(len(labels))
    held, rest = order[: len(order) // 4], order[len(order) // 4 :]
    seen: Counter[int] = Counter()
    gold = []
    for row in rest:
        seen[labels[row]] += 1
        gold += [row] if seen[labels[row]] <= K else []
    pool = np.setdiff1d(rest, gold)
    start = fit_probe(vectors[gold], labels[gold])
    scores = [((0, "start"), start.score(vectors[held], labels[held]))]
    for count in counts:
        for name, rule in RULES.items():
            picked = pool[rule(start.predict_proba(vectors[pool]), vectors[pool], vectors[gold], count, seed)]
            known = np.concatenate([gold, picked])
            scores.append(((count, name), fit_probe(vectors[known], labels[known]).score(vectors[held], labels[held])))
    return scores


def fit_probe(vectors: np.ndarray, labels: np.ndarray) -> Any:
    """The fitted linear probe."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=10, max_iter=300, tol=1e-3).fit(vectors, labels)


if __name__ == "__main__":
    main(sys.argv[1:] or list(DATA))
