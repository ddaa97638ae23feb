"""The map of the text vectors: gold, pseudo-labelled and test rows in two dimensions, with errors marked."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.core.params import EmbeddingMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COMPONENTS = 50  # of PCA before t-SNE, as scikit-learn's documentation advises: less noise, and faster
COLOURED = 12  # classes that have colours; with more classes all points have the same colour
KINDS = ("gold", "pseudo", "test")
MARKERS = {"pseudo": (10, "o", 0.35), "test": (16, "D", 0.8), "gold": (60, "*", 1.0)}  # size, marker, opacity
MIN_POINTS = 4  # for t-SNE: with fewer points the perplexity would be below 1


def choose_points(rows: pd.DataFrame, points: int, seed: int) -> np.ndarray:
    """Positions of up to ``points`` rows, (points,), int64, ascending: about a third of each kind, errors first.

    ``rows`` has ``kind`` (gold, pseudo or test) and ``wrong``. What a small kind leaves goes to the others.
    """
    rng = np.random.default_rng(seed)
    order = {
        kind: sorted(
            rng.permutation(np.flatnonzero(rows["kind"].eq(kind))), key=lambda row: not rows["wrong"].iloc[row]
        )
        for kind in KINDS
    }
    chosen: list[int] = []
    smallest_first = sorted(KINDS, key=lambda kind: len(order[kind]))
    for kinds_left, kind in zip(range(len(KINDS), 0, -1), smallest_first, strict=True):
        chosen += order[kind][: (points - len(chosen)) // kinds_left]
    return np.sort(np.array(chosen, dtype=int))


def lay_out(vectors: np.ndarray, params: EmbeddingMap, seed: int) -> np.ndarray:
    """Coordinates on the map, (points, 2), float32: PCA, then t-SNE (van der Maaten and Hinton 2008).

    ``vectors`` is (points, width), float32. One thread is used: with more, t-SNE adds up in another order each time,
    and the map would differ from run to run.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if len(vectors) < MIN_POINTS:
        return np.zeros((len(vectors), 2), dtype=np.float32)
    components = min(COMPONENTS, *vectors.shape)
    with threadpool_limits(1):
        pca = PCA(components, svd_solver="full")
        reduced = pca.fit_transform(vectors.astype(np.float64)).astype(np.float32)
        perplexity = min(params.perplexity, (len(vectors) - 1) / 3)
        tsne = TSNE(perplexity=perplexity, max_iter=params.iterations, init="pca", random_state=seed, n_jobs=1)
        return tsne.fit_transform(reduced)


def draw(points: pd.DataFrame, labels: list[str]) -> "Figure":
    """The map from ``kind, label, wrong, x, y``: a colour for each class where these are few, crosses on errors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.5), layout="constrained")
    panel = figure.subplots()
    colours = dict(zip(labels, class_colours(), strict=False)) if len(labels) <= COLOURED else {}
    colour_of_point = points["label"].map(lambda label: colours.get(label, "tab:blue"))
    for kind, (size, marker, alpha) in MARKERS.items():
        part = points["kind"].eq(kind)
        edge = {"edgecolors": "black", "linewidths": 0.5} if kind == "gold" else {"linewidths": 0}
        x, y, colour = points.loc[part, "x"], points.loc[part, "y"], colour_of_point[part]
        panel.scatter(x, y, s=size, marker=marker, c=colour, alpha=alpha, **edge)
    wrong = points[points["wrong"]]
    panel.scatter(wrong["x"], wrong["y"], s=70, marker="x", c="black", linewidths=1.6)
    panel.set(xticks=[], yticks=[])
    draw_legend(panel, colours)
    return figure


def draw_legend(panel: "Axes", colours: dict[str, str]) -> None:
    """Explain markers and colours beside the map."""
    from matplotlib.lines import Line2D

    names = {"gold": "gold row", "pseudo": "pseudo-labelled row", "test": "test row"}
    handles = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=MARKERS[kind][1],
            color="grey",
            markersize=9 if kind == "gold" else 5,
            label=name,
        )
        for kind, name in names.items()
    ]
    handles.append(Line2D([], [], linestyle="", marker="x", color="black", markersize=8, label="error"))
    handles += [
        Line2D([], [], linestyle="", marker="o", color=colour, label=legend_label(label))
        for label, colour in colours.items()
    ]
    panel.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9, frameon=False)


def class_colours() -> list[str]:
    """Twelve colours that also colour-blind people can tell apart: eight of Okabe and Ito, and four between them."""
    okabe_ito = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#555555"]
    return [*okabe_ito, "#882255", "#44AA99", "#999933", "#AA4499"]


def legend_label(label: str) -> str:
    """A label fit for a legend: shortened to 32 characters, and never read as a formula."""
    return (label if len(label) <= 32 else label[:31] + "…").replace("$", r"\$")
