"""The stage itself: swap terms in test rows, predict both versions with the served bundle, write the tables."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Counterfactual
from pipeline.core.stage import Metrics, Paths
from pipeline.models import classifier, cluster_answers
from pipeline.stages.counterfactual import tables
from pipeline.text import identity
from pipeline.text.identity import Axis

SWAP_COLUMNS = ("axis", "from", "to", "terms", "text")


def run(params: Counterfactual, paths: Paths) -> Metrics:
    """Swap, predict and compare. A row that mentions both groups of a pair is counted in both directions."""
    axes = select_axes(identity.load(paths.root / "data" / identity.FOLDER), params.axes)
    test = table.read(paths.data("ingest") / "test.parquet")
    model = cluster_answers.load(paths.data("export") / "bundle", paths.root)
    all_swaps = swaps_of_rows(test, axes)
    swaps = predict_swaps(test, draw_swaps(all_swaps, params), model)
    pairs, terms = tables.by_pair(swaps, model.labels, params), tables.by_term(swaps, params)
    out = paths.data("counterfactual")
    table.write_csv(pairs, out / "pairs.csv")
    table.write_csv(terms, out / "terms.csv")
    flips = swaps.loc[swaps["flip"], ["id", "axis", "from", "to", "before", "after", "change"]]
    table.write_csv(flips.round({"change": 6}), out / "flips.csv")
    counts = {"test_rows": len(test), "rows_with_a_term": int(all_swaps["row"].nunique())}
    counts |= {"swaps": len(swaps), "swaps_left_out": len(all_swaps) - len(swaps)}
    return counts | tables.by_axis(swaps, params)


def select_axes(axes: dict[str, Axis], names: list[str]) -> dict[str, Axis]:
    """The axes with these names; all axes where ``names`` is empty.

    Raises UserError for a name that no list of identity terms has.
    """
    unknown = [name for name in names if name not in axes]
    if unknown:
        raise UserError(
            f"counterfactual.axes: expected some of {', '.join(axes)}, found {', '.join(unknown)}; correct it"
        )
    return {name: axes[name] for name in names or axes}


def swaps_of_rows(test: pd.DataFrame, axes: dict[str, Axis]) -> pd.DataFrame:
    """All swaps of the test rows: one row for each text, group that it mentions, and group that can take its place.

    Columns: ``row`` (position in ``test``), ``axis``, ``from``, ``to``, ``terms`` (of the first group, as listed) and
    the swapped ``text``.
    """
    swaps = [(row, *swap) for row, text in enumerate(test["text"]) for swap in swaps_of_text(text, axes)]
    return pd.DataFrame(swaps, columns=("row", *SWAP_COLUMNS))


def swaps_of_text(text: str, axes: dict[str, Axis]) -> Iterator[tuple[str, str, str, tuple[str, ...], str]]:
    """All swaps of one text, as the columns of `SWAP_COLUMNS`."""
    for name, axis in axes.items():
        mentions = axis.mentions(text)
        for group in dict.fromkeys(mention.cell.group for mention in mentions):
            terms = tuple(dict.fromkeys(mention.cell.text for mention in mentions if mention.cell.group == group))
            for target in axis.groups:
                swapped = axis.swap(text, group, target) if target != group else text
                if swapped != text:
                    yield name, group, target, terms, swapped


def draw_swaps(swaps: pd.DataFrame, params: Counterfactual) -> pd.DataFrame:
    """All swaps, or at most ``max_swaps`` of them, drawn with the seed.

    All swaps of a test row are drawn together, so that every pair of groups keeps its share.
    """
    if len(swaps) <= params.max_swaps:
        return swaps
    sizes = swaps.groupby("row").size()
    order = np.random.default_rng(params.seed).permutation(sizes.index.to_numpy())
    drawn_rows = order[sizes[order].cumsum().to_numpy() <= params.max_swaps]
    return swaps[swaps["row"].isin(drawn_rows)].reset_index(drop=True)


def predict_swaps(test: pd.DataFrame, swaps: pd.DataFrame, model: classifier.Classifier) -> pd.DataFrame:
    """The swaps with the predictions before and after, instead of their texts.

    New columns: ``id`` of the test row, the labels ``before`` and ``after``, ``flip`` (whether they differ), ``change``
    of the first label's probability (-1 to 1), and ``change.<label>``, the change of each label's probability.
    """
    positions = swaps["row"].to_numpy(int)
    rows = np.unique(positions)
    texts = [*test["text"].to_numpy()[rows], *swaps["text"]]
    probabilities = model.predict(texts) if texts else np.zeros((0, len(model.labels)), np.float32)
    before = probabilities[: len(rows)][np.searchsorted(rows, positions)]
    after = probabilities[len(rows) :]
    changes = after - before
    best, names = before.argmax(axis=1), np.array(model.labels, object)
    predicted = swaps.drop(columns="text").assign(
        id=test["id"].to_numpy()[positions],
        before=names[best],
        after=names[after.argmax(axis=1)],
        flip=best != after.argmax(axis=1),
        change=changes[np.arange(len(swaps)), best].astype(float),
    )
    by_label = pd.DataFrame(changes, columns=[f"{tables.LABEL_CHANGE}{label}" for label in model.labels])
    return pd.concat([predicted, by_label], axis=1)
