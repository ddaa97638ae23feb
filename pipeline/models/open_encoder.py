"""An encoder ready to compute text vectors, with the tokenizer that it reads texts by, for each runtime."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.compute.ray_cluster import read_compute
from pipeline.core.params import Encoder
from pipeline.core.stage import Paths
from pipeline.models import encoder as encoders
from pipeline.models.encoder_graph import find_or_export
from pipeline.models.onnx_file import VECTORS
from pipeline.models.onnx_model import open_model
from pipeline.models.ray_model import RayModel
from pipeline.models.runtime import Choice, Runtime
from pipeline.models.tokenizer_file import load_tokenizer, tokenise
from pipeline.models.torch_encoder import TorchEncoder


@dataclass(frozen=True)
class Reader:
    """The tokenizer of an encoder, and what it says of its tokens."""

    tokenizer: Any  # of the library tokenizers; cuts texts at encoder.max_length
    pad_id: int
    special_ids: list[int]
    tokens: int  # of the vocabulary

    def tokenise(self, texts: list[str]) -> list[Any]:
        """Token ids of each text, (tokens,), int64, special tokens included."""
        return tokenise(self.tokenizer, texts)


def open_encoder(folder: Path, encoder: Encoder, choice: Choice, paths: Paths) -> tuple[Runtime, Reader]:
    """What computes unit vectors by the encoder in ``folder`` as ``choice`` says, and the encoder's tokenizer.

    The workers of a Ray cluster compute them where `compute.engine` of params.yaml says so.
    """
    compute = read_compute(paths.root)
    if compute.engine == "ray":
        where, files, open_shipped = shipped_encoder(folder, encoder, choice, paths)
        return RayModel(where, files, open_shipped, choice, compute), open_reader(folder, encoder, choice, paths)
    if choice.runtime == "torch":
        model = TorchEncoder(folder, encoder.pooling, choice.precision)
        return model, read_by(model.tokenizer, encoder.max_length)
    graph = find_or_export(folder, encoder, paths)
    return open_model(graph.model, choice, VECTORS), read_by_graph(graph, encoder)


def shipped_encoder(
    folder: Path, encoder: Encoder, choice: Choice, paths: Paths
) -> tuple[Path, list[str], Callable[[Path, int], Runtime]]:
    """What a worker on another machine needs: a folder, the names of files in it, and what opens a copy of these."""
    if choice.runtime == "torch":
        files = [path.name for path in folder.iterdir() if path.is_file()]
        return folder, files, partial(open_shipped_torch, encoder.pooling, choice.precision)
    graph = find_or_export(folder, encoder, paths)
    return graph.folder, [graph.model.name], partial(open_shipped_graph, graph.model.name, choice)


def open_shipped_torch(pooling: str, precision: str, folder: Path, threads: int) -> Runtime:
    """The encoder in ``folder``, computed by torch with so many ``threads``."""
    import torch

    torch.set_num_threads(threads)
    return TorchEncoder(folder, pooling, precision)


def open_shipped_graph(file: str, choice: Choice, folder: Path, threads: int) -> Runtime:
    """The exported encoder in ``file`` of ``folder``, computed as ``choice`` says with so many ``threads``."""
    return open_model(folder / file, choice, VECTORS, threads)


def open_reader(folder: Path, encoder: Encoder, choice: Choice, paths: Paths) -> Reader:
    """The tokenizer of the encoder in ``folder`` alone; transformers is imported only for torch."""
    if choice.runtime == "torch":
        return read_by(encoders.load_tokenizer(folder), encoder.max_length)
    return read_by_graph(find_or_export(folder, encoder, paths), encoder)


def read_by_graph(graph: Any, encoder: Encoder) -> Reader:
    """The tokenizer that is kept with an exported encoder."""
    about = graph.about
    tokenizer = load_tokenizer(graph.tokenizer, encoder.max_length)
    return Reader(tokenizer, about["pad_id"], about["special_ids"], about["tokens"])


def read_by(tokenizer: Any, max_length: int) -> Reader:
    """The tokenizer behind one of transformers, which stays as it is."""
    from tokenizers import Tokenizer

    copy = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    copy.no_padding()
    copy.enable_truncation(max_length)
    return Reader(copy, tokenizer.pad_token_id or 0, sorted(tokenizer.all_special_ids), len(tokenizer))
