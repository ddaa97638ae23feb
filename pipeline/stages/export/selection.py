"""The model that ships: the candidate that the held-out labels choose, and what they say of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core.stage import Metrics, read_json
from pipeline.metrics.calibration import brier_scores
from pipeline.policies.shipped_model import MIN_ROWS, choose_model, sentence_start
from pipeline.stages.export.candidates import (
    WRITERS,
    HeldOut,
    Source,
    answers_on_folds,
    answers_on_validation,
    simpler_candidates,
)


@dataclass(frozen=True)
class Shipped:
    """The model that ships."""

    name: str  # as in CANDIDATES
    folder: Path
    # Labelled rows that it has not learned from, and its logits for them, (rows, classes), float32; None where it was
    # compared on none.
    held_out: tuple[pd.DataFrame, np.ndarray] | None
    metrics: Metrics

    @property
    def accuracy(self) -> float | None:
        """Its accuracy on these rows, 0 to 1."""
        return None if self.held_out is None else float(self.metrics[self.name]["accuracy"])


def choose_shipped(source: Source, allowed: Sequence[str], mitigated: bool, folder: Path) -> Shipped:
    """Compare the pipeline's model with those ``allowed`` simpler ones that can be made, and return what ships.

    ``mitigated`` is whether params ask for evener groups in training. Models are written below ``folder``.
    """
    own, simpler = source.own_name, simpler_candidates(source, allowed)
    if obstacle := find_obstacle(source, own, simpler, mitigated):
        reason = f"{sentence_start(own)} is chosen without a comparison: {obstacle}."
        return Shipped(own, source.own_model, None, {"model": own, "reason": reason})
    folders = {own: source.own_model}
    if len(source.validation) >= MIN_ROWS:
        folders |= {name: folder / name for name in simpler}
        for name in simpler:
            WRITERS[name](source, folders[name])
        held_out = answers_on_validation(source, folders)
    else:
        held_out = answers_on_folds(source)
    scores = {name: brier_scores(logits, held_out.truth) for name, logits in held_out.logits.items()}
    pseudo_labels = did_pseudo_labels_help(read_json(source.paths.data("pseudo_label") / "metrics.json"))
    choice = choose_model(scores, own, pseudo_labels, f"{len(held_out.rows)} {held_out.kind}")
    if choice.name not in folders:
        folders[choice.name] = folder / choice.name
        WRITERS[choice.name](source, folders[choice.name])
    metrics = {"model": choice.name, "reason": choice.reason, "rows": len(held_out.rows)}
    metrics |= {name: measure(held_out, name, brier) for name, brier in scores.items()}
    return Shipped(choice.name, folders[choice.name], (held_out.rows, held_out.logits[choice.name]), metrics)


def did_pseudo_labels_help(teacher: Metrics) -> bool:
    """Whether pseudo-labels were kept: they are dropped where held-out labels speak clearly against them."""
    return bool(teacher["round"])


def find_obstacle(source: Source, own: str, simpler: list[str], mitigated: bool) -> str:
    """Why no candidates can be compared; empty if they can."""
    if not simpler:
        return "there is no simpler candidate"
    if mitigated:
        return "params ask for evener groups in training, of which simpler models know nothing"
    if len(source.validation) >= MIN_ROWS:
        return ""
    if own == "network":
        return f"it learned from all gold rows, and {len(source.validation)} validation rows are too few ({MIN_ROWS})"
    teacher = read_json(source.paths.data("pseudo_label") / "metrics.json")
    rows = teacher["held_out_rows"]
    is_enough = teacher["judged_by"] == "folds" and rows >= MIN_ROWS
    return "" if is_enough else f"{rows} held-out labels are too few ({MIN_ROWS})"


def measure(held_out: HeldOut, name: str, brier: np.ndarray) -> Metrics:
    """Accuracy, 0 to 1, and mean Brier score, 0 to 2, of a candidate; ``brier`` is (rows,), float64."""
    right = held_out.logits[name].argmax(axis=1) == held_out.truth
    return {"accuracy": round(float(right.mean()), 6), "brier": round(float(brier.mean()), 6)}
