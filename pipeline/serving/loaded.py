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
        """The labels in the order of the columns of `probabilities`."""
        return self.classifier.labels

    @property
    def title(self) -> str:
        """The name for logs."""
        return f"version {self.bundle.number}" if self.bundle.number else f"the bundle {self.bundle.digest[:12]}"

    def tokenise(self, texts: list[str]) -> list[np.ndarray]:
        """Token ids of each text, (tokens,), int64."""
        return self.classifier.tokenise(texts)

    def probabilities(self, tokens: list[np.ndarray]) -> np.ndarray:
        """Probability of each label, (texts, labels), float32, 0 to 1, for each text's ids, ``tokens`` (tokens,)."""
        return classifier.softmax(self.classifier.token_logits(tokens), self.classifier.temperature)


def load_version(bundle: NamedBundle, threads: int) -> LoadedVersion:
    """The version of a bundle, for ``threads`` callers at once.

    Raises UserError if its bytes are not those that were recorded, or if it cannot answer.
    """
    folder = Path(bundle.folder)
    manifest = folder / MANIFEST
    if manifest.is_file() and file_sha256(manifest) != bundle.digest:
        raise UserError(f"{folder}: expected the {MANIFEST} that was recorded, found another; nothing was loaded")
    model = classifier.load(folder, threads=threads)
    if model.runtime.name == "onnxruntime" and threads > 1:
        # Threads of ONNX Runtime that share a batch wait for each other by spinning: one thread for each caller is
        # faster. OpenVINO shares its threads out among the callers itself.
        model = classifier.load(folder, threads=1)
    loaded = LoadedVersion(bundle, model)
    loaded.probabilities(loaded.tokenise(["warm up"]))
    return loaded
