"""The rows that offsets are chosen on, which the model has not learned from, and what is said of the choice."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.group_numbers import numbers
from pipeline.offsets import Offsets, choose
from pipeline.params import Fairness, Mitigation
from pipeline.stage import Metrics, Paths, read_json

if TYPE_CHECKING:
    from pipeline.network import Network

BATCH_SIZE = 32


def look(
    model: Path, tables: dict[str, pd.DataFrame], fairness: Fairness, mitigation: Mitigation, paths: Paths
) -> Offsets | None:
    """What to add to the logits of each class, for everybody; None where params ask for nothing.

    Chosen on validation rows; without any, on gold rows as teachers saw them that had not learned from them, which says
    something of the model as long as the model is that teacher.
    """
    budget = mitigation.offsets.budget
    if budget is None:
        return None
    from safetensors.numpy import load_file

    from pipeline import network

    labels: list[str] = read_json(model / "classifier.json")["labels"]
    rows = tables["validation"]
    if len(rows):
        net, tokenizer, _ = network.load(model)
        logits = torch_logits(net, tokenizer, rows["text"].tolist())
    else:
        heads = (load_file(folder / "head.safetensors") for folder in (model, paths.data("pseudo_label")))
        if not same(*heads):
            return Offsets(np.zeros(len(labels)), "none kept: a trained model wants a validation split to choose by")
        held = pd.read_parquet(paths.data("pseudo_label") / "held_out.parquet")
        rows = held[["id"]].merge(tables["train"], on="id", validate="one_to_one")
        logits = held[[f"logit.{label}" for label in labels]].to_numpy(float)
    truth = rows["label"].map(labels.index).to_numpy(int)
    (groups,) = numbers([rows], mitigation.attributes)
    return choose(logits, truth, groups, budget, fairness.min_group_size)


def torch_logits(net: "Network", tokenizer: Any, texts: list[str]) -> np.ndarray:
    """Logits (texts, classes) of the network as it stands."""
    import torch

    cut: dict[str, Any] = {"truncation": True, "max_length": net.max_length, "padding": True, "return_tensors": "pt"}
    found = []
    for start in range(0, len(texts), BATCH_SIZE):
        inputs = tokenizer(texts[start : start + BATCH_SIZE], **cut)
        with torch.inference_mode():
            found.append(net(inputs["input_ids"], inputs["attention_mask"])["logits"].numpy())
    return np.concatenate(found)


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
