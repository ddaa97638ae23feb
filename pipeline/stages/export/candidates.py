"""The candidates for the bundle: what the pipeline made, and simpler models of the same labels.

Each is a folder as finetune writes it, and has logits for the same labelled rows, from which it has not learned: for
validation rows, or for gold rows that were held out in folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core.params import Encoder, Evaluate
from pipeline.core.stage import Paths, read_json
from pipeline.mitigation.offset_selection import is_teacher, predict_logits
from pipeline.models import encoder as encoders
from pipeline.models.baselines import fit_head
from pipeline.models.embeddings import embed
from pipeline.models.model_folder import write_model


@dataclass(frozen=True)
class Source:
    """What candidates are made of."""

    labels: list[str]
    gold: pd.DataFrame  # gold rows
    validation: pd.DataFrame
    encoder: Encoder
    evaluate: Evaluate
    paths: Paths

    @property
    def own_model(self) -> Path:
        """The folder of the model that the pipeline made."""
        return self.paths.data("finetune") / "model"

    @property
    def own_name(self) -> str:
        """The pipeline's model among the candidates: ``teacher_head`` where nothing was trained after the teacher."""
        return "teacher_head" if is_teacher(self.own_model, self.paths) else "network"


@dataclass(frozen=True)
class HeldOut:
    """Labelled rows, and each candidate's logits for them, (rows, classes), float32, none learned from their labels."""

    rows: pd.DataFrame
    truth: np.ndarray  # (rows,) int, class numbers
    kind: str  # "validation rows" or "held-out gold rows"
    logits: dict[str, np.ndarray]


def write_probe(source: Source, folder: Path) -> None:
    """Write the probe as a model: the untouched encoder, and a linear head fitted on the vectors of all gold rows."""
    start = encoders.locate(source.encoder)
    vectors = embed(source.gold["text"].tolist(), start, source.encoder, source.paths)
    head = fit_head(vectors, source.gold["label"], source.labels, source.evaluate.baseline_inverse_l2)
    write_model(start, head, source.labels, source.encoder, folder)


def write_teacher(source: Source, folder: Path) -> None:
    """Write the teacher as a model: the encoder that it saw, and its linear heads over vectors and words."""
    from safetensors.numpy import load_file

    heads = load_file(source.paths.data("pseudo_label") / "head.safetensors")
    write_model(source.paths.data("pretrain") / "encoder", heads, source.labels, source.encoder, folder)


WRITERS = {"probe": write_probe, "teacher_head": write_teacher}


def simpler_candidates(source: Source, allowed: Sequence[str]) -> list[str]:
    """The names of ``allowed`` that differ from the pipeline's model and can be made."""
    can_be_made = {
        "probe": source.gold["label"].nunique() > 1,
        "teacher_head": read_json(source.paths.data("pseudo_label") / "metrics.json")["ships_teacher"],
    }
    return [name for name in allowed if can_be_made[name] and name != source.own_name]


def answers_on_validation(source: Source, folders: dict[str, Path]) -> HeldOut:
    """The logits of the candidates in these ``folders`` for the validation rows.

    The pipeline chose its round and its last step by the same rows, which favours it a little.
    """
    texts = source.validation["text"].tolist()
    truth = source.validation["label"].map(source.labels.index).to_numpy(int)
    logits = {name: predict_logits(folder, texts, source.paths) for name, folder in folders.items()}
    return HeldOut(source.validation, truth, "validation rows", logits)


def answers_on_folds(source: Source) -> HeldOut:
    """The logits of probe and teacher for the gold rows that pseudo_label held out, each fitted without its fold.

    Both learn from the other folds alone. The teacher's round was chosen by the same rows, which favours it a little.
    """
    held_out = pd.read_parquet(source.paths.data("pseudo_label") / "held_out.parquet")
    rows = held_out[["id", "fold"]].merge(source.gold, on="id", validate="one_to_one")
    teacher = held_out[[f"logit.{label}" for label in source.labels]].to_numpy(np.float32)
    vectors = embed(source.gold["text"].tolist(), encoders.locate(source.encoder), source.encoder, source.paths)
    position = pd.Index(source.gold["id"]).get_indexer(pd.Index(rows["id"]))
    probe = np.empty_like(teacher)
    for fold in rows["fold"].unique():
        in_fold = rows["fold"].eq(fold).to_numpy()
        kept = ~source.gold["source_id"].isin(rows.loc[in_fold, "source_id"]).to_numpy()
        inverse_l2 = source.evaluate.baseline_inverse_l2
        head = fit_head(vectors[kept], source.gold.loc[kept, "label"], source.labels, inverse_l2)
        probe[in_fold] = vectors[position[in_fold]] @ head["weight"].T + head["bias"]
    truth = rows["label"].map(source.labels.index).to_numpy(int)
    return HeldOut(rows.drop(columns="fold"), truth, "held-out gold rows", {"probe": probe, "teacher_head": teacher})
