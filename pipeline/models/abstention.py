"""How unlike every class a text is, from its vector alone: the score by which a bundle abstains.

The score is a weighted sum of four parts:

- *isolation*: how badly a random walk from the labelled rows through the texts of the pool reaches the neighbourhood
  of the text. Texts of a class that nobody labelled hang together, but the walk hardly reaches them.
- *novelty*: the cosine distance to the nearest means of texts of the pool (Sun et al. 2022).
- *distance*: the cosine distance to the nearest class mean.
- *deviation*: the squared Mahalanobis distance to the nearest class mean, with a covariance that all classes share
  (Lee et al. 2018).

Isolation tells texts like those of the pool that are of no class; the others tell texts unlike those of the pool.
A bundle holds means of texts and no vector of a single text of the pool. pipeline/stages/export fits all of it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from pipeline.core.errors import UserError

ABSTENTION_FILE = "abstention.safetensors"
NEAREST = 3  # prototypes that stand for the neighbourhood of a text
SHARPNESS = 20.0  # of cosines that become weights: one that is higher by 0.05 counts e times as much
PARTS = ("isolation", "novelty", "distance", "deviation")
TENSORS = ("prototypes", "isolation", "class_means", "whitening", "weights")


class AbstentionSettings(BaseModel):
    """The key ``abstention`` of classifier.json."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    method: Literal["graph"]
    threshold: float  # texts with a higher score get no label
    coverage: Annotated[float, Field(gt=0, le=1)]  # share of in-scope texts that get a label, at least, on average
    out_of_scope_answered: Annotated[float, Field(ge=0, le=1)] | None = None  # share of rows of left-out classes
    out_of_scope_rows: Annotated[int, Field(ge=0)] = 0  # of which it was measured


@dataclass(frozen=True)
class Abstention:
    """What a bundle needs to score a text, and the threshold above which it abstains. All arrays are float32."""

    settings: AbstentionSettings
    prototypes: np.ndarray  # (prototypes, width), unit vectors: means of texts of the pool; none without a pool
    isolation: np.ndarray  # (prototypes,): how badly the walk reaches each; higher is worse
    class_means: np.ndarray  # (classes, width), unit vectors
    whitening: np.ndarray  # (width, width): makes the covariance within classes that of a unit ball
    weights: np.ndarray  # (parts,): what a unit of each part adds to the score

    @property
    def threshold(self) -> float:
        """The score above which a text gets no label."""
        return self.settings.threshold

    def refuses(self, scores: np.ndarray) -> np.ndarray:
        """Whether each text gets no label, (texts,), bool, by its score; ``scores`` is (texts,), float64."""
        refused: np.ndarray = scores > self.settings.threshold
        return refused

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """How unlike every class each text is, (texts,), float64; ``vectors`` is (texts, width), float32."""
        scores: np.ndarray = self.parts(vectors) @ self.weights
        return scores

    def parts(self, vectors: np.ndarray) -> np.ndarray:
        """The parts of the score, (texts, parts), float64, of unit ``vectors``, (texts, width), float32."""
        isolation, novelty = self.compare_with_pool(vectors)
        distance = 1 - (vectors @ self.class_means.T).max(axis=1)
        return np.stack([isolation, novelty, distance, self.deviation(vectors)], axis=1).astype(np.float64)

    def compare_with_pool(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Isolation and novelty of each text, both (texts,), float32; zeros without prototypes.

        ``vectors`` is (texts, width), float32. Of the nearest prototypes, nearer ones count more for the isolation.
        """
        nearest = min(NEAREST, len(self.prototypes))
        if not nearest:
            return np.zeros(len(vectors)), np.zeros(len(vectors))
        cosines = vectors @ self.prototypes.T
        columns = np.argpartition(-cosines, nearest - 1, axis=1)[:, :nearest]
        near = np.take_along_axis(cosines, columns, axis=1)
        weights = np.exp(SHARPNESS * (near - near.max(axis=1, keepdims=True)))
        return (weights * self.isolation[columns]).sum(axis=1) / weights.sum(axis=1), 1 - near.mean(axis=1)

    def deviation(self, vectors: np.ndarray) -> np.ndarray:
        """The squared Mahalanobis distance to the nearest class mean, (texts,), float64.

        ``vectors`` is (texts, width), float32.
        """
        whitening = self.whitening.astype(np.float64)  # it amplifies what float32 rounds
        whitened, means = vectors @ whitening, self.class_means @ whitening
        squares = (whitened**2).sum(axis=1)[:, None] + (means**2).sum(axis=1)[None]
        nearest: np.ndarray = (squares - 2 * whitened @ means.T).min(axis=1)
        return nearest


def save_abstention(abstention: Abstention, folder: Path) -> None:
    """Write the arrays into the bundle in ``folder``; the settings belong into its classifier.json."""
    from safetensors.numpy import save_file

    arrays = {name: np.ascontiguousarray(getattr(abstention, name), dtype=np.float32) for name in TENSORS}
    save_file(arrays, folder / ABSTENTION_FILE)


def load_abstention(folder: Path, settings: AbstentionSettings | None, width: int) -> Abstention | None:
    """What the bundle in ``folder`` abstains by; None where ``settings`` are, so that every text gets a label.

    ``width`` is that of the model's text vectors. Raises UserError if the file is missing, has
    other arrays than it needs, or does not fit the model.
    """
    if settings is None:
        return None
    path = folder / ABSTENTION_FILE
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        arrays = load_file(path)
    except FileNotFoundError:
        raise UserError(f"{path}: expected this file of the bundle, found none; run `dvc repro export`") from None
    except SafetensorError:
        raise UserError(f"{path}: expected safetensors, found something else; rerun export") from None
    if fault := find_fault(arrays, width):
        raise UserError(f"{path}: {fault}; rerun export")
    return Abstention(settings, **{name: arrays[name] for name in TENSORS})


def find_fault(arrays: dict[str, np.ndarray], width: int) -> str:
    """What is wrong with an abstention's ``arrays``; empty if nothing.

    They should be float32: prototypes and class_means (any, width), the others as in `Abstention`; ``width`` is that of
    the text vectors.
    """
    if set(arrays) != set(TENSORS):
        return f"expected the arrays {', '.join(TENSORS)}, found others"
    prototypes, classes = len(arrays["prototypes"]), len(arrays["class_means"])
    shapes = [(prototypes, width), (prototypes,), (classes, width), (width, width), (len(PARTS),)]
    for name, shape in zip(TENSORS, shapes, strict=True):
        array = arrays[name]
        if array.shape != shape or array.dtype != np.float32 or not np.isfinite(array).all():
            return f"expected {name} as finite float32 numbers of the shape {shape}, found others"
    return "" if classes else "expected the mean of a class, found none"
