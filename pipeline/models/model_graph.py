"""A classifier as finetune writes it, ready to answer without torch: its encoder's exported graph, and its heads."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.stage import Paths, read_json
from pipeline.models.classifier import Classifier
from pipeline.models.encoder_graph import EncoderGraph, find_or_make, pooled
from pipeline.models.heads import Heads, head_logits, read_heads
from pipeline.models.onnx_file import VECTORS
from pipeline.models.onnx_model import open_model
from pipeline.models.runtime import Batch, Runtime, choose_for_answers
from pipeline.models.tokenizer_file import load_tokenizer

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class WithHeads:
    """A runtime that gives logits: the heads by numpy behind an encoder's vectors."""

    encoder: Runtime
    heads: Heads

    @property
    def name(self) -> str:
        """That of the encoder's runtime."""
        return self.encoder.name

    @property
    def precision(self) -> str:
        """That of the encoder's runtime; the heads compute in float32."""
        return self.encoder.precision

    def run(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """The logits for each batch, (rows, classes), float32, in the order of the batches."""
        started: deque[Batch] = deque()

        def remember() -> Iterator[Batch]:
            for batch in batches:
                started.append(batch)
                yield batch

        for vectors in self.encoder.run(remember()):
            yield head_logits(self.heads, vectors, started.popleft())


def find_model_graph(folder: Path, paths: Paths) -> EncoderGraph:
    """The graph of the encoder of the model in ``folder``, its adapters included.

    Raises UserError if the vectors of ONNX differ from torch's.
    """
    about = read_json(folder / "classifier.json")

    def load() -> tuple["torch.nn.Module", Any]:
        from pipeline.models import network

        net, tokenizer, _ = network.load(folder)
        return pooled(net.encoder, about["pooling"]), tokenizer

    adapters = list(folder.glob("adapters.safetensors"))
    return find_or_make(folder / "encoder", about["pooling"], about["max_length"], load, paths, adapters)


def load(folder: Path, paths: Paths) -> Classifier:
    """The model in ``folder``, in float32 and before calibration and class offsets."""
    about, graph = read_json(folder / "classifier.json"), find_model_graph(folder, paths)
    encoder = open_model(graph.model, choose_for_answers(None, "float32"), VECTORS)
    return Classifier(
        labels=tuple(about["labels"]),
        temperature=1.0,
        pad_id=graph.about["pad_id"],
        max_length=about["max_length"],
        tokenizer=load_tokenizer(graph.tokenizer, about["max_length"]),
        runtime=WithHeads(encoder, read_heads(folder)),
        columns=len(about["labels"]),
    )
