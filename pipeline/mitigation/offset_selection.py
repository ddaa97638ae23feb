"""The choice of class offsets: on which rows they are chosen, and what the metrics say about it.

The rows must be rows that the model has not learned from.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core.params import Fairness, Mitigation
from pipeline.core.stage import Metrics, Paths, read_json
from pipeline.mitigation.group_codes import encode_groups
from pipeline.mitigation.offsets import ClassOffsets, choose_offsets
from pipeline.models import model_graph


def select_offsets(
    model: Path,
    tables: dict[str, pd.DataFrame],
    fairness: Fairness,
    mitigation: Mitigation,
    paths: Paths,
    held_out: tuple[pd.DataFrame, np.ndarray] | None = None,
) -> ClassOffsets | None:
    """The class offsets for the model in a folder; None where ``mitigation.offsets.budget`` is null.

    They are chosen on the validation rows. Without validation rows, the gold rows held out in cross-validation by
    pseudo_label take their place: their logits come from teachers that were not trained on them. Those logits are
    about this model only if it is the teacher itself, with the same head. Otherwise all offsets are zero. ``held_out``
    are rows that this model has not learned from with its logits for them, (rows, classes), float32, where the caller
    has some; they take the place of either.
    """
    budget = mitigation.offsets.budget
    if budget is None:
        return None
    labels: list[str] = read_json(model / "classifier.json")["labels"]
    if held_out is not None:
        rows, logits = held_out
    elif len(tables["validation"]):
        rows = tables["validation"]
        logits = predict_logits(model, rows["text"].tolist(), paths)
    elif is_teacher(model, paths):
        by_teacher = pd.read_parquet(paths.data("pseudo_label") / "held_out.parquet")
        rows = by_teacher[["id"]].merge(tables["train"], on="id", validate="one_to_one")
        logits = by_teacher[[f"logit.{label}" for label in labels]].to_numpy(float)
    else:
        return ClassOffsets(np.zeros(len(labels)), "none kept: only a validation split tells how this model answers")
    truth = rows["label"].map(labels.index).to_numpy(int)
    (groups,) = encode_groups([rows], mitigation.attributes)
    return choose_offsets(logits, truth, groups, budget, fairness.min_group_size)


def predict_logits(model: Path, texts: list[str], paths: Paths) -> np.ndarray:
    """Logits of the model in a folder, (texts, classes), float32."""
    return model_graph.load(model, paths).logits(texts)


def is_teacher(model: Path, paths: Paths) -> bool:
    """Whether the model in a folder is the teacher of pseudo_label: over the same vectors, with the same head."""
    from safetensors.numpy import load_file

    teacher = paths.data("pseudo_label")
    if not read_json(teacher / "metrics.json")["ships_teacher"]:
        return False
    return heads_equal(load_file(model / "head.safetensors"), load_file(teacher / "head.safetensors"))


def heads_equal(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    """Whether two heads have the same weights.

    ``first`` and ``second`` map names to arrays, such as weight (classes, width) and bias (classes,), float32.
    """
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def offset_metrics(offsets: ClassOffsets | None) -> Metrics:
    """The offsets, why they have these values, and what they do to accuracy and gap."""
    if offsets is None:
        return {"reason": "off: mitigation.offsets.budget is null"}
    metrics: Metrics = {"reason": offsets.reason, "values": [round(float(value), 6) for value in offsets.values]}
    for name, measured in (("before", offsets.before), ("after", offsets.after)):
        if measured:
            metrics |= {f"accuracy_{name}": measured[0], f"gap_{name}": measured[1]}
    if offsets.held_out_change is not None:
        metrics["gap_change_on_other_rows"] = round(offsets.held_out_change, 6)
    return metrics
