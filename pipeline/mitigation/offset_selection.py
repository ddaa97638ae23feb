"""The rows that offsets are chosen on, which the model has not learned from, and what is said of the choice."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core.params import Fairness, Mitigation
from pipeline.core.stage import Metrics, Paths, read_json
from pipeline.mitigation.group_codes import numbers
from pipeline.mitigation.offsets import Offsets, choose

BATCH_SIZE = 32


def look(
    model: Path, tables: dict[str, pd.DataFrame], fairness: Fairness, mitigation: Mitigation, paths: Paths
) -> Offsets | None:
    """What to add to the logits of each class, for everybody; None where params ask for nothing.

    Chosen on validation rows; without any, on gold rows as teachers saw them that had not learned from them, which says
    something of the model as long as the model is such a teacher: not trained further, nor over other vectors.
    """
    budget = mitigation.offsets.budget
    if budget is None:
        return None
    from safetensors.numpy import load_file

    from pipeline.models import network

    labels: list[str] = read_json(model / "classifier.json")["labels"]
    rows = tables["validation"]
    if len(rows):
        net, tokenizer, _ = network.load(model)
        logits = network.logits(net, tokenizer, rows["text"].tolist(), BATCH_SIZE)
    else:
        heads = (load_file(folder / "head.safetensors") for folder in (model, paths.data("pseudo_label")))
        if not (read_json(paths.data("pseudo_label") / "metrics.json")["ships_teacher"] and same(*heads)):
            return Offsets(np.zeros(len(labels)), "none kept: only a validation split tells how this model answers")
        held = pd.read_parquet(paths.data("pseudo_label") / "held_out.parquet")
        rows = held[["id"]].merge(tables["train"], on="id", validate="one_to_one")
        logits = held[[f"logit.{label}" for label in labels]].to_numpy(float)
    truth = rows["label"].map(labels.index).to_numpy(int)
    (groups,) = numbers([rows], mitigation.attributes)
    return choose(logits, truth, groups, budget, fairness.min_group_size)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    """Whether two heads are equal, weight by weight."""
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def tell(moved: Offsets | None) -> Metrics:
    """What was moved and what for, as metrics."""
    if moved is None:
        return {"reason": "off: mitigation.offsets.budget is null"}
    metrics: Metrics = {"reason": moved.reason, "values": [round(float(value), 6) for value in moved.values]}
    for name, pair in (("before", moved.before), ("after", moved.after)):
        metrics |= {f"accuracy_{name}": pair[0], f"gap_{name}": pair[1]} if pair else {}
    return metrics | ({} if moved.held is None else {"gap_change_on_other_rows": round(moved.held, 6)})
