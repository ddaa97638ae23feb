"""Vectors of training and test rows by the encoder that the model looks through, and what lies near what."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.params import Encoder
from pipeline.core.stage import Paths
from pipeline.models.embeddings import embed


def embedded(texts: list[str], encoder: Encoder, paths: Paths) -> tuple[np.ndarray, str]:
    """Unit vectors (texts, width), and which encoder made them.

    Where training left the encoder as it was, it is the pretrained one, whose vectors are known already. Adapters
    beside the encoder have no part in the vectors.
    """
    bundle, before = paths.data("export") / "bundle", paths.data("pretrain") / "encoder"
    final = bundle / "encoder"
    if same_weights(before, final):
        said = (
            "the frozen encoder, without the adapters" if (bundle / "adapters.safetensors").exists() else "the encoder"
        )
        return embed(texts, before, encoder, paths), said
    return embed(texts, final, encoder, paths), "the fine-tuned encoder"


def same_weights(before: Path, after: Path) -> bool:
    """Whether ``after`` holds the encoder of ``before``, however the files are laid out.

    A pooler has no part in our vectors, and is drawn where an encoder comes without one.
    """
    old, new = weights(before), weights(after)
    places = {
        name: name if name in old else next((one for one in old if one.endswith(f".{name}")), None) for name in new
    }
    counted = {name: place for name, place in places.items() if "pooler" not in name}
    return all(
        place is not None
        and new[name].shape == old[place].shape
        and bool((new[name] == old[place].to(new[name])).all())
        for name, place in counted.items()
    )


def weights(folder: Path) -> dict[str, Any]:
    """All tensors of an encoder by name."""
    from safetensors.torch import load_file

    return {name: value for file in sorted(folder.glob("*.safetensors")) for name, value in load_file(file).items()}


def neighbours(
    wrong: pd.DataFrame, vectors: np.ndarray, train: pd.DataFrame, train_vectors: np.ndarray, count: int
) -> pd.DataFrame:
    """The ``count`` training rows nearest to each row of ``wrong``, by cosine; equal ones in the table's order.

    Columns ``id, rank, neighbour, label, origin, similarity``; rank is from 1.
    """
    similarity = vectors @ train_vectors.T
    parts = []
    for row, (id, near) in enumerate(zip(wrong["id"], similarity, strict=True)):
        best = np.argsort(-near, kind="stable")[:count]
        found = train.iloc[best][["id", "label", "origin"]].rename(columns={"id": "neighbour"})
        parts.append(found.assign(id=id, rank=range(1, len(best) + 1), similarity=similarity[row, best].astype(float)))
    columns = ["id", "rank", "neighbour", "label", "origin", "similarity"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
