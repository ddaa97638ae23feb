"""The exported graph of an encoder for several projects of one test module: each export takes seconds."""

import shutil
from pathlib import Path

from pipeline.core.params import Encoder
from pipeline.core.stage import Paths
from pipeline.models.encoder_graph import find_or_export


def share_graph(folder: Path, encoder: Encoder, made: Path, root: Path) -> None:
    """Put the graph of the encoder in ``folder``, which is made once below ``made``, into the project ``root``."""
    graph = find_or_export(folder, encoder, Paths(made))
    target = Paths(root).scratch("embeddings") / graph.folder.name
    if not target.exists():
        shutil.copytree(graph.folder, target)
