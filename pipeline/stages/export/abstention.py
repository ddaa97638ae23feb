"""Whether the bundle abstains, and above which score: a threshold that keeps a wanted share of the in-scope texts.

The threshold comes from labelled rows that the score has not seen (split conformal prediction, Vovk et al. 2005): no
text of another class is needed. Gold rows are scored in folds, each by what was fitted without it, which makes a text
look a little more foreign than it will in service; the share that is kept is therefore at least the wanted one.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.core.params import Abstain
from pipeline.core.stage import Metrics, Paths, read_json
from pipeline.models.abstention import PARTS, Abstention, AbstentionSettings
from pipeline.models.classifier import Classifier
from pipeline.stages.export.abstention_fit import Known, Pool, fit_abstention, make_pool, weigh_parts
from pipeline.stages.export.left_out_classes import answered_of_left_out
from pipeline.stages.export.new_classes import find_new_classes, no_new_classes
from pipeline.text.class_names import class_texts

FOLDS = 5
FROZEN = ("probe", "teacher_head")  # models whose text vectors have not learned from the gold rows


@dataclass(frozen=True)
class Threshold:
    """The score above which a text gets no label, and what it promises."""

    value: float
    coverage: float  # share of in-scope texts that get a label, at least, on average over draws of the held-out rows
    note: str  # why it is not the wanted coverage; empty if it is


class Choice(NamedTuple):
    """What the bundle abstains by, None for nothing, the metrics on it, and the table of `find_new_classes`."""

    abstention: Abstention | None
    metrics: Metrics
    new_classes: pd.DataFrame


def choose_abstention(
    params: Abstain, served: Classifier, shipped: str, tables: dict[str, pd.DataFrame], paths: Paths
) -> Choice:
    """What the bundle abstains by, and what that says of the pool.

    ``served`` is the model, loaded with vectors, and ``shipped`` its name among the candidates. ``tables`` are those
    of ingest.
    """
    if params.method == "none":
        return off("off: abstain.method is none")
    train, validation = tables["train"], tables["validation"]
    gold = train[train["origin"].eq("gold") & train["label"].notna()]
    if validation.empty and (shipped not in FROZEN or gold.empty):
        return off("off: a threshold takes labelled rows that the encoder has not learned from, or validation rows")
    names = class_texts(served.labels, read_json(paths.data("ingest") / "labels.json")["descriptions"])
    pool_rows = tables["unlabelled"]
    pool_rows = pool_rows.sample(min(params.max_pool, len(pool_rows)), random_state=params.seed)
    gold_vectors, name_vectors, pool_vectors, validation_vectors = (
        served.vectors(texts)
        for texts in (gold["text"].tolist(), names, pool_rows["text"].tolist(), validation["text"].tolist())
    )
    pool = make_pool(pool_vectors, params.seed)
    classes = np.concatenate([served.label_indices(gold["label"]), np.arange(len(names))])
    known = Known(np.concatenate([gold_vectors, name_vectors]), classes)
    draft = fit_abstention(known, pool, AbstentionSettings(method=params.method, threshold=0.0, coverage=1.0))
    held_out = draft.parts(validation_vectors)
    if shipped in FROZEN:
        sources = gold["source_id"].to_numpy()
        held_out = np.concatenate([held_out, parts_in_folds(known, sources, pool, draft.settings, params.seed)])
    weights = weigh_parts(held_out, draft.parts(pool_vectors))
    threshold = conformal_threshold(held_out @ weights, params.coverage)
    refused = draft.parts(pool_vectors) @ weights > threshold.value
    new_classes = find_new_classes(pool_vectors[refused], pool_rows["id"][refused])
    settings = AbstentionSettings(method=params.method, threshold=threshold.value, coverage=threshold.coverage)
    metrics: Metrics = {
        "method": params.method,
        "threshold": round(threshold.value, 6),
        "wanted_coverage": params.coverage,
        "promised_coverage": round(threshold.coverage, 6),
        "rows": len(held_out),
        "validation_rows": len(validation),
        "pool_rows": len(pool_rows),
        "pool_refused": int(refused.sum()),
        "new_classes": int(new_classes["candidate"].nunique()),
    }
    fitted = replace(draft, settings=settings, weights=weights)
    metrics |= {"note": threshold.note} if threshold.note else {}
    if shipped in FROZEN:
        left_out = answered_of_left_out(fitted, known, len(gold), pool, params.seed)
        measured = {"out_of_scope_answered": left_out, "out_of_scope_rows": len(gold) if left_out is not None else 0}
        fitted = replace(fitted, settings=settings.model_copy(update=measured))
        metrics |= measured
    return Choice(fitted, metrics, new_classes)


def off(reason: str) -> Choice:
    """No abstention, and why."""
    return Choice(None, {"method": "none", "reason": reason}, no_new_classes())


def parts_in_folds(
    known: Known, sources: np.ndarray, pool: Pool, settings: AbstentionSettings, seed: int
) -> np.ndarray:
    """The parts of the score of each gold row by what was fitted without it, (gold rows, parts), float64.

    The gold rows come first in ``known``. ``sources`` (gold rows,), str, is the row that each derives from: those of
    one source are in one fold.
    """
    numbers = np.unique(sources, return_inverse=True)[1]
    drawn = np.random.default_rng(seed).permutation(numbers.max(initial=-1) + 1)
    folds = drawn[numbers] % FOLDS
    parts = np.zeros((len(sources), len(PARTS)))
    for fold in np.unique(folds):
        kept = np.ones(len(known.classes), dtype=bool)
        kept[: len(sources)] = folds != fold
        parts[folds == fold] = fit_abstention(known.keep(kept), pool, settings).parts(known.vectors[~kept])
    return parts


def conformal_threshold(scores: np.ndarray, coverage: float) -> Threshold:
    """The score that a new in-scope text stays below in a share ``coverage``, 0 to 1, of the cases, or more.

    ``scores`` (rows,), float64, are those of held-out in-scope rows. Of n rows and a new one, each is the highest
    with the same probability, so that the k-th smallest score is passed by the new one in at most 1 - k / (n + 1) of
    the cases. Where n is too small for the wanted share, the highest score is the threshold.
    """
    rows = len(scores)
    rank = math.ceil((rows + 1) * coverage - 1e-9)
    if rank <= rows:
        return Threshold(float(np.sort(scores)[rank - 1]), coverage, "")
    promised = rows / (rows + 1)
    needed = math.ceil(coverage / (1 - coverage) - 1e-9)
    note = f"{rows} held-out rows promise a coverage of {promised:.3f} at most, {coverage} takes {needed} rows"
    return Threshold(float(scores.max()), promised, note)
