"""The stage itself: test rows swapped, both versions predicted by the served bundle, tables out."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Counterfactual
from pipeline.core.stage import Metrics, Paths
from pipeline.models import classifier
from pipeline.stages.counterfactual import tables
from pipeline.text import identity
from pipeline.text.identity import Axis

SWAP = ("axis", "from", "to", "terms", "text")


def run(params: Counterfactual, paths: Paths) -> Metrics:
    """Swap, predict and compare. A row that mentions both groups of a pair is counted in both directions."""
    axes = chosen(identity.load(paths.root / "data" / identity.FOLDER), params.axes)
    test = table.read(paths.data("ingest") / "test.parquet")
    model = classifier.load(paths.data("export") / "bundle")
    every = swaps(test, axes)
    drawn = some(every, params)
    moved = predicted(test, drawn, model)
    pairs, terms = tables.by_pair(moved, model.labels, params), tables.by_term(moved, params)
    out = paths.data("counterfactual")
    table.write_csv(pairs, out / "pairs.csv")
    table.write_csv(terms, out / "terms.csv")
    flips = moved.loc[moved["flip"], ["id", "axis", "from", "to", "before", "after", "change"]]
    table.write_csv(flips.round({"change": 6}), out / "flips.csv")
    told = tables.by_axis(moved, params)
    rows = {"test_rows": len(test), "rows_with_a_term": int(every["row"].nunique())}
    return rows | {"swaps": len(moved), "swaps_left_out": len(every) - len(moved)} | told


def chosen(axes: dict[str, Axis], names: list[str]) -> dict[str, Axis]:
    """The axes of these names, all without any; UserError for a name that no list has."""
    unknown = [name for name in names if name not in axes]
    if unknown:
        raise UserError(
            f"counterfactual.axes: expected some of {', '.join(axes)}, found {', '.join(unknown)}; correct it"
        )
    return {name: axes[name] for name in names or axes}


def swaps(test: pd.DataFrame, axes: dict[str, Axis]) -> pd.DataFrame:
    """One row a test row and ordered pair of groups of which it mentions the first and can lose it to the second.

    Columns: ``row`` (position in ``test``), ``axis``, ``from``, ``to``, ``terms`` (of the first group, as listed) and
    the swapped ``text``.
    """
    found = [(row, *one) for row, text in enumerate(test["text"]) for one in of(text, axes)]
    return pd.DataFrame(found, columns=("row", *SWAP))


def of(text: str, axes: dict[str, Axis]) -> Iterator[tuple[str, str, str, tuple[str, ...], str]]:
    """All swaps of one text, as the columns of `SWAP`."""
    for name, axis in axes.items():
        there = axis.mentions(text)
        for one in dict.fromkeys(mention.cell.group for mention in there):
            terms = tuple(dict.fromkeys(mention.cell.text for mention in there if mention.cell.group == one))
            for other in axis.groups:
                new = axis.swap(text, one, other) if other != one else text
                if new != text:
                    yield name, one, other, terms, new


def some(every: pd.DataFrame, params: Counterfactual) -> pd.DataFrame:
    """All of them, or ``max_swaps`` drawn with the seed: whole test rows, so that every pair keeps its share."""
    if len(every) <= params.max_swaps:
        return every
    sizes = every.groupby("row").size()
    order = np.random.default_rng(params.seed).permutation(sizes.index.to_numpy())
    kept = order[sizes[order].cumsum().to_numpy() <= params.max_swaps]
    return every[every["row"].isin(kept)].reset_index(drop=True)


def predicted(test: pd.DataFrame, swapped: pd.DataFrame, model: classifier.Classifier) -> pd.DataFrame:
    """The swaps with ``id``, the labels ``before`` and ``after``, ``flip``, and ``change`` of the first label's
    probability; ``moved.<label>`` is the change of every label's.
    """
    rows = np.unique(swapped["row"].to_numpy(int))
    texts = [*test["text"].to_numpy()[rows], *swapped["text"]]
    scores = model.predict(texts) if texts else np.zeros((0, len(model.labels)), np.float32)
    first = scores[: len(rows)][np.searchsorted(rows, swapped["row"].to_numpy(int))]
    second = scores[len(rows) :]
    best, names = first.argmax(axis=1), np.array(model.labels, object)
    places = np.arange(len(swapped))
    moved = swapped.drop(columns="text").assign(
        id=test["id"].to_numpy()[swapped["row"].to_numpy(int)],
        before=names[best],
        after=names[second.argmax(axis=1)],
        flip=best != second.argmax(axis=1),
        change=(second - first)[places, best].astype(float),
    )
    return pd.concat(
        [moved, pd.DataFrame(second - first, columns=[f"{tables.MOVED}{label}" for label in model.labels])], axis=1
    )
