"""A trained classifier as the methods need it: what it answers, and the network behind it where there is one."""

import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.attribution.internals import Internals
from pipeline.core.errors import UserError
from pipeline.core.stage import progress
from pipeline.models import classifier

BATCH = 32


@dataclass(frozen=True)
class Model:
    """A classifier to explain; made by `load`."""

    folder: Path
    labels: tuple[str, ...]
    temperature: float
    logits: Callable[[list[str]], np.ndarray]  # texts to (texts, classes), as served
    inside: Internals | None

    def probabilities(self, texts: list[str]) -> np.ndarray:
        """What the model answers, (texts, classes)."""
        return classifier.softmax(self.logits(texts), self.temperature)


def load(folder: Path, inside: bool) -> Model:
    """A model bundle, or what finetune leaves in data/finetune/model.

    ``inside`` loads the network too, from the folder's safetensors. A bundle's scores are those that are served, class
    offsets included: they are in the bias of its head. Those of finetune's model come before them, which is told on
    stderr. Raises UserError for a folder that holds neither, lacks the network, or fails its check by the manifest.
    """
    if (folder / classifier.MANIFEST).exists() or not (folder / "classifier.json").exists():
        served = classifier.load(folder, threads=1)
        logits = partial(side_by_side, served)
        return Model(folder, served.labels, served.temperature, logits, look(folder) if inside else None)
    found = look(folder)  # not exported yet: the network itself answers
    print(f"{folder}: not exported yet: labels and scores before calibration and class offsets", file=sys.stderr)
    return Model(folder, tuple(found.network.labels), 1.0, lambda texts: torch_logits(found, texts), found)


def look(folder: Path) -> Internals:
    """The network of the folder, frozen."""
    if not ((folder / "head.safetensors").exists() and (folder / "encoder").is_dir()):
        raise UserError(
            f"{folder}: expected the weights as safetensors (head.safetensors and encoder/), found none; "
            "use --method lime, which needs no weights, or a bundle that `dvc repro export` made"
        )
    from pipeline.models import network

    net, tokenizer, about = network.load(folder)
    net.requires_grad_(False)
    backend: Any = tokenizer.backend_tokenizer
    backend.no_padding()
    backend.enable_truncation(about["max_length"])
    return Internals(net, backend, tokenizer.pad_token_id or 0, tokenizer.mask_token_id)


def side_by_side(served: classifier.Classifier, texts: list[str]) -> np.ndarray:
    """Logits (texts, classes) as served, a batch on each CPU at a time; what reads the same is scored once.

    ``served`` has one thread: several that share a batch wait for each other by spinning, which took 2.7 s of CPU where
    this takes 1.6. Batches do not depend on the number of CPUs.
    """
    tokens = served.tokens(texts)
    places: dict[bytes, int] = {}
    own = [places.setdefault(one.tobytes(), len(places)) for one in tokens]
    distinct = {place: one for place, one in zip(own, tokens, strict=True)}
    order = sorted(distinct, key=lambda place: len(distinct[place]))
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    found = np.empty((len(distinct), len(served.labels)), dtype=np.float32)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        scored: Iterable[np.ndarray] = pool.map(
            lambda rows: served.batch_logits([distinct[row] for row in rows]), batches
        )
        if len(batches) > classifier.LONG:
            scored = progress(scored, "predict", total=len(batches))
        for rows, logits in zip(batches, scored, strict=True):
            found[rows] = logits
    return found[own]


def torch_logits(inside: Internals, texts: list[str]) -> np.ndarray:
    """Logits (texts, classes) of the network."""
    import torch

    from pipeline.attribution.batches import batches

    found = np.empty((len(texts), len(inside.network.labels)), dtype=np.float32)
    for batch in batches(inside, inside.tokenizer.encode_batch(texts), BATCH):
        with torch.inference_mode():
            found[batch.rows] = inside.network(batch.ids, batch.mask)["logits"].numpy()
    return found
