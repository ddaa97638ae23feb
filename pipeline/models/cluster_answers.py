"""Answers by the workers of a Ray cluster: a bundle whose larger predictions they compute.

The bits are those of this process where the workers have its libraries and its kind of CPU, because every batch keeps
its shape.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np

from pipeline.compute.ray_cluster import read_compute
from pipeline.models import classifier
from pipeline.models.classifier import Classifier
from pipeline.models.onnx_file import LOGITS, LOGITS_AND_VECTORS
from pipeline.models.onnx_model import open_model
from pipeline.models.ray_model import RayModel
from pipeline.models.runtime import Batch, Choice, Runtime

FEW = 64  # batches; this process has computed them before a worker has opened the model


@dataclass(frozen=True)
class SharedRuntime:
    """The model of a bundle: ``near`` computes few batches, the cluster's ``far`` computes many."""

    near: Runtime
    far: RayModel

    @property
    def name(self) -> str:
        """The runtime of both."""
        return self.near.name

    @property
    def precision(self) -> str:
        """The precision of both."""
        return self.near.precision

    def run(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """The model's output for each batch, (rows, outputs), float32, in the order of the batches."""
        rest = iter(batches)
        first = list(islice(rest, FEW + 1))
        if len(first) <= FEW:
            return self.near.run(first)
        return self.far.run(chain(first, rest))


def computes_elsewhere(root: Path | None) -> bool:
    """Whether the params of the project in ``root`` leave many answers to a cluster."""
    return root is not None and read_compute(root).engine == "ray"


def load(folder: Path, root: Path | None) -> Classifier:
    """The bundle in ``folder``, checked; the cluster of the project in ``root`` computes where its params say so.

    Raises UserError as `classifier.load` does.
    """
    model = classifier.load(folder)
    compute = read_compute(root) if root is not None else None
    if compute is None or compute.engine != "ray":
        return model
    choice = Choice(model.runtime.name, model.runtime.precision)
    output = LOGITS_AND_VECTORS if model.columns > len(model.labels) else LOGITS
    open_far = partial(open_answers, choice=choice, output=output)
    far = RayModel(folder, [classifier.MODELS[choice.precision]], open_far, choice, compute)
    return replace(model, runtime=SharedRuntime(model.runtime, far))


def open_answers(folder: Path, threads: int, choice: Choice, output: str) -> Runtime:
    """The model of the bundle in ``folder``, opened by a worker."""
    return open_model(folder / classifier.MODELS[choice.precision], choice, output, threads)
