"""A version that is loaded: checked against the digest that was recorded, and ready to answer."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.core.digests import file_sha256
from pipeline.core.errors import UserError
from pipeline.models import classifier
from pipeline.models.bundle_files import MANIFEST
from pipeline.serving.handover import NamedBundle


@dataclass(frozen=True, eq=False)
class LoadedVersion:
    """A bundle and its classifier; made by `load_version`."""

    bundle: NamedBundle
    classifier: classifier.Classifier

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of the columns of `compute`."""
        return self.classifier.labels

    @property
    def title(self) -> str:
        """The name for logs."""
        return f"version {self.bundle.number}" if self.bundle.number else f"the bundle {self.bundle.digest[:12]}"

    def tokenise(self, texts: list[str]) -> list[np.ndarray]:
        """Token ids of each text, (tokens,), int64."""
        return self.classifier.tokenise(texts)

    def compute(self, tokens: list[np.ndarray]) -> np.ndarray:
        """What is computed of each text, (texts, labels + 1 + width), float64.

        First the probability of each label, 0 to 1, then how unlike every class the text is, -inf for a version that
        does not abstain, then its vector, of width 0 where vectors are not loaded. It is float64, so that no rounding
        moves a text over the threshold. ``tokens`` holds the ids of each text, (tokens,), int64.
        """
        probabilities, scores, vectors = self.classifier.score_and_embed(tokens)
        unlike = np.full(len(tokens), -np.inf) if scores is None else scores
        return np.column_stack([probabilities, unlike, vectors])

    def refuses(self, unlike: np.ndarray) -> np.ndarray:
        """Whether each text gets no label, (texts,), bool, by ``unlike``, (texts,), float64, of `compute`."""
        abstention = self.classifier.abstention
        return np.zeros(len(unlike), dtype=bool) if abstention is None else abstention.refuses(unlike)


def load_version(bundle: NamedBundle, threads: int, with_vectors: bool = False) -> LoadedVersion:
    """The version of a bundle, for ``threads`` callers at once; ``with_vectors`` loads them, if its model gives them.

    Raises UserError if its bytes are not those that were recorded, or if it cannot answer.
    """
    folder = Path(bundle.folder)
    manifest = folder / MANIFEST
    if manifest.is_file() and file_sha256(manifest) != bundle.digest:
        raise UserError(f"{folder}: expected the {MANIFEST} that was recorded, found another; nothing was loaded")
    model = classifier.load(folder, threads=threads, with_vectors=with_vectors)
    if model.runtime.name == "onnxruntime" and threads > 1:
        # Threads of ONNX Runtime that share a batch wait for each other by spinning: one thread for each caller is
        # faster. OpenVINO shares its threads out among the callers itself.
        model = classifier.load(folder, threads=1, with_vectors=with_vectors)
    loaded = LoadedVersion(bundle, model)
    loaded.compute(loaded.tokenise(["warm up"]))
    return loaded
