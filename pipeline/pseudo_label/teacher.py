"""Where the teacher sees the texts: in the encoder's vectors as they are, or after fine-tuning on the seeds."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.embeddings import embed
from pipeline.params import Encoder, Supervised
from pipeline.stage import Paths, replace


@dataclass(frozen=True)
class Vectors:
    """Unit vectors, (rows, width) each, of the seeds, the pool and the validation rows."""

    seeds: np.ndarray
    pool: np.ndarray
    validation: np.ndarray


# From the seeds that a teacher may learn from, by position, to the vectors that it sees of all rows. A fold hands over
# the seeds that it keeps, so that no label held out shapes a vector.
See = Callable[[np.ndarray], Vectors]


def as_they_are(vectors: Vectors) -> See:
    """The encoder is never trained: the same vectors for everyone."""
    return lambda kept: vectors


def fine_tuned(
    seeds: pd.DataFrame,
    texts: tuple[list[str], list[str]],
    start: Path,
    labels: list[str],
    encoder: Encoder,
    params: Supervised,
    paths: Paths,
) -> See:
    """The encoder in ``start`` is first fine-tuned on the kept seeds, with a linear head that is then left behind.

    ``seeds`` has a column ``target``, the class number; ``texts`` are the pool's and the validation rows'.
    """

    def see(kept: np.ndarray) -> Vectors:
        folder = tune(seeds.iloc[kept], start, labels, encoder, params, paths)
        groups = (seeds["text"].tolist(), *texts)
        return Vectors(*split(embed([text for group in groups for text in group], folder, encoder, paths), groups))

    return see


def split(vectors: np.ndarray, groups: tuple[list[str], ...]) -> list[np.ndarray]:
    """Rows of ``vectors`` by the group of texts that they stand for."""
    return np.split(vectors, np.cumsum([len(group) for group in groups])[:-1])


def tune(
    rows: pd.DataFrame, start: Path, labels: list[str], encoder: Encoder, params: Supervised, paths: Paths
) -> Path:
    """Folder of the encoder fine-tuned on ``rows``; what a killed run made of the very same rows is used again."""
    from pipeline import network, supervised, trainer

    learned = "".join(rows["id"] + rows["label"] + rows["weight"].astype(str))
    inputs = trainer.fingerprint([params, encoder], [*sorted(start.glob("*.safetensors")), Path(__file__)])
    folder = paths.scratch("pseudo_label") / f"teacher-{hashlib.sha256((inputs + learned).encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "model").exists():
        net, tokenizer = supervised.create(start, labels, encoder, params)
        supervised.fit(net, tokenizer, rows, rows.iloc[:0], params, folder, evaluate_steps=1, patience=1)
        replace(folder / "model", lambda part: network.save(net, tokenizer, part))
    return folder / "model" / "encoder"


def clear(paths: Paths) -> None:
    """Remove the fine-tuned teachers, once the stage's outputs are made."""
    for folder in paths.scratch("pseudo_label").glob("teacher-*"):
        shutil.rmtree(folder)
