"""A trained classifier as the methods need it: its logits, and the network behind it for methods that need weights."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.attribution.internals import Internals
from pipeline.core.errors import UserError
from pipeline.core.printable import print_note
from pipeline.models import classifier, cluster_answers
from pipeline.models.answers import Answer, make_answers

BATCH_SIZE = 32  # texts; the batch size of the classifier itself, so that logits are those that it serves


@dataclass(frozen=True)
class Model:
    """A classifier to explain; made by `load`."""

    folder: Path
    labels: tuple[str, ...]
    temperature: float
    logits: Callable[[list[str]], np.ndarray]  # texts to (texts, classes), float32, as served
    answers: Callable[[list[str]], list[Answer]]  # as served, so that some labels may be None
    internals: Internals | None

    def probabilities(self, texts: list[str]) -> np.ndarray:
        """The model's answers, (texts, classes), float, 0 to 1."""
        return classifier.softmax(self.logits(texts), self.temperature)


def load(folder: Path, with_internals: bool, root: Path | None = None) -> Model:
    """The model in a folder: a bundle, or what finetune writes to data/finetune/model.

    ``with_internals`` loads the network too, from the folder's safetensors. The logits of a bundle are those that are
    served: class offsets are included, as they are in the bias of its head. The logits of finetune's model come before
    class offsets; a message on stderr says so. Where the params of the project in ``root`` say so, its cluster computes
    many logits of a bundle. Raises UserError if the folder holds neither, lacks the network, or does not match its
    manifest.
    """
    if (folder / classifier.MANIFEST).exists() or not (folder / "classifier.json").exists():
        served = cluster_answers.load(folder, root)
        internals = load_internals(folder) if with_internals else None
        return Model(folder, served.labels, served.temperature, served.logits, served.answers, internals)
    internals = load_internals(folder)  # not exported yet: the network itself answers
    print_note(f"{folder}: not exported yet: labels and scores before calibration and class offsets")
    labels = tuple(internals.network.labels)
    answers = partial(network_answers, internals)
    return Model(folder, labels, 1.0, partial(network_logits, internals), answers, internals)


def load_internals(folder: Path) -> Internals:
    """The network in a folder, frozen, with its tokenizer. Raises UserError if the folder holds no weights."""
    if not ((folder / "head.safetensors").exists() and (folder / "encoder").is_dir()):
        raise UserError(
            f"{folder}: expected the weights as safetensors (head.safetensors and encoder/), found none; "
            "use --method lime, which needs no weights, or a bundle that `dvc repro export` made"
        )
    from safetensors import SafetensorError

    from pipeline.models import network

    try:
        net, tokenizer, about = network.load(folder)
    except (SafetensorError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder}: expected encoder/ and head.safetensors that fit classifier.json, found "
            f"{type(error).__name__} on loading them; rerun export, or use --method lime"
        ) from None
    net.requires_grad_(False)
    backend: Any = tokenizer.backend_tokenizer
    backend.no_padding()
    backend.enable_truncation(about["max_length"])
    return Internals(net, backend, tokenizer.pad_token_id or 0, tokenizer.mask_token_id)


def network_logits(internals: Internals, texts: list[str]) -> np.ndarray:
    """Logits of the network, (texts, classes), float32."""
    import torch

    from pipeline.attribution.batches import padded_batches

    logits = np.empty((len(texts), len(internals.network.labels)), dtype=np.float32)
    for batch in padded_batches(internals, internals.tokenizer.encode_batch(texts), BATCH_SIZE):
        with torch.inference_mode():
            logits[batch.rows] = internals.network(batch.ids, batch.mask)["logits"].numpy()
    return logits


def network_answers(internals: Internals, texts: list[str]) -> list[Answer]:
    """The answers of the network, a label for each text."""
    probabilities = classifier.softmax(network_logits(internals, texts))
    return make_answers(tuple(internals.network.labels), probabilities, None, None)
