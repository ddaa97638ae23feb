"""The map of the vectors: gold, pseudo-labelled and test rows in two dimensions, errors marked."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.core.params import EmbeddingMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COMPONENTS = 50  # that PCA keeps: t-SNE's neighbours are then as good, and found faster
COLOURED = 12  # classes up to which each has a colour
KINDS = ("gold", "pseudo", "test")


def chosen(rows: pd.DataFrame, points: int, seed: int) -> np.ndarray:
    """Places of up to ``points`` rows, about a third of each kind, in the table's order; errors come before others.

    ``rows`` has ``kind`` (gold, pseudo or test) and ``wrong``.
    """
    rng = np.random.default_rng(seed)
    order = {
        kind: sorted(
            rng.permutation(np.flatnonzero(rows["kind"].eq(kind))), key=lambda row: not rows["wrong"].iloc[row]
        )
        for kind in KINDS
    }
    taken: list[int] = []
    for left, kind in zip(range(len(KINDS), 0, -1), sorted(KINDS, key=lambda kind: len(order[kind])), strict=True):
        taken += order[kind][: (points - len(taken)) // left]  # what a small kind leaves goes to the others
    return np.sort(np.array(taken, dtype=int))


def lay_out(vectors: np.ndarray, params: EmbeddingMap, seed: int) -> np.ndarray:
    """Places of vectors (points, width) on the map, (points, 2): PCA, then t-SNE (van der Maaten and Hinton 2008).

    One thread: with more, t-SNE adds up in another order each time, and the map would differ from run to run.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if len(vectors) < 4:
        return np.zeros((len(vectors), 2), dtype=np.float32)
    kept = min(COMPONENTS, *vectors.shape)
    with threadpool_limits(1):
        small = PCA(kept, svd_solver="full").fit_transform(vectors.astype(np.float64)).astype(np.float32)
        spread = min(params.perplexity, (len(vectors) - 1) / 3)
        tsne = TSNE(perplexity=spread, max_iter=params.iterations, init="pca", random_state=seed, n_jobs=1)
        return tsne.fit_transform(small)


def draw(points: pd.DataFrame, labels: list[str]) -> "Figure":
    """The map from ``kind, label, wrong, x, y``: a colour for each class where these are few, crosses on errors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.5), layout="constrained")
    panel = figure.subplots()
    few = len(labels) <= COLOURED
    shades = dict(zip(labels, colours(), strict=False)) if few else {}
    tint = points["label"].map(lambda label: shades.get(label, "tab:blue"))
    looks = {"pseudo": (10, "o", 0.35), "test": (16, "D", 0.8), "gold": (60, "*", 1.0)}
    for kind, (size, marker, alpha) in looks.items():
        part = points["kind"].eq(kind)
        edge = {"edgecolors": "black", "linewidths": 0.5} if kind == "gold" else {"linewidths": 0}
        panel.scatter(
            points.loc[part, "x"], points.loc[part, "y"], s=size, marker=marker, c=tint[part], alpha=alpha, **edge
        )
    wrong = points[points["wrong"]]
    panel.scatter(wrong["x"], wrong["y"], s=70, marker="x", c="black", linewidths=1.6)
    panel.set(xticks=[], yticks=[])
    legend(panel, looks, shades)
    return figure


def legend(panel: "Axes", looks: dict[str, tuple[int, str, float]], shades: dict[str, str]) -> None:
    """What markers and colours mean, beside the map."""
    from matplotlib.lines import Line2D

    names = {"gold": "gold row", "pseudo": "pseudo-labelled row", "test": "test row"}
    marks = [
        Line2D(
            [], [], linestyle="", marker=looks[kind][1], color="grey", markersize=9 if kind == "gold" else 5, label=name
        )
        for kind, name in names.items()
    ]
    marks.append(Line2D([], [], linestyle="", marker="x", color="black", markersize=8, label="error"))
    classes = [
        Line2D([], [], linestyle="", marker="o", color=shade, label=cut(label)) for label, shade in shades.items()
    ]
    panel.legend(handles=[*marks, *classes], loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9, frameon=False)


def colours() -> list[str]:
    """Twelve colours that also those can tell apart who see fewer: eight of Okabe and Ito's, four between them."""
    known = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#555555"]
    return [*known, "#882255", "#44AA99", "#999933", "#AA4499"]


def cut(label: str) -> str:
    """A label fit for a legend: cut where it is long, and never read as a formula."""
    return (label if len(label) <= 32 else label[:31] + "…").replace("$", r"\$")
