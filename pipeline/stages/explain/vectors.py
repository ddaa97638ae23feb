"""Vectors of training and test rows by the model's encoder, and the training rows nearest to a text."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.params import Encoder
from pipeline.core.stage import Paths
from pipeline.models.bundle_settings import shipped_model
from pipeline.models.embeddings import embed


def embed_texts(texts: list[str], encoder: Encoder, paths: Paths) -> tuple[np.ndarray, str]:
    """Unit vectors of the texts, (texts, width), float32, and the name of the encoder that made them.

    Where training did not change the encoder, the pretrained one is used: its vectors are stored already. Adapters are
    left out of the vectors.
    """
    bundle, pretrained = paths.data("export") / "bundle", paths.data("pretrain") / "encoder"
    final = bundle / "encoder"
    if not same_weights(pretrained, final):
        name = "the untouched encoder" if shipped_model(bundle) == "probe" else "the fine-tuned encoder"
        return embed(texts, final, encoder, paths), name
    has_adapters = (bundle / "adapters.safetensors").exists()
    name = "the frozen encoder, without the adapters" if has_adapters else "the encoder"
    return embed(texts, pretrained, encoder, paths), name


def same_weights(before: Path, after: Path) -> bool:
    """Whether the encoder in ``after`` has the weights of the one in ``before``, whatever prefix their names have.

    Poolers are not compared: no vector depends on them, and an encoder without one gets a random one when it is loaded.
    """
    old, new = load_tensors(before), load_tensors(after)
    old_names = {
        name: name if name in old else next((longer for longer in old if longer.endswith(f".{name}")), None)
        for name in new
        if "pooler" not in name
    }
    return all(
        old_name is not None
        and new[name].shape == old[old_name].shape
        and bool((new[name] == old[old_name].to(new[name])).all())
        for name, old_name in old_names.items()
    )


def load_tensors(folder: Path) -> dict[str, Any]:
    """All tensors of an encoder by name."""
    from safetensors.torch import load_file

    return {name: value for file in sorted(folder.glob("*.safetensors")) for name, value in load_file(file).items()}


def nearest_rows(
    rows: pd.DataFrame, vectors: np.ndarray, train: pd.DataFrame, train_vectors: np.ndarray, count: int
) -> pd.DataFrame:
    """The ``count`` training rows nearest to each of ``rows`` by cosine; equal ones in the order of the table.

    ``vectors`` (rows, width) and ``train_vectors`` (training rows, width), float32, are unit vectors. Columns ``id,
    rank, neighbour, label, origin, similarity``; the rank starts at 1, the similarity is -1 to 1.
    """
    similarities = vectors @ train_vectors.T
    parts = []
    for id, similarity in zip(rows["id"], similarities, strict=True):
        best = np.argsort(-similarity, kind="stable")[:count]
        neighbours = train.iloc[best][["id", "label", "origin"]].rename(columns={"id": "neighbour"})
        ranks = range(1, len(best) + 1)
        parts.append(neighbours.assign(id=id, rank=ranks, similarity=similarity[best].astype(float)))
    columns = ["id", "rank", "neighbour", "label", "origin", "similarity"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
